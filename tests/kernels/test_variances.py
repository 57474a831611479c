import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insar_kernels.variances import component_variances


def some_parts(n=30, length=120, share=0.1, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(length)
    trend = rng.normal(0, 300, (n, 1)) + rng.normal(0, 1, (n, 1)) * t
    season = rng.gamma(2, 2, (n, 1)) * np.sin(2 * np.pi * t / 30)
    parts = np.stack([trend, season, rng.normal(0, 1, (n, length))]).astype(np.float32)
    parts[rng.random(parts.shape) < share] = np.nan
    return parts


def straight_from_the_definition(parts):
    """NumPy's variance, one series at a time, over the dates that have all components."""
    found = []
    for series in np.moveaxis(parts, 0, 1).astype(np.float64):
        good = series[:, np.isfinite(series).all(axis=0)]
        found.append([*good.var(axis=1), good.sum(axis=0).var()] if good.shape[1] >= 2 else [np.nan] * 4)
    return np.array(found)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6])
def test_variances_are_those_of_numpy(share):
    parts = some_parts(share=share)
    np.testing.assert_allclose(component_variances(*parts), straight_from_the_definition(parts), rtol=2e-6)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_a_gpu_says_the_same(share, on_gpu):
    parts = some_parts(share=share, length=12)
    theirs = component_variances(*map(on_gpu, parts)).get()
    np.testing.assert_allclose(theirs, component_variances(*parts), rtol=1e-5)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_dates_have_no_variance(count, on_gpu):
    parts = np.full((3, 2, 9), np.nan, np.float32)
    parts[:, :, :count] = 1.0
    assert np.isnan(component_variances(*parts)).all()
    assert np.isnan(component_variances(*map(on_gpu, parts)).get()).all()


def test_the_shape_before_time_is_kept():
    parts = some_parts(n=12)
    grid = parts.reshape(3, 3, 4, -1)
    np.testing.assert_array_equal(component_variances(*grid).reshape(12, 4), component_variances(*parts))


@settings(max_examples=25)
@given(st.permutations(range(8)), st.integers(1, 8))
def test_other_points_change_nothing(order, kept):
    parts = some_parts(n=8, length=20)
    whole = component_variances(*parts)
    few = list(order)[:kept]
    np.testing.assert_array_equal(component_variances(*parts[:, few]), whole[few])
