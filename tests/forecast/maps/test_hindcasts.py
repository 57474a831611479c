"""What had been said of maps that came, scored."""

import numpy as np

from insar_dask.forecast import Forecaster
from insar_dask.forecast.maps.hindcasts import hindcast_tile
from insar_dask.map_metrics import MapScores
from tests.forecast.maps.toy_tiles import toy_tiles


def test_methods_are_compared_on_what_all_of_them_forecast():
    tile = toy_tiles(["E32N34"])
    later = tile["mask"] & ((tile["time"] > tile["time"][190]) | (tile["x"] > 2))
    tile = tile.assign(mask=later.transpose(*tile["mask"].dims))  # less than a year, of which no harmonic says anything
    model = Forecaster("harmonic", context=10, horizon=10).fit(tile, progress=lambda _: None)
    plan = model.plan_
    found = hindcast_tile(tile, plan, model.state_)
    scores = [MapScores.of_sums(1.0, *sums) for sums in zip(found["errors"], found["alike"], strict=True)]
    assert 0 < scores[0].n[0] == scores[1].n[0] < len(plan.test) * int(later.any("time").sum())
    for method, one, inside in zip(plan.methods, scores, found["inside"], strict=True):
        np.testing.assert_allclose(one.rmse, model.scores_.tables["honest"][method]["rmse"], rtol=1e-5)
        assert inside[0, 1] == one.n[0]
