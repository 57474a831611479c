import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.seasonal import STL

from insar_kernels.seasonal_trend import _on_array, stl, stl_lengths


def series(n, n_dates, seed=0, spread=50.0):
    """Level, trend, annual signal and noise [mm] at dates of 12 days."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_dates) * 12 / 365
    wave = rng.normal(4, 1, (n, 1)) * np.sin(2 * np.pi * t + rng.uniform(0, 6, (n, 1)))
    y = rng.normal(0, spread, (n, 1)) + rng.normal(0, 10, (n, 1)) * t + wave + rng.normal(0, 2, (n, n_dates))
    return y.astype(np.float32)


def with_gaps(y, share=0.05, seed=1):
    holes = y.copy()
    holes[np.random.default_rng(seed).random(y.shape) < share] = np.nan
    return holes


@pytest.mark.parametrize(
    ("n_dates", "period", "settings"),
    [
        (166, 30, {}),
        (165, 30, {}),
        (60, 30, {}),
        (61, 7, {}),
        (90, 12, {"seasonal": 13}),
        (120, 12, {"trend": 21, "low_pass": 15}),
        (130, 30, {"degrees": (0, 1, 1)}),
        (131, 30, {"degrees": (1, 0, 0), "n_inner": 2}),
        (40, 2, {"seasonal": 3, "trend": 5}),
    ],
)
def test_complete_series_are_statsmodels(n_dates, period, settings):
    y = series(20, n_dates)
    lengths = dict(zip(("seasonal", "trend", "low_pass"), stl_lengths(period, **keys(settings)), strict=True))
    degrees = dict(zip(("seasonal_deg", "trend_deg", "low_pass_deg"), settings.get("degrees", (1, 1, 1)), strict=True))
    ours = stl(y, period, **settings)
    for i, one in enumerate(y.astype(np.float64)):
        theirs = STL(one, period, **lengths, **degrees).fit(inner_iter=settings.get("n_inner", 5))
        np.testing.assert_allclose(ours.trend[i], theirs.trend, atol=1e-4)
        np.testing.assert_allclose(ours.season[i], theirs.seasonal, atol=1e-4)
        np.testing.assert_allclose(ours.residual[i], theirs.resid, atol=1e-4)


def keys(settings):
    return {name: settings[name] for name in ("seasonal", "trend", "low_pass") if name in settings}


@pytest.mark.parametrize("period", [2, 4, 7, 11, 12, 30, 31])
def test_default_lengths_are_statsmodels(period):
    theirs = STL(np.zeros(2 * period), period).config
    assert stl_lengths(period) == (theirs["seasonal"], theirs["trend"], theirs["low_pass"])


def loess(places, values, targets, length):
    """Local line through the nearest ``length`` places, as its definition reads."""
    fits = []
    for x in targets:
        distance = np.abs(places - x)
        reach = np.sort(distance)[min(length, len(places)) - 1] + max(length - len(places), 0) // 2
        weights = np.where(distance <= 0.999 * reach, (1 - np.minimum(distance / reach, 1) ** 3) ** 3, 0)
        used = weights > 0
        if used.sum() == 1:
            fits.append(values[used][0])
        else:
            fits.append(np.polyval(np.polyfit(places[used] - x, values[used], 1, w=np.sqrt(weights[used])), 0))
    return np.array(fits)


def decompose(y, period):
    """STL of one series with gaps, in words of its authors."""
    n_dates, (seasonal, trend, low_pass) = len(y), stl_lengths(period)
    dates, valid, level = np.arange(n_dates), ~np.isnan(y), np.zeros(n_dates)
    for _ in range(5):
        cycles = np.empty(n_dates + 2 * period)
        for phase in range(period):
            at = dates[phase::period]
            seen = valid[at]
            places = np.arange(len(at))
            cycles[phase::period] = loess(places[seen], (y - level)[at][seen], np.arange(-1, len(at) + 1), seasonal)
        smooth = cycles
        for window in (period, period, 3):
            smooth = np.convolve(smooth, np.full(window, 1 / window), "valid")
        season = cycles[period : period + n_dates] - loess(dates, smooth, dates, low_pass)
        level = loess(dates[valid], (y - season)[valid], dates, trend)
    return level, season


def test_gaps_have_no_weight_in_any_regression():
    y = with_gaps(series(3, 110), 0.15)
    y[:, 40:48] = np.nan
    y[:, [0, -1]] = 1.0
    ours = stl(y, 12)
    for i, one in enumerate(y.astype(np.float64)):
        level, season = decompose(one, 12)
        np.testing.assert_allclose(ours.trend[i], level, atol=1e-4)
        np.testing.assert_allclose(ours.season[i], season, atol=1e-4)


def test_parts_sum_to_the_series_and_go_on_through_gaps():
    y = with_gaps(series(50, 166))
    y[:, [0, -1]] = 0.0
    parts = stl(y, 30)
    assert np.isfinite(parts.trend).all()
    assert np.isfinite(parts.season).all()
    np.testing.assert_array_equal(np.isnan(parts.residual), np.isnan(y))
    np.testing.assert_allclose(np.nan_to_num(sum(parts)), np.nan_to_num(y), atol=1e-4)


def test_nothing_is_said_of_dates_outside_the_record():
    y = series(2, 166)
    y[0, :5], y[0, 160:] = np.nan, np.nan
    parts = stl(y, 30)
    known = np.isfinite(parts.trend)
    assert known[0, 5:160].all() and not known[0, :5].any() and not known[0, 160:].any()
    assert known[1].all()


def test_series_that_say_nothing_of_a_phase_or_of_two_periods_are_missing():
    y = series(4, 130)
    y[0] = np.nan
    y[1, 7::30] = np.nan
    y[2, :75] = np.nan
    parts = stl(y, 30)
    for part in parts:
        assert np.isnan(part[:3]).all()
        assert np.isfinite(part[3]).all()


def test_a_line_is_all_trend_however_far_from_zero():
    t = np.arange(166, dtype=np.float32)
    y = np.stack([5000 + 0.25 * t, -3000 - 2 * t])
    for values in (y, np.where(t % 13 == 5, np.nan, y).astype(np.float32)):
        parts = stl(values, 30)
        np.testing.assert_allclose(parts.trend, y, atol=1e-3)
        np.testing.assert_allclose(parts.season, 0, atol=1e-4)


def test_both_bodies_agree():
    y = with_gaps(series(70, 95))
    y[:20] = series(20, 95, seed=3)
    y[25], y[26, 4::12] = np.nan, np.nan
    there = _on_array(np, y, 12, stl_lengths(12), (1, 1, 1), 5)
    for ours, whole_array in zip(stl(y, 12), there, strict=True):
        np.testing.assert_allclose(ours, whole_array, atol=1e-4)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_a_point_knows_nothing_of_its_neighbours(seed, n):
    rng = np.random.default_rng(seed)
    y = series(n, 61, seed=seed)
    y[rng.random(n) < 0.4] = with_gaps(y, 0.1, seed)[0]
    chosen = rng.integers(0, n, 2 * n)
    for whole, some in zip(stl(y, 12), stl(y[chosen], 12), strict=True):
        np.testing.assert_array_equal(whole[chosen], some)


def test_any_shape_comes_back():
    y = series(6, 60).reshape(2, 3, 60)
    parts = stl(y, 12)
    assert all(part.shape == y.shape and part.dtype == np.float32 for part in parts)
    np.testing.assert_array_equal(parts.trend[1], stl(y[1], 12).trend)
    np.testing.assert_array_equal(parts.trend[1, 2], stl(y[1, 2], 12).trend)
    assert stl(y[:0], 12).season.shape == (0, 3, 60)
