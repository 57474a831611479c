import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from insar_kernels.lloyd import INERTIA_UNIT, SUM_UNIT, lloyd_sums, nearest


def example(n=600, length=37, k=5, missing=0.0, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 10, (n, length)).astype(np.float32)
    values[rng.random(values.shape) < missing] = np.nan
    return values, rng.normal(0, 10, (k, length)).astype(np.float32)


def distances(values, centroids):
    return np.nansum((values[:, None].astype(np.float64) - centroids) ** 2, axis=2)


@pytest.mark.parametrize("k", [1, 5, 8, 13])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_nearest_is_that_of_all_distances_in_float64(k, missing):
    values, centroids = example(k=k, missing=missing)
    label, square = nearest(values, centroids)
    exact = distances(values, centroids)
    np.testing.assert_array_equal(label, exact.argmin(axis=1))
    np.testing.assert_allclose(square, exact.min(axis=1), rtol=2e-6)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_sums_are_those_of_the_members(missing):
    values, centroids = example(missing=missing)
    total = lloyd_sums(values, centroids)
    label = distances(values, centroids).argmin(axis=1)
    for j in range(len(centroids)):
        mine = values[label == j]
        assert total.sizes[j] == len(mine)
        np.testing.assert_array_equal(total.counts[j], np.isfinite(mine).sum(axis=0))
        exact = np.nansum(mine.astype(np.float64), axis=0)
        np.testing.assert_allclose(total.sums[j] * SUM_UNIT, exact, atol=SUM_UNIT / 2 * len(mine))
    inertia = distances(values, centroids).min(axis=1).sum()
    assert total.inertia * INERTIA_UNIT == pytest.approx(inertia, rel=1e-6)


def test_a_step_is_scikit_learns():
    values, centroids = example(n=3000)
    total = lloyd_sums(values, centroids)
    model = KMeans(len(centroids), init=centroids, n_init=1, max_iter=1, tol=0)
    model.fit(values)
    np.testing.assert_allclose(total.sums * SUM_UNIT / total.counts, model.cluster_centers_, atol=1e-4)


@given(st.integers(0, 2**31), st.integers(0, 300), st.sampled_from([0.0, 0.2]))
def test_parts_in_any_order_add_up_to_the_same_bits(seed, cut, missing):
    values, centroids = example(n=300, missing=missing, seed=seed)
    shuffled = values[np.random.default_rng(seed).permutation(300)]
    whole = lloyd_sums(values, centroids)
    parts = [lloyd_sums(shuffled[rows], centroids) for rows in (slice(cut), slice(cut, None))]
    for name in whole._fields:
        np.testing.assert_array_equal(getattr(whole, name), sum(getattr(part, name) for part in parts))


def test_other_rows_do_not_change_a_label_or_its_distance():
    values, centroids = example(missing=0.1)
    label, square = nearest(values, centroids)
    for i in (0, 7, 599):
        alone = nearest(values[i], centroids)
        assert (alone[0], alone[1]) == (label[i], square[i])


def test_a_row_without_any_date_has_no_cluster_and_counts_nowhere():
    values, centroids = example(n=3)
    values[1] = np.nan
    label, square = nearest(values, centroids)
    assert label[1] == -1 and np.isnan(square[1])
    assert lloyd_sums(values, centroids).sizes.sum() == 2
    assert lloyd_sums(values[1:2], centroids).inertia == 0


def test_dates_the_centroids_lack_are_not_compared():
    values, centroids = example()
    centroids[:, 5:9] = np.nan
    kept = np.delete(np.arange(37), slice(5, 9))
    label, square = nearest(values, centroids)
    shorter = nearest(values[:, kept], centroids[:, kept])
    np.testing.assert_array_equal(label, shorter[0])
    np.testing.assert_allclose(square, shorter[1], rtol=2e-6)


def test_of_equally_near_centroids_the_first_counts():
    values, centroids = example(k=3)
    twice = np.concatenate([centroids, centroids])
    np.testing.assert_array_equal(nearest(values, twice)[0], nearest(values, centroids)[0])


def test_rows_too_large_for_exact_sums_are_told_by_an_inertia_below_zero(on_gpu):
    values, centroids = example(n=60)
    for body in (lloyd_sums, lambda x, c: lloyd_sums(on_gpu(x), c)):
        assert body(values * np.float32(1e4), centroids).inertia > 0
        assert body(values * np.float32(1e9), centroids).inertia == -1
        far = np.float32(1e12)  # near the centroids, but their sum is not exact
        assert body(values + far, centroids + far).inertia == -1


def test_any_leading_axes():
    values, centroids = example(n=24, missing=0.1)
    label, square = nearest(values.reshape(2, 3, 4, 37), centroids)
    flat = nearest(values, centroids)
    np.testing.assert_array_equal(label.ravel(), flat[0])
    np.testing.assert_array_equal(square.ravel(), flat[1])


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_a_gpu_finds_the_same_members(missing, on_gpu):
    values, centroids = example(n=300, missing=missing)
    values[3] = np.nan
    centroids[:, 2] = np.nan
    label, square = (part.get() for part in nearest(on_gpu(values), centroids))
    np.testing.assert_array_equal(label, nearest(values, centroids)[0])
    np.testing.assert_allclose(square, nearest(values, centroids)[1], rtol=1e-5)
    ours, theirs = lloyd_sums(values, centroids), lloyd_sums(on_gpu(values), centroids)
    for name in ("sums", "counts", "sizes"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name).get())
    assert ours.inertia * INERTIA_UNIT == pytest.approx(int(theirs.inertia) * INERTIA_UNIT, rel=1e-6)
