"""Level, slope and season of each series by exponential smoothing with given gains and initial states."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import namespace, rows
from insar_kernels.gpu import running

__all__ = ["holt_winters_update", "smooth_states", "states_before"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


def holt_winters_update(
    level: Any, slope: Any, seasonal: Any, alpha: Any, beta: Any, gamma: Any, values: Any
) -> tuple[Any, Any, Any]:
    """States of additive Holt-Winters after further dates, from those before them and known parameters.

    So a series is fitted once and followed as it grows. At a missing date the states are those predicted.

    Parameters
    ----------
    level, slope, seasonal, alpha, beta, gamma : array of float32
        As `holt_winters` returns them: [mm], [mm per date] and parameters of shape (...), ``seasonal`` (..., period).
    values : array of float32, shape (..., T)
        The dates that follow [mm]; missing is NaN.

    Returns
    -------
    level, slope, seasonal : array of float32
        As given, after the last date of ``values``; NaN where a state or a parameter is.
    """
    xp = namespace(values)
    shape, period = values.shape[:-1], seasonal.shape[-1]
    if values.shape[-1] == 0:
        return level, slope, seasonal
    series = rows(values, xp)
    gains, start = (
        xp.stack([xp.asarray(part, xp.float64).reshape(-1) for part in parts], axis=1)
        for parts in ((alpha, alpha * beta, gamma), (level, slope))
    )
    turned = xp.asarray(seasonal, xp.float64).reshape(-1, period)
    _, final, turned, _ = smooth_states(xp, series, gains, start, turned, 0, xp is np)
    states = final[:, 0].reshape(shape), final[:, 1].reshape(shape), turned.reshape(*shape, period)
    level, slope, seasonal = (state.astype(xp.float32) for state in states)
    return level, slope, seasonal


def states_before(xp: ModuleType, series: Any, innovations: Any, gains: Any) -> tuple[Any, Any, Any]:
    """Level, slope (n,) and seasonal indices (n, m) that lead to the first m + 1 innovations of complete series.

    With C_t the sum of e up to t the forecast of date t is l + (t + 1) b + (a + c) C_(t-1) + c sum C_(k-1) + s. The
    indices follow from the first m dates, the slope from date m, which repeats the phase of the first.
    """
    period = innovations.shape[1] - 1
    a, c, g = gains[:, :1], gains[:, 1:2], gains[:, 2]
    e = innovations.astype(xp.float64)
    total = xp.concatenate([xp.zeros_like(e[:, :1]), xp.cumsum(e, axis=1)[:, :-1]], axis=1)
    known = (a + c) * total + c * (xp.cumsum(total, axis=1) - total)
    left = series[:, : period + 1] - e - known
    slope = (left[:, period] - left[:, 0] - g * e[:, 0]) / period
    seasonal = left[:, :period] - slope[:, None] * xp.arange(1, period + 1)
    return xp.zeros_like(slope), slope, seasonal


def smooth_states(
    xp: ModuleType, series: Any, gains: Any, start: Any, seasonal: Any, fitted: int, compiled: bool
) -> tuple[Any, Any, Any, Any]:
    """Components of each series and its final states, from those before the first date.

    Parameters
    ----------
    series : array of float32, shape (n, T)
        Missing is not finite; there the states are those predicted.
    gains : array of float64, shape (n, 3)
        alpha, alpha beta, gamma.
    start : array of float64, shape (n, 2)
        Level [mm] and slope [mm per date] before the first date.
    seasonal : array of float64, shape (n, period)
        The first is that of the first date.
    fitted : int
        Dates whose squared innovations are summed.

    Returns
    -------
    components : array of float32, shape (3, n, T)
        Level and season after each date, and what they leave.
    final : array of float64, shape (n, 2)
        Level and slope.
    seasonal : array of float64, shape (n, period)
        The first is that of the date after the last.
    squares : array of float64, shape (n,)
    """
    length, period = series.shape[1], seasonal.shape[1]
    if xp is not np:
        components, squares = xp.empty((3, *series.shape), xp.float32), xp.empty(len(series))
        final, turned, dense = start.copy(), seasonal.copy(), xp.ascontiguousarray(series)
        n = len(series)
        running.over_rows(_smooth_on_gpu, n, n, dense, gains, final, turned, fitted, components, squares)
        return components, final, xp.roll(turned, -(length % period), axis=1), squares
    if not compiled:
        return _on_array(xp, series, gains, start, seasonal, fitted)
    components = np.empty((3, *series.shape), np.float32)
    final, turned, squares = start.copy(), seasonal.copy(), np.empty(len(series))
    _on_cpu(series, gains, final, turned, fitted, components, squares)
    return components, final, np.roll(turned, -(length % period), axis=1), squares


@njit(nogil=True, cache=True, error_model="numpy")
def _on_cpu(
    series: Float32,
    gains: Float64,
    states: Float64,
    seasonal: Float64,
    fitted: int,
    components: Float32,
    squares: Float64,
) -> None:
    for i in range(len(series)):
        a, c, g = gains[i, 0], gains[i, 1], gains[i, 2]
        y, season, level, slope, phase = series[i], seasonal[i], states[i, 0], states[i, 1], 0
        squares[i] = 0.0
        for t in range(y.size):
            valid = np.isfinite(y[t])
            e = y[t] - (level + slope + season[phase]) if valid else 0.0
            squares[i] += e * e if t < fitted else 0.0
            level += slope + a * e
            slope += c * e
            season[phase] += g * e
            components[0, i, t] = level
            components[1, i, t] = season[phase]
            components[2, i, t] = y[t] - (level + season[phase]) if valid else np.nan
            phase = phase + 1 if phase + 1 < season.size else 0
        states[i, 0], states[i, 1] = level, slope


def _on_array(
    xp: ModuleType, series: Any, gains: Any, start: Any, seasonal: Any, fitted: int
) -> tuple[Any, Any, Any, Any]:
    a, c, g = gains[:, 0], gains[:, 1], gains[:, 2]
    level, slope, seasonal, period = start[:, 0], start[:, 1], seasonal.copy(), seasonal.shape[1]
    components, squares = xp.empty((3, *series.shape), xp.float32), xp.zeros_like(level)
    for t in range(series.shape[1]):
        phase, valid, y = t % period, xp.isfinite(series[:, t]), series[:, t].astype(xp.float64)
        e = xp.where(valid, y - (level + slope + seasonal[:, phase]), 0.0)
        if t < fitted:
            squares = squares + e * e
        level = level + slope + a * e
        slope = slope + c * e
        seasonal[:, phase] += g * e
        components[0, :, t], components[1, :, t] = level, seasonal[:, phase]
        components[2, :, t] = xp.where(valid, y - (level + seasonal[:, phase]), xp.nan)
    turned = xp.roll(seasonal, -(series.shape[1] % period), axis=1)
    return components, xp.stack([level, slope], axis=1), turned, squares


def _smooth_on_gpu(
    i: int, thread: int, series: Any, gains: Any, states: Any, seasonal: Any, fitted: int, components: Any,
    squares: Any,
) -> None:  # fmt: skip
    a, c, g = gains[i, 0], gains[i, 1], gains[i, 2]
    level, slope, total, phase = states[i, 0], states[i, 1], np.float64(0), 0
    for t in range(series.shape[1]):
        y = np.float64(series[i, t])
        valid = math.isfinite(y)
        e = y - (level + slope + seasonal[i, phase]) if valid else 0.0
        if t < fitted:
            total += e * e
        level += slope + a * e
        slope += c * e
        season = seasonal[i, phase] + g * e
        seasonal[i, phase] = season
        components[0, i, t], components[1, i, t] = level, season
        components[2, i, t] = y - (level + season) if valid else np.nan
        phase = phase + 1 if phase + 1 < seasonal.shape[1] else 0
    states[i, 0], states[i, 1], squares[i] = level, slope, total
