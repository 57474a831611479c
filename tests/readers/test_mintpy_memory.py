"""A series larger than the memory it may take: read tile by tile, saved shard by shard, resumed after a kill."""

import subprocess
import sys

import dask
import h5py
import numpy as np
import pytest

import insar_dask as insar
from insar_dask.jobs.engine import JobError
from insar_dask.jobs.steps import saving
from insar_dask.readers.mintpy import read_mintpy
from tests.readers.mintpy_layout import ATTRIBUTES, write_series

ROWS, COLUMNS, N_DATES = 400, 500, 800
SERIES = ROWS * COLUMNS * N_DATES * 4
READING = 0.2 * SERIES  # 27-39 MB of 640 measured: two tiles
SAVING = 0.8 * SERIES  # 190-390 MB: the shards in flight, 39 MB each, as read and as written, and what glibc keeps

PROGRAM = """
import sys
import insar_dask as insar

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

insar.save(insar.read_mintpy(sys.argv[1]), sys.argv[3], "small/raw", quiet=True)
before = peak()
cube = insar.read_mintpy(sys.argv[2])
read = peak()
insar.save(cube, sys.argv[3], "large/raw", quiet=True)
print(before, read, peak())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.slow
@pytest.mark.parametrize("chunks", [None, (8, 50, 50)])
def test_series_is_never_whole_in_memory(tmp_path, chunks):
    small, large = write_series(tmp_path / "small.h5"), tmp_path / "large.h5"
    days = np.datetime64("2000-01-01") + 6 * np.arange(N_DATES)
    plane = np.random.default_rng(0).normal(0, 0.01, (ROWS, COLUMNS)).astype(np.float32)
    with h5py.File(large, "w") as file:
        values = file.create_dataset("timeseries", (N_DATES, ROWS, COLUMNS), "f4", chunks=chunks)
        for date in range(N_DATES):
            values[date] = plane * date
        file["date"] = np.char.replace(days.astype(str), "-", "").astype("S8")
        size = {"LENGTH": str(ROWS), "WIDTH": str(COLUMNS)}
        file.attrs.update({**ATTRIBUTES, **size, "REF_DATE": "20000101"})
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, small, large, tmp_path / "s.zarr"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    before, read, saved = map(int, done.stdout.split())
    assert read - before < READING and saved - before < SAVING


def test_killed_save_goes_on(tmp_path, monkeypatch):
    series = write_series(tmp_path / "timeseries.h5")
    written = []
    save_part = saving.save_part

    def dies(*arguments):
        if len(written) == 2:
            raise OSError("killed")
        written.append(arguments[2])
        return save_part(*arguments)

    with dask.config.set(scheduler="synchronous"):
        monkeypatch.setattr(saving, "save_part", dies)
        with pytest.raises(JobError, match="killed"):
            insar.save(read_mintpy(series), tmp_path / "s.zarr", "s/raw", quiet=True, shard_points=512)
        begun = list(written)
        monkeypatch.setattr(saving, "save_part", lambda *a: (written.append(a[2]), save_part(*a))[1])
        insar.save(read_mintpy(series), tmp_path / "s.zarr", "s/raw", quiet=True, shard_points=512)
    assert len(begun) == 2 and sorted(written) == list(range(10))
    stored = insar.open_cube(tmp_path / "s.zarr", "s/raw")
    np.testing.assert_array_equal(stored["displacement"], read_mintpy(series)["displacement"])
