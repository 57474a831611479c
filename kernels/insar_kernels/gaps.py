"""Where a series has values, and the last of them in the place of those it lacks."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import namespace, rows

__all__ = ["first_and_last", "forward_fill", "latest"]

Float32 = npt.NDArray[np.float32]


def first_and_last(values: Any) -> tuple[Any, Any]:
    """Dates (columns) of the first and the last valid value of each series, shape (...); -1 where there is none."""
    xp = namespace(values)
    if not values.shape[-1]:
        return xp.full(values.shape[:-1], -1), xp.full(values.shape[:-1], -1)
    if xp is not np or values.ndim != 2:
        valid = ~xp.isnan(values)
        some, n_dates = valid.any(-1), values.shape[-1]
        return xp.where(some, valid.argmax(-1), -1), xp.where(some, n_dates - 1 - valid[..., ::-1].argmax(-1), -1)
    first, last = _ends_on_cpu(values)
    return first, last


def forward_fill(values: Any) -> Any:
    """Each missing value replaced by the last valid one before it, if any; float32, shape (..., T)."""
    xp = namespace(values)
    if xp is not np:
        filled = xp.take_along_axis(values, xp.maximum(latest(xp, ~xp.isnan(values)), 0), -1)
        return filled.astype(xp.float32, copy=False)
    return _filled_on_cpu(rows(values)).reshape(np.shape(values))


def latest(xp: ModuleType, valid: Any) -> Any:
    """Date of the last true value up to each date, shape (..., T); -1 before the first.

    By doubling steps: CuPy has no ``maximum.accumulate``.
    """
    dates, step = xp.where(valid, xp.arange(valid.shape[-1]), -1), 1
    while step < valid.shape[-1]:
        dates = xp.concatenate([dates[..., :step], xp.maximum(dates[..., step:], dates[..., :-step])], axis=-1)
        step *= 2
    return dates


@njit(nogil=True, cache=True)
def _ends_on_cpu(series: Float32) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    n, n_dates = series.shape
    first = np.full(n, -1, np.intp)
    last = np.full(n, -1, np.intp)
    for i in range(n):
        for t in range(n_dates):
            if series[i, t] == series[i, t]:
                first[i] = t
                break
        for back in range(n_dates):
            t = n_dates - 1 - back
            if series[i, t] == series[i, t]:
                last[i] = t
                break
    return first, last


@njit(nogil=True, cache=True)
def _filled_on_cpu(series: Float32) -> Float32:
    out = np.empty_like(series)
    for i in range(series.shape[0]):
        carried = np.float32(np.nan)
        for t in range(series.shape[1]):
            value = series[i, t]
            carried = value if value == value else carried
            out[i, t] = carried
    return out
