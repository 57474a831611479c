"""A disk that fills up in mid-write: an error that says the cure, nothing half written, and the next run goes on."""

import subprocess

import numpy as np
import pytest
import xarray as xr

from insar_dask.jobs.engine import Engine
from insar_dask.jobs.opening import open_cube
from insar_dask.jobs.steps.ingest import ingest
from insar_dask.synthetic import scene, write_egms

NAME = "EGMS_L2b_022_0845_IW2_VV_2020_2024_1"


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    return write_egms(tmp_path_factory.mktemp("product") / f"{NAME}.zip", scene("l2b", n_points=6000, n_dates=210))


@pytest.fixture
def disk(tmp_path):
    """A file system of 1,200 KiB; mounting one takes root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system of our own: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_stops_the_run_and_the_next_one_goes_on(product, disk, tmp_path):
    store = disk / "site.zarr"
    with pytest.raises(OSError, match=r"cannot write shard \d+ of site/raw: No space left.*run again"):
        ingest(Engine(store, threads=2, quiet=True), product, "site", {})
    assert not list(disk.rglob("*.partial"))
    subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
    report = ingest(Engine(store, threads=2, quiet=True), product, "site", {})
    assert 0 < report.computed < report.shards
    ingest(Engine(tmp_path / "whole.zarr", quiet=True), product, "site", {})
    resumed, whole = open_cube(store).compute(), open_cube(tmp_path / "whole.zarr").compute()
    xr.testing.assert_identical(resumed, whole)
    assert np.isfinite(whole.displacement).all()
