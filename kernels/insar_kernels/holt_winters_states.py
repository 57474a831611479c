"""Level, slope and season of each series by exponential smoothing with given gains and initial states."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import namespace

__all__ = ["smooth_states"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


def smooth_states(series: Any, gains: Any, start: Any, seasonal: Any) -> tuple[Any, Any, Any]:
    """Components of each series and its final states, from those before the first date.

    Parameters
    ----------
    series : array of float32, shape (n, T)
        Missing is NaN; there the states are those predicted.
    gains : array of float64, shape (n, 3)
        alpha, alpha beta, gamma.
    start : array of float64, shape (n, 2)
        Level [mm] and slope [mm per date] before the first date.
    seasonal : array of float64, shape (n, period)
        The first is that of the first date.

    Returns
    -------
    components : array of float32, shape (3, n, T)
        Level and season after each date, and what they leave.
    final : array of float64, shape (n, 2)
        Level and slope.
    seasonal : array of float64, shape (n, period)
        The first is that of the date after the last.
    """
    xp = namespace(series)
    length, period = series.shape[1], seasonal.shape[1]
    if xp is not np:
        return _on_array(xp, series, gains, start, seasonal)
    components = np.empty((3, *series.shape), np.float32)
    final, turned = start.copy(), seasonal.copy()
    _on_cpu(series, gains, final, turned, components)
    return components, final, np.roll(turned, -(length % period), axis=1)


@njit(nogil=True, cache=True, error_model="numpy")
def _on_cpu(series: Float32, gains: Float64, states: Float64, seasonal: Float64, components: Float32) -> None:
    for i in range(len(series)):
        a, c, g = gains[i]
        y, season, level, slope, phase = series[i], seasonal[i], states[i, 0], states[i, 1], 0
        for t in range(y.size):
            e = y[t] - (level + slope + season[phase]) if y[t] == y[t] else 0.0
            level += slope + a * e
            slope += c * e
            season[phase] += g * e
            components[0, i, t] = level
            components[1, i, t] = season[phase]
            components[2, i, t] = y[t] - (level + season[phase])
            phase = phase + 1 if phase + 1 < season.size else 0
        states[i, 0], states[i, 1] = level, slope


def _on_array(xp: ModuleType, series: Any, gains: Any, start: Any, seasonal: Any) -> tuple[Any, Any, Any]:
    a, c, g = gains[:, 0], gains[:, 1], gains[:, 2]
    level, slope, seasonal, period = start[:, 0], start[:, 1], seasonal.copy(), seasonal.shape[1]
    components = xp.empty((3, *series.shape), xp.float32)
    for t in range(series.shape[1]):
        phase = t % period
        e = xp.nan_to_num(series[:, t] - (level + slope + seasonal[:, phase]))
        level = level + slope + a * e
        slope = slope + c * e
        seasonal[:, phase] += g * e
        components[0, :, t], components[1, :, t] = level, seasonal[:, phase]
        components[2, :, t] = series[:, t] - (level + seasonal[:, phase])
    turned = xp.roll(seasonal, -(series.shape[1] % period), axis=1)
    return components, xp.stack([level, slope], axis=1), turned
