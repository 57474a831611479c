"""Covariance of one point's displacement in time: level, slope, random walk, seasons, and two kinds of short noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["BOUNDS", "GUESS", "LEVEL_STD", "PARAMETERS", "covariance", "covariance_terms", "covariance_with_gradient"]

Float64 = npt.NDArray[np.float64]

LEVEL_STD = 100.0
"""Prior standard deviation of a series' level [mm]: wide, since the reference date is arbitrary."""

PARAMETERS = ("slope", "walk", "annual", "semiannual", "damping", "fast", "fast_time", "smooth", "smooth_time", "white")
"""Order of theta. Standard deviations in mm (slope mm/yr, walk mm per root year); times in years."""

BOUNDS = {
    "slope": (1e-2, 300.0),
    "walk": (1e-2, 300.0),
    "annual": (1e-2, 100.0),
    "semiannual": (1e-2, 100.0),
    "damping": (0.3, 100.0),
    "fast": (1e-2, 100.0),
    "fast_time": (0.005, 3.0),
    "smooth": (1e-2, 100.0),
    "smooth_time": (0.005, 3.0),
    "white": (0.05, 100.0),
}

GUESS = np.array([3.0, 1.0, 1.5, 0.5, 5.0, 1.5, 0.1, 1.5, 0.05, 2.0])
"""Where the search for theta starts: ordinary ground. On four real products and three deforming synthetic scenes a
start from restless ground (slope 10, walk 4, slower noise) ended at the same likelihood to 1e-5."""


def covariance_terms(theta: Float64, years: Float64, others: Float64) -> dict[str, Float64]:
    """Return the terms of the covariance between two sets of dates, without the white noise.

    Parameters
    ----------
    theta : (10,) array
        Parameters in the order of `PARAMETERS`.
    years, others : (n,), (m,) arrays
        Dates [yr] from the cube's first date; not negative.

    Returns
    -------
    dict of (n, m) arrays [mm2]
        ``level`` s², ``slope`` s² t t', ``walk`` s² min(t, t'), ``annual`` s² cos 2πΔ e^(-Δ/l), ``semiannual``
        s² cos 4πΔ e^(-Δ/l), ``fast`` s² e^(-Δ/τ), ``smooth`` s² e^(-(Δ/τ)²/2), with Δ = |t - t'|. Sums of such
        terms: Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, chapter 5.4.3.
    """
    slope, walk, annual, semiannual, damping, fast, fast_time, smooth, smooth_time, _ = theta
    t, u = years[:, None], others[None, :]
    delta = np.abs(t - u)
    damped = np.exp(-delta / damping)
    return {
        "level": np.full(delta.shape, LEVEL_STD**2),
        "slope": slope**2 * (t * u),
        "walk": walk**2 * np.minimum(t, u),
        "annual": annual**2 * np.cos(2 * np.pi * delta) * damped,
        "semiannual": semiannual**2 * np.cos(4 * np.pi * delta) * damped,
        "fast": fast**2 * np.exp(-delta / fast_time),
        "smooth": smooth**2 * np.exp(-0.5 * (delta / smooth_time) ** 2),
    }


def covariance(theta: Float64, years: Float64, others: Float64) -> Float64:
    """Covariance (n, m) [mm2] of the motion between two sets of dates, without the white noise."""
    return np.asarray(sum(covariance_terms(theta, years, others).values()))


def covariance_with_gradient(theta: Float64, years: Float64) -> tuple[Float64, Float64]:
    """Covariance (T, T) of the observations at ``years`` and its derivatives (10, T, T) by the logarithm of theta."""
    terms = covariance_terms(theta, years, years)
    white = theta[-1] ** 2 * np.eye(years.size)
    damping, fast_time, smooth_time = theta[4], theta[6], theta[8]
    delta = np.abs(years[:, None] - years[None, :])
    gradient = np.stack(
        [
            2 * terms["slope"],
            2 * terms["walk"],
            2 * terms["annual"],
            2 * terms["semiannual"],
            (terms["annual"] + terms["semiannual"]) * delta / damping,
            2 * terms["fast"],
            terms["fast"] * delta / fast_time,
            2 * terms["smooth"],
            terms["smooth"] * (delta / smooth_time) ** 2,
            2 * white,
        ]
    )
    return np.asarray(sum(terms.values()) + white), gradient
