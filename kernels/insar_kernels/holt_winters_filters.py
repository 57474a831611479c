"""Filters of Holt-Winters' innovations and the factor of their normal matrix, each row a row of lanes.

They are compiled into the loops that call them, from other files too, whose cached code Numba keeps when this file
changes: clear the cache then.
"""

from __future__ import annotations

from typing import Any

from numba.extending import register_jitable

from insar_kernels.lanes import load, root, spread, store

__all__ = ["FAST", "backward", "factorise", "forward", "solve_lower", "solve_upper"]

FAST = {"contract", "nsz"}
"""What the compiler may do: fuse products and sums, alike in all lanes. It may not reorder sums."""


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def forward(inputs: Any, length: int, period: int, gains: Any, e: Any) -> Any:
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
def backward(e: Any, length: int, period: int, gains: Any, q: Any) -> None:
    """The adjoint of `forward`: the same recursion from the last date to the first."""
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
def factorise(first: Any, psi: Any, length: int, n: int, factor: Any, rows: Any) -> None:
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
def solve_lower(factor: Any, n: int, side: Any) -> None:
    """Forward substitution in place with what `factorise` made."""
    for k in range(n):
        x = load(side, k) * load(factor, k * n + k)
        store(side, k, x)
        for i in range(k + 1, n):
            store(side, i, load(side, i) - x * load(factor, k * n + i))


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def solve_upper(factor: Any, n: int, side: Any) -> None:
    """Backward substitution in place."""
    for k in range(n - 1, -1, -1):
        x = load(side, k)
        for i in range(k + 1, n):
            x = x - load(side, i) * load(factor, k * n + i)
        store(side, k, x * load(factor, k * n + k))
