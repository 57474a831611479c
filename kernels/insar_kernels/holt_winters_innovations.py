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

from insar_kernels.lanes import WIDTH, aligned, load, root, spread, store

__all__ = ["concentrate", "first_innovations", "tabulate"]

Float32 = npt.NDArray[np.float32]
Index = npt.NDArray[np.intp]

FAST = {"contract", "nsz"}

NODES_BY = 256
"""Series tabulated at once by the whole-array body: 0.1 GB at 300 nodes and 166 dates."""


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
    if compiled:
        length = inputs.shape[1]
        fits = np.empty((len(index), PIECES - 3), np.float32)
        _fits_on_lanes(inputs, index, gains, period, aligned(_rows(length, period)), fits)
        return fits
    return _fits_on_array(xp, inputs[index], gains, period)


def first_innovations(xp: ModuleType, inputs: Any, gains: Any, period: int, compiled: bool) -> Any:
    """The first period + 1 innovations of each series for its gains, shape (n, period + 1)."""
    length = inputs.shape[1]
    if compiled:
        e = np.empty((len(inputs), period + 1), np.float32)
        _innovations_on_lanes(inputs, gains, period, aligned(_rows(length, period)), e)
        return e
    work = xp.zeros((_rows(length, period), len(inputs)), xp.float32)
    _settle(inputs.T, length, period, gains.T, work)
    return work[: period + 1].T


def tabulate(xp: ModuleType, inputs: Any, gains: Any, period: int, compiled: bool) -> Any:
    """Squares of each series for each of the gains (nodes, 3) that all share: shape (n, nodes)."""
    length, n = inputs.shape[1], period + 1
    if compiled:
        table = np.empty((len(inputs), len(gains)), np.float32)
        work = aligned(_rows(length, period))
        factors = np.empty((len(gains), n * n), np.float32)
        _factors_on_lanes(gains, length, period, work, factors)
        _table_on_lanes(inputs, gains, factors, period, work, table)
        return table
    return _table_on_array(xp, inputs, gains, period)


def _rows(length: int, period: int) -> int:
    n = period + 1
    return 8 * length + n * (n + 7) + PIECES


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _forward(inputs: Any, length: int, period: int, gains: Any, e: Any) -> Any:
    """Solve Theta(B) e = inputs, nothing before the first date; the sum of squares of e."""
    a, c, g = load(gains, 0), load(gains, 1), load(gains, 2)
    one = spread(1.0)
    by_last, by_season, by_both = one - a - c, one - g - c, one - a - g
    last = inner = squares = a - a
    for t in range(period):
        x = load(inputs, t) + by_last * last - c * inner
        store(e, t, x)
        inner, last, squares = inner + last, x, squares + x * x
    inner = inner - load(e, 0)  # from here the sum of e over lags 2 to m - 1
    x = load(inputs, period) + by_last * last - c * inner + by_season * load(e, 0)
    store(e, period, x)
    both, season = load(e, 0), load(e, 1)
    inner, last, squares = inner + (last - season), x, squares + x * x
    for t in range(period + 1, length):
        x = load(inputs, t) - c * inner + by_season * season - by_both * both
        x = x + by_last * last  # last: the next date waits for one product alone
        store(e, t, x)
        both, season = season, load(e, t - period + 1)
        inner, last, squares = inner + (last - season), x, squares + x * x
    return squares


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _backward(e: Any, length: int, period: int, gains: Any, q: Any) -> None:
    """The adjoint of `_forward`: the same recursion from the last date to the first."""
    a, c, g = load(gains, 0), load(gains, 1), load(gains, 2)
    one = spread(1.0)
    by_last, by_season, by_both = one - a - c, one - g - c, one - a - g
    last = inner = a - a
    for t in range(length - 1, length - 1 - period, -1):
        x = load(e, t) + by_last * last - c * inner
        store(q, t, x)
        inner, last = inner + last, x
    inner = inner - load(q, length - 1)
    t = length - 1 - period
    x = load(e, t) + by_last * last - c * inner + by_season * load(q, length - 1)
    store(q, t, x)
    both, season = load(q, length - 1), load(q, length - 2)
    inner, last = inner + (last - season), x
    for t in range(length - 2 - period, -1, -1):
        x = load(e, t) - c * inner + by_season * season - by_both * both
        x = x + by_last * last
        store(q, t, x)
        both, season = season, load(q, t + period - 1)
        inner, last = inner + (last - season), x


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _factor(first: Any, psi: Any, length: int, n: int, factor: Any, rows: Any) -> None:
    """Cholesky factor of Psi'Psi, by columns (n each, the diagonal inverted), from its first column and psi.

    Its generators: ``plus`` less ``minus`` (twice). A step takes the next column of the factor from ``plus``, shifts
    that by a row, and turns it hyperbolically against the other two until they vanish at the pivot.
    """
    one = spread(1.0)
    plus, minus, tail = rows[:n], rows[n : 2 * n], rows[2 * n : 3 * n]
    scale = one / root(load(first, 0))
    for i in range(n):
        x = load(first, i) * scale
        store(plus, i, x)
        store(minus, i, x if i > 0 else x - x)
        store(tail, i, load(psi, length - i) if i > 0 else x - x)
    for k in range(n):
        pivot = load(plus, 0)
        inverse = one / pivot
        store(factor, k * n + k, inverse)
        for i in range(k + 1, n):
            store(factor, k * n + i, load(plus, i - k))
        if k + 1 < n:
            first_turn = load(minus, k + 1) * inverse
            first_scale = root(one - first_turn * first_turn)
            first_inverse = one / first_scale
            second_turn = load(tail, k + 1) / ((pivot - first_turn * load(minus, k + 1)) * first_inverse)
            second_scale = root(one - second_turn * second_turn)
            second_inverse = one / second_scale
            for i in range(k + 1, n):
                x, y = load(minus, i), load(tail, i)
                turned = (load(plus, i - k - 1) - first_turn * x) * first_inverse
                store(minus, i, first_scale * x - first_turn * turned)
                twice = (turned - second_turn * y) * second_inverse
                store(tail, i, second_scale * y - second_turn * twice)
                store(plus, i - k - 1, twice)


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _solve_lower(factor: Any, n: int, side: Any) -> None:
    for k in range(n):
        x = load(side, k) * load(factor, k * n + k)
        store(side, k, x)
        for i in range(k + 1, n):
            store(side, i, load(side, i) - x * load(factor, k * n + i))


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _solve_upper(factor: Any, n: int, side: Any) -> None:
    for k in range(n - 1, -1, -1):
        x = load(side, k)
        for i in range(k + 1, n):
            x = x - load(side, i) * load(factor, k * n + i)
        store(side, k, x * load(factor, k * n + k))


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _settle(inputs: Any, length: int, period: int, gains: Any, work: Any) -> Any:
    """Innovations from the best initial states into the first rows of ``work``; their squares.

    Rows: e, a second series, a third, the inputs less what the states take (`length` each), then the factor, the
    generators, the solution.
    """
    n = period + 1
    e, second, third, freed = work[:length], work[length:], work[2 * length :], work[3 * length :]
    factor, rows, x = work[7 * length :], work[7 * length + n * n :], work[7 * length + n * n + 3 * n :]
    _forward(inputs, length, period, gains, e)
    _backward(e, length, period, gains, second)
    zero = load(second, 0) - load(second, 0)
    for i in range(n):
        store(x, i, -load(second, i))
    for t in range(length):
        store(freed, t, zero)
    store(freed, 0, zero + spread(1.0))
    _forward(freed, length, period, gains, second)
    _backward(second, length, period, gains, third)
    _factor(third, second, length, n, factor, rows)
    _solve_lower(factor, n, x)
    _solve_upper(factor, n, x)
    for t in range(length):
        store(freed, t, load(inputs, t) + load(x, t) if t < n else load(inputs, t))
    return _forward(freed, length, period, gains, e)


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _fit(inputs: Any, length: int, period: int, gains: Any, work: Any, fits: Any) -> None:
    n = period + 1
    squares = _settle(inputs, length, period, gains, work)
    e, again, back, columns = work[:length], work[length:], work[2 * length :], work[4 * length :]
    factor, sides = work[7 * length :], work[7 * length + n * n + 4 * n :]
    _forward(e, length, period, gains, again)
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
        _backward(columns[p * length :], length, period, gains, back)
        for i in range(n):
            store(sides, p * n + i, load(back, i))
        _solve_lower(factor, n, sides[p * n :])
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
        _settle(series, length, period, given, work)
        for lane in range(min(WIDTH, len(inputs) - first)):
            for t in range(period + 1):
                e[first + lane, t] = work[t, lane]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def _factors_on_lanes(gains: Float32, length: int, period: int, work: Float32, factors: Float32) -> None:
    n = period + 1
    series, given = work[-length:], work[-length - 3 : -length]
    series[:] = 0.0
    for first in range(0, len(gains), WIDTH):
        for lane in range(WIDTH):
            for p in range(3):
                given[p, lane] = gains[min(first + lane, len(gains) - 1), p]
        _settle(series, length, period, given, work)
        for lane in range(min(WIDTH, len(gains) - first)):
            for k in range(n * n):
                factors[first + lane, k] = work[7 * length + k, lane]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def _table_on_lanes(
    inputs: Float32, gains: Float32, factors: Float32, period: int, work: Float32, table: Float32
) -> None:
    length, n = inputs.shape[1], period + 1
    series, given, found = work[-length:], work[-length - 3 : -length], work[-length - 13 : -length - 3]
    e, back = work[:length], work[length:]
    for first in range(0, len(inputs), WIDTH):
        for lane in range(WIDTH):
            for t in range(length):
                series[t, lane] = inputs[min(first + lane, len(inputs) - 1), t]
        for node in range(len(gains)):
            for p in range(3):
                store(given, p, spread(gains[node, p]))
            squares = _forward(series, length, period, given, e)
            _backward(e, length, period, given, back)
            store(found, 0, squares - _explained(factors[node], n, back))
            for lane in range(min(WIDTH, len(inputs) - first)):
                table[first + lane, node] = found[0, lane]


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _explained(factor: Float32, n: int, side: Any) -> Any:
    """Squares that the initial states take: those of the forward solution with a factor shared by the lanes.

    Four columns at once, so that a value of ``side`` is loaded and stored once for four products.
    """
    squares = load(side, 0) - load(side, 0)
    whole = n - n % 4
    for k in range(0, whole, 4):
        column = k * n
        x = load(side, k) * spread(factor[column + k])
        y = load(side, k + 1) - x * spread(factor[column + k + 1])
        z = load(side, k + 2) - x * spread(factor[column + k + 2])
        w = load(side, k + 3) - x * spread(factor[column + k + 3])
        column += n
        y = y * spread(factor[column + k + 1])
        z, w = z - y * spread(factor[column + k + 2]), w - y * spread(factor[column + k + 3])
        column += n
        z = z * spread(factor[column + k + 2])
        w = (w - z * spread(factor[column + k + 3])) * spread(factor[column + n + k + 3])
        squares = squares + x * x + y * y + z * z + w * w
        for i in range(k + 4, n):
            first = load(side, i) - x * spread(factor[k * n + i]) - y * spread(factor[(k + 1) * n + i])
            store(side, i, first - z * spread(factor[(k + 2) * n + i]) - w * spread(factor[(k + 3) * n + i]))
    for k in range(whole, n):
        x = load(side, k) * spread(factor[k * n + k])
        squares = squares + x * x
        for i in range(k + 1, n):
            store(side, i, load(side, i) - x * spread(factor[k * n + i]))
    return squares


def _fits_on_array(xp: ModuleType, inputs: Any, gains: Any, period: int) -> Any:
    length = inputs.shape[1]
    work = xp.zeros((_rows(length, period), len(inputs)), xp.float32)
    fits = work[-PIECES:]
    _fit(inputs.T, length, period, gains.T, work, fits)
    return fits[:10].T.copy()


def _table_on_array(xp: ModuleType, inputs: Any, gains: Any, period: int) -> Any:
    """All nodes at once, as the first of two axes of lanes; few series at a time, to bound the memory."""
    length, n, nodes = inputs.shape[1], period + 1, len(gains)
    shared = gains.T[:, :, None]
    work = xp.zeros((_rows(length, period), nodes, 1), xp.float32)
    _settle(xp.zeros((length, nodes, 1), xp.float32), length, period, shared, work)
    factor = work[7 * length : 7 * length + n * n].copy()
    table = xp.empty((len(inputs), nodes), xp.float32)
    for first in range(0, len(inputs), NODES_BY):
        some = inputs[first : first + NODES_BY]
        e, back = xp.empty((2, length, nodes, len(some)), xp.float32)
        squares = _forward(some.T[:, None], length, period, shared, e)
        _backward(e, length, period, shared, back)
        _solve_lower(factor, n, back)
        table[first : first + NODES_BY] = (squares - (back[:n] ** 2).sum(0)).T
    return table
