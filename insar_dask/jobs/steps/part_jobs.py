"""Small arrays made of parts of a scene that are no shards of one group: one order is one job with a receipt."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from zarr.abc.store import Store

from insar_dask.cube import CubeError
from insar_dask.jobs.engine import Engine, StageReport, str_path
from insar_dask.jobs.memory import check_memory
from insar_dask.jobs.progress.watch import watched
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.jobs.recipe import STEPS, canonical_key
from insar_dask.machine import one_blas_thread
from insar_dask.objects import open_store
from insar_dask.shards import ShardPlan

__all__ = ["Arrays", "Order", "run_parts"]

Arrays = dict[str, npt.NDArray[Any]]
Order = Mapping[str, Any]
"""What one job is told: plain values, with the checksums of all that it reads. ``path`` says where that lies, and is no
part of the job's identity."""


def run_parts(
    engine: Engine,
    stage: str,
    work: str,
    orders: Sequence[Order],
    *,
    step: str,
    memory: int,
    boxes: npt.NDArray[np.float64] | None = None,
) -> Iterator[Arrays]:
    """Do what is not done yet of some orders; yields what came of all, in their order.

    Parameters
    ----------
    engine : Engine
        Where jobs run, and whose store keeps what they make.
    stage : str
        Name of the stage.
    work : str
        ``package.module:function``, called with an order and the store's `Ledger`; returns arrays.
    orders : sequence of mapping
    step : str
        Name in `STEPS` whose version stands for that of the work.
    memory : int
        Peak of the largest job [bytes].
    boxes : (n, 4) array, optional
        West, south, east and north of what each order looks at [m], for the map of the jobs.

    Raises
    ------
    CubeError
        What the work says.
    JobError
        When a job fails of anything else.
    """
    began, target = time.perf_counter(), f"jobs/partials/{stage}"
    keys = {
        index: canonical_key({"work": work, "order": _unplaced(order), "version": STEPS[step][1]})
        for index, order in enumerate(orders)
    }
    engine.ledger.supersede(target, keys)
    if not orders:
        return iter(())
    pending = {index: {"part": keys[index]} for index in sorted(engine.stale(target, keys))}
    check_memory(f"stage {stage}", memory, engine.client)

    def task(index: int, wanted: Mapping[str, str]) -> tuple[Any, ...]:
        return str_path(engine.path), target, index, work, orders[index], wanted["part"]

    with watched(engine, stage, ShardPlan(len(orders), 1), list(pending), [target], "", boxes) as progress:
        made = engine.settle(f"stage {stage}", {"part": target}, pending, do_part, task, progress, (CubeError,))
    size = sum(receipt.size for receipt in made.values())
    engine.report(StageReport(stage, len(orders), len(pending), len(pending), size, time.perf_counter() - began))
    return engine.partials(target)


def do_part(path: str | Path | Store, target: str, index: int, work: str, order: Order, key: str) -> list[Receipt]:
    """What one job does, on one thread; its arrays are stored before its receipt is."""
    began, ledger = time.perf_counter(), Ledger(open_store(path))
    module, name = work.split(":")
    with one_blas_thread():
        arrays = getattr(importlib.import_module(module), name)(order, ledger)
    claim = ledger.check_free(target, index, key)
    receipt = Receipt.sign(index, key, ledger.write_partial(target, index, arrays), 1, began)
    ledger.write(target, receipt, claim)
    return [receipt]


def _unplaced(order: Any) -> Any:
    if isinstance(order, Mapping):
        return {name: _unplaced(value) for name, value in order.items() if name != "path"}
    return [_unplaced(value) for value in order] if isinstance(order, list | tuple) else order
