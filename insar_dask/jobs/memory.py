"""Predict the peak memory of a task before any work, and refuse when a worker is too small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from zarr.abc.store import Store

from insar_dask.cube import CubeError
from insar_dask.jobs.recipe import Stage
from insar_dask.store import point_arrays, shard_plan

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["check_memory", "predict_memory"]

BASE_BYTES = 300_000_000
"""A worker with Numba, xarray, Zarr and SciPy loaded: 270-300 MB resident, measured."""

COPIES = 2.5
"""Copies of a shard's arrays alive at the worst instant: input, a step's output, what the codec holds; measured."""


def predict_memory(stage: Stage, store: Store) -> int:
    """Predicted peak resident bytes of a worker thread that runs one shard of ``stage``."""
    points = shard_plan(store, stage.source).shard
    groups = [stage.source, *[t for t in stage.saves.values() if not t.startswith("jobs/")]]
    return int(BASE_BYTES + COPIES * points * sum(_bytes_per_point(store, group) for group in groups))


def check_memory(stage: Stage, store: Store, client: Client | None, threads: int) -> None:
    """Refuse a stage whose tasks do not fit.

    Raises
    ------
    CubeError
        Saying how much a worker has, how much it needs, and what to change.
    """
    if client is None:
        return
    needed = predict_memory(stage, store) - BASE_BYTES
    for address, worker in client.scheduler_info(n_workers=-1)["workers"].items():
        limit = worker["memory_limit"]
        peak = BASE_BYTES + needed * worker["nthreads"]
        if limit and peak > limit:
            raise CubeError(
                f"stage {stage.name} needs {peak / 1e6:.0f} MB on worker {address} ({worker['nthreads']} threads), "
                f"which has {limit / 1e6:.0f} MB: give workers more memory or fewer threads, or store smaller shards"
            )


def _bytes_per_point(store: Store, group: str) -> int:
    total = 0
    for array, dims in point_arrays(store, group):
        others = [n for dim, n in zip(dims, array.shape, strict=True) if dim != "point"]
        itemsize = 4 if array.dtype == np.int16 else 16 if array.dtype.kind in "TO" else array.dtype.itemsize
        total += int(np.prod(others, dtype=np.int64)) * itemsize
    return total
