"""A unit of the tables of maps: trained, killed, gone on with, scored."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from insar_dask.forecast.maps import map_unit
from insar_dask.forecast.maps.holdout import hold_out
from insar_dask.forecast.maps.map_material import honest_material, paper_material
from insar_dask.forecast.maps.map_scoring import score_tiles, tile_gate
from insar_dask.forecast.maps.map_unit import NETWORKS, MapUnit, run_map_unit
from insar_dask.forecast.maps.naive_maps import naive_maps
from insar_dask.map_metrics import MapScores
from tests.forecast.maps.toy_tiles import toy_tiles

TILES = toy_tiles()
SMALL = {"patch": 4, "width": 16, "hidden": 32, "heads": 2, "layers": 1, "dropout": 0.0}


def unit(protocol="honest", windows=24):
    return MapUnit(protocol=protocol, network="mmstt", seed=0, windows=windows, bf16=False, sizes=SMALL)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize("make", [honest_material, paper_material])
def test_a_unit_is_scored_on_every_tile(make, tmp_path: Path):
    material = make(TILES)
    holdout = hold_out(material, ["E32N34"])
    result, forecasts, _ = run_map_unit(unit(material.protocol), material, holdout, tmp_path)
    assert set(result["scores"]) == set(forecasts) == {"E32N34", "E39N30"}
    assert (result["network"]["steps"], result["network"]["stopped_by"]) == (3, "windows")
    assert result["configuration"]["sizes"]["width"] == 16
    assert ("gated" in result) == (material.protocol == "honest")
    origins = material.origins("test")
    asked = np.stack([material.targets(1, int(origin)) for origin in origins])
    squares = (forecasts["E39N30"] - asked)[:, 9] ** 2
    scored = MapScores.from_json(result["scores"]["E39N30"]["test"])
    assert scored.rmse[9] == pytest.approx(np.sqrt(np.nanmean(squares)), rel=1e-5)
    parts, leads = (np.array(result["scores"]["E39N30"][name]) for name in ("parts", "leads"))
    assert parts.shape == (len(origins), 16, 2) and leads.shape == (len(origins), 10, 2)
    np.testing.assert_allclose(leads[:, 9].sum(axis=0), [np.isfinite(squares).sum(), np.nansum(squares)], rtol=1e-3)
    np.testing.assert_allclose(parts.sum(axis=(0, 1)), leads.sum(axis=(0, 1)), rtol=1e-3)
    asked_here = sum(np.isfinite(material.targets(0, int(origin))).sum() for origin in origins)
    assert MapScores.from_json(result["scores"]["E32N34"]["test"]).n.sum() == asked_here


def test_a_killed_unit_ends_as_if_nothing_had_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    material = honest_material(TILES)
    holdout = hold_out(material, ["E32N34"])
    whole, _, weights = run_map_unit(unit(windows=48), material, holdout, tmp_path / "whole")

    class Killed(BaseException):
        pass

    batch = map_unit.MapWindows.batch

    def killing(self, step, rank, world):
        if step == 4:  # a checkpoint stands at the end of the first epoch, after step 3
            raise Killed
        return batch(self, step, rank, world)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(map_unit.MapWindows, "batch", killing)
        run_map_unit(unit(windows=48), material, holdout, tmp_path / "killed")
    again, _, same = run_map_unit(unit(windows=48), material, holdout, tmp_path / "killed")
    assert again["scores"] == whole["scores"]
    assert again["network"]["curve"] == whole["network"]["curve"]
    assert all(np.array_equal(weights[name], same[name]) for name in weights)


def test_an_event_is_scored_before_it_across_it_and_when_it_is_known(tmp_path: Path):
    material = honest_material(TILES)
    day = TILES["time"].values[150]
    phases = material.origins_about(day)
    assert phases["before"].max() + 10 == 150 and phases["across"].max() == 150 and phases["known"].min() == 151
    assert [len(phases[name]) for name in ("before", "across", "known")] == [11, 10, 10]
    result, *_ = run_map_unit(unit(), material, hold_out(material, ["E32N34"]), tmp_path, events={"E39N30": day})
    assert set(result["scores"]["E39N30"]) == {"test", "parts", "leads", "before", "across", "known"}
    assert set(result["scores"]["E32N34"]) == {"test", "parts", "leads"}


def test_nothing_is_said_before_a_year_is_over(tmp_path: Path):
    material = honest_material(TILES)
    day = TILES["time"].values[55]
    result, *_ = run_map_unit(unit(), material, hold_out(material, ["E32N34"]), tmp_path, events={"E39N30": day})
    early = result["scores"]["E39N30"]
    ((_, ridge),) = naive_maps(material, [0], ["harmonic_ridge"])
    alone, _ = score_tiles(material, hold_out(material, ["E32N34"]), ridge, {"E39N30": day})
    for phase in ("across", "known"):  # at the very origins that the ridge speaks at
        said = MapScores.from_json(early[phase]).n
        np.testing.assert_array_equal(said, MapScores.from_json(alone["E39N30"][phase]).n)
    assert MapScores.from_json(early["across"]).n.sum() == 0 < said.sum()


def test_a_tile_believes_what_its_own_past_bears_out():
    material = honest_material(TILES)
    holdout = hold_out(material, ["E32N34"])

    def footing(tile, origins):
        return np.zeros((len(origins), 10, 8, 8), np.float32)

    def truth(tile, origins):
        return np.stack([np.nan_to_num(material.targets(tile, origin)) for origin in origins])

    def in_half_of_the_tile(tile, origins):
        return truth(tile, origins) * np.where(np.arange(8) < 4, 1, -1).astype(np.float32)

    assert tile_gate(material, holdout, truth, footing, 1) == pytest.approx(1, abs=1e-3)
    assert tile_gate(material, holdout, lambda *at: -truth(*at), footing, 1) == 0
    assert tile_gate(material, holdout, in_half_of_the_tile, footing, 1) < 0.3


def test_a_network_that_nothing_bears_out_leaves_the_ridge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    material = honest_material(TILES)
    holdout = hold_out(material, ["E32N34"])
    monkeypatch.setattr(map_unit, "tile_gate", lambda *_: 0.0)
    result, *_ = run_map_unit(unit(), material, holdout, tmp_path)
    ((_, ridge),) = naive_maps(material, holdout.trained, ["harmonic_ridge"])
    alone, _ = score_tiles(material, holdout, ridge, {})
    assert result["gates"] == {"E32N34": 0.0, "E39N30": 0.0}
    for tile, scores in alone.items():
        gated = MapScores.from_json(result["gated"][tile]["test"])
        np.testing.assert_allclose(gated.rmse, MapScores.from_json(scores["test"]).rmse, rtol=1e-4)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_honest_network_starts_from_what_it_adds_to(network):
    material = honest_material(TILES)
    chosen = replace(unit(), network=network, sizes={})
    windows = map_unit.MapWindows(material, [0], 8, 0)
    assert map_unit._settings(chosen, material, windows).sizes["zero_start"] is True


def test_what_is_no_unit_is_refused():
    with pytest.raises(ValueError, match="network is 'unet'; wanted 'mmstt' or"):
        MapUnit(protocol="honest", network="unet", seed=0)
    with pytest.raises(ValueError, match="protocol is 'mine'; wanted 'honest' or 'paper'"):
        MapUnit(protocol="mine", network="mmstt", seed=0)
