"""Linear interpolation in time onto dates that all points share.

Filling a missing value on the line between its valid neighbours leaves the piecewise linear function as it was. So each
series is filled first, and then ONE table (left date, right date, weight) serves every point.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import namespace, rows

__all__ = ["regularise"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Index = npt.NDArray[np.uintp]


def regularise(values: Any, days: Float64, new_days: Float64, max_gap: float = np.inf) -> Any:
    """Interpolate each series linearly in time at ``new_days``.

    A new date takes the value of a valid old date that it meets; else it lies on the line between the valid neighbours
    of that series, or is NaN where these are more than ``max_gap`` apart or where one of them does not exist.

    Parameters
    ----------
    values : array of float32, shape (..., T)
        Series [mm]; missing is NaN.
    days : array of float64, shape (T,)
        Dates of the series [days], strictly increasing.
    new_days : array of float64, shape (S,)
        Dates wanted [days], on the same count.
    max_gap : float
        Longest span between valid neighbours that is bridged [days].

    Returns
    -------
    array of float32, shape (..., S)
    """
    table = _table(np.asarray(days, np.float64), np.asarray(new_days, np.float64), max_gap)
    xp = namespace(values)
    if xp is not np:
        return _on_array(xp, values, xp.asarray(days), *(xp.asarray(column) for column in table), max_gap)
    series = rows(values)
    out = np.empty((len(series), len(new_days)), np.float32)
    _on_cpu(series, np.asarray(days, np.float64), *table, max_gap, out)
    return out.reshape(*np.shape(values)[:-1], len(new_days))


def _table(days: Float64, new_days: Float64, max_gap: float) -> tuple[Index, Index, Float32]:
    """Left date, right date and weight of the right one; a NaN weight makes a NaN value without a branch."""
    right = np.clip(np.searchsorted(days, new_days), 0, len(days) - 1)
    met = days[right] == new_days
    left = np.where(met, right, np.maximum(right - 1, 0))
    span = days[right] - days[left]
    inside = (new_days >= days[0]) & (new_days <= days[-1]) & (span <= max_gap)
    weight = np.where(met, 0.0, (new_days - days[left]) / np.where(span == 0, 1.0, span))
    # unsigned: an index that might be negative costs a comparison each, and vector instructions
    return left.astype(np.uintp), right.astype(np.uintp), np.where(inside, weight, np.nan).astype(np.float32)


@njit(nogil=True, cache=True, error_model="numpy")
def _on_cpu(
    series: Float32, days: Float64, left: Index, right: Index, weight: Float32, max_gap: float, out: Float32
) -> None:
    n, n_dates = series.shape
    filled = np.empty(n_dates, np.float32)
    missing = np.empty(n_dates + 1, np.uintp)
    for i in range(n):
        m = np.uintp(0)
        for t in range(np.uintp(n_dates)):
            filled[t] = series[i, t]
            missing[m] = t  # overwritten unless this date is missing: no branch to mispredict
            m += np.uintp(filled[t] != filled[t])
        _fill(filled, days, missing[:m], max_gap)
        for j in range(np.uintp(left.size)):
            before = filled[left[j]]
            out[i, j] = before + weight[j] * (filled[right[j]] - before)


@njit(nogil=True, cache=True, error_model="numpy")
def _fill(filled: Float32, days: Float64, missing: Index, max_gap: float) -> None:
    """Put the missing values of one series on the line between their valid neighbours."""
    k = 0
    while k < missing.size:
        first = last = np.intp(missing[k])
        while k + 1 < missing.size and np.intp(missing[k + 1]) == last + 1:
            k += 1
            last += 1
        k += 1
        before, after = first - 1, last + 1
        if before < 0 or after >= filled.size or days[after] - days[before] > max_gap:
            continue
        slope = (filled[after] - filled[before]) / (days[after] - days[before])
        for t in range(first, after):
            filled[t] = filled[before] + slope * (days[t] - days[before])


def _on_array(xp: ModuleType, values: Any, days: Any, left: Any, right: Any, weight: Any, max_gap: float) -> Any:
    n_dates = values.shape[-1]
    valid = ~xp.isnan(values)
    dates = xp.arange(n_dates)
    before = xp.maximum.accumulate(xp.where(valid, dates, -1), axis=-1)
    after = xp.flip(xp.minimum.accumulate(xp.flip(xp.where(valid, dates, n_dates), -1), axis=-1), -1)
    inner = (before >= 0) & (after < n_dates)
    before, after = xp.where(inner, before, 0), xp.where(inner, after, 0)
    span = days[after] - days[before]
    low, high = xp.take_along_axis(values, before, -1), xp.take_along_axis(values, after, -1)
    line = low + (high - low) / xp.where(span == 0, 1.0, span) * (days - days[before])
    filled = xp.where(valid, values, xp.where(inner & (span <= max_gap), line, xp.nan)).astype(xp.float32)
    return filled[..., left] + weight * (filled[..., right] - filled[..., left])
