"""Predict the peak memory of a task before any work, and refuse when a worker is too small."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.abc.store import Store

from insar_dask.buckets import Bucket
from insar_dask.cube import CubeError
from insar_dask.jobs.receipts import Ledger
from insar_dask.jobs.recipe import Stage
from insar_dask.shards import shard_axis
from insar_dask.store import point_arrays, shard_plan
from insar_dask.uploads import PART_BYTES, PUTS_AT_ONCE

if TYPE_CHECKING:
    from distributed import Client

__all__ = [
    "bucket_memory",
    "check_memory",
    "ingest_memory",
    "page_memory",
    "stage_memory",
    "task_memory",
    "tile_memory",
]

BASE_BYTES = 300_000_000
"""A worker with Numba, xarray, Zarr and SciPy loaded: 270-300 MB resident, measured."""

COPIES = 1.7
"""Copies of a shard's arrays alive at the worst instant: those themselves, and what the codec holds; measured."""

WINDOWS = 2.0
"""Further copies of the input that forecasting cuts its windows from; measured."""

MOST_HELD = 2 * PART_BYTES
"""Bytes of an object on its way to a bucket that are in memory: a small one whole, of a large one two parts."""

NETWORK_BYTES = 300_000_000
"""What a forecaster with a network adds: 180 MB for torch, 80 MB for a batch; measured."""


PAGE_BASE_BYTES = 530_000_000
PAGE_POINT_BYTES = 1200
"""Of the process that writes a product's page and exports, with Matplotlib and GDAL, and of each point: 498, 547 and
633 MB for 1,000, 20,000 and 100,000 points, measured."""

PLACE_BYTES = 200
TRIANGLE_BYTES = 900
BOX_POINTS = 32_768
"""Bytes a point takes while a tile is triangulated: its place, number and triangles for good; Qhull, of one box."""

PIXEL_BYTES = 200
"""Its place, what it is mixed of and the shares of that, of 1 and 4 million; 115 and 145 where no point is missing;
measured."""

TILE_VALUE_BYTES = 12
"""Bytes a value takes where it is read, or is one of a map: of one block, and of all cells."""

GATHERED_BYTES = 1 << 27
"""Values that are held for dates with gaps; whether a cube has any is not known before it is read."""


def task_memory(shard_points: int, bytes_per_point: int, window_bytes: int = 0) -> int:
    """Predicted peak resident bytes of a one-thread worker on a shard.

    Its arrays take ``bytes_per_point``; ``window_bytes`` of a point are read by a forecaster.
    """
    return int(BASE_BYTES + shard_points * (COPIES * bytes_per_point + WINDOWS * window_bytes))


def ingest_memory(n_points: int, n_dates: int) -> int:
    """Predicted peak resident bytes of reading a product file: its int16 cube, and 300 MB."""
    return BASE_BYTES + 2 * n_points * n_dates


def page_memory(n_points: int) -> int:
    """Predicted peak resident bytes of the process that writes the page and the exports of a product."""
    return PAGE_BASE_BYTES + PAGE_POINT_BYTES * n_points


def tile_memory(n_points: int, n_dates: int, block_points: int, n_cells: int, n_pixels: int) -> int:
    """Predicted peak resident bytes of rasterising a tile whose points are read some at a time."""
    values = TILE_VALUE_BYTES * n_dates * (block_points + n_cells) + min(4 * n_dates * n_points, GATHERED_BYTES)
    places = PLACE_BYTES * n_points + TRIANGLE_BYTES * min(n_points, BOX_POINTS) + PIXEL_BYTES * n_pixels
    return int(BASE_BYTES + places + values)


def bucket_memory(points: int, read: Iterable[int], written: Iterable[Sequence[int]]) -> int:
    """Bytes that a store in a bucket adds to a task.

    A shard as it came is held while the task lasts, and what it makes is held while it is under way, some objects of a
    target at a time.

    Parameters
    ----------
    points : int
        Of a shard.
    read : iterable of int
        Bytes a point of each array that is read, as it is stored, at most.
    written : iterable of sequence of int
        The same of each target.
    """
    under_way = (sum(sorted(min(size * points, MOST_HELD) for size in sizes)[-PUTS_AT_ONCE:]) for sizes in written)
    return sum(read) * points + max(under_way, default=0)


def stage_memory(stage: Stage, store: Store) -> int:
    """Predicted peak resident bytes of a one-thread worker that runs a shard of ``stage``; its groups exist."""
    source, targets = _bytes_per_point(store, stage.source), [t for t in stage.saves.values() if t[:5] != "jobs/"]
    written = sum(_bytes_per_point(store, target) for target in targets)
    forecasts = any("plan" in step.params for step in stage.steps)
    points = shard_plan(store, stage.source).shard
    task = task_memory(points, source + written, source if forecasts else 0)
    return task + _network_bytes(stage, store) + _bucket_bytes(stage.source, targets, points, store)


def check_memory(name: str, needed: int, client: Client | None) -> None:
    """Refuse a task of ``needed`` bytes where the smallest worker cannot hold one on each of its threads.

    Raises
    ------
    CubeError
        Saying how much a worker has, how much it needs, and what to change.
    """
    if client is None:
        return
    for address, worker in client.scheduler_info(n_workers=-1)["workers"].items():
        limit, threads = worker["memory_limit"], worker["nthreads"]
        peak = BASE_BYTES + (needed - BASE_BYTES) * threads
        if limit and peak > limit:
            raise CubeError(
                f"{name} needs {peak / 1e6:,.0f} MB on worker {address} ({threads} threads), which has "
                f"{limit / 1e6:,.0f} MB: give workers more memory or fewer threads, or store smaller shards"
            )


def _bucket_bytes(source: str, targets: list[str], points: int, store: Store) -> int:
    if not isinstance(store, Bucket):
        return 0
    return bucket_memory(points, _stored_sizes(store, source), [_stored_sizes(store, target) for target in targets])


def _stored_sizes(store: Store, group: str) -> list[int]:
    """Bytes a point takes in every array of a group as it is stored, at most: nothing is larger for being packed."""
    return [_array_bytes(array, dims) for array, dims in point_arrays(store, group)]


def _network_bytes(stage: Stage, store: Store) -> int:
    """What forecasting with networks adds: what one computes on, and the weights of all, read and unpacked."""
    states = {step.params["trained"]["state"] for step in stage.steps if "trained" in step.params}
    if not states:
        return 0
    return NETWORK_BYTES + 2 * sum(Ledger(store).state_bytes(state) for state in states)


def _bytes_per_point(store: Store, group: str) -> int:
    return sum(
        _array_bytes(array, dims, 4 if array.dtype == np.int16 else 16 if array.dtype.kind in "TO" else 0)
        for array, dims in point_arrays(store, group)
    )


def _array_bytes(array: zarr.Array[Any], dims: list[str], itemsize: int = 0) -> int:
    others = [n for dim, n in zip(dims, array.shape, strict=True) if dim != shard_axis(dims)]
    return int(np.prod(others, dtype=np.int64)) * (itemsize or array.dtype.itemsize)
