import numpy as np
import pytest

from insar_kernels import holt_winters, holt_winters_forecast
from insar_kernels.holt_winters_fit import NO_DATA, OK, TOO_SHORT, UNSEEN_SEASON


def some_series(n, length=100, period=12, seed=0, share=0.0):
    rng = np.random.default_rng(seed)
    t = np.arange(length)
    y = rng.normal(0, 0.3, (n, 1)) * t + rng.uniform(1, 5, (n, 1)) * np.sin(2 * np.pi * t / period)
    y += rng.normal(0, 0.3, (n, length)).cumsum(1) + rng.normal(0, 1, (n, length))
    y[rng.random(y.shape) < share] = np.nan
    return y.astype(np.float32)


def test_components_sum_to_the_series():
    y = some_series(20, share=0.1)
    parts = holt_winters(y, 12)
    np.testing.assert_allclose(parts.trend + parts.season + parts.residual, y, atol=1e-5)
    assert (np.isnan(parts.residual) == np.isnan(y)).all()
    assert np.isfinite(parts.trend).all()
    assert np.isfinite(parts.season).all()
    assert (parts.status == OK).all()


def test_what_cannot_be_fitted_says_why():
    y = some_series(4, 40, 12)
    y[1], y[2, 16:], y[3, 5::12] = np.nan, np.nan, np.nan
    assert holt_winters(y, 12).status.tolist() == [OK, NO_DATA, TOO_SHORT, UNSEEN_SEASON]
    assert holt_winters(y, 12, n_fit=23).status.tolist() == [TOO_SHORT, NO_DATA, TOO_SHORT, TOO_SHORT]


@pytest.mark.parametrize("period", [2, 12])
def test_forecast_errors_are_those_of_simulated_futures(period):
    rng, steps = np.random.default_rng(3), 2 * period + 1
    level, slope, seasonal = np.float32(3), np.float32(-0.2), rng.normal(0, 2, period).astype(np.float32)
    alpha, beta, gamma, sigma = (np.float32(x) for x in (0.4, 0.3, 0.2, 1.5))
    mean, error = holt_winters_forecast(level, slope, seasonal, alpha, beta, gamma, sigma, steps)
    futures = np.empty((100_000, steps))
    ln, bn, sn = np.full(len(futures), level), np.full(len(futures), slope), np.tile(seasonal, (len(futures), 1))
    for h in range(steps):
        e = rng.normal(0, sigma, len(futures))
        futures[:, h] = ln + bn + sn[:, h % period] + e
        ln, bn = ln + bn + alpha * e, bn + alpha * beta * e
        sn[:, h % period] += gamma * e
    np.testing.assert_allclose(mean, futures.mean(0), atol=0.06)
    np.testing.assert_allclose(error, futures.std(0), rtol=0.015)
