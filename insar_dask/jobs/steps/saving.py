"""Any cube or what was made of one, lazy or in memory, to a store: in Hilbert order, a whole shard a task."""

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

from insar_dask.cube import CubeError, check_cube, check_points
from insar_dask.jobs.engine import Engine, str_path
from insar_dask.jobs.groups import make_group
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.progress.places import block_box
from insar_dask.jobs.progress.watch import watched
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.jobs.recipe import canonical_key
from insar_dask.layout import CODEC
from insar_dask.objects import get_bytes, open_store
from insar_dask.readers.point_order import hilbert_order
from insar_dask.shard_store import write_block
from insar_dask.shard_text import plain_text
from insar_dask.shards import SERIES_DATES, SHARD_POINTS, ShardPlan
from insar_dask.store import drawn_from, overlapping, shard_plan
from insar_dask.tenths import NotTenthsError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["save", "store_cube", "unrounded"]


def save(
    cube: xr.Dataset,
    path: str | Path,
    group: str | None = None,
    *,
    client: Client | None = None,
    shard_points: int = SHARD_POINTS,
    quiet: bool = False,
) -> str:
    """Store a cube, or what was made of one; shards that an earlier, killed call finished are kept.

    Parameters
    ----------
    cube : xr.Dataset
        Point cube, or other data over ``point`` such as `motion`, `holt_winters` or `Clusters.predict` return; lazy or
        in memory. It is stored in Hilbert order of its points, whatever order they come in.
    path : str or Path
        The store, made when absent.
    group : str, optional
        Such as ``"site/parts"``. Default for a cube: ``PRODUCT/raw``, the product named after the cube's source.
    client : distributed.Client, optional
        Compute and write the shards there; default: threads of this process. Give one only for cubes whose graph is
        small, such as those from `open_cube`; arrays in memory stay here.
    shard_points : int
        Most points of a shard. What is no cube takes the shards of ``PRODUCT/raw``, where the store has that of as many
        points.
    quiet : bool
        No progress bar.

    Returns
    -------
    str
        The group.

    Raises
    ------
    CubeError
        When the data set is no cube and nothing like one, or is computed from the very group it shall replace, or the
        group lies in another one with arrays, or contains one.
    ValueError
        When what is no cube has no group named.

    Notes
    -----
    Displacement of a raw cube is stored as int16 tenths while every value is a multiple of 0.1 mm within +-3276.7, else
    as float32. A call is resumable when the cube's Dask token is deterministic; a warning says so when it is not.
    """
    group = _checked_group(cube, path, group)
    cube = _without_recipe(cube, group)
    threads = CPU_COUNT if client is None and is_dask_collection(cube) else 1
    client = client if is_dask_collection(cube) else None
    with owned(path), Engine(path, client, threads=threads, quiet=quiet) as engine:
        store_cube(engine, cube, group, shard_points)
    return group


def store_cube(
    engine: Engine, cube: xr.Dataset, group: str, shard_points: int = SHARD_POINTS, key: str | None = None
) -> list[int]:
    """As `save`, where an engine works already; returns the shards that were written now.

    Their receipts bear ``key``, which says what the cube follows from, or `unrounded` of it; default: one of its Dask
    token.
    """
    easting, northing, ids = (np.asarray(cube[name].values) for name in ("easting", "northing", "point_id"))
    points = hilbert_order(easting, northing, ids, np.arange(cube.sizes["point"]))
    is_cube = _is_cube(cube)
    if is_cube:
        plan = ShardPlan.of(cube.sizes["point"], cube.sizes["time"], shard_points)
    else:
        cube, plan = _unpacked(cube), _plan_of(engine, cube, group, shard_points)
    if key is None:
        content = {"cube": _identity(cube, group), "shard": plan.shard, "codec": CODEC, **_text_version(cube)}
        key = canonical_key(content)
    if not is_cube:
        return _save_as(engine, cube, group, points, plan, key)
    if group.endswith("/raw") and cube["displacement"].encoding.get("dtype") != "float32":
        tenths, key = key, unrounded(key)
        # a receipt of that key says that these values are no tenths: what they have become stays
        if key not in {receipt.key for receipt in engine.ledger.done(group).values()}:
            with contextlib.suppress(NotTenthsError):
                return _save_as(engine, _with_dtype(cube, "int16"), group, points, plan, tenths)
    return _save_as(engine, _with_dtype(cube, "float32"), group, points, plan, key)


def unrounded(key: str) -> str:
    """Key of a raw cube whose values are no tenths, from that of one whose values are."""
    return canonical_key({"key": key, "dtype": "float32"})


def product_name(cube: xr.Dataset) -> str:
    """Name of a cube's group: its source file without the ending, else its product."""
    source = str(cube.attrs.get("source") or cube.attrs.get("product") or "cube").split()[0]
    return Path(source).stem


def _is_cube(data: xr.Dataset) -> bool:
    """Whether its displacement is a series; that of a forecast has leads."""
    return "displacement" in data and "lead" not in data["displacement"].dims


def _checked_group(data: xr.Dataset, path: str | Path, group: str | None) -> str:
    """Name of the group of a data set that can be stored there."""
    check_points(data)
    if not data.sizes["point"]:
        raise CubeError("there are no points to save: give a cube that has some, such as from a larger area")
    if _is_cube(data):
        check_cube(data)
        group = group or f"{product_name(data)}/raw"
    elif group is None or group.endswith("/raw"):
        given = f"group {group!r} is for the cube itself" if group else "only a cube has a group of its own"
        raise ValueError(f"{given}; name another for this data set: save(motion, {str(path)!r}, 'site/products')")
    if any(part in ("", ".", "..") for part in group.split("/")):
        raise ValueError(f"group {group!r} leads out of the store; wanted names such as 'site/products'")
    if group.split("/")[0] == "jobs":
        raise ValueError(f"group {group!r}: receipts of the store lie there; wanted names such as 'site/products'")
    _check_storable(data, group)
    _check_apart(data, path, group)
    return group


def _without_recipe(data: xr.Dataset, group: str) -> xr.Dataset:
    """Without the steps of the group that it was opened from: whoever saves it may have cut or changed it since.

    Those of a raw cube stay: forecasts ask whether it was inverted, and so has seen its future.
    """
    if group.endswith("/raw"):
        return data
    data = data.copy(deep=False)
    data.attrs.pop("recipe", None)
    return data


def _check_storable(data: xr.Dataset, group: str) -> None:
    for name, variable in data.variables.items():
        if "point" in variable.dims and variable.dtype.kind not in "biufUTO":
            raise CubeError(
                f"{group}: {name!r} is {variable.dtype} over points; wanted numbers, truths or text: convert it, "
                f"such as dates to days since one, or leave it out with .drop_vars({name!r})"
            )
        if "point" in variable.dims and variable.dtype.kind in "OT" and not is_dask_collection(variable):
            plain_text(str(name), variable.values)


def _check_apart(data: xr.Dataset, path: str | Path, group: str) -> None:
    """Refuse to replace what the data are still to be computed from, or a group around or within: it would be gone."""
    if other := overlapping(open_store(path), group):
        raise CubeError(
            f"group {group!r} would share a folder of {path} with {other!r}, and one be removed with the other; name "
            f"one beside it, such as '{other}-2'"
        )
    store, graph = open_store(path), data.__dask_graph__()  # type: ignore[no-untyped-call]
    if graph is not None and drawn_from(store, group, graph.layers):
        raise CubeError(f"{group} of {path} would be computed from itself: save to another group")


def _plan_of(engine: Engine, data: xr.Dataset, group: str, shard_points: int) -> ShardPlan:
    """Shards of the product's raw cube, so that a task finds all there is of its points; without one by the rule."""
    raw = "/".join([*group.split("/")[:-1], "raw"])
    # pairs come before the raw cube, which is cut as they are
    if not group.endswith("/pairs") and get_bytes(engine.store, f"{raw}/zarr.json") is not None:
        plan = shard_plan(engine.store, raw)
        if plan.n_points == data.sizes["point"]:
            return plan
    series = any({"point", "time"} <= set(variable.dims) for variable in data.variables.values())
    return ShardPlan.of(data.sizes["point"], data.sizes["time"] if series else SERIES_DATES, shard_points)


def _unpacked(data: xr.Dataset) -> xr.Dataset:
    """Without the packing that variables took over from a raw cube: tenths hold nothing but displacement."""
    data = data.copy(deep=False)
    for name, variable in data.variables.items():
        if variable.dtype == np.float32 and variable.encoding.get("dtype") == "int16":
            data[name] = data[name].copy(deep=False)
            data[name].encoding = {}
    return data


def _with_dtype(cube: xr.Dataset, dtype: str) -> xr.Dataset:
    cube = cube.copy(deep=False)
    cube["displacement"] = cube["displacement"].copy(deep=False)
    cube["displacement"].encoding = {"dtype": dtype}
    return cube


def _text_version(cube: xr.Dataset) -> dict[str, str]:
    """Of objects over points, stores of older versions hold the first letters."""
    text = any("point" in variable.dims and variable.dtype.kind in "OT" for variable in cube.variables.values())
    return {"text": "whole"} if text else {}


def _save_as(engine: Engine, cube: xr.Dataset, group: str, points: Any, plan: ShardPlan, key: str) -> list[int]:
    make_group(engine.ledger, group, cube.isel(point=points[:2]), plan)
    keys = dict.fromkeys(range(plan.n_shards), key)
    engine.ledger.supersede(group, keys)
    pending = sorted(engine.stale(group, keys))

    def task(index: int, _wanted: Mapping[str, str]) -> tuple[Any, ...]:
        part = cube.isel(point=points[plan.slice(index)])
        if engine.client is not None:
            (part,) = optimize(part)  # else the graph of all shards goes with each
        return str_path(engine.path), part, index, group, plan, key

    wanted = {index: {"cube": key} for index in pending}
    with watched(engine, group, plan, pending, [group], group) as progress:
        engine.settle(group, {"cube": group}, wanted, save_part, task, progress, (NotTenthsError, CubeError))
    return pending


def _identity(cube: xr.Dataset, group: str) -> str:
    try:
        return tokenize(cube, ensure_deterministic=True)
    except TokenizationError:
        warnings.warn(
            f"{group}: the cube's Dask token is not deterministic, so a killed save starts anew", stacklevel=4
        )
        return uuid.uuid4().hex


def save_part(
    path: str | Path | Store, part: xr.Dataset, index: int, group: str, plan: ShardPlan, key: str
) -> list[Receipt]:
    """Compute one shard of a cube on this thread and write it."""
    began, store = time.perf_counter(), open_store(path)
    block = part.compute(scheduler="synchronous")
    claim = Ledger(store).check_free(group, index, key)
    stored = write_block(store, group, plan, index, block)
    receipt = Receipt.sign(index, key, stored, part.sizes["point"], began, block_box(block))
    Ledger(store).write(group, receipt, claim)
    return [receipt]
