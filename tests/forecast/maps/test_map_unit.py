"""A unit of the tables of maps: trained, killed, gone on with, scored."""

from pathlib import Path

import numpy as np
import pytest
import torch

from insar_dask.forecast.maps import map_unit
from insar_dask.forecast.maps.holdout import hold_out
from insar_dask.forecast.maps.map_material import honest_material, paper_material
from insar_dask.forecast.maps.map_unit import MapUnit, run_map_unit
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
    result, forecasts = run_map_unit(unit(material.protocol), material, holdout, tmp_path)
    assert set(result["scores"]) == set(forecasts) == {"E32N34", "E39N30"}
    assert result["network"]["steps"] == 3
    origins = material.origins("test")
    asked = np.stack([material.targets(1, int(origin)) for origin in origins])
    squares = (forecasts["E39N30"] - asked)[:, 9] ** 2
    scored = MapScores.from_json(result["scores"]["E39N30"]["test"])
    assert scored.rmse[9] == pytest.approx(np.sqrt(np.nanmean(squares)), rel=1e-5)
    asked_here = sum(np.isfinite(material.targets(0, int(origin))).sum() for origin in origins)
    assert MapScores.from_json(result["scores"]["E32N34"]["test"]).n.sum() == asked_here


def test_a_killed_unit_ends_as_if_nothing_had_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    material = honest_material(TILES)
    holdout = hold_out(material, ["E32N34"])
    whole, _ = run_map_unit(unit(windows=48), material, holdout, tmp_path / "whole")

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
    again, _ = run_map_unit(unit(windows=48), material, holdout, tmp_path / "killed")
    assert again["scores"] == whole["scores"]
    assert again["network"]["curve"] == whole["network"]["curve"]


def test_an_event_is_scored_before_it_across_it_and_when_it_is_known(tmp_path: Path):
    material = honest_material(TILES)
    day = TILES["time"].values[150]
    phases = material.origins_about(day)
    assert phases["before"].max() + 10 == 150 and phases["across"].max() == 150 and phases["known"].min() == 151
    assert [len(phases[name]) for name in ("before", "across", "known")] == [11, 10, 10]
    result, _ = run_map_unit(unit(), material, hold_out(material, ["E32N34"]), tmp_path, events={"E39N30": day})
    assert set(result["scores"]["E39N30"]) == {"test", "origins", "before", "across", "known"}
    assert set(result["scores"]["E32N34"]) == {"test", "origins"}


def test_what_is_no_unit_is_refused():
    with pytest.raises(ValueError, match="network is 'unet'; wanted 'mmstt' or"):
        MapUnit(protocol="honest", network="unet", seed=0)
    with pytest.raises(ValueError, match="protocol is 'mine'; wanted 'honest' or 'paper'"):
        MapUnit(protocol="mine", network="mmstt", seed=0)
