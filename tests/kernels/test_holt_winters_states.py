import numpy as np
import pytest

from insar_kernels import holt_winters, holt_winters_forecast, holt_winters_update

PERIOD = 12
STATES = ("level", "slope", "seasonal")
GAINS = ("alpha", "beta", "gamma")


def some_series(n, length=100, share=0.0, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(length)
    y = rng.normal(0, 0.3, (n, 1)) * t + rng.uniform(1, 5, (n, 1)) * np.sin(2 * np.pi * t / PERIOD)
    y += rng.normal(0, 0.3, (n, length)).cumsum(1) + rng.normal(0, 1, (n, length))
    y[rng.random(y.shape) < share] = np.nan
    return y.astype(np.float32)


def parts(fit, names):
    return [getattr(fit, name) for name in names]


@pytest.mark.parametrize("length", [61, 72, 85, 100])
@pytest.mark.parametrize("share", [0.0, 0.15])
def test_a_fit_is_followed_as_if_it_had_gone_on(length, share):
    y = some_series(20, length, share)
    known, whole = holt_winters(y[:, :60], PERIOD), holt_winters(y, PERIOD, n_fit=60)
    states = holt_winters_update(*parts(known, STATES + GAINS), y[:, 60:])
    for name, state in zip(STATES, states, strict=True):
        assert state.dtype == np.float32
        np.testing.assert_allclose(state, getattr(whole, name), atol=2e-4, err_msg=name)


def test_states_follow_the_recursion():
    rng = np.random.default_rng(1)
    level, slope, seasonal = 2.0, -0.1, rng.normal(0, 2, 5)
    alpha, beta, gamma = 0.5, 0.2, 0.3
    y = rng.normal(0, 3, 13)
    y[4] = np.nan
    given = [np.float32(x) for x in (level, slope, seasonal, alpha, beta, gamma)]
    season = list(seasonal)
    for value in y:
        e = 0.0 if np.isnan(value) else value - (level + slope + season[0])
        level, slope = level + slope + alpha * e, slope + alpha * beta * e
        season = [*season[1:], season[0] + gamma * e]
    found = holt_winters_update(*given, y.astype(np.float32))
    for one, other in zip(found, (level, slope, season), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_missing_dates_only_move_on():
    fit = holt_winters(some_series(6), PERIOD)
    given = parts(fit, STATES + GAINS)
    later = holt_winters_update(*given, np.full((6, 7), np.nan, np.float32))
    far, _ = holt_winters_forecast(*given, fit.sigma, 10)
    np.testing.assert_allclose(holt_winters_forecast(*later, *given[3:], fit.sigma, 3)[0], far[:, 7:], atol=1e-4)


def test_no_date_changes_nothing():
    given = parts(holt_winters(some_series(6), PERIOD), STATES + GAINS)
    for one, other in zip(given, holt_winters_update(*given, np.empty((6, 0), np.float32)), strict=False):
        np.testing.assert_array_equal(one, other)


def test_dimensions_are_kept_and_neighbours_do_not_matter():
    y = some_series(12, share=0.1)
    y[4, :60] = np.nan
    given = parts(holt_winters(y[:, :60], PERIOD), STATES + GAINS)
    flat = holt_winters_update(*given, y[:, 60:])
    cube = holt_winters_update(*(part.reshape(3, 4, *part.shape[1:]) for part in given), y.reshape(3, 4, -1)[..., 60:])
    few = holt_winters_update(*(part[[7, 4]] for part in given), y[[7, 4], 60:])
    for whole, grid, some in zip(flat, cube, few, strict=True):
        np.testing.assert_array_equal(whole, grid.reshape(whole.shape))
        np.testing.assert_array_equal(whole[[7, 4]], some)
        assert np.isnan(whole[4]).all()
        assert np.isfinite(np.delete(whole, 4, axis=0)).all()
