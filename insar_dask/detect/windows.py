"""Medians and closings over 3 x 3 cells, which look past cells that are lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["HALO", "closed", "median_of_nine"]

Bool = npt.NDArray[np.bool_]

HALO = 3
"""Cells about a tile that what is found in it depends on: one for the median, two for the closing."""

FEWEST = 3
"""Valid cells of nine that a median takes."""


def median_of_nine(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(rows, columns) median of the valid of the 3 x 3 cells about each; NaN where fewer than three are valid."""
    around = np.sort(_neighbours(values.astype(np.float64), np.nan), axis=0)  # NaN comes last
    count = np.isfinite(around).sum(axis=0)
    low, high = (np.maximum(count - 1, 0) // 2)[None], (count // 2)[None]
    middle = np.take_along_axis(around, low, 0)[0] + np.take_along_axis(around, np.minimum(high, 8), 0)[0]
    return np.where(count >= FEWEST, middle / 2, np.nan)


def closed(mask: Bool) -> Bool:
    """A mask grown by one cell all round and shrunk again; the ground goes on beyond the edge as nothing."""
    grown = np.asarray(_neighbours(np.pad(mask, 2), False).any(axis=0))
    shrunk = np.asarray(_neighbours(grown, False).all(axis=0))
    return shrunk[2:-2, 2:-2]


def _neighbours(values: npt.NDArray[Any], beyond: Any) -> npt.NDArray[Any]:
    """(9, rows, columns) the cells about each cell, and itself."""
    rows, columns = values.shape
    padded = np.pad(values, 1, constant_values=beyond)
    return np.stack([padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)])
