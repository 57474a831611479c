from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.geometry.options import Options
from insar_dask.geometry.series import east_up
from insar_dask.jobs.engine import Engine, JobError
from insar_dask.jobs.steps.east_up_jobs import save_east_up, store_east_up
from insar_dask.jobs.steps.tile_jobs import tile_sources
from tests.conftest import stored_bytes
from tests.geometry.conftest import LOOKS, track_of

GROUPS = ("east_up_E/raw", "east_up_U/raw")


@pytest.fixture(scope="module")
def cubes() -> list[xr.Dataset]:
    """1,500 points a track of 20 x 20 cells, with gaps."""
    chance = np.random.default_rng(0)
    made = []
    for number, way in enumerate(LOOKS):
        days = np.append(0, np.cumsum(chance.choice([6, 12, 18], 29)))
        values = np.round(chance.normal(0, 10, (1500, 30)), 1)
        values[chance.random(values.shape) < 0.05] = np.nan
        place = chance.uniform(0, 2000, (1500, 2)) + np.array([4.5e6, 1.7e6])
        times = np.datetime64("2020-01-03", "ns") + days * np.timedelta64(1, "D")
        made.append(track_of(way, place, times, values, f"{117 + number}"))
    return made


@pytest.fixture(scope="module")
def source(cubes: list[xr.Dataset], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "site.zarr"
    for cube in cubes:
        insar.save(cube, path, quiet=True)
    return path


@pytest.fixture(scope="module")
def saved(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "both.zarr"
    assert save_east_up(source, path, shard_cells=128, quiet=True) == GROUPS
    return path


def test_the_store_holds_what_east_up_makes(saved: Path, source: Path) -> None:
    tracks = [insar.open_cube(source, f"{name}/raw") for name in insar.products(source)]
    for group, whole in zip(GROUPS, east_up(tracks), strict=True):
        stored = insar.open_cube(saved, group)
        assert stored.displacement.chunks[0] == (128, 128, stored.sizes["point"] - 256)
        for name in whole.variables:
            np.testing.assert_array_equal(stored[name].values, whole[name].values, err_msg=name)
        assert {k: stored.attrs[k] for k in whole.attrs} == whole.attrs


def test_no_length_of_shards_changes_a_bit(cubes: list[xr.Dataset], saved: Path, tmp_path: Path) -> None:
    for cube in cubes:
        insar.save(cube, tmp_path / "site.zarr", quiet=True, shard_points=700)
    save_east_up(tmp_path / "site.zarr", tmp_path / "both.zarr", shard_cells=256, quiet=True)
    for group in GROUPS:
        one, other = insar.open_cube(saved, group), insar.open_cube(tmp_path / "both.zarr", group)
        assert one.displacement.chunks != other.displacement.chunks
        xr.testing.assert_identical(one.drop_attrs().compute(), other.drop_attrs().compute())


def test_points_that_begin_later_are_left_out_of_the_store_too(cubes: list[xr.Dataset], tmp_path: Path) -> None:
    zero = np.where(np.arange(1500) % 4 == 0, 60, 0).astype(np.int32)
    later = [cube.assign(zero_day=("point", zero)) for cube in cubes]
    for cube in later:
        insar.save(cube, tmp_path / "site.zarr", quiet=True, shard_points=700)
    save_east_up(tmp_path / "site.zarr", tmp_path / "both.zarr", shard_cells=256, quiet=True)
    for group, whole in zip(GROUPS, east_up(later), strict=True):
        stored = insar.open_cube(tmp_path / "both.zarr", group)
        np.testing.assert_array_equal(stored["displacement"].values, whole["displacement"].values)
        assert stored.attrs["n_begin_later"] == whole.attrs["n_begin_later"] == 750


def test_what_is_done_is_not_done_again(saved: Path, source: Path) -> None:
    before = stored_bytes(saved)
    report = store_east_up(Engine(saved, quiet=True), tile_sources(source), "east_up", Options(), 128)
    assert (report.shards, report.computed) == (3, 0)
    assert stored_bytes(saved) == before


def test_what_was_lost_alone_is_made_again(source: Path, saved: Path) -> None:
    before, engine = stored_bytes(saved), Engine(saved, quiet=True)
    (saved / GROUPS[1] / "displacement/c/1/0").unlink()
    engine.ledger.revoke(GROUPS[0], [2])
    report = store_east_up(engine, tile_sources(source), "east_up", Options(), 128)
    assert (report.shards, report.computed) == (3, 2)
    assert stored_bytes(saved) == before


def test_faults_are_named_before_any_work(source: Path, tmp_path: Path) -> None:
    first = f"{source}/{insar.products(source)[0]}"
    with pytest.raises(CubeError, match="1 cube came"):
        save_east_up(first, tmp_path / "both.zarr", quiet=True)
    with pytest.raises(CubeError, match="named twice"):
        save_east_up([first, first], tmp_path / "both.zarr", quiet=True)
    with pytest.raises(FileNotFoundError, match="no store with products"):
        save_east_up(tmp_path / "none.zarr", tmp_path / "both.zarr", quiet=True)


def test_nothing_is_written_elsewhere_or_over_what_was_read(source: Path, tmp_path: Path) -> None:
    for name in ("../../escaped", "a/b", ""):
        with pytest.raises(ValueError, match="wanted letters, digits, dots"):
            save_east_up(source, tmp_path / "in/x.zarr", name, quiet=True)
    assert not (tmp_path / "in/x.zarr").exists()
    read = insar.open_cube(source, f"{insar.products(source)[0]}/raw").compute()
    insar.save(read, tmp_path / "own.zarr", "site_E/raw", quiet=True)
    with pytest.raises(CubeError, match="has site_E/raw already, of EGMS_L2b"):
        save_east_up(source, tmp_path / "own.zarr", "site", quiet=True)
    assert insar.open_cube(tmp_path / "own.zarr", "site_E/raw").identical(insar.open_cube(tmp_path / "own.zarr"))


def test_tracks_that_cannot_meet_leave_nothing_of_a_store_that_was_begun_for_them(
    source: Path, cubes: list[xr.Dataset], tmp_path: Path
) -> None:
    lone = insar.save(cubes[0].assign(easting=cubes[0]["easting"] + 90_000), tmp_path / "far.zarr", quiet=True)
    tracks = [f"{tmp_path / 'far.zarr'}/{lone.partition('/')[0]}", f"{source}/{insar.products(source)[1]}"]
    with pytest.raises(CubeError, match="no cell holds points of both"):
        save_east_up(tracks, tmp_path / "both.zarr", quiet=True)
    assert not (tmp_path / "both.zarr").exists()
    before = stored_bytes(tmp_path / "far.zarr")
    with pytest.raises(CubeError, match="no cell holds points of both"):
        save_east_up(tracks, tmp_path / "far.zarr", quiet=True)  # which holds a product
    assert stored_bytes(tmp_path / "far.zarr").items() >= before.items()


def test_a_source_without_lines_of_sight_is_not_passed_over(source: Path, saved: Path, tmp_path: Path) -> None:
    with pytest.raises(CubeError, match=r"east_up_U has no lines of sight .*\['up'\]"):
        save_east_up([source, f"{saved}/east_up_U"], tmp_path / "both.zarr", quiet=True)


def test_a_damaged_source_is_refused(cubes: list[xr.Dataset], tmp_path: Path) -> None:
    for cube in cubes:
        insar.save(cube, tmp_path / "site.zarr", quiet=True)
    product = insar.products(tmp_path / "site.zarr")[0]
    shard = tmp_path / "site.zarr" / product / "raw/displacement/c/0/0"
    data = bytearray(shard.read_bytes())
    data[100] ^= 255
    shard.write_bytes(bytes(data))
    with pytest.raises((CubeError, JobError), match="does not hold the bytes of its receipt"):
        save_east_up(tmp_path / "site.zarr", tmp_path / "both.zarr", quiet=True)
