import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from insar_kernels.harmonic import Motion, motion
from insar_kernels.nested_models import MIN_DATES

YEARS = np.sort(np.random.default_rng(5).choice(np.arange(0, 365 * 4, 6), 90, replace=False)) / 365.0


def table_14(y, years):
    """EGMS Product Description v3, Table 14, one series at a time, straight from its normal equations."""
    valid = ~np.isnan(y)
    y, t = y[valid].astype(np.float64), years[valid]
    cosine, sine = np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)
    linear = np.stack([t, np.ones_like(t), cosine, sine], axis=1)
    square = np.column_stack([0.5 * t**2, linear])
    cubic = np.column_stack([t**3, t**2, linear])

    def fit(design):
        beta = np.linalg.lstsq(design, y, rcond=None)[0]
        return beta, np.diag(np.linalg.inv(design.T @ design)), y - design @ beta

    b1, q1, r1 = fit(linear)
    b2, q2, r2 = fit(square)
    b3, q3, r3 = fit(cubic)
    rmse = np.sqrt(np.mean(r3**2))
    return {
        "velocity": b1[0],
        "velocity_std": np.sqrt(q1[0]) * r1.std(ddof=1),
        "acceleration": b2[0],
        "acceleration_std": np.sqrt(q2[0]) * r2.std(ddof=1),
        "seasonality": np.hypot(b3[4], b3[5]),
        "seasonality_std": np.sqrt((4 - np.pi) / 2 * (q3[4] + q3[5]) / 2) * rmse,
        "phase": np.arctan2(b3[5], b3[4]) / (2 * np.pi) % 1,
        "rmse": rmse,
        "n_dates": valid.sum(),
    }


def some_series(n=40, years=YEARS, share=0.1):
    rng = np.random.default_rng(n)
    y = rng.normal(0, 20, (n, 1)) * years + rng.normal(0, 5, (n, 1)) * np.sin(2 * np.pi * (years - 0.2))
    y = (y + rng.normal(0, 2, (n, len(years)))).astype(np.float32)
    y[rng.random(y.shape) < share] = np.nan
    return y


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6])
def test_every_parameter_is_that_of_table_14(share):
    y = some_series(share=share)
    fit = motion(y, YEARS)
    oracle = [table_14(one, YEARS) for one in y]
    for name in Motion._fields:
        expected = np.array([one[name] for one in oracle])
        np.testing.assert_allclose(getattr(fit, name), expected, rtol=2e-5, atol=2e-5, err_msg=name)


def test_truth_is_recovered_from_a_noiseless_series():
    y = (3 + 7 * YEARS + 0.5 * -2 * YEARS**2 + 4 * np.cos(2 * np.pi * (YEARS - 0.25))).astype(np.float32)[None]
    fit = motion(y, YEARS)
    assert fit.acceleration[0] == pytest.approx(-2, abs=1e-4)
    assert fit.seasonality[0] == pytest.approx(4, abs=1e-4)
    assert fit.phase[0] == pytest.approx(0.25, abs=1e-5)
    assert fit.rmse[0] == pytest.approx(0, abs=1e-5)


def test_parameters_do_not_depend_on_where_time_starts():
    y = some_series()
    here, there = motion(y, YEARS), motion(y, YEARS + 20.25)
    for name in set(Motion._fields) - {"phase"}:
        np.testing.assert_allclose(getattr(here, name), getattr(there, name), rtol=1e-4, atol=1e-5, err_msg=name)
    np.testing.assert_allclose((here.phase + 0.25) % 1, there.phase % 1, atol=1e-4)


def test_constant_series_does_not_move():
    fit = motion(np.full((2, len(YEARS)), -12.3, np.float32), YEARS)
    for name in ("velocity", "acceleration", "seasonality", "rmse", "velocity_std"):
        np.testing.assert_allclose(getattr(fit, name), 0, atol=1e-5)


def test_fewer_than_seven_valid_dates_are_too_few():
    y = np.full((3, len(YEARS)), np.nan, np.float32)
    y[1, :: len(YEARS) // MIN_DATES][: MIN_DATES - 1] = 1.0
    y[1, MIN_DATES * 12 :] = np.nan
    y[2, 10] = 4.0
    fit = motion(y, YEARS)
    assert fit.n_dates.tolist() == [0, int(np.isfinite(y[1]).sum()), 1]
    assert all(np.isnan(values).all() for values in fit[:-1])


def test_dates_that_cannot_tell_trend_from_season_give_nan():
    years = np.arange(20) / 365.0 / 100
    assert np.isnan(motion(np.ones((2, 20), np.float32), years).velocity).all()
    y = some_series(1, share=0)
    y[0, 8:] = np.nan
    within_weeks = motion(y, np.concatenate([np.arange(8) / 3650, YEARS[8:] + 1]))
    assert np.isnan(within_weeks.velocity[0])


def test_cube_shorter_than_seven_dates_gives_nan():
    fit = motion(np.ones((2, 3), np.float32), YEARS[:3])
    assert np.isnan(fit.rmse).all()
    assert fit.n_dates.tolist() == [3, 3]


@pytest.mark.parametrize("n", [0, 1, 7])
@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_a_gpu_fits_alike(n, share, on_gpu):
    y = some_series(n, share=share)
    if n > 4:
        y[3], y[4] = 5.0, np.nan
        y[4, 7] = 1.0
    fit, theirs = motion(y, YEARS), motion(on_gpu(y), YEARS)
    for name in Motion._fields:
        if name != "phase":
            found = getattr(fit, name), getattr(theirs, name).get()
            np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6, err_msg=name)


def test_leading_axes_are_kept():
    y = some_series(6)
    flat, grid = motion(y, YEARS), motion(y.reshape(2, 3, -1), YEARS)
    for one, other in zip(flat, grid, strict=True):
        assert other.shape == (2, 3)
        np.testing.assert_array_equal(one.reshape(2, 3), other)


values = st.floats(-500, 500, width=32) | st.just(np.nan)


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, (9, 40), elements=values, fill=st.nothing()), st.permutations(range(9)))
def test_points_do_not_know_of_each_other(y, order):
    years = np.arange(40) * 12 / 365
    whole = motion(y, years)
    for name in Motion._fields:
        np.testing.assert_array_equal(getattr(motion(y[order], years), name), getattr(whole, name)[order])
        np.testing.assert_array_equal(getattr(motion(y[:4], years), name), getattr(whole, name)[:4])
