"""The oracle is dense linear algebra in float64: LAPACK's least squares and pseudo-inverse, SciPy's components."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from insar_kernels.network import JOINED, invert_network

DAYS = 12.0 * np.delete(np.arange(34), [7, 8, 21, 30])
YEARS = DAYS / 365.25


def short_pairs(days=DAYS, longest=50):
    first, second = np.triu_indices(len(days), 1)
    near = days[second] - days[first] <= longest
    return first[near], second[near]


def some_values(n=30, missing=0.1, seed=1, pairs=None):
    rng = np.random.default_rng(seed)
    first, second = pairs or short_pairs()
    truth = np.cumsum(rng.normal(0, 3, (n, len(DAYS))), axis=1)
    values = truth[:, second] - truth[:, first] + rng.normal(0, 1, (n, first.size))
    values[rng.random(values.shape) < missing] = np.nan
    return values, rng.uniform(0.2, 5, values.shape)


def design(first, second, n_dates):
    matrix = np.zeros((len(first), n_dates))
    matrix[np.arange(len(first)), first] = -1
    matrix[np.arange(len(first)), second] = 1
    return matrix


def components_of(first, second, n_dates):
    graph = coo_matrix((np.ones(len(first)), (first, second)), (n_dates, n_dates))
    labels = connected_components(graph, directed=False)[1]
    seen = np.isin(np.arange(n_dates), np.concatenate([first, second]))
    order = {label: k for k, label in enumerate(dict.fromkeys(labels[seen].tolist()))}
    return np.array([order[label] if is_seen else -1 for label, is_seen in zip(labels, seen, strict=True)])


def smallest_velocities(d, first, second, days=DAYS):
    """Berardino's: the pseudo-inverse of the matrix of the velocities between all dates."""
    steps = np.diff(days)
    matrix = np.array(
        [(np.arange(len(steps)) >= a) & (np.arange(len(steps)) < b) for a, b in zip(first, second, strict=True)]
    )
    velocity = np.linalg.pinv(matrix * steps, rcond=1e-10) @ d
    return np.concatenate([[0], np.cumsum(velocity * steps)])


def against_first(series, component):
    """Series from the first date that has any pair; missing where none."""
    seen = component >= 0
    return np.where(seen, series - series[np.argmax(seen)], np.nan)


@pytest.mark.parametrize("missing", [0.0, 0.1, 0.35])
def test_displacement_is_that_of_the_pseudo_inverse_whatever_pairs_are_missing(missing):
    first, second = short_pairs()
    values, _ = some_values(missing=missing)
    found = invert_network(values, first, second, DAYS)
    for i, d in enumerate(values):
        valid = ~np.isnan(d)
        component = components_of(first[valid], second[valid], len(DAYS))
        np.testing.assert_array_equal(found.component[i], component)
        expected = against_first(smallest_velocities(d[valid], first[valid], second[valid]), component)
        np.testing.assert_allclose(found.displacement[i], expected, atol=1e-9)
        assert found.n_pairs[i] == valid.sum()
        assert found.rank[i] == np.linalg.matrix_rank(design(first[valid], second[valid], len(DAYS)))
        assert JOINED[found.joined[i]] == ("connected" if component.max() == 0 else "by_velocities")


def test_variances_and_residuals_are_those_of_weighted_least_squares():
    first, second = short_pairs()
    values, weights = some_values(missing=0.1)
    weights[0, 5], weights[1, 6] = 0, np.nan
    found = invert_network(values, first, second, DAYS, weights, cycle=28.0)
    for i, (d, w) in enumerate(zip(values, weights, strict=True)):
        valid = ~np.isnan(d) & (w > 0)
        component = components_of(first[valid], second[valid], len(DAYS))
        free = np.array([c >= 0 and np.argmax(component == c) != t for t, c in enumerate(component)])
        matrix, own = design(first[valid], second[valid], len(DAYS))[:, free], w[valid]
        normal = matrix.T @ (own[:, None] * matrix)
        x = np.linalg.solve(normal, matrix.T @ (own * d[valid]))
        residual = d[valid] - matrix @ x
        variance = np.where(component >= 0, 0.0, np.nan)
        variance[free] = np.diag(np.linalg.inv(normal))
        np.testing.assert_allclose(found.cofactor[i], variance, atol=1e-10)
        assert found.sum_squares[i] == pytest.approx((own * residual**2).sum())
        assert found.residual_rms[i] == pytest.approx(np.sqrt(np.mean(residual**2)))
        assert found.coherence[i] == pytest.approx(abs(np.exp(2j * np.pi * residual / 28).mean()), abs=1e-8)


def test_components_are_joined_by_a_model_as_the_stacked_system_does_with_a_tiny_weight():
    first, second = short_pairs()
    apart = (second < 10) | ((first >= 10) & (second < 17)) | (first >= 17)
    values, _ = some_values(8, missing=0, pairs=(first[apart], second[apart]))
    centred = (YEARS - YEARS.mean()) / np.ptp(YEARS)
    model = np.stack([np.ones_like(centred), centred, np.sin(2 * np.pi * YEARS)], axis=1)
    found = invert_network(values, first[apart], second[apart], DAYS, model=model)
    gamma = 1e-4
    stacked = np.block([
        [design(first[apart], second[apart], len(DAYS)), np.zeros((apart.sum(), 3))],
        [gamma * np.eye(len(DAYS)), -gamma * model],
    ])  # fmt: skip
    for d, x in zip(values, found.displacement, strict=True):
        whole = np.linalg.lstsq(stacked, np.concatenate([d, np.zeros(len(DAYS))]), rcond=None)[0][: len(DAYS)]
        np.testing.assert_allclose(x, whole - whole[0], atol=2e-4)
    assert {JOINED[code] for code in found.joined} == {"by_model"}


def test_model_that_dates_cannot_tell_from_the_offsets_is_left_for_the_smallest_velocities():
    first, second, days = np.array([0, 2]), np.array([1, 3]), np.array([0.0, 12, 24, 36])
    model = np.stack([np.ones(4), days / 36, (days / 36) ** 2, (days / 36) ** 3], axis=1)
    values = np.array([[3.0, -1.0]])
    by_model = invert_network(values, first, second, days, model=model)
    by_velocities = invert_network(values, first, second, days)
    assert JOINED[by_model.joined[0]] == "model_undetermined"
    np.testing.assert_array_equal(by_model.displacement, by_velocities.displacement)
    np.testing.assert_allclose(by_velocities.displacement, [[0, 3, 3, 2]], atol=1e-12)


def test_dates_without_a_pair_are_missing_unless_a_model_fills_them():
    first, second = short_pairs()
    kept = (first != 9) & (second != 9)
    line = -30 * YEARS
    values = (line[second] - line[first])[None, kept]
    model = np.stack([np.ones_like(YEARS), YEARS - YEARS.mean()], axis=1)
    bare = invert_network(values, first[kept], second[kept], DAYS, model=model)
    filled = invert_network(values, first[kept], second[kept], DAYS, model=model, fill=True)
    assert np.flatnonzero(np.isnan(bare.displacement[0])).tolist() == [9]
    np.testing.assert_allclose(filled.displacement[0], line, atol=1e-9)


def test_points_without_enough_pairs_have_no_series():
    first, second = short_pairs()
    values, _ = some_values(3, missing=0)
    values[0] = np.nan
    values[1, 9:] = np.nan
    found = invert_network(values, first, second, DAYS, min_pairs=10)
    assert [JOINED[code] for code in found.joined] == ["no_pairs", "too_few_pairs", "connected"]
    assert np.isnan(found.displacement[:2]).all() and np.isnan(found.cofactor[:2]).all()
    assert np.isfinite(found.displacement[2]).all()


def test_any_order_of_elimination_gives_the_same():
    first, second = short_pairs()
    values, weights = some_values(missing=0.3)
    order = np.random.default_rng(3).permutation(len(DAYS))
    one = invert_network(values, first, second, DAYS, weights)
    other = invert_network(values, first, second, DAYS, weights, order=order)
    np.testing.assert_allclose(other.displacement, one.displacement, atol=1e-9)
    np.testing.assert_array_equal(other.component, one.component)
    np.testing.assert_allclose(other.cofactor, one.cofactor, atol=1e-9)


def test_float32_is_as_good_as_its_last_digit_and_shapes_are_kept():
    first, second = short_pairs()
    values, weights = some_values(12, missing=0.1)
    exact = invert_network(values.astype(np.float32).astype(float), first, second, DAYS, weights.astype(np.float32))
    stored = invert_network(
        values.astype(np.float32).reshape(3, 4, -1), first, second, DAYS, weights.astype(np.float32)
    )
    assert stored.displacement.dtype == np.float32 and stored.displacement.shape == (3, 4, len(DAYS))
    assert stored.n_pairs.shape == (3, 4)
    np.testing.assert_allclose(stored.displacement.reshape(12, -1), exact.displacement, atol=1e-5)


@settings(max_examples=15)
@given(st.randoms(use_true_random=False), st.integers(0, 40))
def test_points_and_pairs_may_come_in_any_order(random, seed):
    first, second = short_pairs()
    values, weights = some_values(6, missing=0.3, seed=seed)
    pairs, points = list(range(first.size)), list(range(6))
    random.shuffle(pairs)
    random.shuffle(points)
    one = invert_network(values, first, second, DAYS, weights)
    alone = invert_network(values[points], first, second, DAYS, weights[points])
    for whole, some in zip(one, alone, strict=True):
        np.testing.assert_array_equal(whole[points], some)
    shuffled = invert_network(values[:, pairs], first[pairs], second[pairs], DAYS, weights[:, pairs])
    np.testing.assert_allclose(shuffled.displacement, one.displacement, atol=1e-9)
    np.testing.assert_allclose(shuffled.cofactor, one.cofactor, atol=1e-9)
