"""Least sum of squared innovations of complete series for given gains, with its gradient and Gauss-Newton matrix.

With a = alpha, c = alpha beta, g = gamma and B the backshift, Holt-Winters' one-step errors e obey Theta(B) e = w,

    Theta(B) = (1 - B)(1 - B^m) + a B (1 - B^m) + c (B + ... + B^m) + g B^m (1 - B),    w = (1 - B)(1 - B^m) y.

The m + 1 free initial states make the first m + 1 values of w free. So e = e0 + Psi x, where e0 is the filtered series
and the columns of Psi are the impulse response psi of 1 / Theta, shifted. Everything follows in O(T) and O(m^2) steps:

* Psi'e is the start of the backward filter of e, and the first column of Psi'Psi that of psi;
* Psi'Psi less itself, shifted by one, has rank three, which its Cholesky factor inherits from column to column
  (generalised Schur algorithm: Kailath & Sayed 1995, doi:10.1137/1037082);
* x is concentrated out, and only derivatives across Psi's columns count (variable projection: Golub & Pereyra 1973,
  doi:10.1137/0710036, as Kaufman 1975 has it, doi:10.1007/BF01932995); up to such columns, the derivatives of e with
  respect to a, c and g are sums of shifts of one and the same series, e filtered once more.

Each loop works on a row of lanes (`insar_kernels.lanes`): 0.7 us a series and evaluation, float32; the squares then lie
within 1e-6 of float64's, for they are summed from the innovations themselves.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.extending import register_jitable

from insar_kernels.gpu import running
from insar_kernels.holt_winters_filters import FAST, backward, factorise, forward, solve_lower, solve_upper
from insar_kernels.lanes import WIDTH, aligned, load, spread, store

__all__ = ["concentrate", "first_innovations", "scratch_rows", "settle"]

Float32 = npt.NDArray[np.float32]
Index = npt.NDArray[np.intp]

PIECES = 13
"""Numbers a fit gives: squares, 3 of half their gradient, 6 of the Gauss-Newton matrix; 3 gains go in."""


def concentrate(xp: ModuleType, inputs: Any, index: Index, gains: Any, period: int, compiled: bool) -> Any:
    """Fit of each (series, gains): squares, half their gradient, upper triangle of the Gauss-Newton matrix.

    Parameters
    ----------
    inputs : array of float32, shape (n, T)
        (1 - B)(1 - B^m) of each series, nothing before the first date; T >= period + 2.
    index : array of int, shape (k,)
        Series of each fit.
    gains : array of float32, shape (k, 3)
        alpha, alpha beta, gamma.
    period : int

    Returns
    -------
    array of float32, shape (k, 10)
    """
    if xp is not np:
        fits, work = running.room(xp, len(index), PIECES - 3, scratch_rows(inputs.shape[1], period))
        running.over_rows(_fit_on_gpu, len(index), work.shape[1], inputs, index, gains, period, work, fits)
        return fits
    if compiled:
        length = inputs.shape[1]
        fits = np.empty((len(index), PIECES - 3), np.float32)
        _fits_on_lanes(inputs, index, gains, period, aligned(scratch_rows(length, period)), fits)
        return fits
    return _fits_on_array(xp, inputs[index], gains, period)


def first_innovations(xp: ModuleType, inputs: Any, gains: Any, period: int, compiled: bool) -> Any:
    """The first period + 1 innovations of each series for its gains, shape (n, period + 1)."""
    length = inputs.shape[1]
    if xp is not np:
        e, work = running.room(xp, len(inputs), period + 1, scratch_rows(length, period))
        running.over_rows(_innovate_on_gpu, len(inputs), work.shape[1], inputs, gains, period, work, e)
        return e
    if compiled:
        e = np.empty((len(inputs), period + 1), np.float32)
        _innovations_on_lanes(inputs, gains, period, aligned(scratch_rows(length, period)), e)
        return e
    work = xp.zeros((scratch_rows(length, period), len(inputs)), xp.float32)
    settle(inputs.T, length, period, gains.T, work)
    return work[: period + 1].T


def scratch_rows(length: int, period: int) -> int:
    """Rows that `settle` and a fit work in: series and derivatives, factor, solutions, numbers."""
    n = period + 1
    return 8 * length + n * (n + 7) + PIECES


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def settle(inputs: Any, length: int, period: int, gains: Any, work: Any) -> Any:
    """Innovations from the best initial states into the first rows of ``work``; their squares.

    Rows: e, a second series, a third, the inputs less what the states take (`length` each), then the factor, the
    generators, the solution.
    """
    n = period + 1
    e, second, third, freed = work[:length], work[length:], work[2 * length :], work[3 * length :]
    factor, rows, x = work[7 * length :], work[7 * length + n * n :], work[7 * length + n * n + 3 * n :]
    forward(inputs, length, period, gains, e)
    backward(e, length, period, gains, second)
    zero = load(second, 0) - load(second, 0)
    for i in range(n):
        store(x, i, -load(second, i))
    for t in range(length):
        store(freed, t, zero)
    store(freed, 0, zero + spread(1.0))
    forward(freed, length, period, gains, second)
    backward(second, length, period, gains, third)
    factorise(third, second, length, n, factor, rows)
    solve_lower(factor, n, x)
    solve_upper(factor, n, x)
    for t in range(length):
        store(freed, t, load(inputs, t) + load(x, t) if t < n else load(inputs, t))
    return forward(freed, length, period, gains, e)


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _fit(inputs: Any, length: int, period: int, gains: Any, work: Any, fits: Any) -> None:
    n = period + 1
    squares = settle(inputs, length, period, gains, work)
    e, again, back, columns = work[:length], work[length:], work[2 * length :], work[4 * length :]
    factor, sides = work[7 * length :], work[7 * length + n * n + 4 * n :]
    forward(e, length, period, gains, again)
    zero = squares - squares
    before = total = zero
    slope_a = slope_c = slope_g = aa = ac = ag = cc = cg = gg = zero
    for t in range(length):
        season = load(again, t - period) if t >= period else zero
        both = load(again, t - period - 1) if t > period else zero
        by_a, by_g = both - before, both - season
        total = total + by_a
        store(columns, t, by_a)
        store(columns, length + t, total)
        store(columns, 2 * length + t, by_g)
        before, now = load(again, t), load(e, t)
        slope_a, slope_c, slope_g = slope_a + by_a * now, slope_c + total * now, slope_g + by_g * now
        aa, ac, ag = aa + by_a * by_a, ac + by_a * total, ag + by_a * by_g
        cc, cg, gg = cc + total * total, cg + total * by_g, gg + by_g * by_g
    for p in range(3):
        backward(columns[p * length :], length, period, gains, back)
        for i in range(n):
            store(sides, p * n + i, load(back, i))
        solve_lower(factor, n, sides[p * n :])
    for i in range(n):
        by_a, by_c, by_g = load(sides, i), load(sides, n + i), load(sides, 2 * n + i)
        aa, ac, ag = aa - by_a * by_a, ac - by_a * by_c, ag - by_a * by_g
        cc, cg, gg = cc - by_c * by_c, cg - by_c * by_g, gg - by_g * by_g
    store(fits, 0, squares)
    store(fits, 1, slope_a)
    store(fits, 2, slope_c)
    store(fits, 3, slope_g)
    store(fits, 4, aa)
    store(fits, 5, ac)
    store(fits, 6, ag)
    store(fits, 7, cc)
    store(fits, 8, cg)
    store(fits, 9, gg)


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def _fits_on_lanes(inputs: Float32, index: Index, gains: Float32, period: int, work: Float32, fits: Float32) -> None:
    length = inputs.shape[1]
    series, given, found = work[-length:], work[-length - 3 : -length], work[-length - 13 : -length - 3]
    for first in range(0, len(index), WIDTH):
        for lane in range(WIDTH):
            i = min(first + lane, len(index) - 1)  # the last one again where the lanes outnumber the fits
            for t in range(length):
                series[t, lane] = inputs[index[i], t]
            for p in range(3):
                given[p, lane] = gains[i, p]
        _fit(series, length, period, given, work, found)
        for lane in range(min(WIDTH, len(index) - first)):
            for p in range(10):
                fits[first + lane, p] = found[p, lane]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def _innovations_on_lanes(inputs: Float32, gains: Float32, period: int, work: Float32, e: Float32) -> None:
    length = inputs.shape[1]
    series, given = work[-length:], work[-length - 3 : -length]
    for first in range(0, len(inputs), WIDTH):
        for lane in range(WIDTH):
            i = min(first + lane, len(inputs) - 1)
            for t in range(length):
                series[t, lane] = inputs[i, t]
            for p in range(3):
                given[p, lane] = gains[i, p]
        settle(series, length, period, given, work)
        for lane in range(min(WIDTH, len(inputs) - first)):
            for t in range(period + 1):
                e[first + lane, t] = work[t, lane]


def _fits_on_array(xp: ModuleType, inputs: Any, gains: Any, period: int) -> Any:
    length = inputs.shape[1]
    work = xp.zeros((scratch_rows(length, period), len(inputs)), xp.float32)
    fits = work[-PIECES:]
    _fit(inputs.T, length, period, gains.T, work, fits)
    return fits[:10].T.copy()


def _fit_on_gpu(k: int, thread: int, inputs: Any, index: Any, gains: Any, period: int, work: Any, fits: Any) -> None:
    _fit(inputs[index[k]], inputs.shape[1], period, gains[k], work[:, thread], fits[k])


def _innovate_on_gpu(i: int, thread: int, inputs: Any, gains: Any, period: int, work: Any, e: Any) -> None:
    settle(inputs[i], inputs.shape[1], period, gains[i], work[:, thread])
    for t in range(period + 1):
        e[i, t] = work[t, thread]
