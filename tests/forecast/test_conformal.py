import numpy as np
import pytest

from insar_dask.forecast.conformal import class_edges, classify, covered, log_histogram, quantiles
from insar_kernels.counting import N_BINS, bin_edges


def histogram(ratios):
    return np.histogram(np.minimum(ratios, 63), bin_edges())[0]


def test_quantiles_agree_with_those_of_the_ratios():
    rng = np.random.default_rng(0)
    ratios = np.abs(rng.normal(0, rng.uniform(0.5, 3, (5, 4, 1)), (5, 4, 20_000)))
    counts = np.stack([[histogram(lead) for lead in kind] for kind in ratios])
    for level in (0.5, 0.9, 0.99):
        np.testing.assert_allclose(quantiles(counts, level), np.quantile(ratios, level, axis=-1), rtol=0.03)


def test_covered_share_agrees_with_counting():
    rng = np.random.default_rng(1)
    ratios = np.abs(rng.standard_t(4, 50_000))
    for bound in (0.3, 1.0, 1.7, 4.0):
        share = covered(histogram(ratios)[None, None], np.array([[bound]]))[0, 0] / ratios.size
        assert share == pytest.approx((ratios <= bound).mean(), abs=2e-3)


def test_a_bound_holds_what_it_was_made_from():
    rng = np.random.default_rng(2)
    counts = np.stack([histogram(np.abs(rng.normal(0, s, 999))) for s in (0.1, 1, 7)])[:, None]
    np.testing.assert_allclose(covered(counts, quantiles(counts, 0.9))[:, 0], 900, atol=1e-6)  # rank (n + 1) 0.9


@pytest.mark.parametrize("n", [1, 5, 9, 10])
def test_of_few_ratios_the_largest_is_taken_and_nothing_beyond_it(n):
    ratios = np.linspace(0.2, 2, n)
    assert quantiles(histogram(ratios)[None, None], 0.9)[0, 0] == pytest.approx(ratios[-1], rel=0.13)  # a bin


@pytest.mark.parametrize("n", [19, 29, 39])
def test_no_bin_between_a_rank_and_the_next_ratio_counts(n):
    below = 9 * (n + 1) // 10
    ratios = np.concatenate([np.linspace(0.1, 1, below), np.full(n - below, 50.0)])
    assert quantiles(histogram(ratios)[None, None], 0.9)[0, 0] == pytest.approx(1, rel=0.13)  # a bin


def test_a_class_without_ratios_takes_the_pool():
    counts = np.zeros((3, 1, N_BINS))
    counts[1, 0, 40] = 100
    found = quantiles(counts, 0.9)
    assert found[0, 0] == found[1, 0] == found[2, 0] > 0


def test_nothing_to_learn_from_gives_nan_and_covers_nothing():
    counts = np.zeros((5, 2, N_BINS))
    assert np.isnan(quantiles(counts, 0.9)).all()
    assert (covered(counts, quantiles(counts, 0.9)) == 0).all()


def test_classes_are_quintiles():
    rmse = np.random.default_rng(3).gamma(4, 0.6, 50_000).astype(np.float32)
    edges = class_edges(log_histogram(rmse[:20_000]) + log_histogram(rmse[20_000:]))
    np.testing.assert_allclose(edges, np.quantile(rmse, [0.2, 0.4, 0.6, 0.8]), rtol=0.02)
    np.testing.assert_allclose(np.bincount(classify(rmse, edges)) / rmse.size, 0.2, atol=0.01)


def test_a_point_without_rmse_has_no_class():
    assert classify(np.array([np.nan, 1.0], np.float32), np.array([0.5, 2.0, 3.0, 4.0])).tolist() == [-1, 1]


def test_what_lies_in_the_open_last_bin_has_no_bound_and_is_never_covered():
    far = np.concatenate([np.linspace(0.1, 50, 80), np.full(20, 5000.0)])
    counts = np.stack([histogram(far), histogram(far[:80])])[:, None]
    assert np.isnan(quantiles(counts, 0.9)[0, 0]) and quantiles(counts, 0.9)[1, 0] < 60
    assert quantiles(counts, 0.5)[0, 0] == pytest.approx(np.quantile(far, 0.5), rel=0.03)
    for bound in (60.0, 63.0, 64.0, 1e6):
        assert covered(counts, np.full((2, 1), bound))[:, 0].tolist() == [80, 80]
