"""Kriging of groups of series whose covariance is a sum of two products, of space and time each, in their modes.

Loops only, no BLAS: a group's bits depend neither on its neighbours nor on a number of threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.conditioning import subtract, weigh

__all__ = ["group_forecast"]

Float64 = npt.NDArray[np.float64]

FAST = {"reassoc", "contract", "nsz"}
NEGLIGIBLE = 1e-6
"""Weight below which a size of the shared motion is left out."""


def group_forecast(
    series: npt.NDArray[np.float32],
    space: tuple[Float64, Float64, Float64],
    time: tuple[Float64, Float64],
    targets: tuple[Float64, Float64],
    sizes: Float64,
) -> tuple[Any, Any]:
    """Forecast groups of series, each group's shared motion as large as its own history says.

    In mode j of space and mode t of time the variance of the history is 1 + s d_j e_t, s the size of the shared motion.
    Sizes are weighed by the likelihood of the group's history.

    Parameters
    ----------
    series : (G, L, T) array of float32
        Complete histories; 0 in absent seats.
    space : tuple of arrays
        Strength d (G, L) of the modes, ``into`` them (G, L, L) and ``back`` from them (G, L, L).
    time : tuple of arrays
        Basis (T, T), whose columns turn a history into modes, and their strengths e (T,).
    targets : tuple of arrays
        Covariance of the targets with the modes of time, (2, h, T), and their variances, (2, h): shared and own.
    sizes : (S,) array
        Factors of the shared covariance that are tried.

    Returns
    -------
    mean, variance : (G, L, h) arrays
        The variance is the mean of those at each size, without what the means at different sizes differ by: at most a
        seventh of the standard deviation, in quadrature, where several sizes are likely.
    """
    mean = np.empty((*series.shape[:2], targets[0].shape[1]))
    variance = np.empty_like(mean)
    arrays: list[Any] = [np.ascontiguousarray(array) for array in (series, *space, *time, *targets, sizes)]
    run: Any = _forecast
    run(*arrays, mean, variance)
    return mean, variance


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def _forecast(series, strength, into, back, basis, modes, covariances, variances, sizes, mean, variance):  # type: ignore[no-untyped-def]
    n_groups, n_seats, n_dates = series.shape
    n_targets = covariances.shape[1]
    turned, found = np.empty((n_seats, n_dates)), np.empty((n_seats, n_dates))
    filled, missing = np.empty(n_dates), np.empty(n_dates, np.uint32)
    weights = np.empty(len(sizes))
    ahead, spread = np.empty((n_seats, n_targets)), np.empty((n_seats, n_targets))
    for g in range(n_groups):
        for i in range(n_seats):
            weigh(series[g, i], basis, missing, filled, turned[i])
        for j in range(n_seats):
            found[j] = 0.0
            for i in range(n_seats):
                subtract(found[j], -into[g, j, i], turned[i])
        _weigh_sizes(found, strength[g], modes, sizes, weights)
        ahead[:] = 0.0
        spread[:] = 0.0
        for s in range(len(sizes)):
            if weights[s] > NEGLIGIBLE:
                for j in range(n_seats):
                    size = sizes[s] * strength[g, j]
                    _ahead(found[j], size, modes, covariances, variances, weights[s], ahead[j], spread[j])
        for i in range(n_seats):
            for q in range(n_targets):
                mean[g, i, q] = 0.0
                variance[g, i, q] = 0.0
                for j in range(n_seats):
                    mean[g, i, q] += back[g, i, j] * ahead[j, q]
                    variance[g, i, q] += back[g, i, j] ** 2 * spread[j, q]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def _weigh_sizes(found, strength, modes, sizes, weights):  # type: ignore[no-untyped-def]
    """Likelihood of each size of the shared motion, given the modes of a group's history; they sum to 1."""
    for s in range(len(sizes)):
        total = 0.0
        for j in range(len(strength)):
            size, squares, product = sizes[s] * strength[j], 0.0, 1.0
            if size > 0.0:
                for t in range(len(modes)):
                    scaled = 1.0 + size * modes[t]
                    squares += found[j, t] * found[j, t] / scaled
                    product *= scaled
                    if product > 1e200:  # logarithms are dear: one for many factors
                        total += math.log(product)
                        product = 1.0
            else:
                for t in range(len(modes)):
                    squares += found[j, t] * found[j, t]
            total += math.log(product) + squares
        weights[s] = -0.5 * total
    best = weights[0]
    for s in range(len(sizes)):
        best = max(best, weights[s])
    total = 0.0
    for s in range(len(sizes)):
        weights[s] = math.exp(weights[s] - best)
        total += weights[s]
    for s in range(len(sizes)):
        weights[s] /= total


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def _ahead(found, size, modes, covariances, variances, weight, ahead, spread):  # type: ignore[no-untyped-def]
    """Add the weighed forecast of one mode of space, and its variance."""
    for q in range(len(ahead)):
        value, known = 0.0, 0.0
        for t in range(len(modes)):
            covariance = size * covariances[0, q, t] + covariances[1, q, t]
            part = covariance / (1.0 + size * modes[t])
            value += part * found[t]
            known += part * covariance
        ahead[q] += weight * value
        spread[q] += weight * (size * variances[0, q] + variances[1, q] - known)
