import errno
import fcntl
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.progress.status import damaged
from insar_dask.viewer import documents, overview_jobs
from insar_dask.viewer.overview import MISSING, VARIABLES, explore_chunk, levels_of, packing, shown_range
from insar_dask.viewer.overview_jobs import prepare, write_overview


@pytest.mark.parametrize("n_points", [1, 16_384, 32_767, 32_768, 100_001, 262_144, 3_000_001])
def test_every_point_is_in_one_level(n_points: int) -> None:
    levels = levels_of(n_points)
    rows = np.concatenate([level.rows(0, level.size) for level in levels])
    assert len(rows) == n_points == sum(level.size for level in levels)
    assert np.array_equal(np.sort(rows), np.arange(n_points))
    assert levels[0].size <= 32_768
    assert all(len(level.rows(7, 20)) == len(level.rows(0, level.size)[7:20]) for level in levels)
    assert np.array_equal(levels[-1].rows(5, 9), levels[-1].rows(0, levels[-1].size)[5:9])


def test_what_is_stored_is_within_half_a_step() -> None:
    chance = np.random.default_rng(3)
    values = {name: chance.normal(0, 40, 5000).astype(np.float32) for name in ("velocity", "acceleration")}
    place = {"easting": chance.uniform(4.40e6, 4.45e6, 5000), "northing": chance.uniform(1.5e6, 1.55e6, 5000)}
    values["velocity"][::7] = np.nan
    steps = {name: packing(name, float(np.nanmax(np.abs(array)))) for name, array in values.items()}
    made = explore_chunk({**values, **place}, np.arange(5000), (4.42e6, 1.52e6), steps)
    for name, origin in (("easting", 4.42e6), ("northing", 1.52e6)):
        assert np.abs(made[name].values * 0.1 + origin - place[name]).max() <= 0.05 + 1e-9
    for name, array in values.items():
        stored, known = made[name].values, np.isfinite(array)
        assert np.array_equal(stored == MISSING, ~known)
        assert np.abs(stored[known] * steps[name] - array[known]).max() <= steps[name] / 2 + 1e-9


@pytest.mark.parametrize("largest", [1.0, 327.0, 328.0, 5e3, 7.7e5])
def test_a_step_grows_where_values_do_not_fit(largest: float) -> None:
    step = packing("velocity", largest)
    assert step >= VARIABLES["velocity"].step
    assert largest / step <= 32_767
    assert step == VARIABLES["velocity"].step or largest / step > 32_767 / 2.6


def test_a_value_that_does_not_fit_is_refused() -> None:
    values = {"easting": np.zeros(1), "northing": np.zeros(1), "velocity": np.array([400.0])}
    with pytest.raises(CubeError, match="velocity is 400"):
        explore_chunk(values, np.arange(1), (0.0, 0.0), {"velocity": 0.01})


def test_colours_begin_at_round_symmetric_ends() -> None:
    assert shown_range("acceleration", np.array([np.nan, -0.123, 0.05])) == (-0.12, 0.12)
    assert shown_range("coherence", np.array([np.nan])) == (0.0, 1.0)
    low, high = shown_range("seasonality", np.linspace(1.04, 7.31, 1000))
    assert 1.0 <= low <= 1.2
    assert 7.1 <= high <= 7.3


def test_the_overview_holds_what_the_cube_holds(site: Path) -> None:
    about = document(site)["attributes"]
    chunks = zarr.open_group(site / "site/explore/0", mode="r")
    rows = chunks["row"][:]
    assert np.array_equal(rows, np.arange(about["n_points"]))
    motion, labels = insar.open_cube(site, "site/products"), insar.open_cube(site, "site/patterns")
    for name, spec in about["variables"].items():
        stored, source = chunks[name][:], labels if name == "cluster" else motion
        true = source[name].values[rows]
        if name == "cluster":
            assert np.array_equal(stored, true)
            assert spec["classes"] == 4
            continue
        known = stored != MISSING
        assert np.array_equal(known, np.isfinite(true))
        assert np.abs(stored[known] * spec["step"] - true[known]).max() <= spec["step"] * 0.5001
        assert spec["limits"] == [np.nanmin(true), np.nanmax(true)]
    east = chunks["easting"][:] / 10 + about["offset"][0]
    assert np.abs(east - motion["easting"].values).max() <= 0.05 + 1e-6
    box = [
        int(limit) for n in ("min", "max") for limit in (getattr(chunks[c][:], n)() for c in ("easting", "northing"))
    ]
    assert about["chunk_boxes"] == [[box]]


def test_series_say_where_they_lie_and_when(site: Path) -> None:
    about = document(site)["attributes"]
    raw = insar.open_cube(site, "site/raw")
    days = raw["time"].values.astype("datetime64[D]").astype(int).tolist()
    assert about["series"]["displacement"]["days"] == days
    assert set(about["series"]) == {"displacement", "smooth", "trend", "season", "residual"}
    assert about["forecast"] is None
    assert about["scores"] is None
    assert all((site / path / "zarr.json").exists() for path in about["motion"].values())
    assert {key for key in document(site)["consolidated_metadata"]["metadata"] if "/" not in key} == {"0"}


def test_bytes_do_not_depend_on_the_run_and_nothing_is_done_twice(site: Path, tmp_path: Path) -> None:
    shutil.copytree(site, tmp_path / "again.zarr")
    shutil.rmtree(tmp_path / "again.zarr/site/explore")
    with owned(tmp_path / "again.zarr"), Engine(tmp_path / "again.zarr", threads=3, quiet=True) as engine:
        assert write_overview(engine, "site").computed == 1
        assert write_overview(engine, "site").computed == 0
    assert files(tmp_path / "again.zarr") == files(site)
    assert damaged(tmp_path / "again.zarr") == {}


def test_many_levels_and_chunks_agree_with_the_cube(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("insar_dask.viewer.overview.FIRST_POINTS", 20)
    for module in (overview_jobs, documents):
        monkeypatch.setattr(module, "CHUNK_POINTS", 200)
    path = tmp_path / "levels.zarr"
    shutil.copytree(site, path)
    with owned(path), Engine(path, threads=2, quiet=True) as engine:
        report = write_overview(engine, "site")
    about = document(path)["attributes"]
    assert len(about["levels"]) == 3
    assert report.computed == report.shards == sum(-(-size // 200) for size in about["levels"])
    velocity = insar.open_cube(path, "site/products")["velocity"].values
    seen = []
    for number in range(3):
        chunks = zarr.open_group(path / f"site/explore/{number}", mode="r")
        rows = chunks["row"][:]
        seen.append(rows)
        stored = chunks["velocity"][:]
        assert np.allclose(stored * about["variables"]["velocity"]["step"], velocity[rows], atol=0.00501)
        assert len(about["chunk_boxes"][number]) == -(-len(rows) // 200)
    assert np.array_equal(np.sort(np.concatenate(seen)), np.arange(1000))


def test_a_damaged_chunk_is_found_and_made_again(site: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.zarr"
    shutil.copytree(site, path)
    (path / "site/explore/0/velocity/c/0").write_bytes(b"nonsense")
    assert damaged(path) == {"site/explore/0": [0]}
    assert prepare(path, quiet=True) == ""
    assert files(path) == files(site)


def test_a_store_with_a_cube_alone_can_be_explored(small_scene: xr.Dataset, tmp_path: Path) -> None:
    insar.save(small_scene.isel(point=slice(0, 300)), tmp_path / "raw.zarr", "site/raw", quiet=True)
    assert prepare(tmp_path / "raw.zarr", quiet=True) == ""
    about = document(tmp_path / "raw.zarr")["attributes"]
    assert set(about["variables"]) == {"coherence"}
    assert about["motion"] is None
    assert set(about["series"]) == {"displacement"}


def test_a_store_that_another_run_holds_is_shown_as_it_was(site: Path) -> None:
    with owned(site):
        assert "another run is working" in prepare(site, quiet=True)


def test_a_store_on_a_file_system_that_is_mounted_to_be_read_is_shown_as_it_was(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(fcntl, "flock", refused)
    assert prepare(site, quiet=True).startswith("shown as it was when it was last explored")


def test_a_store_without_products_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CubeError, match="no product yet"):
        prepare(tmp_path / "none.zarr", quiet=True)


def document(path: Path) -> Any:
    return json.loads((path / "site/explore/zarr.json").read_text())


def files(path: Path) -> dict[str, bytes]:
    folder = path / "site/explore"
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
