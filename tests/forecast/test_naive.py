import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insar_dask.forecast.naive import (
    Drift,
    Harmonic,
    HarmonicAR1,
    Persistence,
    SeasonalNaive,
    SemiannualHarmonic,
    harmonic_design,
)
from insar_dask.forecast.ridge import HarmonicRidge
from insar_dask.forecast.windows import Context

STEP = 12 / 365
ALL = (Persistence, Drift, SeasonalNaive, Harmonic, SemiannualHarmonic, HarmonicAR1)


def context(values, horizon=6):
    values = np.asarray(values, np.float32)
    years = STEP * np.arange(values.shape[1] + horizon)
    known, ahead = years[: values.shape[1]], years[values.shape[1] :]
    return Context(values, known, values, known, ahead)


def noisy(n=30, n_dates=120, gaps=0.1, seed=0):
    rng = np.random.default_rng(seed)
    t = STEP * np.arange(n_dates)
    signal = rng.normal(0, 10, (n, 1)) * t + rng.gamma(2, 2, (n, 1)) * np.cos(2 * np.pi * t + rng.uniform(0, 6, (n, 1)))
    noise = np.zeros((n, n_dates))
    for k in range(1, n_dates):
        noise[:, k] = 0.7 * noise[:, k - 1] + rng.normal(0, 2, n)
    values = (signal + noise).astype(np.float32)
    values[rng.random((n, n_dates)) < gaps] = np.nan
    return values


def test_persistence_repeats_the_last_valid_value():
    values = noisy()
    values[:, -2:] = np.nan
    values[3] = np.nan
    mean, deviation = Persistence().predict(context(values))
    for row, forecast in zip(values, mean, strict=True):
        valid = row[np.isfinite(row)]
        np.testing.assert_array_equal(forecast, valid[-1] if valid.size else np.nan)
    assert deviation is None


def test_drift_continues_the_line_through_the_ends():
    t = np.arange(50)
    values = np.stack([2.0 + 0.5 * t, np.where(np.isin(t, [10, 40]), 3.0 * t, np.nan), np.full(50, np.nan)])
    values[2, 7] = 1.0  # one date makes no line
    mean, _ = Drift().predict(context(values))
    np.testing.assert_allclose(mean[0], 2.0 + 0.5 * np.arange(50, 56), rtol=1e-5)
    np.testing.assert_allclose(mean[1], 3.0 * np.arange(50, 56), rtol=1e-5)
    assert np.isnan(mean[2]).all()


def test_seasonal_naive_is_last_year_shifted_by_the_mean_change():
    values = noisy(gaps=0.0)
    lag = round(1 / STEP)
    mean, _ = SeasonalNaive().predict(context(values))
    shift = (values[:, -lag:] - values[:, -2 * lag : -lag]).mean(axis=1)
    np.testing.assert_allclose(mean, values[:, -lag : -lag + 6] + shift[:, None], atol=1e-4)


def test_seasonal_naive_continues_a_trend_with_a_season_of_whole_steps():
    t = np.arange(150)
    wave = np.cos(2 * np.pi * t / round(1 / STEP))
    mean, _ = SeasonalNaive().predict(context((0.3 * t + 4 * wave)[None, :], horizon=40))
    ahead = np.arange(150, 190)
    np.testing.assert_allclose(mean[0], 0.3 * ahead + 4 * np.cos(2 * np.pi * ahead / round(1 / STEP)), atol=1e-4)


def test_seasonal_naive_takes_the_last_value_before_a_gap():
    values = noisy(1, gaps=0.0)
    lag = round(1 / STEP)
    gappy = values.copy()
    gappy[0, -lag + 2] = np.nan
    whole, holed = (SeasonalNaive().predict(context(v))[0][0] for v in (values, gappy))
    difference = holed - whole
    shift = np.median(difference)
    assert difference[2] - shift == pytest.approx(values[0, -lag + 1] - values[0, -lag + 2], abs=1e-4)


def test_seasonal_naive_of_less_than_a_year_is_nan():
    mean, _ = SeasonalNaive().predict(context(noisy(4, 20)))
    assert np.isnan(mean).all()


@pytest.mark.parametrize(("model", "harmonics"), [(Harmonic(), 1), (SemiannualHarmonic(), 2)])
def test_harmonic_agrees_with_lstsq(model, harmonics):
    values = noisy(gaps=0.3)
    given_ = context(values)
    mean, _ = model.predict(given_)
    for row, forecast in zip(values, mean, strict=True):
        valid = np.isfinite(row)
        design = harmonic_design(given_.years[valid], harmonics)
        fit = np.linalg.lstsq(design, row[valid].astype(np.float64), rcond=None)[0]
        np.testing.assert_allclose(forecast, harmonic_design(given_.target_years, harmonics) @ fit, atol=1e-3)


def test_harmonic_recovers_trend_and_season_exactly():
    given_ = context(np.zeros((1, 100)), horizon=8)
    true = harmonic_design(np.concatenate([given_.years, given_.target_years])) @ [3.0, -12.0, 4.0, 1.0]
    mean, _ = Harmonic().predict(context(true[None, :100], horizon=8))
    np.testing.assert_allclose(mean[0], true[100:], atol=1e-4)


@pytest.mark.parametrize("model", [Harmonic, HarmonicAR1, SemiannualHarmonic])
def test_too_short_a_history_is_no_ground_for_a_harmonic_forecast(model):
    values = noisy(4, gaps=0.0)
    values[0, :-28] = np.nan  # 11 months
    values[1, np.arange(120) % 20 != 0] = np.nan  # 6 dates in 4 years
    mean, _ = model().predict(context(values))
    assert np.isnan(mean).all(axis=1).tolist() == [True, True, False, False]


def test_ar1_adds_the_last_residual_fading():
    values = noisy(gaps=0.0)
    values[0, -2:] = np.nan
    given_ = context(values)
    harmonic, _ = Harmonic().predict(given_)
    mean, _ = HarmonicAR1().predict(given_)
    for i in (0, 1):
        valid = np.isfinite(values[i])
        design = harmonic_design(given_.years)
        fit = np.linalg.lstsq(design[valid], values[i][valid].astype(np.float64), rcond=None)[0]
        r = (values[i] - design @ fit)[valid]
        phi = np.clip((r[:-1] * r[1:]).sum() / (r[:-1] ** 2).sum(), 0, 0.99)
        steps = np.arange(1, 7) + (2 if i == 0 else 0)
        np.testing.assert_allclose(mean[i] - harmonic[i], r[-1] * phi**steps, atol=2e-3)


def test_ar1_beats_the_harmonic_on_persistent_noise():
    values = noisy(400, 126, gaps=0.0)
    given_ = context(values[:, :120])
    errors = [np.sqrt(((m.predict(given_)[0] - values[:, 120:]) ** 2).mean()) for m in (Harmonic(), HarmonicAR1())]
    assert errors[1] < 0.95 * errors[0]  # in theory 0.92: 0.7^2k of the variance is known at lead k


@pytest.mark.parametrize("model", ALL)
def test_a_point_without_values_is_nan_and_stays_in_its_row(model):
    values = noisy()
    values[[0, 17]] = np.nan
    mean, _ = model().predict(context(values))
    assert mean.shape == (30, 6) and mean.dtype == np.float32
    assert np.isnan(mean[[0, 17]]).all()
    assert np.isfinite(np.delete(mean, [0, 17], axis=0)).all()


@pytest.mark.parametrize("model", ALL)
@given(seed=st.integers(0, 2**31), gaps=st.floats(0, 0.6))
@settings(max_examples=8, deadline=None)
def test_points_do_not_know_of_each_other(model, seed, gaps):
    values = noisy(19, gaps=gaps, seed=seed)
    order = np.random.default_rng(seed).permutation(19)
    whole = model().predict(context(values))[0]
    np.testing.assert_array_equal(model().predict(context(values[order]))[0], whole[order])
    np.testing.assert_array_equal(model().predict(context(values[:4]))[0], whole[:4])


@pytest.mark.parametrize("model", ALL)
def test_nothing_is_learned_from_other_points(model):
    given_ = context(noisy())
    assert model().partial(given_) == {} == model().fit([], given_).state()
    assert model.from_state({}).predict(given_)[0].shape == (30, 6)


def test_a_fit_is_shared_by_the_forecasters_of_a_context():
    given_ = context(noisy())
    Harmonic().predict(given_)
    (fit,) = given_.memo.values()
    HarmonicAR1().predict(given_)
    HarmonicRidge(24).from_state({"weights": np.zeros((24, 6))}).predict(given_)
    assert list(given_.memo.values()) == [fit]
