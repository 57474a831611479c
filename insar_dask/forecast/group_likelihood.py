"""Marginal likelihood of groups of neighbours under the joint covariance, with its gradient, and its maximum."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from insar_dask.forecast import joint_covariance as temporal
from insar_dask.forecast import neighbourhood as spatial
from insar_dask.forecast.neighbourhood import Modes, Seats, modes_with_gradient
from insar_dask.machine import one_blas_thread

__all__ = ["SIZES", "Times", "likelihood", "maximise", "times"]

Float64 = npt.NDArray[np.float64]

SIZES: Float64 = 4.0 ** np.arange(-3.0, 3.0)
"""Variance of a group's shared motion in units of the usual one: stable ground and a bowl are of one scene. All sizes
are as likely before anything is seen; a group's history tells them apart."""

TOLERANCE = 1e-6
"""Relative gain of likelihood at which the search stops: after 40 to 80 steps, 1 to 3 s, on real bursts and on scenes.
1e-7 takes twice the steps, and its forecasts are worse by 0.005 to 0.008 mm; 1e-5 costs 0.015 mm on a burst."""

MOST_STEPS = 150

NEGLIGIBLE = 1e-4
"""Weight of a size below which a group's gradient leaves it out."""


class Times(NamedTuple):
    """Covariances in time at the dates of the history, turned into modes that are independent of each other."""

    basis: Float64
    """(T, T) columns turn a history into modes, in which the own part has variance 1."""
    strength: Float64
    """(T,) variance of the shared part in each mode."""
    log_own: float
    """Log-determinant of the own covariance."""


def times(of_shared: Float64, of_own: Float64) -> Times:
    """Modes of time: with own covariance R Rᵀ and R⁻¹ K R⁻ᵀ = U diag(strength) Uᵀ, the basis is R⁻ᵀ U.

    Parameters
    ----------
    of_shared, of_own : (T, T) arrays
        Covariances of the observations.
    """
    factor = np.linalg.cholesky(of_own)
    inverse = np.linalg.inv(factor)
    whitened = inverse @ of_shared @ inverse.T
    strength, vectors = np.linalg.eigh((whitened + whitened.T) / 2)
    log_own = 2 * float(np.log(np.diag(factor)).sum())
    basis: Float64 = inverse.T @ vectors
    return Times(basis, np.maximum(strength, 0.0), log_own)


def maximise(series: Float64, seats: Seats, years: Float64, split: float) -> Float64:
    """Parameters (29,) of highest likelihood: shared, own, in space.

    The likelihood has two tops, ground that wanders and ground that bends, and a search finds the one that it starts
    near. From the former alone, Kriging on a scene of bowls removed 79 % of the excess of ridge and Gaussian process,
    and 58 % when the record was cut 36 days earlier.

    Parameters
    ----------
    series : (G, L, T) array
        Complete histories [mm]; 0 in absent seats.
    seats : Seats
    years : (T,) array
    split : float
        Year before which the short noise is another one.
    """
    bounds = [(np.log(low), np.log(high)) for low, high in [*temporal.BOUNDS, *spatial.BOUNDS]]
    starts = [np.log(np.concatenate([guess, spatial.GUESS])) for guess in (temporal.GUESS, temporal.BENDING)]

    def loss(logarithms: Float64) -> tuple[float, Float64]:
        value, gradient = likelihood(np.exp(logarithms), series, seats, years, split)
        return -value / series.size, -gradient / series.size

    with one_blas_thread():  # the bits of a product of matrices may depend on the number of threads
        found = [
            minimize(
                loss,
                start,
                (),
                "L-BFGS-B",
                jac=True,
                bounds=bounds,
                options={"ftol": TOLERANCE, "maxiter": MOST_STEPS},
            )
            for start in starts
        ]
    best: Float64 = min(found, key=lambda search: float(search.fun)).x
    return np.exp(best)


def likelihood(
    parameters: Float64, series: Float64, seats: Seats, years: Float64, split: float, sizes: Float64 = SIZES
) -> tuple[float, Float64]:
    """Log-likelihood of all groups up to a constant, and its gradient (29,) by the logarithms of the parameters.

    The covariance of a group is s C ⊗ K_shared + N ⊗ K_own; its likelihood is the mean over the sizes s. In the modes
    of space and time it is diagonal: 1 + s d_j e_t. Source of the gradient: Rasmussen and Williams (2006), Gaussian
    Processes for Machine Learning, equation 5.9.
    """
    n_shared, n_time = temporal.N_SHARED, len(temporal.GUESS)
    of_shared, by_shared = temporal.shared_with_gradient(parameters[:n_shared], years)
    of_own, by_own = temporal.own_with_gradient(parameters[n_shared:n_time], split, years)
    time = times(of_shared, of_own)
    space, by_reach, by_noise = modes_with_gradient(seats, parameters[n_time:])
    found = (space.into @ series) @ time.basis
    value, weights = _weigh_sizes(found, space, time, seats, sizes)
    sums = _Sums(found, space, time, seats, by_reach, by_noise)
    for size, weight in zip(sizes, weights, strict=True):
        chosen = np.flatnonzero(weight > NEGLIGIBLE)
        if chosen.size:
            sums.add(size, weight[chosen], chosen)
    return value, sums.gradient(by_shared, by_own)


def _weigh_sizes(found: Float64, space: Modes, time: Times, seats: Seats, sizes: Float64) -> tuple[float, Float64]:
    """Log-likelihood of all groups, and the posterior weight (S, G) of each size in each group."""
    each = np.empty((len(sizes), len(found)))
    for row, size in zip(each, sizes, strict=True):
        scaled = 1 + size * space.strength[:, :, None] * time.strength
        row[:] = (found**2 / scaled).sum(axis=(1, 2)) + np.log(scaled).sum(axis=(1, 2))
    fixed = len(time.strength) * space.log_noise + seats.present.sum(axis=1) * time.log_own
    each = -0.5 * (each + fixed)
    best = each.max(axis=0)
    weights = np.exp(each - best)
    total = weights.sum(axis=0)
    return float((best + np.log(total / len(sizes))).sum()), weights / total


class _Sums:
    """Sums over groups, modes and sizes that the gradient is made of."""

    def __init__(
        self, found: Float64, space: Modes, time: Times, seats: Seats, by_reach: Float64, by_noise: Float64
    ) -> None:
        self.found, self.space, self.time = found, space, time
        self.absent = (~seats.present).sum(axis=1)
        self.by_reach, self.by_noise = by_reach, by_noise
        n_dates = len(time.strength)
        self.shared, self.own = np.zeros((2, n_dates, n_dates))
        self.trace_shared, self.trace_own = np.zeros((2, n_dates))
        self.spatial = np.zeros(len(spatial.GUESS))

    def add(self, size: float, weight: Float64, chosen: npt.NDArray[np.intp]) -> None:
        """Add some groups at one size."""
        strength, eigen = size * self.space.strength[chosen], self.time.strength
        left = 1 / (1 + strength[:, :, None] * eigen)
        alpha = self.found[chosen] * left
        share = weight[:, None, None]
        rows = (alpha * np.sqrt(share)).reshape(-1, len(eigen))
        moving = (alpha * np.sqrt(share * strength[:, :, None])).reshape(-1, len(eigen))
        self.shared += moving.T @ moving
        self.own += rows.T @ rows
        self.trace_shared += (share * strength[:, :, None] * left).sum(axis=(0, 1))
        # an absent seat is a mode whose variance is 1 whatever the parameters
        self.trace_own += (share * left).sum(axis=(0, 1)) - (weight * self.absent[chosen]).sum()
        self._add_space(size, weight, chosen, left, alpha)

    def _add_space(
        self, size: float, weight: Float64, chosen: npt.NDArray[np.intp], left: Float64, alpha: Float64
    ) -> None:
        eigen, into = self.time.strength, self.space.into[chosen]
        itself = np.arange(alpha.shape[1])
        by_motion = (alpha * eigen) @ alpha.transpose(0, 2, 1)
        by_own = alpha @ alpha.transpose(0, 2, 1)
        by_motion[:, itself, itself] -= (eigen * left).sum(axis=2)
        by_own[:, itself, itself] -= left.sum(axis=2)
        # derivatives are of the points' covariances: the modes are turned back, not the derivatives forth
        motion, noise = (into.transpose(0, 2, 1) @ matrix @ into for matrix in (by_motion, by_own))
        self.spatial[0] += 0.5 * size * np.einsum("g,gij,gij->", weight, motion, self.by_reach[chosen])
        self.spatial[1:] += 0.5 * np.einsum("g,gij,pgij->p", weight, noise, self.by_noise[:, chosen])

    def gradient(self, by_shared: Float64, by_own: Float64) -> Float64:
        """Gradient by the logarithms of all parameters, from the derivatives of both covariances in time."""
        basis = self.time.basis
        shared = basis @ (self.shared - np.diag(self.trace_shared)) @ basis.T
        own = basis @ (self.own - np.diag(self.trace_own)) @ basis.T
        in_time = (np.einsum("ts,pts->p", shared, by_shared), np.einsum("ts,pts->p", own, by_own))
        return np.concatenate([*(0.5 * part for part in in_time), self.spatial])
