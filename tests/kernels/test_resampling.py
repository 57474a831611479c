from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from insar_kernels.resampling import regularise

values = st.floats(-500, 500, width=32) | st.just(np.nan)


def some_series(n, n_dates, share=0.0):
    rng = np.random.default_rng(n_dates)
    days = np.cumsum(rng.choice([6, 12, 24, 72], n_dates)).astype(np.float64)
    y = rng.normal(0, 10, (n, n_dates)).astype(np.float32)
    y[rng.random(y.shape) < share] = np.nan
    return y, days, np.arange(days[0] - 12, days[-1] + 13, 6.0)


def one_by_one(y, days, new_days, max_gap):
    """`numpy.interp` of the valid dates, then NaN inside the gaps that are too long."""
    out = np.full((len(y), len(new_days)), np.nan)
    for i, one in enumerate(y):
        valid = ~np.isnan(one)
        known = days[valid]
        if not valid.any():
            continue
        out[i] = np.interp(new_days, known, one[valid], left=np.nan, right=np.nan)
        for start, stop in pairwise(known):
            if stop - start > max_gap:
                out[i, (new_days > start) & (new_days < stop)] = np.nan
    return out


@pytest.mark.parametrize("n_dates", [1, 2, 3, 50, 158])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.9, 1.0])
@pytest.mark.parametrize("max_gap", [np.inf, 30.0, 24.0])
def test_values_lie_on_the_line_between_valid_neighbours(n_dates, share, max_gap):
    y, days, new_days = some_series(32, n_dates, share)
    regular = regularise(y, days, new_days, max_gap)
    assert regular.dtype == np.float32
    np.testing.assert_allclose(regular, one_by_one(y, days, new_days, max_gap), atol=2e-5)


def test_a_met_acquisition_keeps_its_exact_value():
    y, days, _ = some_series(50, 80, 0.3)
    np.testing.assert_array_equal(regularise(y, days, days, 6.0), y)


def test_a_gap_as_long_as_allowed_is_bridged_and_a_longer_one_is_not():
    y = np.array([[0, 60, np.nan, 121]], np.float32)
    days = np.array([0.0, 60.0, 100.0, 121.0])
    new_days = np.array([30.0, 60.0, 90.0, 121.0])
    np.testing.assert_array_equal(regularise(y, days, new_days, 60.0), [[30, 60, np.nan, 121]])
    np.testing.assert_array_equal(regularise(y, days, new_days, 61.0), [[30, 60, 90, 121]])


def test_nothing_is_made_up_before_the_first_and_after_the_last_valid_date():
    y = np.array([[np.nan, 1, 2, np.nan]], np.float32)
    regular = regularise(y, np.arange(4.0), np.arange(-1, 5, 0.5))
    assert np.isfinite(regular[0]).tolist() == [1 <= day <= 2 for day in np.arange(-1, 5, 0.5)]


@pytest.mark.parametrize("n_dates", [1, 2, 3, 50, 158])
@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("max_gap", [np.inf, 30.0])
def test_a_gpu_interpolates_alike(n_dates, share, max_gap, on_gpu):
    y, days, new_days = some_series(6, n_dates, share)
    y[3], y[4], y[5] = np.nan, 7.5, np.nan
    y[5, n_dates // 2] = 2.0
    theirs = regularise(on_gpu(y), days, new_days, max_gap).get()
    np.testing.assert_allclose(regularise(y, days, new_days, max_gap), theirs, atol=2e-5)


@pytest.mark.parametrize("shape", [(0,), (1,), (2, 3)])
def test_leading_axes_are_kept(shape):
    y, days, new_days = some_series(6, 20)
    y = y[: int(np.prod(shape))].reshape(*shape, 20)
    assert regularise(y, days, new_days).shape == (*shape, len(new_days))


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, (9, 14), elements=values, fill=st.nothing()), st.permutations(range(9)))
def test_points_do_not_know_of_each_other(y, order):
    _, days, new_days = some_series(1, 14)
    whole = regularise(y, days, new_days, 60.0)
    np.testing.assert_array_equal(regularise(y[order], days, new_days, 60.0), whole[order])
    np.testing.assert_array_equal(regularise(y[:4], days, new_days, 60.0), whole[:4])
