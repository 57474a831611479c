"""Forecasts of stored tiles as chunk jobs."""

import json
import shutil
from copy import copy
from pathlib import Path

import numpy as np
import pytest
import torch

import insar_dask as insar
from insar_dask.config import parse_config
from insar_dask.cube import CubeError
from insar_dask.forecast import Forecaster
from insar_dask.forecast.maps import map_network
from insar_dask.forecast.maps.map_network import GATE_ORIGINS
from insar_dask.forecast.model_folder import OlderModelError
from insar_dask.forecast.training.hold import held
from insar_dask.jobs.devices import DEVICE
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.forecasting.tile_prediction import hindcast_group
from insar_dask.jobs.progress.status import status_table
from insar_dask.map_metrics import MapScores
from insar_dask.synthetic import egms_tile
from insar_dask.workbench import Workbench

SMALL = {"patch": 4, "width": 16, "hidden": 32, "heads": 2, "layers": 1, "query_layers": 1, "dropout": 0.0}
TRAINING = {"max_steps": 4, "check_every": 2, "bf16": False}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    torch.set_num_threads(1)
    store = tmp_path_factory.mktemp("tiles") / "cube.zarr"
    for name in ("E32N34", "E39N30"):
        insar.save(egms_tile(name, 600, 200), store, f"{name}/raw", quiet=True)
    insar.save_tiles(store, store, pixels=32, cells=8, quiet=True)
    return store


@pytest.fixture(scope="module")
def fitted(stored):
    tiles = insar.open_tiles(stored)
    return Forecaster("mmstt", sizes=SMALL, training=TRAINING, stride=4).fit(tiles, progress=lambda _: None)


def test_stored_tiles_are_forecast_as_in_memory(stored, fitted):
    forecast = insar.predict_tiles(stored, fitted, quiet=True)
    expected = fitted.predict(insar.open_tiles(stored))
    assert forecast["displacement"].chunks
    for name in ("displacement", "lower", "upper"):
        np.testing.assert_array_equal(forecast[name].values, expected[name].transpose(*forecast[name].dims).values)
    assert list(forecast["tile"].values) == ["E32N34", "E39N30"]


@pytest.mark.parametrize("before", ["scaled", "since", "ridge"])
def test_a_network_of_before_is_learned_anew(before, stored, fitted, tmp_path, monkeypatch):
    bench = Workbench(parse_config({}), stored, Engine(stored, quiet=True))
    model, prefix = copy(fitted), "honest.trained.mmstt."
    model.state_ = {name: array for name, array in fitted.state_.items() if name != f"{prefix}{before}"}
    if before == "scaled":
        name = f"{prefix}settings"
        model.state_[name] = np.array(str(fitted.state_[name]).replace('"scaled": "by cell"', '"scaled": "by tile"'))
    if before == "ridge":
        model.state_[f"{prefix}ridge"] = np.zeros((10, 10))
    model.save(tmp_path / "model")
    with pytest.raises(OlderModelError, match=r"model: this mmstt .*: train it again"):
        Forecaster.load(tmp_path / "model")
    fits = []  # of half a minute each
    monkeypatch.setattr(Forecaster, "fit", lambda *_, **__: fits.append(1) or fitted)
    wanted = Forecaster("mmstt", sizes=SMALL, training=TRAINING, stride=4)
    for _ in range(2):
        made = bench.learn_maps("tiles/up", wanted, tmp_path / "model")
        assert made.state_.keys() == fitted.state_.keys() and len(fits) == 1


def test_checkpoints_lie_beside_the_model_until_it_is_saved(stored, fitted, tmp_path, monkeypatch):
    bench, beside = Workbench(parse_config({}), stored, Engine(stored, quiet=True)), tmp_path / "model-training"
    killed, other = beside / "killed", beside / "of another hand"

    def fit(*_, checkpoints, progress, **__):
        assert checkpoints == beside and progress is not None
        with held(killed):
            return fitted

    monkeypatch.setattr(Forecaster, "fit", fit)
    wanted = Forecaster("mmstt", sizes=SMALL, training=TRAINING, stride=4)
    other.mkdir(parents=True)
    with held(beside / "running"):
        bench.learn_maps("tiles/up", wanted, tmp_path / "model")
        assert {left.name for left in beside.iterdir()} == {"running", other.name}
    other.rmdir()
    with held(killed):  # and again, after a kill between saving and removing
        pass
    bench.learn_maps("tiles/up", wanted, tmp_path / "model")
    assert not beside.exists()


def test_a_tile_that_is_done_is_not_forecast_again(stored: Path, fitted):
    insar.predict_tiles(stored, fitted, quiet=True)
    shards = [path for path in (stored / "predicted" / "up" / "displacement" / "c").rglob("*") if path.is_file()]
    written = {path: path.stat().st_mtime_ns for path in shards}
    assert len(shards) == 2
    insar.predict_tiles(stored, fitted, quiet=True)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    torn = next(path for path in sorted(written) if "displacement" in str(path))
    torn.write_bytes(torn.read_bytes()[:-7])
    again = insar.predict_tiles(stored, fitted, quiet=True)
    np.testing.assert_array_equal(
        again["displacement"].values, fitted.predict(insar.open_tiles(stored))["displacement"]
    )


def test_what_had_been_said_is_scored_as_the_card_has_it(stored: Path, fitted):
    """The card counts errors by point, these are sums by map."""
    plan, found = hindcast_group(Engine(stored, quiet=True), fitted, "tiles/up")
    tiles = list(found)
    assert plan.methods[0] == "mmstt" and "kriging" in plan.methods and len(tiles) == 2
    counted = fitted.scores_.tables["honest"]
    for at, method in enumerate(plan.methods):
        both = [MapScores.of_sums(1.0, tile["errors"][at], tile["alike"][at]) for tile in tiles]
        merged = both[0] + both[1]
        # Kriging looks at groups along the Hilbert curve, whose way through a tile depends on where that lies
        np.testing.assert_allclose(merged.rmse, counted[method]["rmse"], rtol=1e-2 if method == "kriging" else 1e-5)
        inside, given = np.sum([tile["inside"][at] for tile in tiles], axis=0).T
        assert inside.sum() / given.sum() == pytest.approx(counted[method]["coverage_all"], abs=0.02)
    asked = plan.target_days(plan.test[-1]).astype("datetime64[D]").astype("datetime64[ns]")
    came = insar.open_tiles(stored).sel(time=asked)
    expected = came["displacement"].where(came["mask"]).transpose("tile", "time", "y", "x").values
    np.testing.assert_array_equal(np.stack([tile["measured"] for tile in tiles]), expected)
    assert "tiles/up/hindcast" in status_table(stored)


@pytest.mark.parametrize("bf16", [False, True])
def test_tiles_are_forecast_and_scored_on_a_gpu(bf16, stored, fitted, tmp_path, networks_there, monkeypatch):
    store = shutil.copytree(stored, tmp_path / "cube.zarr")
    monkeypatch.setattr(map_network, "fit_gate", lambda *_: 1.0)
    loud, random = copy(fitted), np.random.default_rng(0)  # four steps have taught it to say next to nothing
    loud.state_ = {
        name: random.normal(array, 0.1).astype(array.dtype) if ".mmstt.weights." in name else array
        for name, array in fitted.state_.items()
    }
    here = insar.predict_tiles(store, loud, quiet=True).load()
    plan, found = hindcast_group(Engine(store, quiet=True), loud, "tiles/up")
    said = [tile["said"] for tile in found]
    monkeypatch.setenv(DEVICE, "gpu")
    if bf16:  # as it would be trained
        settings = json.loads(str(loud.state_["honest.trained.mmstt.settings"]))
        settings["training"]["bf16"] = True
        monkeypatch.setitem(loud.state_, "honest.trained.mmstt.settings", np.array(json.dumps(settings)))
    assert networks_there["turns"] == 0
    there = insar.predict_tiles(store, loud, quiet=True).load()
    assert networks_there["turns"] == 2 * (1 + GATE_ORIGINS), "for each tile its forecast and its gate"
    assert [step.get("device") for step in there.attrs["recipe"]] == ["gpu"]
    assert (abs(there["displacement"] - here["displacement"]) > 0).any()
    again = [tile["said"] for tile in hindcast_group(Engine(store, quiet=True), loud, "tiles/up")[1]]
    assert networks_there["turns"] == 2 * (1 + GATE_ORIGINS + len(plan.test)), "too short for gates there"
    for one, other in ((there["displacement"], here["displacement"]), *zip(again, said, strict=True)):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=0.2 if bf16 else 1e-2)


def test_tiles_to_learn_that_are_not_there_are_named(stored, tmp_path):
    bench = Workbench(parse_config({}), stored, Engine(stored, quiet=True))
    with pytest.raises(CubeError, match="learn names E33N33, and the tiles are E32N34, E39N30"):
        bench.learn_maps("tiles/up", Forecaster("harmonic"), tmp_path / "model", ["E32N34", "E33N33"])


def test_a_store_without_tiles_is_refused(tmp_path, fitted):
    insar.save(egms_tile("E32N34", 600, 240), tmp_path / "cube.zarr", quiet=True)
    with pytest.raises(CubeError, match="holds 0 tile cubes"):
        insar.predict_tiles(tmp_path / "cube.zarr", fitted, quiet=True)
