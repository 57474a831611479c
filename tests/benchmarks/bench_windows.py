"""Groups and training windows: what a batch costs beside a training step, and what memory 10 times the points take.

``make bench TOPICS=windows``, about two minutes, most of it to write the stores. The published implementation gathers
an item in 0.66 to 0.86 ms, so that a batch of 16 takes it 11 to 14 ms; the bar is 5 % of a training step of 0.6 s.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import insar_dask as insar
from insar_dask.forecast.groups import cut_groups
from insar_dask.store import products
from insar_dask.synthetic import scene
from tests.benchmarks.measure import RUNS, gate, row, seconds, size

BATCH, LENGTH, ROUNDS = 16, 8, 3
N_POINTS, N_DATES = 588_600, 230
"""Dates as acquired; about 166 of 12 days."""

READING = """
import json, sys, time
import torch
from insar_dask.forecast.series.grid_points import GridPoints
from insar_dask.forecast.series.windows import SeriesWindows
from insar_dask.forecast.series.splits import split_by_length
from insar_dask.forecast.series.stored_points import StoredPoints

def peak():
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

torch.set_num_threads(1)
source = GridPoints.of(StoredPoints(sys.argv[1], sys.argv[2]), 12)
imported = peak()
windows = SeriesWindows(source, split_by_length(len(source.days)), batch=BATCH, length=LENGTH, resident=RESIDENT)
windows.batch(0), list(windows.validation())
began = time.process_time()
for step in range(windows.steps_per_round // 2):
    windows.batch(step)
warm = (time.process_time() - began) / (windows.steps_per_round // 2)
began, steps = time.process_time(), ROUNDS * windows.steps_per_round
for step in range(1, 1 + steps):
    windows.batch(step)
print(json.dumps({"s": (time.process_time() - began) / steps, "warm": warm, "peak": peak(), "imports": imported}))
"""


def rows() -> list[dict[str, Any]]:
    return [groups_row(), *store_rows()]


def groups_row() -> dict[str, Any]:
    n_points = size(1_000_000)
    rng = np.random.default_rng(0)
    places = np.cumsum(rng.normal(0, 30, (n_points, 2)), axis=0)
    patterns = rng.integers(-1, 8, n_points).astype(np.int8)
    groups = cut_groups(places, 16, 1000.0, patterns, 5)
    once = np.bincount(groups.members[groups.present], minlength=n_points)
    times = [seconds(lambda: cut_groups(places, 16, 1000.0, patterns, 5)) for _ in range(RUNS)]
    gates = [gate("points that are not in exactly one group", float((once != 1).sum()), at_most=0)]
    return row(f"groups of 16 of {n_points:,} points, 9 patterns", times, bar="<= 1 s", gates=gates)


def store_rows() -> list[dict[str, Any]]:
    """A batch from a store, with the reading of its round; and the peak memory of 10 times the points."""
    with tempfile.TemporaryDirectory() as folder:
        few, many = (measured(Path(folder), n_points) for n_points in (size(N_POINTS) // 10, size(N_POINTS)))
    growth = gate("peak memory over that of a tenth of the points", many["peak"] / few["peak"], at_most=1.1)
    windows = BATCH * LENGTH
    note = f"{many['s'] / windows * 1e6:.1f} us a point-window; without reading {many['warm'] * 1e3:.2f} ms a batch"
    memory = f"peak {many['peak']:.0f} MiB, {few['peak']:.0f} of a tenth, {many['imports']:.0f} of it imports"
    return [
        row(
            f"a batch of {BATCH} x {LENGTH} from a store of {size(N_POINTS):,}", [many["s"]], bar="<= 0.03 s", note=note
        ),
        row(f"the same from a store of {size(N_POINTS) // 10:,}", [few["s"]], gates=[growth], note=memory),
    ]


def measured(folder: Path, n_points: int) -> dict[str, float]:
    path = folder / f"{n_points}.zarr"
    insar.save(scene("l2b", n_points=n_points, n_dates=N_DATES, seed=1), path)
    settings = f"BATCH, LENGTH, ROUNDS, RESIDENT = {BATCH}, {LENGTH}, {ROUNDS}, {size(N_POINTS) // 20}\n"
    command = [sys.executable, "-c", settings + READING, str(path), f"{products(path)[0]}/raw"]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found
