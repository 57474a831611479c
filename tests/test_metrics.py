import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from insar_dask.metrics import ErrorSums


@pytest.fixture(scope="module")
def both():
    rng = np.random.default_rng(3)
    observed = rng.normal(5, 10, (500, 60)).astype(np.float32)
    return (observed + rng.normal(1, 3, observed.shape)).astype(np.float32), observed


def test_scores_are_those_of_scikit_learn_and_scipy(both):
    predicted, observed = (array.ravel().astype(np.float64) for array in both)
    sums = ErrorSums.of(*both)
    assert sums.n == predicted.size
    assert sums.rmse == pytest.approx(sklearn.metrics.root_mean_squared_error(observed, predicted), rel=1e-6)
    assert sums.mae == pytest.approx(sklearn.metrics.mean_absolute_error(observed, predicted), rel=1e-6)
    expected = 100 * sklearn.metrics.mean_absolute_percentage_error(observed, predicted)
    assert sums.mape == pytest.approx(expected, rel=1e-5)
    assert sums.r2 == pytest.approx(sklearn.metrics.r2_score(observed, predicted), rel=1e-6)
    assert sums.pearson == pytest.approx(scipy.stats.pearsonr(observed, predicted).statistic, rel=1e-6)
    assert sums.bias == pytest.approx((predicted - observed).mean(), rel=1e-5)


def test_percentages_by_hand():
    sums = ErrorSums.of(np.array([1.0, 3.0, -2.0, 0.0, 5.0]), np.array([2.0, 2.0, 2.0, 0.0, 0.0]))
    assert sums.mape == pytest.approx(100 * (0.5 + 0.5 + 2) / 3)
    assert sums.mape_as_printed == pytest.approx((0.25 + 0.25 + 4) / 3)
    assert sums.smape == pytest.approx(100 * (2 * 1 / 3 + 2 * 1 / 5 + 2 * 4 / 4 + 0 + 2) / 5)


def test_missing_pairs_are_counted_and_left_out():
    sums = ErrorSums.of(np.array([1.0, np.nan, 3.0, np.nan]), np.array([2.0, 1.0, np.nan, np.nan]))
    assert (sums.n, sums.n_missing) == (1, 3)
    assert sums.mae == 1


def test_parts_merge_in_any_order(both):
    predicted, observed = both
    whole = ErrorSums.of(predicted, observed)
    parts = [ErrorSums.of(predicted[i : i + 7], observed[i : i + 7]) for i in range(0, 500, 7)]
    forward, backward = sum(parts, ErrorSums()), sum(reversed(parts), ErrorSums())
    for score in ("rmse", "mae", "mape", "mape_as_printed", "smape", "r2", "pearson", "bias"):
        assert getattr(forward, score) == pytest.approx(getattr(backward, score), rel=1e-9)
        assert getattr(forward, score) == pytest.approx(getattr(whole, score), rel=1e-5)


def test_sums_travel_as_one_small_array(both):
    sums = ErrorSums.of(*both)
    assert ErrorSums(sums.values.copy()).pearson == sums.pearson
    assert sums.values.nbytes < 200


def test_nothing_scored_is_nan():
    empty = ErrorSums()
    assert empty.n == 0
    for score in ("rmse", "mae", "mape", "mape_as_printed", "smape", "r2", "pearson", "bias"):
        assert np.isnan(getattr(empty, score))


def test_constant_observations_have_no_r2():
    assert np.isnan(ErrorSums.of(np.array([1.0, 2.0]), np.array([3.0, 3.0])).r2)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="wanted one shape"):
        ErrorSums.of(np.zeros((2, 3)), np.zeros((3, 2)))
