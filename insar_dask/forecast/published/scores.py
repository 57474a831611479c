"""Errors of a set of forecasts as sums by pattern and by lead: small, mergeable, and enough for every printed score."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.metrics import ErrorSums

__all__ = ["METRICS", "by_lead", "by_pattern", "count_stage", "overall"]

Float32 = npt.NDArray[np.float32]
Counted = dict[str, list[list[float]]]

METRICS = ("rmse", "mae", "mape_as_printed", "mape", "smape")
"""What the tables show. Equation 4 of the publication squares what it calls MAPE; the standard one stands beside it."""


def count_stage(predicted: Float32, targets: Float32, patterns: npt.NDArray[np.int8], n_patterns: int = 8) -> Counted:
    """Sums of errors over the origins of one stage.

    Parameters
    ----------
    predicted, targets : (o, n, h) arrays of float32
        At each origin, point and lead [mm]; a pair with NaN on either side is left out and counted.
    patterns : (n,) array of int8
    n_patterns : int

    Returns
    -------
    dict of lists
        ``patterns``: for each pattern, and ``leads``: for each lead, the sums of `insar_dask.metrics.ErrorSums`.
    """
    mine = [patterns == pattern for pattern in range(n_patterns)]
    patterns_ = [_sums(predicted[:, rows], targets[:, rows]) for rows in mine]
    leads = [_sums(predicted[..., lead], targets[..., lead]) for lead in range(predicted.shape[-1])]
    return {"patterns": patterns_, "leads": leads}


def overall(counted: Counted) -> dict[str, float]:
    """Scores over all patterns, with the number ``n`` of pairs; percentages but for ``mape_as_printed``."""
    total = ErrorSums()
    for sums in counted["leads"]:
        total += ErrorSums(np.array(sums))
    return _metrics(total)


def by_pattern(counted: Counted) -> list[dict[str, float]]:
    """Scores of each pattern."""
    return [_metrics(ErrorSums(np.array(sums))) for sums in counted["patterns"]]


def by_lead(counted: Counted) -> list[dict[str, float]]:
    """Scores of each lead."""
    return [_metrics(ErrorSums(np.array(sums))) for sums in counted["leads"]]


def _sums(predicted: Float32, targets: Float32) -> list[float]:
    found: Any = ErrorSums.of(predicted, targets).values.tolist()
    return [float(f"{value:.8g}") for value in found]


def _metrics(sums: ErrorSums) -> dict[str, float]:
    return {"n": sums.n, "n_missing": sums.n_missing} | {name: float(getattr(sums, name)) for name in METRICS}
