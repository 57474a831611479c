"""Forecasters of tile cubes: networks of maps and forecasters of points by one door."""

from copy import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from insar_dask.cube import CubeError
from insar_dask.forecast import Forecaster, bfloat16, registry, tallies
from insar_dask.forecast.catalogue import RIDGE
from insar_dask.forecast.maps.lattice import as_points
from insar_dask.forecast.maps.map_history import history_bytes
from insar_dask.forecast.walk import Walk
from insar_dask.shards import SHARD_POINTS, ShardPlan
from insar_dask.synthetic import scene
from tests.forecast.maps.toy_tiles import toy_tiles

TILES = toy_tiles()
SMALL = {"patch": 4, "width": 16, "hidden": 32, "heads": 2, "layers": 1, "query_layers": 1, "dropout": 0.0}
TRAINING = {"max_steps": 12, "check_every": 6, "rate": 3e-3, "first_rate": 3e-3, "bf16": False}


def small(**more):
    return Forecaster("mmstt", sizes=SMALL, training=TRAINING, stride=4, **more)


def believed(gate):
    """What of a state makes every tile believe a network as far as the tiles of training do."""
    prefix = "honest.trained.mmstt."
    return {f"{prefix}gate": np.array(gate), f"{prefix}since": np.array(10**6)}


@pytest.fixture(scope="module")
def fitted():
    torch.set_num_threads(1)
    return small().fit(TILES, progress=lambda _: None)


def test_maps_are_forecast_for_every_tile(fitted):
    forecast = fitted.predict(TILES)
    assert dict(forecast["displacement"].sizes) == {"tile": 2, "origin": 1, "lead": 10, "y": 8, "x": 8}
    assert list(forecast["tile"].values) == ["E32N34", "E39N30"]
    ever = TILES["mask"].any("time").values
    given = np.isfinite(forecast["displacement"].values[:, 0, 0])
    np.testing.assert_array_equal(given, ever)
    inside = (forecast["lower"] <= forecast["displacement"]) & (forecast["displacement"] <= forecast["upper"])
    assert inside.values[:, 0, 0][ever].all()
    assert forecast["time"].values[0, 0] > TILES["time"].values[-1]


def test_its_scores_stand_beside_those_of_naive_maps(fitted):
    assert {"mmstt", "persistence", "harmonic", "harmonic_ridge"} <= set(fitted.scores_.methods)
    assert fitted.method_ == "mmstt" and fitted.plan_.horizon == fitted.plan_.context == 10


@pytest.mark.parametrize("stage", ["validation", "test", "future"])
def test_where_it_is_not_believed_it_says_what_the_ridge_of_that_day_says(fitted, stage):
    plan, state = fitted.plan_, fitted.state_ | believed(0.0)
    cells = as_points(TILES.isel(tile=[0])).load()
    windows = tallies.windows_of(tallies.block_values(cells, plan), plan, "honest", tallies.block_places(cells))
    origin = {"validation": plan.validation[0], "test": plan.test[0], "future": plan.future}[stage]
    said = [registry.fitted(m, "honest", stage, state).predict(windows.context(origin))[0] for m in ("mmstt", RIDGE)]
    np.testing.assert_allclose(*said, atol=1e-3)


def test_a_tile_is_scored_whole_however_many_cells_it_has(fitted, monkeypatch):
    cells, plan = as_points(TILES.isel(tile=[0])).load(), fitted.plan_
    whole = tallies.count_errors(cells, plan, fitted.state_, "test", plan.test[:2])
    monkeypatch.setattr(tallies, "CHUNK", 16)
    again = tallies.count_errors(cells, plan, fitted.state_, "test", plan.test[:2])
    np.testing.assert_array_equal(again["honest.mmstt.leads"], whole["honest.mmstt.leads"])


def test_a_tile_is_one_block_however_small_blocks_are_asked_for(fitted):
    whole, asked = fitted.predict(TILES), fitted.predict(TILES, shard_points=50)
    for name in ("displacement", "upper"):
        np.testing.assert_array_equal(asked[name], whole[name])
    assert Walk(as_points(TILES), 16).plan == ShardPlan(2 * 64, 64)


def test_a_tile_is_one_block_however_many_cells_it_has():
    cells = as_points(toy_tiles(side=257, n_dates=2))
    walk = Walk(cells, SHARD_POINTS)
    assert walk.plan == ShardPlan(2 * 257**2, 257**2)
    assert [set(cells["tile"].values[walk.plan.slice(n)]) for n in range(2)] == [{"E32N34"}, {"E39N30"}]
    assert Walk(cells.isel(time=[0]).load(), SHARD_POINTS).plan == walk.plan, "in memory too"


def test_tiles_that_take_too_much_memory_are_refused_with_a_cure_for_tiles(fitted):
    cure = "a block is a tile, 8 x 8 cells, and is not cut: free memory, or map the ground onto fewer cells"
    with pytest.raises(CubeError, match=rf"forecasting 128 points in blocks of 64 points takes .*: {cure}"):
        fitted.predict(TILES, memory=1_000_000)


def test_a_training_that_takes_too_much_memory_is_refused_with_a_batch_that_would_fit():
    many, few, one = (Forecaster("mmstt", sizes=SMALL, training={"batch": n}) for n in (8, 4, 1))
    needed, least = (model.coach().bytes(as_points(TILES)) for model in (few, one))
    would = rf"training takes .* are free: training=\{{'batch': 4\}} would take {needed / 1e6:,.0f} MB"
    with pytest.raises(CubeError, match=would):
        many.fit(TILES, memory=needed)
    with pytest.raises(CubeError, match=rf"no batch is small enough, one of one group takes {least / 1e6:,.0f} MB"):
        many.fit(TILES, memory=least - 1)


def test_training_on_more_tiles_takes_more_memory():
    coach = Forecaster("mmstt", sizes=SMALL).coach()
    one, both = (coach.bytes(as_points(tiles)) for tiles in (TILES.isel(tile=[0]), TILES))
    assert both - one == history_bytes(TILES.sizes["time"], 8 * 8)


def test_a_saved_forecaster_forecasts_the_same(fitted, tmp_path: Path):
    again = Forecaster.load(fitted.save(tmp_path / "model"))
    for ours, theirs in zip(fitted.predict(TILES).values(), again.predict(TILES).values(), strict=True):
        np.testing.assert_array_equal(ours.values, theirs.values)


def test_a_network_that_does_not_tell_since_when_it_learned_nothing_is_refused(fitted):
    older = copy(fitted)
    older.state_ = {name: array for name, array in fitted.state_.items() if not name.endswith(".since")}
    with pytest.raises(ValueError, match="does not tell up to when it learned"):
        older.predict(TILES)


def test_a_network_that_learned_numbers_scaled_otherwise_is_refused(fitted):
    older = copy(fitted)
    (settings,) = (name for name in fitted.state_ if name.endswith(".settings"))
    older.state_ = fitted.state_ | {
        settings: np.array(str(fitted.state_[settings]).replace(', "scaled": "by cell"', ""))
    }
    with pytest.raises(ValueError, match="this mmstt learned maps that one number scaled for a whole tile"):
        older.predict(TILES)


def test_workers_with_and_without_bfloat16_forecast_the_same(fitted, monkeypatch):
    allowed, said = copy(fitted), []
    (settings,) = (name for name in fitted.state_ if name.endswith(".settings"))
    told = str(fitted.state_[settings]).replace('"bf16": false', '"bf16": true')
    allowed.state_ = fitted.state_ | {settings: np.array(told)} | believed(1.0)
    for quick in (False, True):
        monkeypatch.setattr(bfloat16, "is_quick", lambda _, quick=quick: quick)
        said.append(allowed.predict(TILES)["displacement"])
    np.testing.assert_array_equal(*said)


def test_a_tile_it_has_never_seen_is_forecast(fitted):
    unseen = toy_tiles(("E44N23",), seed=9)
    assert np.isfinite(fitted.predict(unseen)["displacement"]).any()


@pytest.mark.parametrize("n_dates", [13, 60])
def test_a_record_of_less_than_a_year_is_not_forecast(n_dates, fitted):
    """As of the harmonic that the network stands on; every cell of it counts."""
    forecast = fitted.predict(TILES.isel(time=slice(-n_dates, None)))
    assert forecast["displacement"].isnull().all()
    assert forecast.attrs["points_without_forecast"] == 128


def test_a_cell_that_was_held_for_less_than_a_year_is_not_forecast(fitted):
    young = TILES.assign(mask=TILES["mask"].copy())
    y, x = np.argwhere(TILES["mask"].values[0, 0])[0]
    for first in (-60, -61):
        young["mask"][0, :first, y, x] = False
        young["mask"][0, first:, y, x] = True
        forecast = fitted.predict(young)
        assert np.isfinite(forecast["displacement"].values[0, 0, :, y, x]).all() == (first == -61)
        ever = young["mask"].any("time").values
        assert forecast.attrs["points_without_forecast"] == 128 - ever.sum() + (first == -60)


def test_nothing_after_the_record_is_known(fitted):
    known = fitted.predict(TILES)
    later = toy_tiles(n_dates=260)
    later["displacement"][:, :240] = TILES["displacement"]
    assert -fitted.score(later.assign(mask=TILES["mask"].isel(time=0).expand_dims(time=later["time"], axis=1))) > 0
    np.testing.assert_array_equal(known["displacement"], fitted.predict(TILES)["displacement"])


@pytest.mark.parametrize("method", ["persistence", "harmonic_ridge"])
def test_forecasters_of_points_take_tiles_too(method):
    forecast = Forecaster(method, context=10, horizon=10).fit(TILES, progress=lambda _: None).predict(TILES)
    assert set(forecast["displacement"].dims) == {"origin", "tile", "lead", "y", "x"}


def test_points_are_no_maps():
    with pytest.raises(CubeError, match="mmstt forecasts maps: give a tile cube"):
        small().fit(scene("l3u", n_points=50))


def test_a_tile_without_a_point_is_refused(fitted):
    empty = TILES.assign(mask=TILES["mask"].where(TILES["tile"] != "E39N30", False))
    for door in (small().fit, fitted.predict, fitted.score):
        with pytest.raises(CubeError, match=r"no cell of E39N30 holds a point at any of 240 dates .*drop_sel"):
            door(empty)


def test_what_was_learned_of_maps_is_for_maps_of_that_size(fitted):
    with pytest.raises(CubeError, match="learned from maps of 8 x 8 cells, and maps of 6 x 6 cells came"):
        fitted.predict(toy_tiles(side=6))
    points = scene("l3u", n_points=50)
    with pytest.raises(CubeError, match="learned from maps of 8 x 8 cells, and points came"):
        fitted.predict(points)
    with pytest.raises(CubeError, match="learned from points, and maps of 8 x 8 cells came"):
        Forecaster("persistence").fit(points).predict(TILES)


def test_a_size_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="sizes has no depth; it has dropout, head, heads"):
        Forecaster("mmstt", sizes={"depth": 3}).fit(TILES)
    with pytest.raises(ValueError, match="sizes: head is 3; wanted a value such as 'reuse'"):
        Forecaster("mmstt", sizes={"head": 3}).fit(TILES)
