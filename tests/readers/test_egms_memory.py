"""Reading and writing take at most the int16 cube of the file and 300 MB more, the interpreter included."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

N_POINTS, N_DATES = 200_000, 300
CUBE = N_POINTS * N_DATES * 2
ALLOWED = 300e6
COLUMNS = 74  # bytes a point beside its series: a million points have 60 MB more of them than there are here
XARRAY_AND_DASK = 90e6
AT_A_MILLION = ALLOWED - COLUMNS * (1_000_000 - N_POINTS)

PROGRAM = """
import json, pathlib, sys
from insar_dask.readers.egms import read_egms, read_table
if sys.argv[2] == "table":
    from insar_dask.shards import ShardPlan
    table = read_table(sys.argv[1], threads=2)
    plan = ShardPlan.of(table.n_points, table.times.size)
    shards = [plan.slice(k) for k in range(plan.n_shards)]
    total = sum(int(table.stored(shard.start, shard.stop).sum(dtype="int64")) for shard in shards)
elif sys.argv[2] == "store":
    from insar_dask.jobs.steps.ingest import ingest_file
    total = ingest_file(sys.argv[3], sys.argv[1], 0, "tile", {}, 65_536)["counts"][2]
else:
    cube = read_egms(sys.argv[1], threads=2, **json.loads(sys.argv[3]))
    total = cube.sizes["point"]
# not getrusage, whose peak is inherited from the process that started this one
status = pathlib.Path("/proc/self/status").read_text()
print(json.dumps([total, int(status.split("VmHWM:")[1].split()[0]) * 1024]))
"""


pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    """A tile of 0.3 GB whose rows repeat a few series, so that writing it is quick."""
    path = tmp_path_factory.mktemp("tile") / "EGMS_L3_E45N17_100km_U_2020_2024_1.csv"
    dates = [str(day).replace("-", "") for day in np.datetime64("2020-01-03") + 6 * np.arange(N_DATES)]
    series = np.random.default_rng(3).integers(-200, 200, (50, N_DATES))
    tails = [(",12.3,1.6,-0.5," + ",".join(f"{k / 10:.1f}" for k in row) + "\n").encode() for row in series]
    with path.open("wb") as file:
        file.write(",".join(["pid", "easting", "northing", "height", "rmse", "mean_velocity", *dates]).encode() + b"\n")
        for k in range(N_POINTS):
            file.write(
                b"%010d,%d,%d" % (k, 4_500_050 + 100 * (k % 1000), 1_700_050 + 100 * (k // 1000)) + tails[k % 50]
            )
    return path, int(series.sum()) * (N_POINTS // 50)


def measured(path, what, options):
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        str(path),
        what,
        options if isinstance(options, str) else json.dumps(options),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    total, peak = json.loads(done.stdout)
    return total, peak


def test_a_table_takes_its_int16_cube_and_300_mb_at_a_million_points_too(tile):
    path, expected = tile
    total, peak = measured(path, "table", {})
    assert total == expected
    assert peak <= CUBE + AT_A_MILLION, f"{(peak - CUBE) / 1e6:.0f} MB beyond the cube"


def test_writing_takes_no_more(tile, tmp_path):
    total, peak = measured(tile[0], "store", str(tmp_path / "tile.zarr"))
    assert total == N_POINTS
    assert peak <= CUBE + AT_A_MILLION, f"{(peak - CUBE) / 1e6:.0f} MB beyond the cube"


def test_a_cube_takes_the_libraries_of_its_type_beside_that(tile):
    total, peak = measured(tile[0], "cube", {})
    assert total == N_POINTS
    assert peak <= CUBE + ALLOWED + XARRAY_AND_DASK, f"{(peak - CUBE) / 1e6:.0f} MB beyond the cube"


def test_rows_outside_the_area_take_no_memory(tile):
    path, _ = tile
    total, peak = measured(path, "cube", {"area": [4_500_000, 1_700_000, 4_520_000, 1_702_000]})
    assert total == 200 * 20
    assert peak <= ALLOWED, f"{peak / 1e6:.0f} MB"
