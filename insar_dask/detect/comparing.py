"""How well areas that were found agree with areas that are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.detect.areas import Areas, MapGrid

__all__ = ["Agreement", "agreement"]

HIT = 0.3
"""Intersection over union from which a known area counts as found, and share of a found one that is true."""


class Agreement(NamedTuple):
    """Shares; NaN where there is nothing to take a share of."""

    recall: float
    """Known areas with a found one at an intersection over union above 0.3."""
    precision: float
    """Found areas of which at least 30 % of the cells lie in known ones."""
    overlap: float
    """Intersection over union of all cells."""
    median_overlap: float
    """Median intersection over union of the known areas that were found."""


def agreement(areas: Areas, known: npt.NDArray[np.int32], maps: xr.Dataset) -> Agreement:
    """Compare areas with labels (rows, columns) of known ones on the cells of some maps; label 0 is none."""
    grid = MapGrid.of(maps)
    sizes = np.bincount(known.ravel())
    best, found, true = np.zeros(len(sizes)), np.zeros(known.shape, bool), 0
    for outline in areas.geometry:
        cells = grid.inside(outline)
        found[cells.row, cells.column] = True
        shared = np.bincount(known[cells.row, cells.column], minlength=len(sizes))
        true += bool(shared[1:].sum() >= HIT * len(cells.row))
        best = np.maximum(best, shared / (sizes + len(cells.row) - shared))
    hits, of = best[1:] > HIT, known > 0
    with np.errstate(invalid="ignore"):
        return Agreement(
            float(np.divide(hits.sum(), len(hits))) if len(hits) else np.nan,
            true / len(areas) if len(areas) else np.nan,
            float((found & of).sum() / (found | of).sum()) if (found | of).any() else np.nan,
            float(np.median(best[1:][hits])) if hits.any() else np.nan,
        )
