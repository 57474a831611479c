import json

import numpy as np
import pytest
import sklearn.metrics
from skimage.metrics import structural_similarity

from insar_dask.map_metrics import MapScores

SCORES = ("rmse", "mae", "bias", "r2", "ssim", "correlation")


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(5)
    observed = rng.normal(0, 5, (6, 3, 16, 20)).cumsum(axis=-1).astype(np.float32)
    predicted = (observed + rng.normal(0.5, [[[1]], [[2]], [[4]]], observed.shape)).astype(np.float32)
    return predicted, observed, rng.random(observed.shape) < 0.7


def test_scores_by_lead_are_those_of_other_libraries(maps):
    predicted, observed, mask = maps
    scores = MapScores.of(*maps, data_range=150)
    for lead in range(3):
        p, o = (array[:, lead][mask[:, lead]].astype(float) for array in (predicted, observed))
        assert scores.rmse[lead] == pytest.approx(sklearn.metrics.root_mean_squared_error(o, p), rel=1e-6)
        assert scores.mae[lead] == pytest.approx(sklearn.metrics.mean_absolute_error(o, p), rel=1e-6)
        assert scores.r2[lead] == pytest.approx(sklearn.metrics.r2_score(o, p), rel=1e-5)
        each = [
            np.corrcoef(predicted[i, lead][mask[i, lead]], observed[i, lead][mask[i, lead]])[0, 1] for i in range(6)
        ]
        assert scores.correlation[lead] == pytest.approx(np.mean(each), rel=1e-5)
    assert scores.rmse[0] < scores.rmse[1] < scores.rmse[2]
    assert scores.ssim[0] > scores.ssim[1] > scores.ssim[2]
    assert scores.n.tolist() == mask.sum(axis=(0, 2, 3)).tolist()


def test_without_a_mask_similarity_is_that_of_scikit_image(maps):
    predicted, observed, _ = maps
    scores = MapScores.of(predicted, observed, np.ones(observed.shape, bool), data_range=150)
    pairs = zip(predicted[:, 1].astype(float), observed[:, 1].astype(float), strict=True)
    assert scores.ssim[1] == pytest.approx(np.mean([structural_similarity(*pair, data_range=150) for pair in pairs]))


def test_what_fills_masked_cells_never_matters(maps):
    mask = maps[2]
    filled = [np.where(mask, array, fill).astype(np.float32) for array, fill in zip(maps[:2], (7, -900), strict=True)]
    one, other = MapScores.of(*maps, data_range=150), MapScores.of(*filled, mask, data_range=150)
    for score in SCORES:
        assert np.allclose(getattr(one, score), getattr(other, score), rtol=1e-9)


def test_parts_merge_in_any_order_and_travel_as_json(maps):
    whole = MapScores.of(*maps, data_range=150)
    parts = [MapScores.of(*(array[i : i + 1] for array in maps), data_range=150) for i in range(6)]
    forward, backward = (sum(order, MapScores.none(3, 150)) for order in (parts, parts[::-1]))
    again = MapScores.from_json(json.loads(json.dumps(forward.to_json())))
    for score in SCORES:
        assert np.allclose(getattr(forward, score), getattr(backward, score), rtol=1e-9)
        assert np.allclose(getattr(forward, score), getattr(whole, score), rtol=1e-5)
        assert np.array_equal(getattr(forward, score), getattr(again, score))


def test_a_date_without_values_leaves_the_others(maps):
    predicted, observed, mask = (array.copy() for array in maps)
    observed[2, 1], mask[4, 0] = np.nan, False
    scores = MapScores.of(predicted, observed, mask, data_range=150)
    assert scores.alike[:, [1, 3]].tolist() == [[5, 5], [5, 5], [6, 6]]
    assert all(np.isfinite(getattr(scores, score)).all() for score in SCORES)


def test_nothing_scored_is_nan():
    for scores in (MapScores.none(2, 1.0), MapScores.of(*np.zeros((2, 2, 9, 9)), np.zeros((2, 9, 9), bool), 1.0)):
        assert all(np.isnan(getattr(scores, score)).all() for score in SCORES)
        assert scores.n.tolist() == [0, 0]


def test_nonsense_is_refused(maps):
    predicted, observed, mask = maps
    with pytest.raises(ValueError, match="wanted one"):
        MapScores.of(predicted, observed[:, 0], mask, 1.0)
    with pytest.raises(ValueError, match="more than 0"):
        MapScores.of(*maps, data_range=0.0)
    with pytest.raises(ValueError, match="cannot join"):
        MapScores.none(3, 1.0).merge(MapScores.none(2, 1.0))
