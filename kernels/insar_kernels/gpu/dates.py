"""Linear interpolation in time: what `insar_kernels.resampling` does, a thread for each new date of a series."""

from __future__ import annotations

from typing import Any

import numpy as np

from insar_kernels.dispatch import destination, rows
from insar_kernels.gpu import running

__all__ = ["regularise"]


def regularise(xp: Any, values: Any, days: Any, left: Any, between: Any, weight: Any, max_gap: float, out: Any) -> Any:
    """Values at the new dates; ``left``, ``between`` and ``weight`` as the table of `insar_kernels.resampling` has."""
    filled = destination((*values.shape[:-1], len(left)), out, xp)
    series, regular = rows(values, xp), rows(filled, xp)
    right, weights = left.astype(np.int64), np.zeros(len(left), np.float32)
    right[between], weights[between] = np.minimum(right[between] + 1, len(days) - 1), weight
    table = (xp.asarray(column) for column in (days, left.astype(np.int64), right, weights))
    inside = np.isin(np.arange(len(left)), between)
    running.over_cells(_interpolate, *regular.shape, series, *table, xp.asarray(inside), float(max_gap), regular)
    return filled


def _interpolate(
    i: int,
    j: int,
    series: Any,
    days: Any,
    left: Any,
    right: Any,
    weights: Any,
    inside: Any,
    max_gap: float,
    regular: Any,
) -> None:
    start = _filled(series, i, left[j], days, max_gap)
    if inside[j]:
        start += weights[j] * (_filled(series, i, right[j], days, max_gap) - start)
    regular[i, j] = start


def _filled(series: Any, i: int, t: int, days: Any, max_gap: float) -> Any:
    """Value of a date, or that of the line between its valid neighbours; NaN where one is missing or both are far."""
    y = series[i, t]
    if y == y:
        return y
    before, after = t - 1, t + 1
    while before >= 0 and series[i, before] != series[i, before]:
        before -= 1
    while after < series.shape[1] and series[i, after] != series[i, after]:
        after += 1
    if before < 0 or after >= series.shape[1]:
        return y
    span = days[after] - days[before]
    if span > max_gap:
        return y
    low, high = series[i, before], series[i, after]
    return np.float32(low + (high - low) * ((days[t] - days[before]) / span))
