"""Weak scaling: a stage over as many points a worker, on one to four workers of one thread, and where its time goes.

python -m tests.benchmarks.scaling [--points 32768] [--workers 1 2 3 4] [--runs 3] [--into FILE]

With twice the workers on twice the points a stage ought to take as long as before, as long as each worker has a core.
Beyond that its time must grow as the work for each core does. What is told of each number of workers, of the fastest of
some runs:

* wall seconds, and the weak efficiency: those of one worker over these, times workers for each core where there are
  more workers than cores;
* CPU seconds of the workers, for each of them: where they grow, cores share caches and memory, or are two threads of
  one;
* CPU seconds of the driver and the scheduler, which take a core that a worker wants;
* what is left of cores times wall: a core was free, waiting for disks, for messages, for the last job; or, where the
  machine is not idle, others had it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from distributed import Client

import insar_dask as insar
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.machine import usable_cpus
from insar_dask.synthetic import scene

SHARD = 2048
DATES = 210
STEPS = (
    Step("regularise", "raw", "regular", {"every": "12D"}),
    Step("savgol", "regular", "smooth", {"window": 11, "order": 2}),
    Step("motion", "raw", "products"),
    Step("holt_winters", "smooth", "parts", {"period": 30}),
)
STAGE = Stage("site/prepare", "site/raw", STEPS, {name: f"site/{name}" for name in ("smooth", "products", "parts")})


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        rows = [scaled(Path(folder), n, options.points, options.runs) for n in options.workers]
    cores, first = usable_cpus(), rows[0]
    for row in rows:
        at_once = min(row["workers"], cores)
        ideal = first["wall s"] / first["workers"] * row["workers"] / at_once
        row["weak efficiency"] = round(ideal / row["wall s"], 3)
        row["CPU s of a worker"] = round(row["CPU s of workers"] / row["workers"], 2)
        spent = row["CPU s of workers"] + row["CPU s of driver and scheduler"]
        row["core s of nobody or others"] = round(at_once * row["wall s"] - spent, 2)
    report = {"load before": round(load, 1), "cores": cores, "points of a worker": options.points, "rows": rows}
    print(json.dumps(report, indent=1))
    if options.into:
        Path(options.into).write_text(json.dumps(report, indent=1) + "\n")
    return 0


def scaled(folder: Path, n_workers: int, points: int, runs: int) -> dict[str, Any]:
    """The fastest of some runs on so many workers."""
    with insar.session(workers=n_workers, threads_per_worker=1) as client:
        store = prepared(folder / f"{n_workers}-warm", SHARD * 2 * n_workers)
        run_once(store, client)  # every worker has imported and compiled
        found = []
        for number in range(runs):
            store = prepared(folder / f"{n_workers}-{number}", points * n_workers)
            found.append(run_once(store, client))
    return {"workers": n_workers, **min(found, key=lambda one: one["wall s"])}


def prepared(folder: Path, n_points: int) -> Path:
    """A store with a raw cube."""
    store = folder / "cube.zarr"
    insar.save(scene("l2b", n_points=n_points, n_dates=DATES), store, "site/raw", shard_points=SHARD, quiet=True)
    return store


def run_once(store: Path, client: Client) -> dict[str, float]:
    """Wall and CPU seconds of the stage."""
    before, own, began = of_workers(client), time.process_time(), time.perf_counter()
    with Engine(store, client, quiet=True) as engine:
        report = engine.run(STAGE)
    wall = time.perf_counter() - began
    return {
        "shards": report.computed,
        "wall s": round(wall, 2),
        "CPU s of workers": round(of_workers(client) - before, 2),
        "CPU s of driver and scheduler": round(time.process_time() - own, 2),
    }


def of_workers(client: Client) -> float:
    """CPU seconds of all workers so far."""
    return float(sum(client.run(time.process_time).values()))


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=32_768, help="of each worker")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--into", help="JSON file for the figures")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
