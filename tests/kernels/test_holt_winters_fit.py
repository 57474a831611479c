import warnings

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.holtwinters import ExponentialSmoothing

from insar_kernels import holt_winters, holt_winters_forecast
from insar_kernels.holt_winters_fit import (
    NO_DATA,
    NOISELESS,
    OK,
    TOO_SHORT,
    UNSEEN_SEASON,
    HoltWinters,
    _decompose,
)


def some_series(n, length=100, period=12, seed=0, share=0.0):
    rng = np.random.default_rng(seed)
    t = np.arange(length)
    y = rng.normal(0, 0.3, (n, 1)) * t + rng.uniform(1, 5, (n, 1)) * np.sin(2 * np.pi * t / period)
    y += rng.normal(0, 0.3, (n, length)).cumsum(1) + rng.normal(0, 1, (n, length))
    y[rng.random(y.shape) < share] = np.nan
    return y.astype(np.float32)


def dense(y, period, alpha, beta, gamma):
    """Least squares for the states before the first date, one column a state, in float64; then the filter."""
    c, n = alpha * beta, len(y)

    def innovate(values, slope, season):
        level, season, states = 0.0, season.copy(), np.zeros((3, n))
        for t in range(n):
            e = values[t] - level - slope - season[t % period] if np.isfinite(y[t]) else 0.0
            level, slope = level + slope + alpha * e, slope + c * e
            season[t % period] += gamma * e
            states[:, t] = e, level, season[t % period]
        return states

    nothing = np.zeros(period)
    columns = [innovate(np.zeros(n), 1.0, nothing)[0]] + [innovate(np.zeros(n), 0.0, s)[0] for s in np.eye(period)]
    start = np.linalg.lstsq(np.array(columns).T, -innovate(y, 0.0, nothing)[0], rcond=None)[0]
    return start, innovate(y, start[0], start[1:])


def statsmodels_fit(y, period, **given):
    method = "known" if given else "estimated"
    model = ExponentialSmoothing(
        y.astype(np.float64),
        trend="add",
        seasonal="add",
        seasonal_periods=period,
        initialization_method=method,
        **{k: v for k, v in given.items() if k.startswith("initial")},
    )
    smoothing = {k: v for k, v in given.items() if k.startswith("smoothing")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(**smoothing, optimized=not given)


def all_fields_equal(one, other):
    for name in HoltWinters._fields:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize("smoothed", [False, True])
def test_squares_are_as_small_as_those_of_statsmodels(smoothed):
    y = some_series(12, 96)
    y = scipy.signal.savgol_filter(y, 11, 2).astype(np.float32) if smoothed else y
    theirs = np.array([statsmodels_fit(one, 12).sse for one in y])
    fit = holt_winters(y, 12)
    assert (fit.sse <= 1.001 * theirs).all()
    assert (fit.alpha >= 0).all()
    assert (fit.beta <= fit.alpha).all()
    assert (fit.gamma <= 1 - fit.alpha + 1e-6).all()


@pytest.mark.parametrize(("period", "length"), [(2, 9), (3, 30), (7, 60), (12, 100), (61, 300)])
@pytest.mark.parametrize("share", [0.0, 0.1])
def test_states_are_the_least_squares_ones_of_the_parameters(period, length, share):
    y = some_series(3, length, period, seed=period, share=share)
    fit = holt_winters(y, period)
    for i in np.flatnonzero(fit.status == OK):
        _, (e, level, season) = dense(y[i].astype(np.float64), period, fit.alpha[i], fit.beta[i], fit.gamma[i])
        assert fit.sse[i] == pytest.approx((e**2).sum(), rel=2e-5)
        assert fit.sigma[i] == pytest.approx(np.sqrt((e**2).sum() / (np.isfinite(y[i]).sum() - period - 4)), rel=2e-5)
        np.testing.assert_allclose(fit.trend[i] + fit.season[i], level + season, atol=0.01)
        shift = fit.trend[i] - level  # the split between level and season is free up to a constant
        np.testing.assert_allclose(shift, shift[0], atol=0.02)
        following = season[length - period]  # of the phase that comes next
        assert fit.seasonal[i, 0] == pytest.approx(following - shift[0], abs=0.02)


def test_statsmodels_with_our_parameters_gives_our_components():
    y = some_series(3, 96)
    fit = holt_winters(y, 12)
    for i in range(len(y)):
        start, _ = dense(y[i].astype(np.float64), 12, fit.alpha[i], fit.beta[i], fit.gamma[i])
        mean = start[1:].mean()
        theirs = statsmodels_fit(
            y[i],
            12,
            initial_level=mean,
            initial_trend=start[0],
            initial_seasonal=start[1:] - mean,
            smoothing_level=float(fit.alpha[i]),
            smoothing_trend=float(fit.beta[i]),
            smoothing_seasonal=float(fit.gamma[i]),
        )
        np.testing.assert_allclose(fit.trend[i], theirs.level, atol=5e-3)
        np.testing.assert_allclose(fit.season[i], theirs.season, atol=5e-3)
        assert fit.sse[i] == pytest.approx(theirs.sse, rel=1e-5)
        one = (fit.level[i], fit.slope[i], fit.seasonal[i], fit.alpha[i], fit.beta[i], fit.gamma[i], fit.sigma[i])
        np.testing.assert_allclose(holt_winters_forecast(*one, 25)[0], theirs.forecast(25), atol=0.02)


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_components_sum_to_the_series(share):
    y = some_series(20, share=share)
    parts = holt_winters(y, 12)
    np.testing.assert_allclose(parts.trend + parts.season + parts.residual, y, atol=1e-5)
    assert (np.isnan(parts.residual) == np.isnan(y)).all()
    assert np.isfinite(parts.trend).all()
    assert np.isfinite(parts.season).all()
    assert (parts.status == OK).all()


def test_squares_of_a_gappy_series_cannot_be_lowered_nearby():
    y = some_series(20, share=0.1)
    fit = holt_winters(y, 12)
    for i in range(len(y)):
        a, b, g = (float(x[i]) for x in (fit.alpha, fit.beta, fit.gamma))
        for da, db, dg in np.concatenate([np.eye(3), -np.eye(3)]) * 0.02:
            alpha = np.clip(a + da, 0, 1)
            beta, gamma = np.clip(b + db, 0, alpha), np.clip(g + dg, 0, 1 - alpha)
            e = dense(y[i].astype(np.float64), 12, alpha, beta, gamma)[1][0]
            assert (e**2).sum() >= 0.9995 * fit.sse[i]


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_later_dates_change_nothing_before_them(share):
    y = some_series(20, 100, share=share)
    changed = y.copy()
    changed[:, 70:] = np.where(np.arange(20)[:, None] % 2 == 0, np.nan, changed[:, 70:] + 40)
    one, other, short = holt_winters(y, 12, n_fit=60), holt_winters(changed, 12, n_fit=60), holt_winters(y[:, :60], 12)
    for name in ("alpha", "beta", "gamma", "sse", "sigma", "status"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
        np.testing.assert_array_equal(getattr(one, name), getattr(short, name), err_msg=name)
    for name in ("trend", "season", "residual"):
        np.testing.assert_array_equal(getattr(one, name)[:, :70], getattr(other, name)[:, :70], err_msg=name)
        np.testing.assert_array_equal(getattr(one, name)[:, :60], getattr(short, name), err_msg=name)
    all_fields_equal(holt_winters(y, 12), holt_winters(y, 12, n_fit=500))


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(0, 100), st.sampled_from([0.0, 0.05, 0.3]))
def test_a_series_does_not_depend_on_its_neighbours(n, seed, share):
    y = some_series(40, 60, seed=1, share=share)
    if seed % 2:
        y[::2] = some_series(20, 60, seed=2)  # gappy and complete ones side by side
    fit = holt_winters(y, 12)
    order = np.random.default_rng(seed).permutation(40)[:n]
    all_fields_equal(HoltWinters._make(part[order] for part in fit), holt_winters(y[order], 12))


def test_a_series_does_not_depend_on_the_block_that_it_is_in(monkeypatch):
    y = some_series(50, 60, share=0.02)
    fit = holt_winters(y, 12)
    monkeypatch.setattr("insar_kernels.holt_winters_fit.BLOCK", 17)
    all_fields_equal(fit, holt_winters(y, 12))


def test_other_dimensions_are_kept():
    y = some_series(12, 60)
    fit, cube = holt_winters(y, 12), holt_winters(y.reshape(3, 4, 60), 12)
    all_fields_equal(fit, HoltWinters._make(part.reshape(12, *part.shape[2:]) for part in cube))
    one = holt_winters(y[5], 12)
    assert one.trend.shape == (60,)
    assert one.seasonal.shape == (12,)
    assert one.sse == fit.sse[5]
    assert holt_winters(y[:0], 12).trend.shape == (0, 60)
    assert {part.dtype for part in fit} == {np.dtype(np.float32), np.dtype(np.int8)}


def test_what_a_line_and_a_season_explain_is_left_alone():
    t = np.arange(50)
    season = np.tile(np.arange(5) - 2.0, 10)
    y = np.stack([np.full(50, -12.3), 3.0 * t, 4 - 0.7 * t + season, 1e30 * (t + season)]).astype(np.float32)
    fit = holt_winters(y, 5)
    assert fit.status.tolist() == [NOISELESS] * 4
    assert not np.concatenate([fit.alpha, fit.beta, fit.gamma]).any()
    np.testing.assert_allclose(fit.slope, [0, 3, -0.7, 1e30], atol=1e-5)
    np.testing.assert_allclose(fit.season[2], season, atol=1e-4)
    np.testing.assert_allclose(fit.trend[:3] + fit.season[:3], y[:3], atol=1e-4)


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_the_unit_does_not_matter(factor):
    y = some_series(8)
    fit, scaled = holt_winters(y, 12), holt_winters((y * np.float64(factor)).astype(np.float32), 12)
    np.testing.assert_allclose(scaled.sse / factor**2, fit.sse, rtol=1e-4)
    np.testing.assert_allclose(scaled.trend / factor, fit.trend, atol=0.05)


def test_a_line_on_top_does_not_matter():
    y = some_series(8)
    fit, steep = holt_winters(y, 12), holt_winters((y + 50 + 3.0 * np.arange(100)).astype(np.float32), 12)
    np.testing.assert_allclose(steep.sse, fit.sse, rtol=2e-4)
    np.testing.assert_allclose(steep.slope - 3, fit.slope, atol=0.01)


def test_missing_dates_at_the_ends_are_predicted():
    y = some_series(4, 80)
    whole = y.copy()
    y[0, :9], y[1, -9:], y[2, [0, 79]], y[3, 30] = np.nan, np.nan, np.nan, np.inf
    fit = holt_winters(y, 12)
    assert (fit.status == OK).all()
    assert np.isnan(fit.residual).sum(1).tolist() == [9, 9, 2, 1]
    assert np.isfinite(fit.trend + fit.season).all()
    error = abs(fit.trend + fit.season - whole)
    assert error[0, :9].max() < 8
    assert error[1, -9:].max() < 8
    np.testing.assert_allclose(np.diff(fit.trend[1, -9:]), fit.slope[1], atol=1e-4)


def test_what_cannot_be_fitted_says_why():
    y = some_series(4, 40, 12)
    y[1], y[2, 16:], y[3, 5::12] = np.nan, np.nan, np.nan
    fit = holt_winters(y, 12)
    assert fit.status.tolist() == [OK, NO_DATA, TOO_SHORT, UNSEEN_SEASON]
    assert all(np.isnan(part[1:]).all() for part in fit[:-1])
    assert holt_winters(y, 12, n_fit=23).status.tolist() == [TOO_SHORT, NO_DATA, TOO_SHORT, TOO_SHORT]
    assert holt_winters(y[:, :0], 12).status.tolist() == [NO_DATA] * 4


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_both_bodies_agree(share):
    y = some_series(30, 60, share=share)
    y[3], y[4], y[5, 20:], y[6, :30:12], y[7, 10] = 5.0, np.nan, np.nan, np.nan, np.inf
    one, other = holt_winters(y, 12), _decompose(np, y, 12, None, compiled=False)
    np.testing.assert_array_equal(one.status, other.status)
    np.testing.assert_allclose(one.sse, other.sse, rtol=2e-4)
    same = abs(one.sse - other.sse) <= 1e-5 * other.sse
    assert same.mean() > 0.6
    for name in ("trend", "season", "residual", "level", "slope", "seasonal"):
        np.testing.assert_allclose(getattr(one, name)[same], getattr(other, name)[same], atol=0.1, err_msg=name)


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
