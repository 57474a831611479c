"""Gaussian conditioning against textbook solves, one series at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insar_kernels import conditioning
from insar_kernels.conditioning import invert, posterior

N_DATES = 24
YEARS = np.sort(np.random.default_rng(0).uniform(0, 3, N_DATES))
COVARIANCE = (
    9.0 + 4 * np.exp(-np.abs(YEARS[:, None] - YEARS)) + np.minimum(YEARS[:, None], YEARS) + 0.5 * np.eye(N_DATES)
)
FUNCTIONALS = np.array([np.minimum(YEARS, 3.5), 9.0 + 4 * np.exp(-np.abs(3.5 - YEARS)), np.ones(N_DATES)])
PRIOR_VARIANCE = np.array([20.0, 14.0, 5.0])


def series_with_gaps(n, missing, seed=1):
    rng = np.random.default_rng(seed)
    values = (rng.normal(size=(n, N_DATES)) @ np.linalg.cholesky(COVARIANCE).T).astype(np.float32)
    values[rng.random(values.shape) < missing] = np.nan
    return values


def condition(values):
    precision, _ = invert(COVARIANCE)
    weights = FUNCTIONALS @ precision
    return posterior(values, precision, weights, PRIOR_VARIANCE - (weights * FUNCTIONALS).sum(axis=1))


def textbook(series):
    """Mean and variance of the functionals by a solve of the series' own."""
    seen = ~np.isnan(series)
    gain = np.linalg.solve(COVARIANCE[np.ix_(seen, seen)], FUNCTIONALS[:, seen].T).T
    return gain @ series[seen].astype(np.float64), PRIOR_VARIANCE - (gain * FUNCTIONALS[:, seen]).sum(axis=1)


def leave_one_out_scale(series):
    """Each date predicted from all the others, the textbook way."""
    seen = np.flatnonzero(~np.isnan(series))
    errors = []
    for date in seen:
        others = seen[seen != date]
        gain = np.linalg.solve(COVARIANCE[np.ix_(others, others)], COVARIANCE[others, date])
        variance = COVARIANCE[date, date] - gain @ COVARIANCE[others, date]
        errors.append((series[date] - gain @ series[others].astype(np.float64)) ** 2 / variance)
    return np.mean(errors)


def test_inverse_and_determinant_agree_with_lapack():
    inverse, log_determinant = invert(COVARIANCE)
    np.testing.assert_allclose(inverse, np.linalg.inv(COVARIANCE), rtol=1e-10, atol=1e-12)
    assert log_determinant == pytest.approx(np.linalg.slogdet(COVARIANCE)[1], rel=1e-12)


def test_inverse_leaves_its_argument_alone():
    before = COVARIANCE.copy()
    invert(COVARIANCE)
    np.testing.assert_array_equal(COVARIANCE, before)


def test_singular_covariance_is_an_error_with_the_cure():
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite: are two dates the same"):
        invert(np.ones((3, 3)))


@pytest.mark.parametrize("missing", [0.0, 0.05, 0.3, 0.9])
def test_posterior_agrees_with_a_solve_of_each_series_own(missing):
    values = series_with_gaps(40, missing)
    values[:, 3] = 1.0  # no series is empty
    mean, variance, scale = condition(values)
    for i, series in enumerate(values):
        expected_mean, expected_variance = textbook(series)
        np.testing.assert_allclose(mean[i], expected_mean, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(variance[i], expected_variance, rtol=1e-8, atol=1e-8)
        assert scale[i] == pytest.approx(leave_one_out_scale(series), rel=1e-8)


def test_series_without_any_date_gets_nan_and_harms_no_other():
    values = series_with_gaps(3, 0.2)
    values[1] = np.nan
    mean, variance, scale = condition(values)
    assert np.isnan(mean[1]).all() and np.isnan(variance[1]).all() and np.isnan(scale[1])
    for ours, alone in zip((mean, variance, scale), condition(values[[0, 2]]), strict=True):
        np.testing.assert_array_equal(ours[[0, 2]], alone)


def test_leading_dimensions_are_kept():
    values = series_with_gaps(6, 0.2)
    for stacked, flat in zip(condition(values.reshape(2, 3, N_DATES)), condition(values), strict=True):
        assert stacked.shape == (2, 3, *flat.shape[1:])
        np.testing.assert_array_equal(stacked.reshape(flat.shape), flat)


@pytest.mark.parametrize("missing", [0.0, 0.05, 0.6])
def test_whole_array_body_agrees_with_the_loop(missing, monkeypatch):
    values = series_with_gaps(50, missing)
    values[7] = np.nan
    loop = condition(values)

    class Device:  # another array library by name, NumPy by nature
        def __getattr__(self, name):
            return getattr(np, name)

    monkeypatch.setattr(conditioning, "namespace", lambda values: Device())
    monkeypatch.setattr(conditioning, "BLOCK", 16)
    for whole, ours in zip(condition(values), loop, strict=True):
        np.testing.assert_allclose(whole, ours, rtol=1e-9, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), missing=st.floats(0, 0.6), n_patterns=st.integers(1, 12))
def test_neighbours_and_order_never_change_a_bit(seed, missing, n_patterns):
    rng = np.random.default_rng(seed)
    values = series_with_gaps(12, 0.0, seed)
    patterns = rng.random((n_patterns, N_DATES)) < missing
    values[patterns[rng.integers(0, n_patterns, 12)]] = np.nan  # shared patterns, in runs and not
    order = rng.permutation(12)[: rng.integers(1, 13)]
    for whole, part in zip(condition(values), condition(values[order]), strict=True):
        np.testing.assert_array_equal(whole[order], part)


def test_no_series_at_all_has_no_posterior():
    mean, variance, scale = condition(np.empty((0, N_DATES), np.float32))
    assert mean.shape == variance.shape == (0, 3) and scale.shape == (0,)
    assert condition(np.empty((2, 0, N_DATES), np.float32))[0].shape == (2, 0, 3)
