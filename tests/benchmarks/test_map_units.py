"""The tables of maps hold what was made of the same tiles, and nothing else."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from insar_dask.forecast.maps.map_material import honest_material
from insar_dask.forecast.maps.map_table import GATED
from insar_dask.forecast.maps.map_unit import NETWORKS
from insar_dask.forecast.maps.naive_maps import NAIVE
from tests.benchmarks import map_doc, map_pictures, map_units
from tests.benchmarks.map_data import DATA, RESULTS, forecasts_of, kept_forecasts
from tests.benchmarks.map_tables import REGIMES
from tests.benchmarks.unit_files import keep
from tests.forecast.maps.toy_tiles import toy_tiles

TILES = SimpleNamespace(digest="one")


def test_a_result_of_other_tiles_is_not_taken_for_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(map_units, "material", lambda protocol, scratch: TILES)
    options = SimpleNamespace(results=tmp_path, scratch=tmp_path)
    (tmp_path / "honest-mmstt-seed0.json").write_text(json.dumps({"data": "one"}))
    (tmp_path / "honest-audit.json").write_text(json.dumps({"findings": []}))
    map_units.require_same_tiles(options)
    (tmp_path / "paper-mmstt-seed0.json").write_text(json.dumps({"data": "two"}))
    with pytest.raises(SystemExit, match="other tiles than lie in"):
        map_units.require_same_tiles(options)


def test_networks_as_published_are_given_their_patience_on_a_gpu_alone():
    waited = {(u.protocol, device): u.patience for device in ("cpu", "cuda") for u in map_units.units(device=device)}
    assert waited == {("honest", "cpu"): 8, ("paper", "cpu"): 8, ("honest", "cuda"): 8, ("paper", "cuda"): 30}


def test_forecasts_of_other_maps_are_not_drawn(tmp_path: Path):
    path = forecasts_of("honest-mmstt-seed0", tmp_path)
    maps = {"E32N34": np.ones((1, 10, 2, 2), np.float32)}
    keep(path, maps | {DATA: np.array("one")})
    assert list(kept_forecasts(path, TILES)) == ["E32N34"]
    for stale in (maps, maps | {DATA: np.array("two")}):
        keep(path, stale)
        with pytest.raises(SystemExit, match="holds forecasts of other maps"):
            kept_forecasts(path, TILES)


def test_no_two_methods_share_a_colour():
    assert len(set(map_doc.COLOURS.values())) == len({*NETWORKS, *NAIVE})


def test_all_figures_are_drawn_and_none_without_a_network(tmp_path: Path):
    given = honest_material(toy_tiles(sorted(REGIMES)))
    origins = given.origins("test").tolist()
    maps = {
        name: np.stack([given.targets(at, origin) for origin in origins]) + 1 for at, name in enumerate(given.names)
    }
    for network in NETWORKS:
        with pytest.raises(SystemExit, match=f"honest-{network}-seed1 makes it"):
            map_pictures.forecasts(given, tmp_path, 1)
        keep(forecasts_of(f"honest-{network}-seed1", tmp_path), maps | {DATA: np.array(given.digest)})
    drawn = map_pictures.figures(given, map_pictures.forecasts(given, tmp_path, 1))
    assert list(drawn) == ["nodes", "maps", "scatter", "residuals", "binned", "regions", "regimes"]
    for name, figure in drawn.items():
        map_doc.write_figure(figure, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_no_gated_network_is_surely_worse_than_the_ridge_on_any_tile():
    methods = json.loads((RESULTS / "tables.json").read_text())["protocols"]["honest"]["methods"]
    low = {
        (name, tile): scores["above_footing"]["low"]
        for name in NETWORKS
        for tile, scores in methods[f"{name}{GATED}"]["tiles"].items()
    }
    assert len(low) == 5 * 6
    assert max(low.values()) < 1e-6, max(low, key=low.__getitem__)  # where none of it is believed, last bits are left
