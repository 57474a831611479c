"""Any cube, lazy or in memory, to a store: sorted along the Hilbert curve, a whole shard a task."""

from __future__ import annotations

import contextlib
import time
import uuid
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from dask.base import is_dask_collection, optimize, tokenize
from dask.system import CPU_COUNT
from dask.tokenize import TokenizationError
from zarr.abc.store import Store

from insar_dask.cube import CubeError, check_cube
from insar_dask.jobs.engine import Engine, str_path
from insar_dask.jobs.lock import owned
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.jobs.recipe import canonical_key
from insar_dask.jobs.watch import Progress
from insar_dask.layout import CODEC, create_group
from insar_dask.objects import open_store
from insar_dask.readers.point_order import hilbert_order
from insar_dask.shard_store import write_block
from insar_dask.shards import SHARD_POINTS, ShardPlan
from insar_dask.tenths import NotTenthsError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["save", "store_cube"]


def save(
    cube: xr.Dataset,
    path: str | Path,
    group: str | None = None,
    *,
    client: Client | None = None,
    shard_points: int = SHARD_POINTS,
    quiet: bool = False,
) -> str:
    """Store a cube; shards that an earlier, killed call finished are kept.

    Parameters
    ----------
    cube : xr.Dataset
        Point cube, lazy or in memory. It is stored in Hilbert order of its points, whatever order they come in.
    path : str or Path
        The store, made when absent.
    group : str, optional
        Default: ``PRODUCT/raw``, the product named after the cube's source.
    client : distributed.Client, optional
        Compute and write the shards there; default: threads of this process. Give one only for cubes whose graph is
        small, such as those from `open_cube`; arrays in memory stay here.
    shard_points : int
        Most points of a shard.
    quiet : bool
        No progress bar.

    Returns
    -------
    str
        The group.

    Raises
    ------
    CubeError
        When the data set is no cube.

    Notes
    -----
    Displacement of a raw cube is stored as int16 tenths while every value is a multiple of 0.1 mm within +-3276.7, else
    as float32. A call is resumable when the cube's Dask token is deterministic; a warning says so when it is not.
    """
    check_cube(cube)
    threads = CPU_COUNT if client is None and is_dask_collection(cube) else 1
    group = group or f"{product_name(cube)}/raw"
    with owned(path):
        engine = Engine(path, client if is_dask_collection(cube) else None, threads=threads, quiet=quiet)
        store_cube(engine, cube, group, shard_points)
    return group


def store_cube(engine: Engine, cube: xr.Dataset, group: str, shard_points: int = SHARD_POINTS) -> list[int]:
    """As `save`, where an engine works already; returns the shards that were written now."""
    easting, northing, ids = (np.asarray(cube[name].values) for name in ("easting", "northing", "point_id"))
    points = hilbert_order(easting, northing, ids, np.arange(cube.sizes["point"]))
    plan = ShardPlan.of(cube.sizes["point"], cube.sizes["time"], shard_points)
    raw = group.endswith("/raw") and cube["displacement"].encoding.get("dtype") != "float32"
    if raw:
        with contextlib.suppress(NotTenthsError):
            return _save_as(engine, _with_dtype(cube, "int16"), group, points, plan)
    return _save_as(engine, _with_dtype(cube, "float32"), group, points, plan)


def product_name(cube: xr.Dataset) -> str:
    """Name of a cube's group: its source file without the ending, else its product."""
    source = str(cube.attrs.get("source") or cube.attrs.get("product") or "cube").split()[0]
    return Path(source).stem


def _with_dtype(cube: xr.Dataset, dtype: str) -> xr.Dataset:
    cube = cube.copy(deep=False)
    cube["displacement"] = cube["displacement"].copy(deep=False)
    cube["displacement"].encoding = {"dtype": dtype}
    return cube


def _save_as(engine: Engine, cube: xr.Dataset, group: str, points: Any, plan: ShardPlan) -> list[int]:
    try:
        identity = tokenize(cube, ensure_deterministic=True)
    except TokenizationError:
        warnings.warn(
            f"{group}: the cube's Dask token is not deterministic, so a killed save starts anew", stacklevel=3
        )
        identity = uuid.uuid4().hex
    key = canonical_key({"cube": identity, "shard": plan.shard, "codec": CODEC})
    if create_group(engine.store, group, cube.isel(point=points[:2]), plan):
        engine.ledger.forget(group)
    keys = dict.fromkeys(range(plan.n_shards), key)
    engine.ledger.supersede(group, keys)
    pending = sorted(engine.stale(group, keys))

    def task(index: int, _wanted: Mapping[str, str]) -> tuple[Any, ...]:
        part = cube.isel(point=points[plan.slice(index)])
        if engine.client is not None:
            (part,) = optimize(part)  # else the graph of all shards goes with each
        return str_path(engine.path), part, index, group, plan, key

    wanted = {index: {"cube": key} for index in pending}
    with Progress(group, plan.n_shards, plan.n_shards - len(pending), quiet=engine.quiet) as progress:
        engine.settle(group, {"cube": group}, wanted, save_part, task, progress, (NotTenthsError, CubeError))
    engine.ledger.compact(group)
    return pending


def save_part(
    path: str | Path | Store, part: xr.Dataset, index: int, group: str, plan: ShardPlan, key: str
) -> list[Receipt]:
    """Compute one shard of a cube on this thread and write it."""
    began, store = time.perf_counter(), open_store(path)
    block = part.compute(scheduler="synchronous")
    Ledger(store).check_free(group, index, key)
    stored = write_block(store, group, plan, index, block)
    receipt = Receipt.sign(index, key, stored, part.sizes["point"], began)
    Ledger(store).write(group, receipt)
    return [receipt]
