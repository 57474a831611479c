import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from insar_kernels.noise import correlated_noise, gaussians, uniforms

IDS = np.arange(2000)
MASK = 2**64 - 1


def splitmix(state):
    """The published generator in Python's own integers: (next state, output)."""
    state = (state + 0x9E3779B97F4A7C15) & MASK
    return state, finalise(state)


def finalise(bits):
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
    return bits ^ (bits >> 31)


def test_splitmix_here_gives_its_published_first_output():
    assert splitmix(0)[1] == 0xE220A8397B1DCDAF


@pytest.mark.parametrize(("seed", "stream", "identity"), [(0, 0, 0), (7, 3, 12), (2**63, 99, 2**62), (1, 5, -4)])
def test_uniforms_are_splitmix_jumped_to_the_row(seed, stream, identity):
    golden = 0x9E3779B97F4A7C15
    key = finalise((finalise((seed + golden) & MASK) + (stream + 1) * golden) & MASK)
    state = finalise((key + (identity & MASK) * golden) & MASK)
    wanted = []
    for _ in range(5):
        state, bits = splitmix(state)
        wanted.append(np.float32(((bits >> 40) + 0.5) / 2**24))
    assert uniforms(seed, stream, np.array([identity]), 5)[0].tolist() == wanted


def test_uniforms_are_uniform():
    assert stats.kstest(uniforms(1, 2, IDS, 50).ravel(), "uniform").pvalue > 0.01


def test_gaussians_are_gaussian_also_in_the_tails():
    z = gaussians(1, 2, IDS, 501).ravel()
    assert stats.kstest(z[::10], "norm").pvalue > 0.01
    for limit in (2.0, 3.0, 4.0):
        expected = 2 * stats.norm.sf(limit) * z.size
        assert abs((np.abs(z) > limit).sum() - expected) < 4 * np.sqrt(expected)


def test_rows_dates_and_streams_are_independent():
    one, other, third = gaussians(1, 2, IDS, 200), gaussians(1, 3, IDS, 200), gaussians(2, 2, IDS, 200)
    bound = 5 / np.sqrt(one.size)
    products = [one * other, one * third, one[:, 1:] * one[:, :-1], one[1:] * one[:-1], one**2 * other**2 - 1]
    assert all(abs(product.mean()) < (3 if number == 4 else 1) * bound for number, product in enumerate(products))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=20), st.integers(0, 2**32), st.randoms())
def test_a_row_depends_on_its_identity_alone(identities, seed, shuffler):
    ids = np.array(identities)
    cells = np.stack([ids // 3, ids // 50], axis=1)
    order = np.arange(ids.size)
    shuffler.shuffle(order)

    def noise(rows):
        return correlated_noise(seed, 4, ids[rows], cells[rows], np.array([0.3, 0.1]), (0.6, -0.2), 31)

    whole = noise(np.arange(ids.size))
    assert np.array_equal(noise(order), whole[order])
    assert np.array_equal(noise(order[:1]), whole[order[:1]])


def test_fewer_dates_are_the_start_of_gaussian_rows():
    assert np.array_equal(gaussians(3, 1, IDS[:9], 20), gaussians(3, 1, IDS[:9], 33)[:, :20])


def test_series_have_unit_variance_from_the_first_date_and_the_autocorrelation_of_their_model():
    phi, theta = 0.7, -0.4
    x = correlated_noise(5, 0, np.arange(20_000), np.zeros((20_000, 0), np.int64), np.zeros(0), (phi, theta), 60)
    assert np.abs((x**2).mean(axis=0) - 1).max() < 0.05
    first = (1 + phi * theta) * (phi + theta) / (1 + 2 * phi * theta + theta**2)
    found = [(x[:, :-lag] * x[:, lag:]).mean() for lag in (1, 2, 5)]
    assert found == pytest.approx([first, first * phi, first * phi**4], abs=0.006)
    assert (x[:, 0] * x[:, 1]).mean() == pytest.approx(first, abs=0.03)


def test_points_of_one_cell_correlate_by_its_share():
    ids = np.arange(30_000)
    cells = np.stack([ids // 2, ids // 6], axis=1)
    x = correlated_noise(5, 0, ids, cells, np.array([0.25, 0.1]), (0.5, 0.0), 40)
    assert (x[0::2] * x[1::2]).mean() == pytest.approx(0.35, abs=0.01)  # both cells in common
    assert (x[0::6] * x[2::6]).mean() == pytest.approx(0.1, abs=0.01)
    assert (x[0:-6:6] * x[6::6]).mean() == pytest.approx(0.0, abs=0.01)
