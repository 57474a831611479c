"""The fit of `insar_kernels.holt_winters_innovations` for series with gaps.

At a missing date the innovation is zero, so that time is no longer uniform and the columns of Psi no longer shifts of
one another. Here they are filtered one by one, from the initial slope and each seasonal index, and multiplied out: at
eight times the cost of a complete series.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.extending import register_jitable

from insar_kernels.gpu import running
from insar_kernels.holt_winters_filters import FAST, solve_lower, solve_upper
from insar_kernels.lanes import WIDTH, aligned, load, root, spread, store

__all__ = ["concentrate_gappy", "gappy_rows", "initial_states"]

Float32 = npt.NDArray[np.float32]
Index = npt.NDArray[np.intp]

PIECE = 24
"""Dates multiplied at a time, which stay in the first cache: 5.5 us a fit, 6.5 with all dates at once."""


def concentrate_gappy(xp: ModuleType, rest: Any, index: Index, gains: Any, period: int, compiled: bool) -> Any:
    """Fits (k, 10) of series ``rest`` (n, T), NaN where missing, as `concentrate` returns them for complete ones."""
    return _both(xp, rest, index, gains, period, compiled)[0]


def initial_states(xp: ModuleType, rest: Any, gains: Any, period: int, compiled: bool) -> Any:
    """Slope and seasonal indices before the first date, shape (n, period + 1); the level is zero."""
    return _both(xp, rest, xp.arange(len(rest)), gains, period, compiled)[1]


def _both(xp: ModuleType, rest: Any, index: Index, gains: Any, period: int, compiled: bool) -> tuple[Any, Any]:
    length, n = rest.shape[1], period + 1
    if xp is not np:
        fits, work = running.room(xp, len(index), 10, gappy_rows(length, period))
        states = xp.empty((len(index), n), xp.float32)
        running.over_rows(_fit_on_gpu, len(index), work.shape[1], rest, index, gains, period, work, fits, states)
        return fits, states
    if compiled:
        fits, states = np.empty((len(index), 10), np.float32), np.empty((len(index), n), np.float32)
        _on_lanes(rest, index, gains, period, aligned(gappy_rows(length, period)), fits, states)
        return fits, states
    work = xp.zeros((gappy_rows(length, period), len(index)), xp.float32)
    y = rest[index].T
    work[:length], work[length : 2 * length] = xp.where(xp.isnan(y), 0, y), ~xp.isnan(y)
    _fit(length, period, gains.T, work, work[-13:-3])
    return work[-13:-3].T.copy(), work[3 * length : 3 * length + n].T.copy()


def gappy_rows(length: int, period: int) -> int:
    """Rows that a fit works in: series, derivatives, columns (``length`` each), Gram matrix, solutions, numbers."""
    n = period + 1
    columns = n + n % 2
    return (columns + 7) * length + columns * columns + 5 * columns + 13


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def _on_lanes(
    rest: Float32, index: Index, gains: Float32, period: int, work: Float32, fits: Float32, states: Float32
) -> None:
    length = rest.shape[1]
    given, found = work[-3:], work[-13:-3]
    for first in range(0, len(index), WIDTH):
        for lane in range(WIDTH):
            i = min(first + lane, len(index) - 1)
            for t in range(length):
                y = rest[index[i], t]
                work[t, lane] = y if y == y else np.float32(0)
                work[length + t, lane] = np.float32(y == y)
            for p in range(3):
                given[p, lane] = gains[i, p]
        _fit(length, period, given, work, found)
        for lane in range(min(WIDTH, len(index) - first)):
            for p in range(10):
                fits[first + lane, p] = found[p, lane]
            for j in range(period + 1):
                states[first + lane, j] = work[3 * length + j, lane]


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _fit(length: int, period: int, gains: Any, work: Any, fits: Any) -> None:
    """Rows of ``work``: the series, 1 where it is valid, e, the solution (`length` each), derivatives, columns, ..."""
    n = period + 1
    even = n + n % 2
    y, valid, e, x = work[:length], work[length:], work[2 * length :], work[3 * length :]
    changes, columns = work[4 * length :], work[7 * length :]
    gram = work[(7 + even) * length :]
    season, sides = work[(7 + even) * length + even * even :], work[(7 + even) * length + even * even + n :]
    zero = load(y, 0) - load(y, 0)
    one = zero + spread(1.0)
    for t in range(length):
        store(changes, t, zero)
        if even > n:
            store(columns, n * length + t, zero)
    for j in range(n):
        for k in range(period):
            store(season, k, one if k == j - 1 else zero)
        _innovate(changes, valid, length, period, gains, one if j == 0 else zero, season, columns[j * length :])
    for k in range(period):
        store(season, k, zero)
    _innovate(y, valid, length, period, gains, zero, season, e)
    for j in range(n):
        store(x, j, -_dot(columns[j * length :], e, length))
    _multiply(columns, length, even, gram)
    if even > n:  # a column of zeros, whose state is zero
        store(gram, even * even - 1, one)
        store(x, n, zero)
    _cholesky(gram, even)
    solve_lower(gram, even, x)
    solve_upper(gram, even, x)
    for k in range(period):
        store(season, k, load(x, k + 1) + zero)
    _innovate(y, valid, length, period, gains, load(x, 0), season, e)
    store(fits, 0, _dot(e, e, length))
    for p in range(3):
        _differentiate(e, valid, length, period, gains, p, season, changes[p * length :])
        store(fits, 1 + p, _dot(changes[p * length :], e, length))
        for j in range(n):
            store(sides, p * even + j, _dot(columns[j * length :], changes[p * length :], length))
        if even > n:
            store(sides, p * even + n, zero)
        solve_lower(gram, even, sides[p * even :])
    place = 4
    for p in range(3):
        for q in range(p, 3):
            whole = _dot(changes[p * length :], changes[q * length :], length)
            store(fits, place, whole - _dot(sides[p * even :], sides[q * even :], n))
            place += 1


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _innovate(y: Any, valid: Any, length: int, period: int, gains: Any, slope: Any, season: Any, e: Any) -> None:
    """Innovations from level zero and the given states; overwrites ``season``."""
    a, c, g = load(gains, 0), load(gains, 1), load(gains, 2)
    level = slope - slope
    phase = 0
    for t in range(length):
        index = load(season, phase) + spread(0.0)
        x = (load(y, t) - level - slope - index) * load(valid, t)
        store(e, t, x)
        level, slope = level + slope + a * x, slope + c * x
        store(season, phase, index + g * x)
        phase = phase + 1 if phase + 1 < period else 0


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _differentiate(e: Any, valid: Any, length: int, period: int, gains: Any, by: int, season: Any, change: Any) -> None:
    """Derivative of the innovations with respect to gain ``by``, the initial states held."""
    a, c, g = load(gains, 0), load(gains, 1), load(gains, 2)
    level = slope = a - a
    for k in range(period):
        store(season, k, level)
    phase = 0
    for t in range(length):
        index = load(season, phase) + spread(0.0)
        x, force = -(level + slope + index) * load(valid, t), load(e, t)
        store(change, t, x)
        level, slope, index = level + slope + a * x, slope + c * x, index + g * x
        if by == 0:
            level = level + force
        elif by == 1:
            slope = slope + force
        else:
            index = index + force
        store(season, phase, index)
        phase = phase + 1 if phase + 1 < period else 0


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _dot(x: Any, y: Any, length: int) -> Any:
    total = load(x, 0) * load(y, 0)
    for t in range(1, length):
        total = total + load(x, t) * load(y, t)
    return total


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _multiply(columns: Any, length: int, even: int, gram: Any) -> None:
    """Products of all columns, `PIECE` dates of them at a time, two by two: four products for four loads."""
    for begin in range(0, length, PIECE):
        end = min(begin + PIECE, length)
        for j in range(0, even, 2):
            for i in range(j, even, 2):
                at, to = j * even + i, (j + 1) * even + i
                first, second, third, fourth = load(gram, at), load(gram, at + 1), load(gram, to), load(gram, to + 1)
                if begin == 0:
                    zero = load(columns, 0) - load(columns, 0)
                    first = second = third = fourth = zero
                for t in range(begin, end):
                    x, y = load(columns, j * length + t), load(columns, (j + 1) * length + t)
                    z, w = load(columns, i * length + t), load(columns, (i + 1) * length + t)
                    first, second = first + x * z, second + x * w
                    third, fourth = third + y * z, fourth + y * w
                store(gram, at, first)
                store(gram, at + 1, second)
                store(gram, to, third)
                store(gram, to + 1, fourth)


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _cholesky(gram: Any, n: int) -> None:
    """The factor by columns in place, n rows each, its diagonal inverted."""
    one = spread(1.0)
    for k in range(n):
        inverse = one / root(load(gram, k * n + k))
        store(gram, k * n + k, inverse)
        for i in range(k + 1, n):
            store(gram, k * n + i, load(gram, k * n + i) * inverse)
        for j in range(k + 1, n):
            x = load(gram, k * n + j)
            for i in range(j, n):
                store(gram, j * n + i, load(gram, j * n + i) - x * load(gram, k * n + i))


def _fit_on_gpu(
    k: int, thread: int, rest: Any, index: Any, gains: Any, period: int, work: Any, fits: Any, states: Any
) -> None:
    length, column = rest.shape[1], work[:, thread]
    for t in range(length):
        y = rest[index[k], t]
        column[t] = y if y == y else np.float32(0)
        column[length + t] = np.float32(1) if y == y else np.float32(0)
    _fit(length, period, gains[k], column, fits[k])
    for j in range(period + 1):
        states[k, j] = column[3 * length + j]
