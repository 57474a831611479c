import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insar_kernels import history
from insar_kernels.gaps import first_and_last, forward_fill
from insar_kernels.history import combine, least_squares, residual_summary, residuals


def design(n_dates):
    t = np.arange(n_dates) * 12 / 365
    return np.stack([np.ones(n_dates), t, np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)], axis=1)


def series(n=40, n_dates=90, gaps=0.2, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 3, (n, n_dates)).cumsum(axis=1).astype(np.float32)
    values[rng.random((n, n_dates)) < gaps] = np.nan
    return values


def lstsq_rows(values, columns):
    out = np.full((len(values), columns.shape[1]), np.nan)
    for i, row in enumerate(values):
        valid = np.isfinite(row)
        if valid.sum() > columns.shape[1]:
            out[i] = np.linalg.lstsq(columns[valid], row[valid].astype(np.float64), rcond=None)[0]
    return out


@pytest.mark.parametrize("gaps", [0.0, 0.05, 0.5])
def test_least_squares_agrees_with_lstsq_on_the_valid_dates(gaps):
    values = series(gaps=gaps)
    np.testing.assert_allclose(least_squares(values, design(90)), lstsq_rows(values, design(90)), rtol=1e-8, atol=1e-8)


def test_least_squares_of_too_few_or_undecidable_dates_is_nan():
    values = series(5, gaps=0.0)
    values[0] = np.nan
    values[1, 4:] = np.nan  # as many dates as terms
    values[2, 5:] = np.nan  # one more: a fit
    values[3, 1:] = np.nan
    fitted = least_squares(values, design(90))
    assert np.isnan(fitted[[0, 1, 3]]).all()
    assert np.isfinite(fitted[[2, 4]]).all()
    twins = np.repeat(design(90)[:, :1], 2, axis=1)  # the same column twice
    assert np.isnan(least_squares(values, twins)).all()


def test_a_fit_can_ask_for_more_dates_over_a_longer_span():
    values = np.full((4, 90), np.nan, np.float32)
    values[0, 20:50] = values[1, 20:49] = values[2, [20, 30, 40, 44, 46, 47, 49]] = values[3] = 1.0
    columns = design(90)
    assert np.isfinite(least_squares(values, columns)).all()
    fitted = least_squares(values, columns, min_dates=8, min_span=30)
    assert np.isnan(fitted[:, 0]).tolist() == [False, True, True, False]
    twin = history._fit_on_array(np, values, *history._basis(columns), 8, 30)
    np.testing.assert_allclose(twin, fitted, atol=1e-9)


@given(st.integers(0, 2**31), st.floats(0, 0.9))
@settings(max_examples=20, deadline=None)
def test_points_do_not_know_of_each_other(seed, gaps):
    values, columns = series(17, 40, gaps, seed), design(40)
    order = np.random.default_rng(seed).permutation(17)
    for kernel in (
        lambda v: least_squares(v, columns),
        lambda v: np.stack(residual_summary(v, columns, least_squares(v, columns)), axis=1),
        lambda v: combine(least_squares(v, columns), columns[:7]),
        lambda v: np.stack(first_and_last(v), axis=1),
        forward_fill,
    ):
        np.testing.assert_array_equal(kernel(values[order]), kernel(values)[order])
        np.testing.assert_array_equal(kernel(values[:5]), kernel(values)[:5])


def test_residuals_are_values_less_the_fit():
    values, columns = series(), design(90)
    coefficients = least_squares(values, columns)
    expected = values - coefficients @ columns.T
    np.testing.assert_allclose(residuals(values, columns, coefficients), expected, atol=1e-5)


def test_summary_agrees_with_a_loop():
    values, columns = series(gaps=0.3), design(90)
    coefficients = least_squares(values, columns)
    summary = residual_summary(values, columns, coefficients)
    for i, row in enumerate(values - coefficients @ columns.T):
        valid = np.flatnonzero(np.isfinite(row))
        pairs = [t for t in valid[:-1] if t + 1 in set(valid)]
        phi = sum(row[t] * row[t + 1] for t in pairs) / sum(row[t] ** 2 for t in pairs)
        assert summary.rmse[i] == pytest.approx(np.sqrt(np.mean(row[valid] ** 2)), rel=1e-5)
        assert summary.recent[i] == pytest.approx(np.sqrt(np.mean(row[valid[valid >= 78]] ** 2)), rel=1e-5)
        assert summary.autocorrelation[i] == pytest.approx(np.clip(phi, 0, 0.99), abs=1e-5)
        assert summary.last[i] == pytest.approx(row[valid[-1]], rel=1e-4, abs=1e-5)
        assert summary.age[i] == 89 - valid[-1]


def test_without_recent_dates_the_recent_rmse_is_that_of_all():
    values = series(2, gaps=0.0)
    values[:, -12:] = np.nan
    summary = residual_summary(values, design(90), least_squares(values, design(90)))
    np.testing.assert_array_equal(summary.recent, summary.rmse)


def test_summary_of_a_point_without_a_fit_is_nan():
    values = np.full((1, 30), np.nan, np.float32)
    summary = residual_summary(values, design(30), least_squares(values, design(30)))
    assert np.isnan([summary.rmse[0], summary.recent[0], summary.last[0]]).all()
    assert (summary.autocorrelation[0], summary.age[0]) == (0, 0)


def test_first_and_last_find_the_valid_ends():
    nan = np.nan
    values = np.array([[nan, 1, nan, 2, nan], [nan] * 5, [3, nan, nan, nan, 4]], np.float32)
    first, last = first_and_last(values)
    assert first.tolist() == [1, -1, 0]
    assert last.tolist() == [3, -1, 4]
    assert [ends.tolist() for ends in first_and_last(values[:, 1:])] == [[0, -1, 3], [2, -1, 3]]


def test_forward_fill_carries_the_past_only():
    nan = np.nan
    values = np.array([[nan, 1, nan, 2, nan], [nan] * 5], np.float32)
    np.testing.assert_array_equal(forward_fill(values), [[nan, 1, 1, 2, 2], [nan] * 5])


def test_leading_dimensions_are_kept():
    values, columns = series(12).reshape(3, 4, 90), design(90)
    coefficients = least_squares(values, columns)
    assert coefficients.shape == (3, 4, 4)
    assert residuals(values, columns, coefficients).shape == (3, 4, 90)
    assert residual_summary(values, columns, coefficients).rmse.shape == (3, 4)
    assert combine(coefficients, columns[:6]).shape == (3, 4, 6)


@pytest.mark.parametrize("gaps", [0.0, 0.4])
def test_whole_array_body_agrees_with_the_loop(gaps):
    values, columns = series(gaps=gaps), design(90)
    values[0] = np.nan
    basis, inverse = history._basis(columns)
    coefficients = least_squares(values, columns)
    twin = history._fit_on_array(np, values, basis, inverse, 5, 0)
    np.testing.assert_allclose(twin, coefficients, rtol=1e-8, atol=1e-8)
    ours, other = (
        residual_summary(values, columns, coefficients),
        history._summary_on_array(np, values, columns, coefficients, 12),
    )
    for name in ours._fields:
        np.testing.assert_allclose(getattr(other, name), getattr(ours, name), rtol=1e-4, atol=1e-5)


def test_a_residual_of_exactly_zero_is_a_residual():
    values = np.array([[4, 0, 2, 1, np.nan, 3]], np.float32)
    summary = residual_summary(values, np.zeros((6, 1)), np.zeros((1, 1)))
    assert summary.rmse[0] == pytest.approx(np.sqrt(30 / 5))
    assert summary.autocorrelation[0] == pytest.approx(2 / (16 + 0 + 4))
    assert (summary.last[0], summary.age[0]) == (3, 0)
