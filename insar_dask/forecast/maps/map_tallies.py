"""Errors of forecast maps, counted by lead and by origin: sums that merge, as plain numbers for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.metrics import ErrorSums

__all__ = ["Counted", "by_lead", "by_origin", "count_maps", "overall"]

Float32 = npt.NDArray[np.float32]
Counted = dict[str, list[list[float]]]

METRICS = ("rmse", "mae", "r2", "bias")


def count_maps(said: Float32, asked: Float32) -> Counted:
    """Sums of errors over cells that are scored.

    Parameters
    ----------
    said, asked : (o, h, Y, X) arrays of float32
        Maps [mm] at each origin and lead; a cell with NaN on either side is left out and counted.

    Returns
    -------
    dict of lists
        ``leads``: for each lead, and ``origins``: for each origin, the sums of `insar_dask.metrics.ErrorSums`.
    """
    return {
        "leads": [_sums(said[:, lead], asked[:, lead]) for lead in range(said.shape[1])],
        "origins": [_sums(one, other) for one, other in zip(said, asked, strict=True)],
    }


def by_lead(counted: Counted) -> list[dict[str, float]]:
    """Scores of each lead."""
    return [_scores(sums) for sums in counted["leads"]]


def by_origin(counted: Counted) -> list[dict[str, float]]:
    """Scores of each origin."""
    return [_scores(sums) for sums in counted["origins"]]


def overall(counted: Counted) -> dict[str, float]:
    """Scores of all leads together."""
    return _scores(sum((ErrorSums(np.array(sums)) for sums in counted["leads"]), ErrorSums()).values)


def _sums(said: Float32, asked: Float32) -> list[float]:
    found: Any = ErrorSums.of(said, asked).values.tolist()
    return [float(f"{value:.8g}") for value in found]


def _scores(sums: Sequence[float] | npt.NDArray[np.float64]) -> dict[str, float]:
    found = ErrorSums(np.asarray(sums, np.float64))
    return {"n": found.n, "n_missing": found.n_missing} | {name: float(getattr(found, name)) for name in METRICS}
