"""A small run on any store: save a cube, then two results of a stage.

usage: python -m tests.s3.runs STORE [WINDOW]
"""

import sys

import xarray as xr

from insar_dask.jobs.engine import Engine
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.receipts import Ledger
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.jobs.steps.saving import store_cube
from insar_dask.objects import get_bytes, list_keys, open_store
from insar_dask.synthetic import scene

RAW, TARGETS, SHARDS = "site/raw", ("site/smooth", "site/products"), 4
KEPT = "displacement", "easting", "northing", "point_id", "coherence"


def small_cube() -> xr.Dataset:
    cube = scene("l2b", n_points=512, n_dates=60, seed=3).compute()
    return cube.drop_vars([name for name, of in cube.variables.items() if "point" in of.dims and name not in KEPT])


def stage(window: int = 11) -> Stage:
    steps = (
        Step("regularise", "raw", "regular", {"every": "12D", "max_gap": "60D"}),
        Step("savgol", "regular", "smooth", {"window": window, "order": 2}),
        Step("motion", "raw", "products"),
    )
    return Stage("site/prepare", RAW, steps, {name.rpartition("/")[2]: name for name in TARGETS})


def run(store: str, cube: xr.Dataset, window: int = 11, threads: int = 2) -> dict[str, list[int]]:
    """Run to the end; returns shards and computed shards by stage."""
    with owned(store):
        return run_held(store, cube, window, threads)


def run_held(store: str, cube: xr.Dataset, window: int = 11, threads: int = 2) -> dict[str, list[int]]:
    """As `run`, for whoever holds the store."""
    engine = Engine(store, threads=threads, quiet=True)
    written = store_cube(engine, cube, RAW, shard_points=128)
    report = engine.run(stage(window))
    return {RAW: [SHARDS, len(written)], report.stage: [report.shards, report.computed]}


def objects_of(store: str) -> dict[str, bytes]:
    """Every object but those that may differ between equal runs."""
    opened = open_store(store)
    skipped = "jobs/receipts/", "jobs/lock", "jobs/lease", "jobs/history/"
    return {key: get_bytes(opened, key) or b"" for key in list_keys(opened, "") if not key.startswith(skipped)}


def signed(store: str) -> dict[str, list[tuple[object, ...]]]:
    """Receipts, but times and hosts."""
    ledger = Ledger(open_store(store))
    return {
        target: [(r.index, r.key, r.checksum, r.size, r.points) for r in ledger.done(target).values()]
        for target in (RAW, *TARGETS)
    }


if __name__ == "__main__":
    run(sys.argv[1], small_cube(), threads=1)
