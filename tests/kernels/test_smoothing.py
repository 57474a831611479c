import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from insar_kernels.smoothing import moving_average, savgol

WINDOWS = [(11, 2, 166), (5, 2, 20), (1, 0, 7), (3, 1, 3), (21, 3, 50), (61, 2, 166), (11, 2, 11), (101, 4, 166)]


def some_series(n, n_dates, share=0.0):
    rng = np.random.default_rng(n_dates)
    y = rng.normal(0, 10, (n, n_dates)).astype(np.float32)
    y[rng.random(y.shape) < share] = np.nan
    return y


def least_squares(y, window, order):
    """One window at a time with NumPy's polynomials."""
    smooth = np.full(y.shape, np.nan)
    for t in range(len(y)):
        first = min(max(t - window // 2, 0), len(y) - window)
        at = np.arange(first, first + window)
        at = at[~np.isnan(y[at])]
        if not np.isnan(y[t]) and len(at) > order:
            smooth[t] = np.polynomial.Polynomial.fit(at, y[at].astype(np.float64), order)(t)
    return smooth


@pytest.mark.parametrize(("window", "order", "n_dates"), WINDOWS)
def test_complete_series_are_filtered_as_scipy_does(window, order, n_dates):
    y = some_series(37, n_dates)
    exact = scipy.signal.savgol_filter(y.astype(np.float64), window, order, mode="interp")
    np.testing.assert_allclose(savgol(y, window, order), exact, atol=2e-5)


@pytest.mark.parametrize(("window", "order", "n_dates"), [(11, 2, 60), (5, 3, 40), (7, 0, 30), (61, 2, 90)])
def test_gaps_leave_the_fit_to_the_valid_samples(window, order, n_dates):
    y = some_series(20, n_dates, 0.25)
    exact = np.array([least_squares(one, window, order) for one in y])
    np.testing.assert_allclose(savgol(y, window, order), exact, rtol=1e-4, atol=2e-4)


def test_every_pattern_of_missing_samples_is_fitted():
    y = np.tile(some_series(1, 9), (2**9, 1))
    y[np.arange(2**9)[:, None] >> np.arange(9) & 1 == 1] = np.nan
    exact = np.array([least_squares(one, 9, 2) for one in y])
    np.testing.assert_allclose(savgol(y, 9, 2), exact, atol=5e-5)


@pytest.mark.parametrize(("window", "order"), [(11, 2), (21, 3), (1, 0)])
def test_windows_without_gaps_are_filtered_as_in_complete_series(window, order):
    y = some_series(40, 166)
    gappy = np.where(some_series(40, 166, 0.03) != some_series(40, 166, 0.03), np.nan, y).astype(np.float32)
    first = np.clip(np.arange(166) - window // 2, 0, 166 - window)
    whole = ~np.isnan(gappy[:, first[:, None] + np.arange(window)]).any(-1)
    assert 0.3 < whole.mean() < 1
    np.testing.assert_array_equal(savgol(gappy, window, order)[whole], savgol(y, window, order)[whole])


def test_a_polynomial_passes_through_unchanged_whatever_is_missing():
    t = np.arange(40, dtype=np.float32)
    y = np.tile(3 + 0.5 * t - 0.02 * t**2, (8, 1)).astype(np.float32)
    y[some_series(8, 40, 0.3) != some_series(8, 40, 0.3)] = np.nan
    smooth = savgol(y, 9, 2)
    kept = ~np.isnan(smooth)
    assert kept.sum() > 0.6 * y.size
    np.testing.assert_allclose(smooth[kept], y[kept], atol=1e-4)


@pytest.mark.parametrize("window", [11, 13, 21, 31])
@pytest.mark.parametrize("at", [0, 3, 9, 50, 56, 59])
@pytest.mark.parametrize("row", [0, 15, 16])
def test_a_gap_near_an_end_is_all_that_is_missing(window, at, row):
    y = np.random.default_rng(1).normal(size=(17, 60)).astype(np.float32)
    y[row, at] = np.nan
    smooth = savgol(y, window, 2)
    np.testing.assert_array_equal(np.isnan(smooth), np.isnan(y))
    np.testing.assert_array_equal(savgol(y[row], window, 2), smooth[row])


def test_missing_stays_missing_and_lonely_samples_become_missing():
    y = np.full((2, 30), np.nan, np.float32)
    y[0, 12] = 1.0
    y[1, [3, 20, 21, 22]] = 1.0, 5.0, 6.0, 7.0
    smooth = savgol(y, 5, 2)
    assert np.isnan(smooth[0]).all()
    np.testing.assert_allclose(smooth[1, 20:23], [5, 6, 7], atol=1e-5)
    assert np.isnan(smooth[1, :20]).all()


@pytest.mark.parametrize(("window", "order", "n_dates"), WINDOWS)
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_a_gpu_filters_alike(window, order, n_dates, share, on_gpu):
    y = some_series(4, n_dates, share)
    y[1], y[2], y[3] = np.nan, 7.5, np.nan
    y[3, n_dates // 2] = 2.0
    theirs = savgol(on_gpu(y), window, order).get()
    np.testing.assert_allclose(savgol(y, window, order), theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17])
def test_any_number_of_series_is_filtered(n):
    y = some_series(n, 40, 0.05)
    np.testing.assert_array_equal(savgol(y, 7, 2), np.array([savgol(one, 7, 2) for one in y]).reshape(n, 40))


def test_output_goes_where_it_is_asked_to():
    y = some_series(6, 40).reshape(2, 3, 40)
    out = np.zeros_like(y)
    assert savgol(y, 5, 2, out) is out
    np.testing.assert_array_equal(out, savgol(y, 5, 2))
    with pytest.raises(ValueError, match="C-contiguous float32"):
        savgol(y, 5, 2, np.zeros((40, 3, 2), np.float32).T)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.permutations(range(18)), arrays(bool, 18))
def test_points_do_not_know_of_each_other(seed, order, complete):
    rng = np.random.default_rng(seed)
    y = rng.normal(0, 50, (18, 23)).astype(np.float32)
    y[(rng.random(y.shape) < 0.2) & ~complete[:, None]] = np.nan
    for smooth in (lambda y: savgol(y, 5, 2), lambda y: moving_average(y, 3, True)):
        whole = smooth(y)
        np.testing.assert_array_equal(smooth(y[order]), whole[order])
        np.testing.assert_array_equal(smooth(y[:5]), whole[:5])


def windowed_means(y, window, ahead):
    out = np.full(y.shape, np.nan)
    for t in range(y.shape[1]):
        stop = t + ahead + 1
        for i in np.flatnonzero(~np.isnan(y[:, t])):
            out[i, t] = np.nanmean(y[i, max(stop - window, 0) : stop].astype(np.float64))
    return out


@pytest.mark.parametrize(("window", "centred"), [(1, False), (3, True), (3, False), (4, False), (9, True), (99, True)])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_average_is_the_mean_of_the_valid_samples_of_the_window(window, centred, share):
    y = some_series(9, 31, share)
    ahead = window // 2 if centred else 0
    mean = moving_average(y, window, centred)
    np.testing.assert_allclose(mean, windowed_means(y, window, ahead), atol=1e-5)


def test_trailing_average_never_looks_ahead():
    y = some_series(5, 30)
    later = y.copy()
    later[:, 20:] += 100
    np.testing.assert_array_equal(moving_average(y, 5, False)[:, :20], moving_average(later, 5, False)[:, :20])
