"""A continent without its data: whether plans, waves, receipts and books hold where the shards are tens of thousands.

python -m tests.benchmarks.continent [--tiles 1500] [--shards 76000] [--threads 100] [--into FILE]

* 1,500 tiles of EGMS Level 3, each with a store of its own (16 shards), planned from the headers of real files, run by
  one campaign whose driver is killed in the middle, and gone over once more when all is done.
* One store of 76,000 shards of 65,536 points, what all of Europe's Level 2b comes to: the same.

The scheduler, the two workers and the drivers are real; of a chunk job all is there but the chunk. CPU seconds of the
scheduler and of the driver are counted by the kernel, those of a worker are not: it writes one receipt a shard.
Workers have many threads, so that as many jobs are in flight as a cluster has: messages then go many at a time. What
Dask itself takes of jobs that do nothing is told beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import xarray as xr
from distributed import Client, as_completed

from insar_dask.campaign import Campaign
from insar_dask.campaign_book import BOOK, campaign_table
from insar_dask.config import Config, parse_config
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.flights.flight import IN_FLIGHT_PER_THREAD
from insar_dask.jobs.progress.status import status_table
from insar_dask.jobs.progress.watch import watched
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.layout import create_group
from insar_dask.objects import open_store
from insar_dask.outcomes import Outcome
from insar_dask.planning import plan_run
from insar_dask.shards import SHARD_POINTS, ShardPlan
from insar_dask.store import products
from insar_dask.synthetic import egms_tile, write_egms
from insar_dask.tiles import Tile
from tests.jobs.clusters import external_cluster, unwound

ROOT = Path(__file__).parents[2]
TILE_POINTS, TILE_DATES = 100_000, 304
COLUMNS = 50
"""Tiles from west to east."""

MOST_BARE = 20_000

BARS = {
    "plan s": 30.0,
    "status s": 3.0,
    "scheduler peak MB": 1000.0,
    "ms of client and scheduler a job": 2.0,
}


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    if options.drive:
        print(json.dumps(DRIVES[options.drive](Path(options.folder), options.address)))
        return 0
    threads = options.threads
    with unwound(), tempfile.TemporaryDirectory() as folder:
        rows = {
            f"{options.tiles:,} tiles": tiles(Path(folder) / "tiles", options.tiles, threads),
            f"{options.shards:,} shards": shards(Path(folder) / "shards", options.shards, threads),
            "Dask alone": bare(Path(folder) / "bare", min(options.shards, MOST_BARE), threads),
        }
    rows["measured"] = {"load": os.getloadavg()[0], "cores": float(os.cpu_count() or 0), "threads": 2.0 * threads}
    for name, row in rows.items():
        print(name)
        for what, value in row.items():
            bar = f"   (wanted: <= {BARS[what]:g})" if what in BARS else ""
            print(f"  {what:<36}{value:>12,.2f}{bar}")
    if options.into:
        Path(options.into).write_text(json.dumps(rows, indent=1) + "\n")
    return int(any(row[what] > bar for row in rows.values() for what, bar in BARS.items() if what in row))


# --- 1,500 tiles ------------------------------------------------------------------------------------------------------


def tiles(folder: Path, n_tiles: int, threads: int) -> dict[str, float]:
    """Plan, run, kill, resume and go over a campaign."""
    config = archive(folder, n_tiles)
    seconds, plan = timed(lambda: plan_run(config))
    assert plan.count("EGMS_L3_") == n_tiles, "the plan has other products"
    n_shards = n_tiles * shards_of_tile().n_shards
    row = {"plan s": seconds, "shards": n_shards}
    half = n_tiles // 2
    row |= killed_and_resumed("campaign", folder, lambda: len(receipts_of_campaign(folder)) >= half, n_shards, threads)
    row["status s"], _ = timed(lambda: campaign_table(folder / "stores"))
    return row


def archive(folder: Path, n_tiles: int) -> Config:
    """A tile's file under the names of many: links, for 1,500 files of 40 MB are no test of ours."""
    source = folder / "archive"
    source.mkdir(parents=True)
    one = write_egms(folder / "EGMS_L3_E32N34_100km_U_2020_2024_1.zip", egms_tile("E32N34", TILE_POINTS, TILE_DATES))
    for number in range(n_tiles):
        name = Tile(10 + number % COLUMNS, 10 + number // COLUMNS).name
        os.link(one, source / f"EGMS_L3_{name}_100km_U_2020_2024_1.zip")
    return configured(folder)


def configured(folder: Path) -> Config:
    return parse_config(
        {"source": {"files": [str(folder / "archive")]}, "store": {"path": str(folder / "stores" / "{product}.zarr")}}
    )


def shards_of_tile() -> ShardPlan:
    return ShardPlan.of(TILE_POINTS, TILE_DATES)


def receipts_of_campaign(folder: Path) -> dict[int, Receipt]:
    return Ledger(open_store(folder / "stores" / BOOK)).done("products")


def drive_campaign(folder: Path, address: str) -> dict[str, float]:
    """A campaign whose products have chunk jobs without chunks."""
    computed = []
    with Client(address) as client:
        before = own_cpu()

        def one(config: Config) -> list[Outcome]:
            store = Path(config.store.path)
            outline = xr.Dataset({"height": ("point", [0.0])})
            computed.append(no_op_stage(client, store, f"{store.stem}/raw", outline, shards_of_tile()))
            page = store.with_suffix(".txt")
            page.write_text(store.stem)
            return [Outcome(store.stem, store, page, ())]

        Campaign(configured(folder), quiet=True).run(one, client)
    return {"computed": sum(computed), **own_cost(before)}


# --- 76,000 shards ----------------------------------------------------------------------------------------------------


def shards(folder: Path, n_shards: int, threads: int) -> dict[str, float]:
    """Run, kill, resume and look at a store of so many shards."""
    folder.mkdir()
    (folder / "n_shards").write_text(str(n_shards))
    store = folder / "cube.zarr"
    row: dict[str, float] = {"shards": n_shards}
    row |= killed_and_resumed("store", folder, lambda: count_receipts(store) >= n_shards // 2, n_shards, threads)
    row["status s"], _ = timed(lambda: status_table(store))
    assert len(Ledger(open_store(store)).done(f"{products(store)[0]}/raw")) == n_shards
    return row


def count_receipts(store: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(store / "jobs" / "receipts"))


def drive_store(folder: Path, address: str) -> dict[str, float]:
    plan = ShardPlan(int((folder / "n_shards").read_text()) * SHARD_POINTS, SHARD_POINTS)
    outline = xr.Dataset({"height": ("point", [0.0])})
    with Client(address) as client:
        before = own_cpu()
        computed = no_op_stage(client, folder / "cube.zarr", "europe/raw", outline, plan)
    return {"computed": computed, **own_cost(before)}


# --- what Dask takes itself -------------------------------------------------------------------------------------------


def bare(folder: Path, n_jobs: int, threads: int) -> dict[str, float]:
    """Jobs that do nothing, as many in flight, by Dask's own means."""
    folder.mkdir()
    (folder / "n_shards").write_text(str(n_jobs))
    with cluster(folder, threads) as (address, scheduler):
        before = cpu(scheduler)
        driven = told("bare", folder, address)
        total = cpu(scheduler) - before
    return {
        "jobs": n_jobs,
        "ms of client and scheduler a job of Dask": 1e3 * (driven["cpu"] + total) / n_jobs,
        "ms of the scheduler alone": 1e3 * total / n_jobs,
    }


def drive_bare(folder: Path, address: str) -> dict[str, float]:
    n_jobs = int((folder / "n_shards").read_text())
    with Client(address) as client:
        in_flight = IN_FLIGHT_PER_THREAD * sum(client.nthreads().values())
        before, numbers = own_cpu(), iter(range(n_jobs))
        running = as_completed([client.submit(nothing, k, pure=False) for k in islice(numbers, in_flight)])
        for batch in running.batches():
            client.gather(list(batch))
            for k in islice(numbers, len(batch)):
                running.add(client.submit(nothing, k, pure=False))
    return {"computed": n_jobs, **own_cost(before)}


def nothing(index: int) -> int:
    """A job of Dask's."""
    return index


# --- chunk jobs without chunks ----------------------------------------------------------------------------------------


def no_op_stage(client: Client, path: Path, target: str, outline: xr.Dataset, plan: ShardPlan) -> int:
    """What `Engine.run` does of a stage, but for its data; returns the shards computed."""

    def task(index: int, wanted: Mapping[str, str]) -> tuple[Any, ...]:
        return str(path), target, index, dict(wanted)

    with Engine(path, client, quiet=True) as engine:
        create_group(engine.store, target, outline, plan)
        done = engine.ledger.done(target)
        pending = {i: {"raw": "key"} for i in range(plan.n_shards) if i not in done}
        with watched(engine, target, plan, pending, [target], target) as progress:
            engine.settle(f"stage {target}", {"raw": target}, pending, no_op, task, progress)
    return len(pending)


def no_op(path: str, target: str, index: int, wanted: Mapping[str, str]) -> list[Receipt]:
    """A chunk job that finds its shard made: what remains is the receipt."""
    ledger, began = Ledger(open_store(path)), time.perf_counter()
    ledger.check_free(target, index, wanted["raw"])
    receipt = Receipt.sign(index, wanted["raw"], ("0" * 64, 0), SHARD_POINTS, began)
    ledger.write(target, receipt)
    return [receipt]


# --- drivers and what they cost ---------------------------------------------------------------------------------------

DRIVES: dict[str, Callable[[Path, str], dict[str, float]]] = {
    "campaign": drive_campaign,
    "store": drive_store,
    "bare": drive_bare,
}


def killed_and_resumed(
    drive: str, folder: Path, half: Callable[[], bool], n_shards: int, threads: int
) -> dict[str, float]:
    """Three drivers: one is killed when half is done, the second ends it, the third finds it done."""
    with cluster(folder, threads) as (address, scheduler):
        before = cpu(scheduler)
        with driver(drive, folder, address) as first:
            while not half():
                assert first.poll() is None, "the driver ended before half was done"
                time.sleep(0.5)
            spent = cpu(psutil.Process(first.pid))
        began = time.perf_counter()
        second = told(drive, folder, address)
        resumed = time.perf_counter() - began
        seconds, third = timed(lambda: told(drive, folder, address))
        memory = scheduler.memory_info().rss / 1e6
        peak = peak_megabytes(scheduler.pid)
        total = cpu(scheduler) - before
    assert third["computed"] == 0, "what was done was done again"
    return {
        "computed after the kill": second["computed"],
        "jobs/s after the kill": second["computed"] / resumed,
        "ms of client and scheduler a job": 1e3 * (spent - second["start"] + second["cpu"] + total) / n_shards,
        "ms of the scheduler alone": 1e3 * total / n_shards,
        "going over all that is done s": seconds,
        "driver peak MB": second["peak"],
        "scheduler peak MB": peak,
        "scheduler at the end MB": memory,
    }


@contextmanager
def cluster(folder: Path, threads: int) -> Iterator[tuple[str, psutil.Process]]:
    """A scheduler and two workers of so many threads, which find this module."""
    os.environ["PYTHONPATH"] = str(ROOT)
    with external_cluster(folder, workers=2, threads=threads) as address:
        with Client(address) as client:
            client.wait_for_workers(2)
            pid = client.run_on_scheduler(os.getpid)
        yield address, psutil.Process(pid)


@contextmanager
def driver(drive: str, folder: Path, address: str) -> Iterator[subprocess.Popen[str]]:
    """A driver at work, which is killed at the end of the block."""
    command = [sys.executable, "-m", __spec__.name, "--drive", drive, "--folder", str(folder), "--address", address]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def told(drive: str, folder: Path, address: str) -> dict[str, float]:
    """What a driver tells at its end."""
    with driver(drive, folder, address) as process:
        output, _ = process.communicate()
    assert process.returncode == 0, "a driver failed"
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def own_cost(before: float) -> dict[str, float]:
    """CPU seconds of this process, before its work and in it, and its peak."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"start": before, "cpu": own_cpu() - before, "peak": peak}


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def peak_megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM"))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=1500)
    parser.add_argument("--shards", type=int, default=76_000)
    parser.add_argument("--threads", type=int, default=100, help="of each of the two workers")
    parser.add_argument("--into", help="JSON file for the figures")
    parser.add_argument("--drive", choices=list(DRIVES), help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--address", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
