"""What opens, and what says that it is not whole."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr
from zarr.abc.store import Store

import insar_dask as insar
from insar_dask import layout
from insar_dask.cube import CubeError, check_cube
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.receipts import Ledger
from insar_dask.objects import delete_all, list_keys, open_store, put_bytes


@pytest.fixture
def half(tmp_path: Path, small_scene: xr.Dataset) -> Path:
    """A cube of six shards of which two are not done."""
    path = tmp_path / "site.zarr"
    insar.save(small_scene, path, "site/raw", shard_points=512, quiet=True)
    Ledger(open_store(path)).revoke("site/raw", [1, 4])
    return path


def test_a_half_written_cube_is_refused_with_its_cure(half: Path) -> None:
    with pytest.raises(CubeError, match=r"site/raw of .* is not whole: 4 of 6 shards are done\. Run .* again"):
        insar.open_cube(half)


@pytest.mark.parametrize("size", [None, 1000])
def test_a_cube_that_was_copied_in_part_is_refused(size: int | None, tmp_path: Path, small_scene: xr.Dataset) -> None:
    path = tmp_path / "site.zarr"
    insar.save(small_scene, tmp_path / "all.zarr", "site/raw", shard_points=512, quiet=True)
    cube = insar.open_cube(tmp_path / "all.zarr").load()
    cube["displacement"][:512] = np.nan
    insar.save(cube, path, "site/raw", shard_points=512, quiet=True)
    assert not (path / "site/raw/displacement/c/0/0").exists(), "all missing"
    assert insar.open_cube(path).sizes["point"] == 3000
    file = path / "site/raw/displacement/c/3/0"
    file.write_bytes(file.read_bytes()[:size]) if size else file.unlink()
    with pytest.raises(CubeError, match=r"site/raw of .* is not whole: 5 of 6 shards are done\. Run .* again"):
        insar.open_cube(path)
    assert insar.open_cube(path, partial=True).sizes["point"] == 2488


def test_what_there_is_opens_when_it_is_asked_for(half: Path, small_scene: xr.Dataset) -> None:
    part = insar.open_cube(half, partial=True)
    check_cube(part)
    assert part.attrs["incomplete"] == "4 of 6 shards"
    insar.save(small_scene, half, "site/raw", shard_points=512, quiet=True)
    whole = insar.open_cube(half)
    points = np.r_[0:512, 1024:2048, 2560:3000]
    assert "incomplete" not in whole.attrs
    xr.testing.assert_equal(part.compute(), whole.isel(point=points).compute())


def test_a_part_is_opened_without_reading_and_by_whole_shards(half: Path) -> None:
    with dask.config.set(scheduler=_refuse):
        part = insar.open_cube(half, partial=True)
    assert part["displacement"].chunks == ((512, 512, 512, 440), (90,))


def test_a_cube_of_which_nothing_is_done_has_no_points(half: Path) -> None:
    Ledger(open_store(half)).revoke("site/raw", range(6))
    part = insar.open_cube(half, partial=True)
    assert (part.sizes["point"], part.attrs["incomplete"]) == (0, "0 of 6 shards")


def test_what_a_killed_run_left_is_not_taken_for_a_cube(
    tmp_path: Path, launch: Callable[..., subprocess.Popen[str]], finish: Callable[..., object]
) -> None:
    store = tmp_path / "site.zarr"
    with launch(store, "serial") as process:
        ledger, deadline = Ledger(open_store(store)), time.monotonic() + 200
        while not ledger.done("site/smooth"):
            assert time.monotonic() < deadline, "nothing was written"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    done = len(Engine(store, quiet=True).ledger.done("site/smooth"))
    with pytest.raises(CubeError, match=f"{done} of 21 shards are done"):
        insar.open_cube(store, "site/smooth")
    finish(store, "serial")
    assert insar.open_cube(store, "site/smooth").sizes["point"] == 2650


@pytest.mark.parametrize("step", ["delete_below", "put_bytes"])
def test_a_cube_that_a_run_was_killed_at_replacing_is_refused(
    step: str, bucket: str, small_scene: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(store: Store, key: str, *data: bytes) -> None:
        if data:
            put_bytes(store, key, *data)
        else:
            delete_all(store, [name for name in list_keys(store, f"{key}/") if "/c/" in name])
        raise KeyboardInterrupt

    insar.save(small_scene.isel(time=slice(60)), bucket, "site/raw", shard_points=512, quiet=True)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(layout, step, die)
        insar.save(small_scene, bucket, "site/raw", shard_points=512, quiet=True)
    with pytest.raises(CubeError, match=r"site/raw of .* is not whole: 0 of 6 shards are done\. Run .* again"):
        insar.open_cube(bucket, "site/raw")
    insar.save(small_scene, bucket, "site/raw", shard_points=512, quiet=True)
    assert not np.isnan(insar.open_cube(bucket, "site/raw")["displacement"].values).any()


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("opening computed something")
