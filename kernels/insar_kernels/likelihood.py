"""Sums over many series that the likelihood of their shared covariance is made of, each series with its own gaps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.conditioning import eliminate, subtract, weigh

__all__ = ["pooled_likelihood"]

Float64 = npt.NDArray[np.float64]


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
def _accumulate(series, precision, gradient):  # type: ignore[no-untyped-def]
    n_dates = len(precision)
    diagonal, left = np.zeros(n_dates), np.empty(n_dates)
    filled, alpha = np.empty(n_dates), np.empty(n_dates)
    missing = np.empty(n_dates, np.uint32)
    factor = np.empty((n_dates, n_dates))
    quadratic, log_determinant = 0.0, 0.0
    for i in range(len(series)):
        n_missing = weigh(series[i], precision, missing, filled, alpha)
        eliminate(precision, diagonal, missing, n_missing, factor, left)
        for k in range(n_missing):
            column = missing[k]
            log_determinant += 2.0 * np.log(factor[k, column])
            subtract(alpha, alpha[column] / factor[k, column], factor[k])
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
        subtract(gradient[t, t:], -alpha[t], alpha[t:])
        for k in range(len(factor)):
            subtract(gradient[t, t:], -factor[k, t], factor[k, t:])


@njit(nogil=True, cache=True)
def _subtract_and_mirror(gradient, n_series, precision):  # type: ignore[no-untyped-def]
    for t in range(len(precision)):
        for s in range(t, len(precision)):
            gradient[t, s] -= n_series * precision[t, s]
            gradient[s, t] = gradient[t, s]
