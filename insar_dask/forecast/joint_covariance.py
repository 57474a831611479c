"""Covariance in time of what neighbours share, and of what each point has for itself.

Both are the terms of `insar_dask.forecast.covariance`. What is shared also glides: a velocity that wanders, as that of
a bowl or a slope does. A point's own short noise before the last years of the history is another one than in them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from insar_dask.forecast import covariance as single

__all__ = [
    "BENDING",
    "BOUNDS",
    "GUESS",
    "N_SHARED",
    "OWN",
    "SHARED",
    "observed",
    "own",
    "own_with_gradient",
    "shared",
    "shared_with_gradient",
]

Float64 = npt.NDArray[np.float64]

NOISE = ("fast", "fast_time", "smooth", "smooth_time", "white")
SHARED = (*single.PARAMETERS, "glide")
"""Order of the shared theta: as in `insar_dask.forecast.covariance`, and ``glide`` [mm yr^-3/2]."""

OWN = (*single.PARAMETERS, *(f"{name}_before" for name in NOISE))
"""Order of the own theta, in units of each point's noise where those are mm; the last five are of the early noise."""

N_SHARED = len(SHARED)

BOUNDS = [
    *(single.BOUNDS[name] for name in single.PARAMETERS),
    (1e-2, 300.0),
    *(single.BOUNDS[name.removesuffix("_before")] for name in OWN),
]
GUESS = np.array(
    [
        *(5.0, 3.0, 1.0, 0.3, 5.0, 1.0, 0.1, 0.5, 0.3, 0.3, 5.0),
        *(1.0, 0.5, 1.0, 0.3, 5.0, 1.5, 0.1, 1.0, 0.05, 2.0),
        *(1.5, 0.1, 1.0, 0.05, 2.0),
    ]
)
"""Where the search starts, shared before own: ground that moves together, in noise that does not."""

BENDING = GUESS.copy()
BENDING[[SHARED.index("walk"), SHARED.index("smooth"), SHARED.index("smooth_time")]] = 0.05, 6.0, 0.7
"""Where it starts a second time: ground that bends, and does not wander."""


def shared(theta: Float64, years: Float64, others: Float64) -> Float64:
    """Covariance (n, m) [mm2] of the shared motion, without white noise and without a level: levels are each point's.

    Glide is s² a² (3 b - a) / 6, a <= b, the integral of a random walk: Wahba (1978),
    doi:10.1111/j.2517-6161.1978.tb01050.x.
    """
    plain = _without_level(theta[:-1], years, others)
    return np.asarray(plain + _glide(theta[-1], years, others))


def shared_with_gradient(theta: Float64, years: Float64) -> tuple[Float64, Float64]:
    """Covariance (T, T) with white noise, and its derivatives (11, T, T) by the logarithm of theta."""
    plain, gradient = single.covariance_with_gradient(theta[:-1], years)
    glide = _glide(theta[-1], years, years)
    return plain - single.LEVEL_STD**2 + glide, np.concatenate([gradient, 2 * glide[None]])


def own(theta: Float64, split: float, years: Float64, others: Float64) -> Float64:
    """Covariance (n, m) of what a point has for itself, level included, without white noise.

    The short noise of dates before ``split`` [yr] has parameters of its own and says nothing of later noise. On real
    products it is another one since a satellite was lost in December 2021 and acquisitions come half as often: the
    first lead on a Level 3 tile is 0.87 mm instead of 1.20.
    """
    late = single.covariance(theta[: len(single.PARAMETERS)], years, others)
    early = single.covariance(_early(theta), years, others)
    return _by_epoch(_motion(theta, years, others), early, late, years < split, others < split)


def own_with_gradient(theta: Float64, split: float, years: Float64) -> tuple[Float64, Float64]:
    """Covariance (T, T) with white noise, and its derivatives (15, T, T) by the logarithm of theta."""
    n_plain, n_noise = len(single.PARAMETERS), len(NOISE)
    late, by_late = single.covariance_with_gradient(theta[:n_plain], years)
    early, by_early = single.covariance_with_gradient(_early(theta), years)
    before = years < split
    by_late[-n_noise:] *= np.logical_and.outer(~before, ~before)
    by_early[-n_noise:] *= np.logical_and.outer(before, before)
    joint = _by_epoch(_motion(theta, years, years), early, late, before, before)
    return joint, np.concatenate([by_late, by_early[-n_noise:]])


def observed(of_shared: Float64, of_own: Float64, split: float, years: Float64) -> tuple[Float64, Float64]:
    """Both covariances (T, T) of the observations at ``years``, for the shared and the own theta, white noise included.

    As those that come with a gradient, at a fifth of the time.
    """
    white, late, early = of_shared[-2], of_own[len(single.PARAMETERS) - 1], of_own[-1]
    own_white = np.where(years < split, early, late)
    return (
        shared(of_shared, years, years) + white**2 * np.eye(years.size),
        own(of_own, split, years, years) + np.diag(own_white**2),
    )


def _by_epoch(
    motion: Float64, early: Float64, late: Float64, before: npt.NDArray[np.bool_], others_before: npt.NDArray[np.bool_]
) -> Float64:
    """Motion of all dates, and the noise that each epoch has beside it."""
    first, last = np.logical_and.outer(before, others_before), np.logical_and.outer(~before, ~others_before)
    return np.asarray(motion + np.where(first, early - motion, 0.0) + np.where(last, late - motion, 0.0))


def _early(theta: Float64) -> Float64:
    """Parameters of a covariance whose motion is the same and whose short noise is the early one."""
    n_plain, n_noise = len(single.PARAMETERS), len(NOISE)
    return np.concatenate([theta[: n_plain - n_noise], theta[n_plain:]])


def _motion(theta: Float64, years: Float64, others: Float64) -> Float64:
    terms = single.covariance_terms(theta[: len(single.PARAMETERS)], years, others)
    return np.asarray(sum(terms[name] for name in ("level", "slope", "walk", "annual", "semiannual")))


def _without_level(theta: Float64, years: Float64, others: Float64) -> Float64:
    return np.asarray(single.covariance(theta, years, others) - single.LEVEL_STD**2)


def _glide(size: float, years: Float64, others: Float64) -> Float64:
    low, high = np.minimum.outer(years, others), np.maximum.outer(years, others)
    return np.asarray(size**2 * low**2 * (3 * high - low) / 6)
