"""Linear interpolation in time onto dates that all points share.

Filling a missing value on the line between its valid neighbours leaves the piecewise linear function as it was. So each
series is filled first, and then ONE table (left date, right date, weight) serves every point.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import destination, namespace, rows
from insar_kernels.gpu import dates

__all__ = ["regularise"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Index = npt.NDArray[np.uintp]


def regularise(values: Any, days: Float64, new_days: Float64, max_gap: float = np.inf, out: Any = None) -> Any:
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
    out : array of float32, shape (..., S), optional
        C-contiguous array to fill, of the library of ``values``.

    Returns
    -------
    array of float32, shape (..., S)
    """
    table = _table(np.asarray(days, np.float64), np.asarray(new_days, np.float64), max_gap)
    xp = namespace(values)
    if xp is not np:
        return dates.regularise(xp, values, np.asarray(days, np.float64), *table, max_gap, out)
    regular = destination((*np.shape(values)[:-1], len(new_days)), out)
    _on_cpu(rows(values), np.asarray(days, np.float64), *table, max_gap, rows(regular))
    return regular


def _table(days: Float64, new_days: Float64, max_gap: float) -> tuple[Index, Index, Float32]:
    """Date at or before each new one; the new dates between two dates; the weight of the later of the two.

    A NaN weight makes a NaN value without a branch.
    """
    left = np.clip(np.searchsorted(days, new_days, side="right") - 1, 0, max(len(days) - 2, 0))
    left = np.where(new_days == days[-1], len(days) - 1, left)
    between = np.flatnonzero(days[left] != new_days)
    start, stop = days[left[between]], days[np.minimum(left[between] + 1, len(days) - 1)]
    inside = (start < new_days[between]) & (new_days[between] < stop) & (stop - start <= max_gap)
    weight = np.where(inside, (new_days[between] - start) / np.maximum(stop - start, 1e-9), np.nan)
    # unsigned: an index that might be negative costs a comparison each time
    return left.astype(np.uintp), between.astype(np.uintp), weight.astype(np.float32)


@njit(nogil=True, cache=True, error_model="numpy")
def _on_cpu(
    series: Float32, days: Float64, left: Index, between: Index, weight: Float32, max_gap: float, out: Float32
) -> None:
    """Work on a copy with a NaN before its first and after its last date, so that every gap has two sides."""
    n, n_dates = series.shape
    filled = np.full(n_dates + 2, np.nan, np.float32)
    absent, missing = np.empty(n_dates, np.uint8), np.empty(n_dates + 1, np.uintp)
    before, after = np.empty(n_dates + 1, np.uintp), np.empty(n_dates + 1, np.uintp)
    padded = np.concatenate((days[:1] - 1.0, days, days[-1:] + 1.0))
    for i in range(n):
        inner, regular = filled[1:], out[i]
        for t in range(np.uintp(n_dates)):
            inner[t] = series[i, t]
            absent[t] = series[i, t] != series[i, t]
        m = np.uintp(0)
        for t in range(np.uintp(n_dates)):
            missing[m] = t + np.uintp(1)  # overwritten unless this date is missing: no branch to mispredict
            m += np.uintp(absent[t])
        _fill(filled, padded, missing[:m], before, after, max_gap)
        for j in range(np.uintp(left.size)):
            regular[j] = inner[left[j]]
        for k in range(np.uintp(between.size)):
            start = inner[left[between[k]]]
            regular[between[k]] = start + weight[k] * (inner[left[between[k]] + np.uintp(1)] - start)


@njit(nogil=True, cache=True, error_model="numpy")
def _fill(filled: Float32, days: Float64, missing: Index, before: Index, after: Index, max_gap: float) -> None:
    """Put the missing values of one series on the line between their valid neighbours."""
    one, size = np.uintp(1), np.uintp(missing.size)
    if size == 0:
        return
    before[0], after[size - one] = missing[0] - one, missing[size - one] + one
    for k in range(one, size):
        joined = missing[k] == missing[k - one] + one
        before[k] = before[k - one] if joined else missing[k] - one
        back = size - one - k
        joined = missing[back] + one == missing[back + one]
        after[back] = after[back + one] if joined else missing[back] + one
    for k in range(size):
        low, high, start = filled[before[k]], filled[after[k]], days[before[k]]
        span = days[after[k]] - start
        share = (days[missing[k]] - start) / span if span <= max_gap else np.nan
        filled[missing[k]] = low + (high - low) * share
