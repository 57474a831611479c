import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from insar_kernels.similarity import map_correlation, map_similarity


def maps(n=5, height=20, width=26, seed=0):
    rng = np.random.default_rng(seed)
    observed = rng.normal(0, 8, (n, height, width)).cumsum(axis=-1).astype(np.float32)
    return (observed + rng.normal(0, 4, observed.shape)).astype(np.float32), observed


def by_hand(predicted, observed, mask, data_range):
    """The definition, window by window."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    found = []
    for y in range(3, mask.shape[0] - 3):
        for x in range(3, mask.shape[1] - 3):
            window = np.s_[y - 3 : y + 4, x - 3 : x + 4]
            within = mask[window]
            if not mask[y, x] or within.sum() < 2:
                continue
            p, o = predicted[window][within].astype(float), observed[window][within].astype(float)
            covariance = np.cov(p, o)
            above = (2 * p.mean() * o.mean() + c1) * (2 * covariance[0, 1] + c2)
            found.append(above / ((p.mean() ** 2 + o.mean() ** 2 + c1) * (covariance.trace() + c2)))
    return np.mean(found) if found else np.nan


@pytest.mark.parametrize("n", [1, 7, 8, 19])
def test_without_masked_cells_it_is_scikit_image(n):
    predicted, observed = maps(n)
    wanted = [
        structural_similarity(p, o, data_range=90.0)
        for p, o in zip(predicted.astype(float), observed.astype(float), strict=True)
    ]
    assert np.allclose(map_similarity(predicted, observed, 90.0), wanted, rtol=0, atol=1e-12)
    ones = np.ones(observed.shape, bool)
    assert np.array_equal(map_similarity(predicted, observed, 90.0, ones), map_similarity(predicted, observed, 90.0))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(0.02, 1))
def test_masked_cells_are_left_out_of_every_window(seed, share):
    predicted, observed = maps(3, 12, 11, seed)
    mask = np.random.default_rng(seed).random(observed.shape) < share
    wanted = [by_hand(*triple, 50.0) for triple in zip(predicted, observed, mask, strict=True)]
    found = map_similarity(predicted, observed, 50.0, mask)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, equal_nan=True)


def test_missing_cells_are_masked_cells():
    predicted, observed = maps(10)
    mask = np.random.default_rng(1).random(observed.shape) < 0.8
    mask[4] = True
    gone = observed.copy()
    gone[~mask] = np.nan
    for some in (None, mask):
        assert np.array_equal(
            map_similarity(predicted, gone, 90.0, some), map_similarity(predicted, observed, 90.0, mask)
        )
    assert np.array_equal(map_correlation(predicted, gone), map_correlation(predicted, observed, mask))
    one = map_similarity(predicted, observed, 90.0, mask[0])
    assert np.array_equal(one, map_similarity(predicted, observed, 90.0, np.broadcast_to(mask[0], mask.shape)))


def test_a_map_does_not_depend_on_its_neighbours():
    predicted, observed = maps(40)
    mask = np.random.default_rng(2).random(observed.shape) < 0.6
    ranges = np.linspace(20, 90, 40)
    whole = map_similarity(predicted, observed, ranges, mask)
    for i in (0, 9, 39):
        assert map_similarity(predicted[i], observed[i], ranges[i], mask[i]) == whole[i]
    shaped = map_similarity(
        *(array.reshape(5, 8, 20, 26) for array in (predicted, observed)), 60.0, mask.reshape(5, 8, 20, 26)
    )
    assert np.array_equal(shaped.ravel(), map_similarity(predicted, observed, 60.0, mask))


def test_a_map_without_windows_has_no_similarity():
    predicted, observed = maps(2)
    assert np.isnan(map_similarity(predicted, observed, 90.0, np.zeros(observed.shape, bool))).all()
    assert np.isnan(map_similarity(predicted[:, :6], observed[:, :6], 90.0)).all()
    edge = np.zeros(observed.shape, bool)
    edge[:, :3] = True  # cells count, but no window round them lies within the map
    assert np.isnan(map_similarity(predicted, observed, 90.0, edge)).all()


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_correlation_is_that_of_numpy(share, on_gpu):
    predicted, observed = maps(6)
    mask = np.random.default_rng(3).random(observed.shape) < share
    wanted = [
        np.corrcoef(p[m].astype(float), o[m].astype(float))[0, 1]
        for p, o, m in zip(predicted, observed, mask, strict=True)
    ]
    assert np.allclose(map_correlation(predicted, observed, mask), wanted, rtol=0, atol=1e-12)
    theirs = map_correlation(*map(on_gpu, (predicted, observed, mask))).get()
    assert np.allclose(theirs, wanted, rtol=0, atol=1e-12)


def test_flat_maps_and_single_cells_have_no_correlation(on_gpu):
    predicted, observed = maps(3)
    observed[0], mask = 4.0, np.ones(observed.shape, bool)
    mask[1] = False
    mask[1, 5, 5] = True
    given = predicted, observed, mask
    for found in (map_correlation(*given), map_correlation(*map(on_gpu, given)).get()):
        assert np.isnan(found).tolist() == [True, True, False]
