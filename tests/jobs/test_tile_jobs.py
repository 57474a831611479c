from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client, LocalCluster
from pyproj import CRS

import insar_dask as insar
from insar_dask import layout, objects
from insar_dask.cube import CubeError, describe
from insar_dask.jobs import receipts
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.progress.status import damaged, damaged_documents, status_table
from insar_dask.jobs.steps.tile_jobs import store_tiles, tile_sources
from tests.conftest import stored_bytes

NAMES = ("E40N31", "E40N30", "E41N30")
SIZES = {"pixels": 16, "cells": 8}


def tile(name: str, seed: int = 0, **attrs: str) -> xr.Dataset:
    """300 points x 40 dates of an EGMS tile, one of them with gaps."""
    chance = np.random.default_rng(seed)
    corner = np.array([[int(name[1:3])], [int(name[4:6])]]) * 1e5
    place = corner + chance.uniform(0, 1e5, (2, 300))
    values = np.round(chance.normal(0, 10, (300, 40)), 1).astype(np.float32)
    values[chance.random(values.shape) < 0.002 * seed] = np.nan
    return xr.Dataset(
        {"displacement": (("point", "time"), values, describe("displacement"))},
        coords={
            "time": np.datetime64("2020-01-03", "ns") + np.arange(40) * np.timedelta64(6, "D"),
            "point_id": ("point", [f"{name}{i:04d}" for i in range(300)]),
            "easting": ("point", place[0]),
            "northing": ("point", place[1]),
            "egms_mean_velocity": ("point", values[:, 5] / 3, describe("velocity")),
            "crs": ((), np.int32(0), {"crs_wkt": CRS(3035).to_wkt()}),
        },
        attrs={
            "product": "L3", "tile": name, "component": "up", "positive": "up", "reference_date": "2020-01-03",
            "reference": "none", "release": "2020-2024", "source": f"EGMS_L3_{name}_100km_U.zip", **attrs,
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def cubes() -> list[xr.Dataset]:
    return [tile(name, seed) for seed, name in enumerate(NAMES)]


@pytest.fixture(scope="module")
def source(cubes: list[xr.Dataset], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of three products."""
    path = tmp_path_factory.mktemp("source") / "site.zarr"
    for cube in cubes:
        insar.save(cube, path, quiet=True)
    return path


def run(source: Path, path: Path) -> list[int]:
    """Shards in all, and how many were made now."""
    report = store_tiles(Engine(path, quiet=True), tile_sources(source), **SIZES)
    return [report.shards, report.computed]


@pytest.fixture(scope="module")
def undisturbed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("undisturbed") / "tiles.zarr"
    assert run(source, path) == [3, 3]
    return path


def test_points_that_begin_later_are_left_out_of_the_store_too(cubes: list[xr.Dataset], tmp_path: Path) -> None:
    zero = np.where(np.arange(300) % 3 == 0, 24, 0).astype(np.int32)
    later = [cubes[0].assign(zero_day=("point", zero)), cubes[1]]
    for cube in later:
        insar.save(cube, tmp_path / "site.zarr", quiet=True)
    assert run(tmp_path / "site.zarr", tmp_path / "tiles.zarr") == [2, 2]
    opened, joined = (
        insar.open_tiles(tmp_path / "tiles.zarr"),
        insar.join_tiles(insar.rasterise(cube, **SIZES) for cube in later),
    )
    np.testing.assert_array_equal(opened["displacement"].values, joined["displacement"].values)
    assert opened.attrs["n_begin_later"] == joined.attrs["n_begin_later"] == 100


def test_the_store_holds_what_rasterise_makes(undisturbed: Path, source: Path, cubes: list[xr.Dataset]) -> None:
    stored = [insar.open_cube(source, f"EGMS_L3_{name}_100km_U/raw") for name in NAMES]
    joined = insar.join_tiles(insar.rasterise(cube, **SIZES) for cube in stored)
    opened = insar.open_tiles(undisturbed)
    assert opened["tile"].values.tolist() == sorted(NAMES)
    assert opened["displacement"].chunks == ((1,) * 3, (40,), (8,), (8,))
    for name in ("displacement", "mask", "egms_velocity", "easting", "northing", "time"):
        xr.testing.assert_equal(opened[name].drop_vars("crs", errors="ignore"), joined[name].drop_vars("crs"))
    assert opened.attrs["sources"] == joined.attrs["sources"]
    points = insar.tile_points(opened)
    assert points.sizes["point"] == int(joined["mask"].any("time").sum())


def test_what_is_done_is_not_done_again(source: Path, undisturbed: Path) -> None:
    before = stored_bytes(undisturbed)
    assert run(source, undisturbed) == [3, 0]
    assert stored_bytes(undisturbed) == before
    assert "tiles/up" in status_table(undisturbed)
    assert "3 of 3" in status_table(undisturbed)


@pytest.mark.parametrize("product", NAMES)
def test_one_product_of_a_store_may_be_named(product: str, source: Path, tmp_path: Path) -> None:
    group = insar.save_tiles(
        source / f"EGMS_L3_{product}_100km_U", tmp_path / "t.zarr", "tiles/one", **SIZES, quiet=True
    )
    opened = insar.open_tiles(tmp_path / "t.zarr")
    assert (group, opened["tile"].values.tolist()) == ("tiles/one", [product])


class Killed(BaseException):
    """What a signal is to a process."""


def test_a_run_killed_at_any_write_ends_as_if_nothing_had_happened(
    source: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, kept = stored_bytes(undisturbed), []
    for instant in range(0, 1000, 5):
        path = tmp_path / f"{instant}.zarr"
        with monkeypatch.context() as patch:
            _kill_at(instant, patch, after=instant % 2 == 0)
            try:
                run(source, path)
                break
            except BaseException as error:
                assert "Killed" in repr(error) or isinstance(error, Killed), error
        kept.append(3 - run(source, path)[1])
        assert stored_bytes(path) == whole, instant
    assert len(set(kept)) > 1


def _kill_at(instant: int, patch: pytest.MonkeyPatch, *, after: bool) -> None:
    """Die before or after the write of that number, and at every later one: a dead process writes nothing."""
    count = 0

    def dying(write: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            nonlocal count
            count += 1
            if after and count == instant + 1:
                write(*arguments)
            if count > instant:
                raise Killed
            return write(*arguments)

        return wrapped

    for module, name in ((layout, "put_bytes"), (objects, "put_blocks"), (receipts, "put_bytes")):
        patch.setattr(module, name, dying(getattr(module, name)))


def test_damage_is_found_and_mended(source: Path, undisturbed: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiles.zarr"
    run(source, path)
    found = [p for p in (path / "tiles").rglob("*") if p.is_file() and p.name != "zarr.json"]
    for one in found:
        whole = one.read_bytes()
        one.write_bytes(whole[:-9] + bytes([whole[-9] ^ 4]) + whole[-8:])
        assert damaged(path) == {
            "tiles/up": [0, 1, 2] if "time" in one.parts else [int(one.relative_to(path).parts[4])]
        }
        one.write_bytes(whole)
    found[0].write_bytes(b"")
    found[-1].unlink()
    assert damaged(path)
    run(source, path)
    assert (damaged(path), damaged_documents(path)) == ({}, [])
    assert stored_bytes(path) == stored_bytes(undisturbed)


def test_a_tile_changes_with_its_product_alone(undisturbed: Path, cubes: list[xr.Dataset], tmp_path: Path) -> None:
    site, path = tmp_path / "site.zarr", tmp_path / "tiles.zarr"
    for cube in cubes:
        insar.save(cube, site, quiet=True)
    assert run(site, path) == [3, 3]
    turned = cubes[1].copy(deep=True)
    turned["displacement"].values[:] *= -1
    insar.save(turned, site, quiet=True)
    assert run(site, path) == [3, 1]
    changed, before = insar.open_tiles(path), insar.open_tiles(undisturbed)
    same = [changed["displacement"][k].equals(before["displacement"][k]) for k in range(3)]
    assert dict(zip(changed["tile"].values, same, strict=True)) == {"E40N30": False, "E40N31": True, "E41N30": True}


def test_what_a_killed_run_left_is_not_taken_for_tiles(source: Path, tmp_path: Path, undisturbed: Path) -> None:
    path = tmp_path / "tiles.zarr"
    run(source, path)
    Engine(path).ledger.revoke("tiles/up", [1])
    with pytest.raises(CubeError, match="2 of 3 shards"):
        insar.open_tiles(path)
    part = insar.open_tiles(path, partial=True)
    assert part["tile"].values.tolist() == ["E40N30", "E41N30"]
    xr.testing.assert_equal(part["mask"].compute(), insar.open_tiles(undisturbed)["mask"].isel(tile=[0, 2]).compute())


def without_a_date(cube: xr.Dataset) -> xr.Dataset:
    return cube.isel(time=np.delete(np.arange(40), 7))


def other_dates(cube: xr.Dataset) -> xr.Dataset:
    return cube.assign_coords(time=cube.time + np.timedelta64(1, "D"))


def other_crs(cube: xr.Dataset) -> xr.Dataset:
    return cube.assign_coords(crs=((), np.int32(0), {"crs_wkt": CRS(3034).to_wkt()}))


def without_values(cube: xr.Dataset) -> xr.Dataset:
    return cube.assign(displacement=cube["displacement"] * np.float32(np.nan))


def beside(cube: xr.Dataset) -> xr.Dataset:
    return cube.assign_attrs(tile="site", product="x")


FAULTS = {
    "one date missing": (without_a_date, "tile E40N31 lacks 2020-02-14, compared with tile E40N30"),
    "other dates": (other_dates, "lacks 40 dates, such as"),
    "component": (lambda cube: cube.assign_attrs(component="east"), "component of tile E40N31 is 'east'"),
    "release": (lambda cube: cube.assign_attrs(release="2019-2023"), "release of tile E40N31 is '2019-2023'"),
    "crs": (other_crs, "tile E40N31 is in ETRS89-extended / LCC Europe, tile E40N30 in .*LAEA Europe"),
    "same name": (lambda _: tile("E40N30", 5), "both tile E40N30"),
    "another size": (beside, r"tile site is 99,\d\d\d.\d m wide, tile E40N30 100,000.0 m"),
    "no values": (without_values, "tile E40N31: no point"),
    "two points": (lambda cube: cube.isel(point=slice(2)), "tile E40N31 has 2 points"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_tiles_that_do_not_belong_together_are_named(fault: str, cubes: list[xr.Dataset], tmp_path: Path) -> None:
    spoil, message = FAULTS[fault]
    spoilt = spoil(cubes[0])
    spoilt["displacement"].attrs = describe("displacement")
    for part, group in ((spoilt, "one/raw"), (cubes[1], "other/raw")):
        insar.save(part, tmp_path / "site.zarr", group, quiet=True)
    with pytest.raises(CubeError, match=message):
        run(tmp_path / "site.zarr", tmp_path / "tiles.zarr")
    if fault not in ("no values", "two points", "same name"):
        with pytest.raises(CubeError, match=message):
            insar.join_tiles(insar.rasterise(cube, **SIZES) for cube in (spoilt, cubes[1]))


def test_a_worker_that_is_too_small_for_a_tile_is_refused_before_any_work(source: Path, tmp_path: Path) -> None:
    small = {"n_workers": 1, "threads_per_worker": 2, "memory_limit": "250MB", "dashboard_address": ":0"}
    with LocalCluster(processes=False, **small) as cluster, Client(cluster) as client:
        needs = r"rasterising E40N30 needs 30\d MB on worker .* \(2 threads\), which has 250 MB: give workers"
        with pytest.raises(CubeError, match=needs):
            insar.save_tiles(source, tmp_path / "tiles.zarr", **SIZES, client=client, quiet=True)
    with pytest.raises(CubeError, match="0 of 3 shards"):
        insar.open_tiles(tmp_path / "tiles.zarr")


def test_overlapping_tiles_are_refused(cubes: list[xr.Dataset]) -> None:
    extents = ((4e6, 3e6, 4.05e6, 3.05e6), (4.04e6, 3.03e6, 4.09e6, 3.08e6))
    both = [insar.rasterise(cubes[1], extent=e, tile=n, **SIZES) for e, n in zip(extents, "ab", strict=True)]
    with pytest.raises(CubeError, match="tiles a and b overlap by 10,000 x 20,000 m"):
        insar.join_tiles(both)
    with pytest.raises(CubeError, match="two tiles are called a"):
        insar.join_tiles([both[0]] * 2)
    with pytest.raises(CubeError, match="no tile to join"):
        insar.join_tiles([])


def test_what_is_not_there_is_named(tmp_path: Path, source: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no store with products"):
        insar.save_tiles(tmp_path / "none.zarr", tmp_path / "t.zarr", quiet=True)
    with pytest.raises(CubeError, match="no tile was named"):
        insar.save_tiles([], tmp_path / "t.zarr", quiet=True)
    with pytest.raises(CubeError, match="none of the tiles"):
        insar.save_tiles(source, tmp_path / "t.zarr", extents={"E1N1": (0, 0, 1, 1)}, quiet=True)
    with pytest.raises(FileNotFoundError, match="is not a store"):
        insar.open_tiles(tmp_path / "none.zarr")
    with pytest.raises(CubeError, match="holds 0 tile cubes"):
        insar.open_tiles(source)
    with pytest.raises(CubeError, match="no group 'tiles/x'"):
        insar.open_tiles(source, "tiles/x")
