"""The covariance of displacement in time: its gradient, and what each term is."""

import numpy as np
import pytest

from insar_dask.forecast.covariance import (
    BOUNDS,
    GUESS,
    LEVEL_STD,
    PARAMETERS,
    covariance,
    covariance_terms,
    covariance_with_gradient,
)

YEARS = np.sort(np.random.default_rng(0).uniform(0, 5, 30))


@pytest.mark.parametrize("parameter", range(len(PARAMETERS)))
def test_gradient_agrees_with_central_differences(parameter):
    log_theta = np.log(GUESS)
    step = np.zeros(len(PARAMETERS))
    step[parameter] = 1e-5
    up, down = (covariance_with_gradient(np.exp(log_theta + sign * step), YEARS)[0] for sign in (1, -1))
    ours = covariance_with_gradient(np.exp(log_theta), YEARS)[1][parameter]
    np.testing.assert_allclose(ours, (up - down) / 2e-5, rtol=1e-6, atol=1e-6)


def test_every_term_is_the_written_formula():
    slope, walk, annual, semiannual, damping, fast, fast_time, smooth, smooth_time, _ = theta = GUESS
    t, u = 1.3, 2.05
    terms = covariance_terms(theta, np.array([t]), np.array([u]))
    expected = {
        "level": LEVEL_STD**2,
        "slope": slope**2 * t * u,
        "walk": walk**2 * min(t, u),
        "annual": annual**2 * np.cos(2 * np.pi * 0.75) * np.exp(-0.75 / damping),
        "semiannual": semiannual**2 * np.cos(4 * np.pi * 0.75) * np.exp(-0.75 / damping),
        "fast": fast**2 * np.exp(-0.75 / fast_time),
        "smooth": smooth**2 * np.exp(-((0.75 / smooth_time) ** 2) / 2),
    }
    assert {name: matrix.item() for name, matrix in terms.items()} == pytest.approx(expected, abs=1e-12)


def test_observations_add_white_noise_to_the_motion():
    theta = GUESS
    observed, _ = covariance_with_gradient(theta, YEARS)
    np.testing.assert_allclose(observed - covariance(theta, YEARS, YEARS), theta[-1] ** 2 * np.eye(30), atol=1e-9)


def test_guess_lies_within_the_bounds():
    lower, upper = np.array([BOUNDS[name] for name in PARAMETERS]).T
    assert ((lower < GUESS) & (upper > GUESS)).all()
