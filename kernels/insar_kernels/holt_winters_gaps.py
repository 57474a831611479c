"""Sum of squares of a gappy series for given smoothing parameters, its initial states estimated with them.

The innovations e are linear in the initial states x = (slope, one seasonal index per phase), the first level being one
of them too many. So for given (alpha, c = alpha beta, gamma) the best x is a least-squares solution, and a search over
33 numbers becomes one over three (variable projection: Golub & Pereyra 1973, doi:10.1137/0710036).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["concentrate", "gains_of"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


def gains_of(shares: Float64) -> Float64:
    """(alpha, alpha beta, gamma) of (alpha, beta / alpha, gamma / (1 - alpha)), each in [0, 1]."""
    a, h, k = shares[..., 0], shares[..., 1], shares[..., 2]
    return np.stack([a, h * a * a, k * (1.0 - a)], axis=-1)


@njit(nogil=True, cache=True, error_model="numpy")
def concentrate(
    series: Float32, index: npt.NDArray[np.intp], gains: Float64, period: int, fits: Float64, initial: Float64
) -> None:
    """Fill for each (series, gains): squares, their halved gradient and Gauss-Newton matrix, and the initial states.

    ``fits`` has the columns squares, 3 of the gradient, 6 of the matrix (its upper triangle); ``initial`` slope and
    seasonal indices. NaN where the dates do not determine the states.
    """
    length = series.shape[1]
    n_states = period + 1
    columns, e, d = np.empty((n_states, length)), np.empty(length), np.empty((3, length))
    gram, side = np.empty((n_states, n_states)), np.empty((4, n_states))
    season = np.empty(period)
    for i in range(len(index)):
        y = series[index[i]]
        for j in range(n_states):
            season[:] = 0.0
            if j > 0:
                season[j - 1] = 1.0
            _filter(y, 0.0, gains[i], 1.0 if j == 0 else 0.0, season, columns[j])
        season[:] = 0.0
        _filter(y, 1.0, gains[i], 0.0, season, e)
        for j in range(n_states):
            for k in range(j + 1):
                gram[j, k] = np.dot(columns[j], columns[k])
            side[0, j] = -np.dot(columns[j], e)
        if not _factor(gram):
            fits[i] = np.nan
            initial[i] = np.nan
            continue
        _forward(gram, side[0])
        _backward(gram, side[0])
        initial[i] = side[0]
        season[:] = side[0, 1:]
        _filter(y, 1.0, gains[i], side[0, 0], season, e)
        _differentiate(y, e, gains[i], period, d)
        fits[i, 0] = np.dot(e, e)
        place = 4
        for p in range(3):
            for j in range(n_states):
                side[1 + p, j] = np.dot(columns[j], d[p])
            _forward(gram, side[1 + p])
            fits[i, 1 + p] = np.dot(d[p], e)
        for p in range(3):
            for q in range(p, 3):
                fits[i, place] = np.dot(d[p], d[q]) - np.dot(side[1 + p], side[1 + q])
                place += 1


@njit(nogil=True, cache=True, error_model="numpy")
def _filter(y: Float32, scale: float, gains: Float64, slope: float, season: Float64, e: Float64) -> None:
    """Innovations of ``scale * y`` from level 0 and these states; 0 where y is missing. Overwrites ``season``."""
    a, c, g = gains
    level, phase = 0.0, 0
    for t in range(y.size):
        valid = y[t] == y[t]
        e[t] = scale * y[t] - (level + slope + season[phase]) if valid else 0.0
        level += slope + a * e[t]
        slope += c * e[t]
        season[phase] += g * e[t]
        phase = phase + 1 if phase + 1 < season.size else 0


@njit(nogil=True, cache=True, error_model="numpy")
def _differentiate(y: Float32, e: Float64, gains: Float64, period: int, d: Float64) -> None:
    """Derivatives of the innovations with respect to the three gains, the initial states held."""
    a, c, g = gains
    season = np.zeros(period)
    for p in range(3):
        level = slope = 0.0
        season[:] = 0.0
        phase = 0
        for t in range(y.size):
            d[p, t] = -(level + slope + season[phase]) if y[t] == y[t] else 0.0
            level += slope + a * d[p, t] + (e[t] if p == 0 else 0.0)
            slope += c * d[p, t] + (e[t] if p == 1 else 0.0)
            season[phase] += g * d[p, t] + (e[t] if p == 2 else 0.0)
            phase = phase + 1 if phase + 1 < period else 0


@njit(nogil=True, cache=True, error_model="numpy")
def _factor(gram: Float64) -> bool:
    """Cholesky factor in place of the lower triangle; False if the matrix is singular."""
    for j in range(len(gram)):
        whole = gram[j, j]
        for i in range(j, len(gram)):
            gram[i, j] -= np.dot(gram[i, :j], gram[j, :j])
        if not gram[j, j] > 1e-11 * whole:
            return False
        scale = 1.0 / np.sqrt(gram[j, j])
        for i in range(j, len(gram)):
            gram[i, j] *= scale
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def _forward(factor: Float64, side: Float64) -> None:
    for j in range(len(factor)):
        side[j] = (side[j] - np.dot(factor[j, :j], side[:j])) / factor[j, j]


@njit(nogil=True, cache=True, error_model="numpy")
def _backward(factor: Float64, side: Float64) -> None:
    for j in range(len(factor) - 1, -1, -1):
        side[j] /= factor[j, j]
        side[:j] -= factor[j, :j] * side[j]
