from pathlib import Path

import geopandas
import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import insar_dask as insar
from insar_dask.cli import app
from insar_dask.cli.ground import _configured
from insar_dask.config import ConfigError, parse_config
from insar_dask.jobs.areas.stored import vintages_of
from insar_dask.jobs.progress.status import status_table
from tests.conftest import stored_bytes
from tests.geometry.conftest import LOOKS, look, track_of

DAYS = np.arange(0, 730, 12)


def sinking(way: str, number: int) -> xr.Dataset:
    """A bowl that sinks by 40 mm/yr in the middle of 20 x 20 cells, seen from one side."""
    chance = np.random.default_rng(number)
    place = chance.uniform(0, 2000, (1500, 2))
    up = -40 * np.clip(1 - np.hypot(*(place - 1000).T) / 600, 0, 1)
    values = np.multiply.outer(up * look(way)[2], DAYS / 365) + chance.normal(0, 1, (1500, len(DAYS)))
    times = np.datetime64("2020-01-03", "ns") + DAYS * np.timedelta64(1, "D")
    return track_of(way, place + np.array([4.5e6, 1.7e6]), times, values, f"{117 + number}")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("site") / "site.zarr"
    for number, way in enumerate(LOOKS):
        insar.save(sinking(way, number), path, quiet=True)
    return path


def told(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["--cluster", "workers=0", *map(str, words), "--quiet"])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output if code == 0 else f"{done.output}{done.exception}"


def test_two_tracks_become_east_and_up_and_then_areas(store: Path, tmp_path: Path) -> None:
    ups = tmp_path / "ups.zarr"
    shown = told("east-up", store, ups, "--every", "12D").splitlines()
    assert shown[0] == f"{ups}/east_up_E and east_up_U: 1 shards of cells, 1 made now"
    assert f"products {ups}; then areas" in shown[1]
    before = stored_bytes(ups)
    assert "0 made now" in told("east-up", store, ups, "--every", "12D")
    assert stored_bytes(ups) == before
    assert told("products", ups).splitlines() == [f"{ups}/east_up_{way}/products" for way in "EU"]
    shown = told("areas", ups, "--product", "east_up_U", "--into", tmp_path / "sinking.geojson").splitlines()
    assert shown[0].startswith("1 areas, ") and shown[1] == str(tmp_path / "sinking.geojson")
    assert shown[2].endswith(f"explore {ups}")
    rows = {line.split()[0]: line.split()[1:] for line in status_table(ups).splitlines()}
    assert rows["east_up_U/raw"][:3] == ["1", "of", "1"]
    assert rows["jobs/partials/east_up/cells"][0] == "2"  # of two tracks, which are no shards of one group
    areas = geopandas.read_file(tmp_path / "sinking.geojson")
    middle = insar.open_cube(ups, "east_up_U/raw")
    assert areas.to_crs(3035).covers(geopandas.points_from_xy([4.501e6], [1.701e6])[0]).all()
    one = f"{store}/{insar.products(store)[0]}"
    assert "1 cube came" in told("east-up", one, tmp_path / "lone.zarr", code=1)
    assert not list(tmp_path.glob("lone*"))
    assert np.pi * 400**2 < areas.to_crs(3035).area.sum() < np.pi * 600**2  # 13 mm/yr and 0 there
    assert middle.sizes["point"] > 350
    kept = tmp_path / "ups-config.toml"
    section = '[areas]\nmethod = "hysteresis"\nseed = 60.0\nscene = "bowl"\nvintage = "2019"\n'
    kept.write_text(kept.read_text().partition("[areas]")[0] + section)
    shown = told("areas", ups).splitlines()  # as the store's own settings have it
    assert [line[:13] for line in shown[:3:2]] == ["no area moves"] * 2
    assert [Path(line).name for line in shown[1:4:2]] == [f"ups-bowl-{way}-areas.geojson" for way in ("east", "up")]
    assert vintages_of(ups, "bowl-up") == vintages_of(ups, "bowl-east") != ["2019"]  # which was of that call
    assert told("areas", ups, "--product", "east_up_U", "--seed", "10").startswith("1 areas, ")
    assert "seed = 60.0" in kept.read_text()  # 10 was of that call
    assert "--into names one file, and there are 2 maps" in told("areas", ups, "--into", tmp_path / "x.gpkg", code=2)


def test_points_that_begin_later_are_told_of(tmp_path: Path) -> None:
    for number, way in enumerate(LOOKS):
        cube = sinking(way, number)
        zero = np.where(np.arange(1500) < 40, 24, 0).astype(np.int32)
        insar.save(cube.assign(zero_day=("point", zero)), tmp_path / "site.zarr", quiet=True)
    shown = told("east-up", tmp_path / "site.zarr", tmp_path / "ups.zarr", "--every", "60D").splitlines()
    assert shown[1].startswith("80 points are left out: they have no value at the first date of their record")
    one = f"{tmp_path / 'site.zarr'}/{insar.products(tmp_path / 'site.zarr')[0]}"
    shown = told("tiles", one, tmp_path / "maps.zarr", "--pixels", "16", "--cells", "8").splitlines()
    assert shown[1].startswith("40 points are left out")


def test_what_cannot_be_done_is_said(store: Path, tmp_path: Path) -> None:
    assert "no store" in told("areas", tmp_path / "nowhere.zarr", "--product", "x", code=1)
    assert not list(tmp_path.iterdir())
    assert "1 cube came" in told("east-up", f"{store}/{insar.products(store)[0]}", tmp_path / "x", code=1)
    assert "no store with products" in told("east-up", tmp_path / "nowhere.zarr", tmp_path / "y.zarr", code=1)
    assert not list(tmp_path.glob("y*"))
    assert "how is 'best'" in told("east-up", store, tmp_path / "x", "--how", "best", code=1)
    assert "products" in told("areas", store, code=1)
    assert "the store has no product sinking, it has ['EGMS_" in told("areas", store, "--product", "sinking", code=1)


def test_the_published_method_leaves_what_the_other_was_told() -> None:
    kept = parse_config({"areas": {"method": "hysteresis", "body": 4.0, "season": 2.0}})
    said = dict.fromkeys(("method", "body", "seed"), None)
    assert _configured(kept, said).body == 4.0
    assert _configured(kept, said | {"method": "paper"}).rule["body"] is None
    with pytest.raises(ConfigError, match="body goes with hysteresis"):
        _configured(kept, said | {"method": "paper", "body": 3.0})
