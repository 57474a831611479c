"""What the search works on: each series less a line and a repeated season, scaled, and its seasonal differences.

Taking out what the initial states can produce leaves the optimum where it was and float32 its digits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.gaps import latest

__all__ = ["Inputs", "inputs_of"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


class Inputs(NamedTuple):
    """What `inputs_of` returns."""

    rest: Any
    differences: Any
    scale: Any
    line: Any
    season: Any
    n_valid: Any
    n_phases: Any


def inputs_of(xp: Any, series: Any, period: int, compiled: bool) -> Inputs:
    """Rest of each series and its differences (1 - B)(1 - B^m), gaps filled by lines, nothing before the first date.

    Parameters
    ----------
    series : array of float32, shape (n, T)
        Missing is not finite.

    Returns
    -------
    Inputs
        ``rest``, ``differences`` (n, T), float32, in units of ``scale`` (n,), float64, the rest's root mean square;
        ``rest`` is NaN where the series is missing. What was taken out: ``line`` (n,) per date, ``season`` (n, period).
        ``n_valid`` (n,) valid dates; ``n_phases`` (n,) phases of the season with any.
    """
    n, length = series.shape
    if not compiled:
        return _on_array(xp, series, period)
    made = Inputs(
        np.empty((n, length), np.float32),
        np.empty((n, length), np.float32),
        np.empty(n),
        np.empty(n),
        np.empty((n, period)),
        np.empty(n, np.int32),
        np.empty(n, np.int32),
    )
    _on_cpu(series, *made)
    return made


@njit(nogil=True, cache=True, error_model="numpy")
def _on_cpu(
    series: Float32,
    rest: Float32,
    differences: Float32,
    scale: Float64,
    line: Float64,
    season: Float64,
    n_valid: npt.NDArray[np.int32],
    n_phases: npt.NDArray[np.int32],
) -> None:
    length, period = series.shape[1], season.shape[1]
    left, counts = np.empty(length), np.empty(period, np.int32)
    for i in range(len(series)):
        y, seasonal = series[i], season[i]
        rise, pairs = 0.0, 0
        for t in range(period, length):
            step = np.float64(y[t]) - y[t - period]
            if np.isfinite(step):
                rise, pairs = rise + step, pairs + 1
        line[i] = rise / (max(pairs, 1) * period)
        seasonal[:], counts[:] = 0.0, 0
        for t in range(length):
            left[t] = y[t] - line[i] * t
            if np.isfinite(y[t]):
                seasonal[t % period] += left[t]
                counts[t % period] += 1
        n_valid[i], n_phases[i] = counts.sum(), (counts > 0).sum()
        for k in range(period):
            seasonal[k] /= max(counts[k], 1)
        squares = 0.0
        for t in range(length):
            left[t] -= seasonal[t % period]
            if np.isfinite(y[t]):
                squares += left[t] * left[t]
        scale[i] = np.sqrt(squares / max(n_valid[i], 1))
        unit = 1.0 / scale[i] if scale[i] > 0 else 0.0
        last = -1
        for t in range(length):
            rest[i, t] = left[t] * unit if np.isfinite(y[t]) else np.nan
            if np.isfinite(y[t]):
                _fill(left, last, t)
                last = t
        _fill(left, last, length)
        for t in range(length):
            x = left[t] - (left[t - 1] if t >= 1 else 0.0)
            if t >= period:
                x -= left[t - period] - (left[t - period - 1] if t > period else 0.0)
            differences[i, t] = x * unit


@njit(nogil=True, cache=True, error_model="numpy")
def _fill(left: Float64, last: int, t: int) -> None:
    """The dates between two valid ones, on the line between them; level where one of the two does not exist."""
    for k in range(last + 1, t):
        before = left[last] if last >= 0 else (left[t] if t < left.size else 0.0)
        after = left[t] if t < left.size else before
        left[k] = before + (after - before) * (k - last) / (t - last)


def _on_array(xp: Any, series: Any, period: int) -> Inputs:
    n, length = series.shape
    valid, y = xp.isfinite(series), xp.where(xp.isfinite(series), series, 0).astype(xp.float64)
    both = valid[:, period:] & valid[:, :-period]
    rise = xp.where(both, y[:, period:] - y[:, :-period], 0.0).sum(1)
    line = rise / (xp.maximum(both.sum(1), 1) * period)
    left = xp.where(valid, y - line[:, None] * xp.arange(length), 0.0)
    counts = xp.stack([valid[:, k::period].sum(1) for k in range(period)], axis=1)
    season = xp.stack([left[:, k::period].sum(1) for k in range(period)], axis=1) / xp.maximum(counts, 1)
    left = xp.where(valid, left - season[:, xp.arange(length) % period], 0.0)
    n_valid = counts.sum(1)
    scale = xp.sqrt((left**2).sum(1) / xp.maximum(n_valid, 1))
    unit = xp.where(scale > 0, 1.0 / xp.where(scale > 0, scale, 1.0), 0.0)[:, None]
    rest = xp.where(valid, left * unit, xp.nan).astype(xp.float32)
    before, after = latest(xp, valid), xp.flip(latest(xp, xp.flip(valid, 1)), 1)
    after = xp.where(after < 0, -1, length - 1 - after)
    one_sided = xp.where(before < 0, after, before), xp.where(after < 0, before, after)
    first, second = (xp.maximum(at, 0) for at in one_sided)
    low, high = xp.take_along_axis(left, first, axis=1), xp.take_along_axis(left, second, axis=1)
    share = (xp.arange(length) - first) / xp.maximum(second - first, 1)
    filled = xp.concatenate([xp.zeros((n, period + 1)), low + (high - low) * share], axis=1)
    yearly = filled[:, period:] - filled[:, : filled.shape[1] - period]
    differences = ((yearly[:, 1:] - yearly[:, :-1]) * unit).astype(xp.float32)
    return Inputs(rest, differences, scale, line, season, n_valid.astype(xp.int32), (counts > 0).sum(1))
