"""Coefficients of a model of motion from pairs, with the noise that pairs share by their dates, point by point.

Of pairs d = A (M b + a) + e, a being noise of each date (variance s_a^2) and e of each pair (s_e^2 / w), generalised
least squares needs M' N (I + s_a^2 N)^-1 M with N = A' W A / s_e^2: both matrices are banded, so that the covariance of
the pairs is never made. It is what a fit on dates gives with the covariance s_a^2 I + N^+.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.network_band import MISSING, accumulate, eliminate, invert_band, substitute
from insar_kernels.network_offsets import solve_positive

__all__ = ["NetworkModel", "fit_network_model"]

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
AT_ONCE = 4096
"""Points made float64 at once: one body is compiled, and values are not held twice."""


class NetworkModel(NamedTuple):
    """What `fit_network_model` returns, float64; NaN where pairs cannot tell the terms apart."""

    coefficients: Any
    """(..., K)."""
    covariance: Any
    """(..., K, K)."""
    date_noise: Any
    """(...): standard deviation of the noise of a date."""
    pair_noise: Any
    """(...): standard deviation of the noise of a pair of weight one."""


def fit_network_model(
    values: Any, first: Int64, second: Int64, model: Float64, weights: Any = None, date_noise: float = np.nan
) -> NetworkModel:
    """Fit a model of displacement to the pairs of each point by generalised least squares.

    Variances of date and pair noise are estimated for each point from the residuals of the network and of an ordinary
    fit on its dates, by equating their sums of squares with what is expected of them.

    Parameters
    ----------
    values : array of float32 or float64, shape (..., P)
        As of `insar_kernels.network.invert_network`.
    first, second : array of int, shape (P,)
        Places of the pairs' dates.
    model : array of float64, shape (T, K)
        Columns at the dates, of order one; without a constant, which pairs do not see.
    weights : array, shape (P,) or (..., P), optional
        Inverse variances of the pairs, to a factor.
    date_noise : float
        Standard deviation of the noise of a date, where it is known; default: estimated.

    Returns
    -------
    NetworkModel

    Notes
    -----
    Variance components by moments: Rao (1971), doi:10.1016/0047-259X(71)90001-7.
    """
    values = np.ascontiguousarray(values)
    shape, (n_dates, n_terms) = values.shape[:-1], model.shape
    rows = values.reshape(int(np.prod(shape)), values.shape[-1])
    weighted = np.ones((1, rows.shape[1])) if weights is None else np.reshape(weights, (-1, rows.shape[1]))
    low, high = n_dates - 1 - np.asarray(second, np.int64), n_dates - 1 - np.asarray(first, np.int64)
    turned = np.ascontiguousarray(np.asarray(model, np.float64)[::-1].T)
    width = int((high - low).max(initial=0)) + 1
    n = len(rows)
    out = np.empty((n, n_terms)), np.empty((n, n_terms, n_terms)), *np.empty((2, n))
    for start in range(0, n, AT_ONCE):
        some = slice(start, start + AT_ONCE)
        own = weighted[some] if len(weighted) > 1 else weighted
        block = rows[some].astype(np.float64), own.astype(np.float64)
        _fit(*block, low, high, turned, width, date_noise, *(array[some] for array in out))
    coefficients, covariance, by_date, by_pair = (array.reshape(*shape, *array.shape[1:]) for array in out)
    return NetworkModel(coefficients, covariance, by_date, by_pair)


@njit(nogil=True, cache=True, error_model="numpy")
def _fit(
    rows: Float64, weights: Float64, low: Int64, high: Int64, model: Float64, width: int, known_noise: float,
    coefficients: Float64, covariance: Float64, date_noise: Float64, pair_noise: Float64,
) -> None:  # fmt: skip
    n_terms, n_dates = model.shape
    normal, column, inverse = np.empty((n_dates, width)), np.empty((n_dates, width)), np.empty((n_dates, width))
    right, work, mass, series = np.empty(n_dates), np.empty(n_dates), np.empty(n_dates), np.empty(n_dates)
    parent, component, kept = np.empty(n_dates, np.int64), np.empty(n_dates, np.int64), np.empty(low.size, np.int64)
    gram, values = np.empty((n_terms, n_terms)), np.empty(low.size)
    basis, spread = np.empty((n_terms + 1, n_dates)), np.empty((n_terms, n_dates))
    for i in range(len(rows)):
        own = weights[i if len(weights) > 1 else 0]
        for p in range(low.size):
            values[p] = rows[i, p]
        count = accumulate(values, own, low, high, normal, right, mass, kept)
        for u in range(n_dates):
            _copy(normal[u], column[u])
        _copy(right, work)
        eliminate(column, work, parent)
        n_components = substitute(column, work, mass, parent, series, component)
        known = 0
        for u in range(n_dates):
            known += component[u] != MISSING
        coefficients[i], covariance[i] = np.nan, np.nan
        date_noise[i] = pair_noise[i] = np.nan
        spare, freedom = count - known + n_components, known - n_terms - n_components
        if spare < 1 or freedom < 1:
            continue
        squares = 0.0
        for j in range(count):
            p = kept[j]
            residual = values[p] - series[low[p]] + series[high[p]]
            squares += own[p] * residual * residual
        pairs_variance = squares / spare
        invert_band(column, parent, inverse)
        dates_variance = known_noise * known_noise
        if dates_variance != dates_variance:
            dates_variance = _date_variance(
                series, component, n_components, model, basis, work, column, parent, inverse, pairs_variance
            )
        pair_noise[i] = np.sqrt(pairs_variance)
        date_noise[i] = np.sqrt(dates_variance)
        _generalised(
            normal, right, model, max(pairs_variance, 1e-12), dates_variance, column, work, spread, parent, gram,
            coefficients[i], covariance[i],
        )  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy")
def _date_variance(
    series: Float64, component: Int64, n_components: int, model: Float64, basis: Float64, work: Float64,
    column: Float64, parent: Int64, inverse: Float64, pairs_variance: float,
) -> float:  # fmt: skip
    """Sum of squares that an ordinary fit leaves on the dates, less what the pairs' noise puts there, over the rest.

    Each component has a constant of its own; columns are centred in it, and made orthonormal by Gram and Schmidt.
    """
    n_terms, n_dates = model.shape
    means = np.zeros((n_components, n_terms + 1))
    counts = np.zeros(n_components)
    for u in range(n_dates):
        c = component[u]
        if c != MISSING:
            counts[c] += 1
            for k in range(n_terms):
                means[c, k] += model[k, u]
            means[c, n_terms] += series[u]
    for u in range(n_dates):
        c = component[u]
        for k in range(n_terms + 1):
            basis[k, u] = 0.0
            if c != MISSING:
                value = series[u] if k == n_terms else model[k, u]
                basis[k, u] = value - means[c, k] / counts[c]
    used = 0
    for k in range(n_terms + 1):
        before = 0.0
        for u in range(n_dates):
            before += basis[k, u] * basis[k, u]
        for m in range(k):
            share = 0.0
            for u in range(n_dates):
                share += basis[m, u] * basis[k, u]
            for u in range(n_dates):
                basis[k, u] -= share * basis[m, u]
        after = 0.0
        for u in range(n_dates):
            after += basis[k, u] * basis[k, u]
        if k == n_terms:
            squares = after
        elif after > 1e-12 * before and before > 0.0:
            used += 1
            for u in range(n_dates):
                basis[k, u] /= np.sqrt(after)
        else:
            for u in range(n_dates):
                basis[k, u] = 0.0
    # trace of P Z, Z being the pairs' covariance on the dates, P what the fit leaves: constants of components first
    trace, known = 0.0, 0
    for u in range(n_dates):
        trace += inverse[u, 0]
        known += component[u] != MISSING
    for k in range(n_terms):
        _copy(basis[k], work)
        trace -= _quadratic(column, parent, work)
    for c in range(n_components):
        for u in range(n_dates):
            work[u] = 1.0 / np.sqrt(counts[c]) if component[u] == c else 0.0
        trace -= _quadratic(column, parent, work)
    return max(squares - pairs_variance * trace, 0.0) / max(known - n_components - used, 1)


@njit(nogil=True, cache=True, error_model="numpy")
def _quadratic(column: Float64, parent: Int64, work: Float64) -> float:
    """V' Z v with Z = (L D L')^-1 and v in ``work``, where the forward substitution is done that alone gives it."""
    n_dates, width = column.shape
    total = 0.0
    for u in range(n_dates):
        if parent[u] == MISSING:
            continue
        for k in range(1, min(width, n_dates - u)):
            work[u + k] -= column[u, k] * work[u]
        total += work[u] * work[u] * column[u, 0]
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def _generalised(
    normal: Float64, right: Float64, model: Float64, pairs_variance: float, dates_variance: float, column: Float64,
    work: Float64, spread: Float64, parent: Int64, gram: Float64, coefficients: Float64, covariance: Float64,
) -> None:  # fmt: skip
    """Solve with B = I + s_a^2 N / s_e^2: information M' N B^-1 M / s_e^2, right side M' B^-1 A' W d / s_e^2."""
    n_terms, n_dates = model.shape
    width = column.shape[1]
    ratio = dates_variance / pairs_variance
    for u in range(n_dates):
        for k in range(width):
            column[u, k] = ratio * normal[u, k]
        column[u, 0] += 1.0
    for u in range(n_dates):  # L D L' of a matrix without any first date to leave out
        pivot = 1.0 / column[u, 0]
        reach = min(width, n_dates - u)
        for k in range(1, reach):
            factor = column[u, k] * pivot
            for m in range(k, reach):
                column[u + k, m - k] -= factor * column[u, m]
        for k in range(1, reach):
            column[u, k] *= pivot
        column[u, 0] = pivot
    # N M, then B^-1 N M
    for t in range(n_terms):
        for u in range(n_dates):
            spread[t, u] = normal[u, 0] * model[t, u]
        for u in range(n_dates):
            for k in range(1, min(width, n_dates - u)):
                spread[t, u] += normal[u, k] * model[t, u + k]
                spread[t, u + k] += normal[u, k] * model[t, u]
        _solve(column, spread[t])
    _copy(right, work)
    _solve(column, work)
    side = np.empty(n_terms)
    unit = np.empty((n_terms, n_terms))
    for a in range(n_terms):
        side[a] = 0.0
        for u in range(n_dates):
            side[a] += model[a, u] * work[u]
        for b in range(n_terms):
            gram[a, b] = 0.0
            for u in range(n_dates):
                gram[a, b] += model[a, u] * spread[b, u]
    factor = np.empty((n_terms, n_terms))
    for b in range(n_terms):
        for a in range(n_terms):
            for c in range(n_terms):
                factor[a, c] = 0.5 * (gram[a, c] + gram[c, a])
        unit[b] = 0.0
        unit[b, b] = 1.0
        if not solve_positive(factor, unit[b], n_terms):
            return
    for a in range(n_terms):
        total = 0.0
        for b in range(n_terms):
            total += unit[b, a] * side[b]
            covariance[a, b] = unit[b, a] * pairs_variance
        coefficients[a] = total


@njit(nogil=True, cache=True, error_model="numpy")
def _copy(source: Float64, target: Float64) -> None:
    """An assignment of slices would compile what tells of shapes that differ, which takes 4 s."""
    for u in range(len(target)):
        target[u] = source[u]


@njit(nogil=True, cache=True, error_model="numpy")
def _solve(column: Float64, vector: Float64) -> None:
    n_dates, width = column.shape
    for u in range(n_dates):
        for k in range(1, min(width, n_dates - u)):
            vector[u + k] -= column[u, k] * vector[u]
    for u in range(n_dates - 1, -1, -1):
        vector[u] *= column[u, 0]
        for k in range(1, min(width, n_dates - u)):
            vector[u] -= column[u, k] * vector[u + k]
