"""The pooled Gaussian process: against scikit-learn, and on series drawn from a known covariance."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, Matern, WhiteKernel

from insar_dask.forecast.covariance import LEVEL_STD, PARAMETERS, covariance, covariance_terms, covariance_with_gradient
from insar_dask.forecast.gaussian import COMPONENTS, PooledGaussianProcess
from insar_dask.forecast.schedule import plan
from insar_dask.forecast.windows import Context, HonestWindows

#                  slope walk annual semi damping fast time smooth time white
TRUTH = np.array([4.0, 1.0, 2.0, 0.6, 8.0, 1.8, 0.12, 1.0, 0.04, 1.5])
N_HISTORY, HORIZON = 110, 6
NORMAL_95 = 1.6448536269514722
ALL_YEARS = np.sort(np.random.default_rng(7).choice(130, N_HISTORY + HORIZON, replace=False)) * 12 / 365


def context(values, years=ALL_YEARS[:N_HISTORY], targets=ALL_YEARS[N_HISTORY:]):
    values = np.asarray(values, np.float32)
    return Context(values, years, values[:, :0], years[:0], targets)


def fitted(theta):
    return PooledGaussianProcess.from_state({"theta": theta})


def draw(n, seed, scales=1.0):
    """Series (n, T + h) of known covariance, each with a noise level of its own."""
    matrix, _ = covariance_with_gradient(TRUTH, ALL_YEARS)
    rng = np.random.default_rng(seed)
    series = rng.normal(size=(n, ALL_YEARS.size)) @ np.linalg.cholesky(matrix).T
    return (series * np.reshape(scales, (-1, 1))).astype(np.float32)


def with_gaps(values, share, seed=3):
    gappy = values.copy()
    gappy[np.random.default_rng(seed).random(values.shape) < share] = np.nan
    return gappy


def scikit_learn(series, theta):
    """A process of scikit-learn with the terms that it has: level, slope, both short noises, white."""
    slope, _, _, _, _, fast, fast_time, smooth, smooth_time, white = theta
    kernel = (
        ConstantKernel(LEVEL_STD**2)
        + ConstantKernel(slope**2) * DotProduct(0.0, "fixed")
        + ConstantKernel(fast**2) * Matern(fast_time, nu=0.5)
        + ConstantKernel(smooth**2) * RBF(smooth_time)
        + WhiteKernel(white**2)
    )
    seen = np.isfinite(series)
    process = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None)
    return process.fit(ALL_YEARS[:N_HISTORY][seen, None], series[seen].astype(np.float64))


@pytest.mark.parametrize("gaps", [0.0, 0.1])
def test_forecast_agrees_with_scikit_learn(gaps):
    theta = TRUTH * np.where(np.isin(PARAMETERS, ["walk", "annual", "semiannual"]), 0.0, 1.0)
    values = with_gaps(draw(8, 0)[:, :N_HISTORY], gaps)
    mean, std = fitted(theta).predict(context(values))
    for i, series in enumerate(values):
        process = scikit_learn(series, theta)
        expected, expected_std = process.predict(ALL_YEARS[N_HISTORY:, None], return_std=True)
        np.testing.assert_allclose(mean[i], expected, rtol=1e-5, atol=1e-5)
        ratios = std[i] / expected_std  # one scale per point, the same at all leads
        np.testing.assert_allclose(ratios, ratios[0], rtol=1e-5)
        inverse = np.linalg.inv(process.L_ @ process.L_.T)
        alpha = process.alpha_.ravel()
        errors = alpha**2 / np.diag(inverse)
        assert ratios[0] ** 2 == pytest.approx((100 + errors.size * errors.sum()) / (100 + errors.size**2), rel=1e-5)


def test_forecast_agrees_with_a_dense_textbook_solve_of_all_terms():
    values = draw(5, 1)[:, :N_HISTORY]
    years, targets = ALL_YEARS[:N_HISTORY], ALL_YEARS[N_HISTORY:]
    observed = covariance(TRUTH, years, years) + TRUTH[-1] ** 2 * np.eye(N_HISTORY)
    expected = covariance(TRUTH, targets, years) @ np.linalg.solve(observed, values.T.astype(np.float64))
    np.testing.assert_allclose(fitted(TRUTH).predict(context(values))[0], expected.T, rtol=1e-5, atol=1e-5)


def test_learned_covariance_forecasts_as_well_as_the_true_one():
    training, test = draw(400, 2)[:, :N_HISTORY], draw(4000, 3)
    history, future = context(test[:, :N_HISTORY]), test[:, N_HISTORY:]
    model = PooledGaussianProcess()
    model.fit([model.partial(context(training))], context(training[:0]))
    learned, true = (np.sqrt(np.mean((m.predict(history)[0] - future) ** 2)) for m in (model, fitted(TRUTH)))
    assert learned <= 1.01 * true


@pytest.mark.parametrize("gaps", [0.0, 0.2])
def test_intervals_hold_nine_in_ten_whatever_a_points_noise(gaps):
    scales = np.repeat([0.6, 1.0, 1.8], 2000)
    series = draw(6000, 4, scales)
    history = with_gaps(series[:, :N_HISTORY], gaps)
    training = context(history[::20])
    model = PooledGaussianProcess()
    model.fit([model.partial(training)], training)
    mean, std = model.predict(context(history))
    hits = np.abs(series[:, N_HISTORY:] - mean) <= NORMAL_95 * std
    for scale in np.unique(scales):
        assert 0.88 <= hits[scales == scale].mean() <= 0.92


@pytest.mark.parametrize("n_dates", [1, 3, 10])
def test_intervals_of_young_points_are_wide_enough(n_dates):
    series = draw(4000, 14)
    history = series[:, :N_HISTORY].copy()
    history[:, :-n_dates] = np.nan
    mean, std = fitted(TRUTH).predict(context(history))
    assert 0.87 <= np.mean(np.abs(series[:, N_HISTORY:] - mean) <= NORMAL_95 * std) <= 0.93


def test_velocity_error_counts_coloured_noise():
    rng = np.random.default_rng(5)
    noise_only = TRUTH * np.where(np.isin(PARAMETERS, ["slope"]), 0.0, 1.0)
    years = ALL_YEARS[:N_HISTORY]
    factor = np.linalg.cholesky(covariance_with_gradient(noise_only, years)[0])
    slopes = rng.normal(0, TRUTH[0], 4000)
    values = rng.normal(size=(4000, N_HISTORY)) @ factor.T + slopes[:, None] * years
    velocity, error = fitted(TRUTH).velocity(context(values))
    assert 0.88 <= np.mean(np.abs(velocity - slopes) <= NORMAL_95 * error) <= 0.92

    design = np.column_stack([years, np.ones_like(years)])
    coefficients, squares, *_ = np.linalg.lstsq(design, values.T, rcond=None)
    white_error = np.sqrt(squares / (N_HISTORY - 2) * np.linalg.inv(design.T @ design)[0, 0])
    assert np.mean(np.abs(coefficients[0] - slopes) <= NORMAL_95 * white_error) < 0.6


def test_components_are_calibrated_and_sum_to_the_motion():
    rng, years = np.random.default_rng(6), ALL_YEARS[:N_HISTORY]
    terms = covariance_terms(TRUTH, years, years)
    true = {}
    for name, members in COMPONENTS.items():
        matrix = np.sum([terms[member] for member in members], axis=0)
        true[name] = rng.multivariate_normal(np.zeros(N_HISTORY), matrix, 2000, method="eigh")
    values = np.sum(list(true.values()), axis=0) + rng.normal(0, TRUTH[-1], (2000, N_HISTORY))

    parts = fitted(TRUTH).components(context(values))
    for name, (mean, std) in parts.items():
        assert 0.88 <= np.mean(np.abs(mean - true[name]) <= NORMAL_95 * std) <= 0.92
    motion, _ = fitted(TRUTH).predict(context(values, targets=years))
    np.testing.assert_allclose(sum(mean for mean, _ in parts.values()), motion, rtol=1e-4, atol=1e-4)


def test_exceedance_is_the_share_that_exceeds():
    series = draw(6000, 8)
    series -= series[:, :N_HISTORY].mean(axis=1, keepdims=True)  # the prior of the level is wide: none is known
    probability = fitted(TRUTH).exceedance(context(series[:, :N_HISTORY]), 5.0)
    exceeded = series[:, N_HISTORY:] > 5.0
    assert probability.shape == (6000, HORIZON)
    for low in np.arange(0.0, 1.0, 0.2):
        group = (probability >= low) & (probability < low + 0.2)
        assert exceeded[group].mean() == pytest.approx(probability[group].mean(), abs=0.02)


def test_learning_does_not_depend_on_shards_or_order():
    values = with_gaps(draw(500, 9)[:, :N_HISTORY], 0.02)
    model = PooledGaussianProcess(sample=60)
    whole = model.fit([model.partial(context(values))], context(values)).theta_
    order = np.random.default_rng(0).permutation(500)
    shards = [model.partial(context(values[part])) for part in np.array_split(order, [3, 90, 91, 400])]
    np.testing.assert_array_equal(model.fit(shards, context(values[:0])).theta_, whole)


def test_a_shard_contributes_less_than_a_megabyte():
    years = np.arange(292) * 6 / 365
    values = np.random.default_rng(0).normal(size=(5000, 292))
    part = PooledGaussianProcess().partial(context(values, years))
    assert sum(array.nbytes for array in part.values()) < 1e6
    assert len(part["values"]) == 300


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), share=st.floats(0, 0.5))
def test_neighbours_never_change_a_bit_of_a_forecast(seed, share):
    values = with_gaps(draw(9, seed)[:, :N_HISTORY], share, seed)
    order = np.random.default_rng(seed).permutation(9)[:4]
    for whole, part in zip(
        fitted(TRUTH).predict(context(values)), fitted(TRUTH).predict(context(values[order])), strict=True
    ):
        np.testing.assert_array_equal(whole[order], part)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), which=st.integers(0, 20))
def test_nothing_dated_on_or_after_the_origin_enters(seed, which):
    rng = np.random.default_rng(seed)
    dates = np.datetime64("2019-01-05") + np.round(ALL_YEARS * 365).astype("timedelta64[D]")
    schedule = plan(dates, every="12D", horizon=3)
    origin = schedule.test[which % len(schedule.test)]
    series = draw(6, seed)
    later = schedule.real_days >= schedule.date(origin)

    days = schedule.real_days.copy()
    days[later] = schedule.date(origin) + np.sort(rng.choice(2000, later.sum(), replace=False))
    other = np.where(later, rng.normal(0, 1e3, series.shape), series).astype(np.float32)
    other[:, later & (rng.random(later.size) < 0.5)] = np.nan
    known = HonestWindows(series, schedule).context(origin)
    changed = HonestWindows(other, replace(schedule, days=tuple(days.tolist()))).context(origin)

    model = PooledGaussianProcess(sample=5)
    for part, changed_part in zip(model.partial(known).values(), model.partial(changed).values(), strict=True):
        np.testing.assert_array_equal(part, changed_part)
    for ours, theirs in zip(fitted(TRUTH).predict(known), fitted(TRUTH).predict(changed), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_date_missing_everywhere_is_a_date_that_never_was():
    values = draw(5, 10)[:, :N_HISTORY]
    blank = values.copy()
    blank[:, 40] = np.nan
    without = context(np.delete(values, 40, axis=1), np.delete(ALL_YEARS[:N_HISTORY], 40))
    for ours, expected in zip(fitted(TRUTH).predict(context(blank)), fitted(TRUTH).predict(without), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


def test_a_lead_does_not_depend_on_the_other_leads():
    values = draw(5, 11)[:, :N_HISTORY]
    alone = context(values, targets=ALL_YEARS[N_HISTORY : N_HISTORY + 1])
    for all_leads, one in zip(fitted(TRUTH).predict(context(values)), fitted(TRUTH).predict(alone), strict=True):
        np.testing.assert_allclose(all_leads[:, :1], one, rtol=1e-6)


def test_a_point_without_history_is_not_forecast():
    values = draw(3, 12)[:, :N_HISTORY]
    values[1] = np.nan
    mean, std = fitted(TRUTH).predict(context(values))
    assert np.isnan(mean[1]).all() and np.isnan(std[1]).all()
    assert np.isfinite(mean[[0, 2]]).all() and (std[[0, 2]] > 0).all()


def test_state_makes_an_equal_forecaster():
    history = context(draw(4, 13)[:, :N_HISTORY])
    model = PooledGaussianProcess(sample=20)
    model.fit([model.partial(history)], history)
    again = PooledGaussianProcess.from_state(model.state())
    for ours, theirs in zip(model.predict(history), again.predict(history), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_nothing_to_learn_from_is_an_error_with_the_cure():
    values = np.full((5, N_HISTORY), np.nan)
    values[:, :10] = 1.0
    model = PooledGaussianProcess()
    with pytest.raises(ValueError, match=r"no point has more than 10 of the .* that gaussian_process is fitted on"):
        model.fit([model.partial(context(values))], context(values))


def test_series_without_noise_have_a_deviation_too():
    years = np.arange(106) * 6 / 365.25
    quiet = np.array([1e-4, 1e-4, 1e-4, 1e-4, 1e2, 1e-4, 3.0, 1e-4, 3.0, 5e-2])
    context = Context(np.full((3, 100), 5, np.float32), years[:100], np.empty((3, 0)), years[:0], years[100:])
    mean, std = PooledGaussianProcess.from_state({"theta": quiet}).predict(context)
    np.testing.assert_allclose(mean, 5, atol=1e-3)
    assert (std >= 0).all() and (std < 0.1).all()
