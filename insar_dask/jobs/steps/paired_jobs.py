"""Jobs on points of two products at once: each reads what it is told of both, and writes one shard of a new group."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
import xarray as xr
from zarr.abc.store import Store

from insar_dask.cube import CubeError
from insar_dask.jobs.engine import Engine, StageReport, str_path
from insar_dask.jobs.groups import make_group
from insar_dask.jobs.memory import check_memory
from insar_dask.jobs.progress.watch import watched
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.jobs.recipe import STEPS, canonical_key
from insar_dask.layout import CODEC
from insar_dask.machine import one_blas_thread
from insar_dask.objects import open_store
from insar_dask.shard_store import ShardWriter
from insar_dask.shards import ShardPlan

__all__ = ["Order", "store_paired"]

Order = Mapping[str, Any]
"""What a job is told: ``parts`` (`insar_dask.jobs.steps.gathering.Part`), ``states`` (hashes), and ``params``."""


def store_paired(
    engine: Engine,
    step: str,
    make: Callable[[Order, Ledger], dict[str, npt.NDArray[Any]]],
    target: str,
    template: xr.Dataset,
    plan: ShardPlan,
    orders: Mapping[int, Order],
    memory: int,
) -> StageReport:
    """Bring a group up to date whose shards are made of shards of others.

    Parameters
    ----------
    engine : Engine
    step : str
        Name in `insar_dask.jobs.recipe.STEPS`: its version is in the keys.
    make : callable
        Makes the arrays of a shard of an order, on a worker.
    target : str
        The group.
    template : xr.Dataset
        What it is like, of any points.
    plan : ShardPlan
        Of the group.
    orders : mapping
        Shard -> order.
    memory : int
        Predicted peak bytes of a job.
    """
    began = time.perf_counter()
    make_group(engine.ledger, target, template, plan)
    keys = {index: _key(step, order) for index, order in orders.items()}
    engine.ledger.supersede(target, keys)
    pending = sorted(engine.stale(target, keys))
    check_memory(f"stage {target}", memory, engine.client)

    def task(index: int, _wanted: Mapping[str, str]) -> tuple[Any, ...]:
        return str_path(engine.path), make, index, target, plan, orders[index], keys[index]

    wanted = {index: {step: keys[index]} for index in pending}
    with watched(engine, target, plan, pending, [target], target) as progress:
        made = engine.settle(f"stage {target}", {step: target}, wanted, make_paired, task, progress, (CubeError,))
    counts = len(pending), sum(r.points for r in made.values()), sum(r.size for r in made.values())
    return engine.report(StageReport(target, plan.n_shards, *counts, time.perf_counter() - began))


def make_paired(
    path: str | Path | Store,
    make: Callable[[Order, Ledger], dict[str, npt.NDArray[Any]]],
    index: int,
    target: str,
    plan: ShardPlan,
    order: Order,
    key: str,
) -> list[Receipt]:
    """One shard, on this thread; from shards that hold what their receipts say."""
    began, store = time.perf_counter(), open_store(path)
    with one_blas_thread():
        block = make(order, Ledger(store))
    claim = Ledger(store).check_free(target, index, key)
    stored = ShardWriter(store, target, plan).write(index, block)
    where = plan.slice(index)
    receipt = Receipt.sign(index, key, stored, where.stop - where.start, began)
    Ledger(store).write(target, receipt, claim)
    return [receipt]


def _key(step: str, order: Order) -> str:
    """Where the parts lie does not count, what they hold does."""
    inputs = {name: [length, shards] for name, (_, _, length, shards) in order["parts"].items()}
    what = {"inputs": inputs, "states": order["states"], "params": order["params"]}
    return canonical_key({**what, "step": step, "version": STEPS[step][1], "codec": CODEC})
