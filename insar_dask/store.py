"""Stored cubes: which there are, their arrays and shards, and opening them lazily."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import zarr
from zarr.abc.store import Store

from insar_dask.bucket_reads import with_documents
from insar_dask.cube import CubeError
from insar_dask.objects import get_bytes, get_many, list_names, open_store
from insar_dask.shard_bytes import text_of
from insar_dask.shards import ShardPlan, shard_axis
from insar_dask.stored_arrays import ARRAYS, StoredArray, arrays_below, check_layout, understood
from insar_dask.tenths import PACKING, decode_tenths

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "all_arrays",
    "decoded",
    "dimensions",
    "drawn_from",
    "load_shard",
    "newest_products",
    "open_group",
    "overlapping",
    "point_arrays",
    "products",
    "shard_plan",
    "with_points",
]

Arrays = list[tuple[zarr.Array[Any], list[str]]]

Taken = Callable[[zarr.Array[Any], tuple[slice, ...], bool], Any]
"""What makes values of a box of a stored array, which holds tenths of a millimetre where the last says so."""


def all_arrays(store: Store, group: str, mode: Literal["r", "r+"] = "r") -> Arrays:
    """Arrays of a group by name, with their dimensions."""
    return _arrays_of(_opened(store, group, mode))


def point_arrays(store: Store, group: str) -> Arrays:
    """Arrays of a group that are cut into shards along points or tiles, by name, with their dimensions."""
    return with_points(all_arrays(store, group))


def with_points(arrays: Arrays) -> Arrays:
    """Those of some arrays that are cut into shards along points or tiles."""
    return [(array, dims) for array, dims in arrays if shard_axis(dims)]


def dimensions(array: zarr.Array[Any]) -> list[str]:
    """Names of an array's dimensions."""
    return [str(dim) for dim in getattr(array.metadata, "dimension_names", None) or ()]


def shard_plan(store: Store, group: str) -> ShardPlan:
    """The shard plan of a stored group."""
    return _plan_of(group, all_arrays(store, group))


def decoded(array: zarr.Array[Any], at: tuple[slice, ...], tenths: bool) -> npt.NDArray[Any]:
    """A box of a stored array in memory, as a cube has it."""
    return _decode(StoredArray(array)[at], tenths)


def load_shard(
    store: Store, group: str, index: int, names: Collection[str] | None = None, taken: Taken = decoded
) -> xr.Dataset:
    """Shard ``index`` of a stored group, decoded; of the arrays that are cut only ``names``, if any are given.

    ``taken`` makes the values of those that are cut.
    """
    root = _opened(store, group)
    arrays = _arrays_of(root)
    plan = _plan_of(group, arrays)
    wanted = [array for array, dims in arrays if names is None or not shard_axis(dims) or array.basename in names]
    return _dataset(root, {array.basename: _variable(array, partial(_shard, plan, index, taken)) for array in wanted})


def open_group(path: str | Path | Store, group: str, revision: str | None = None) -> xr.Dataset:
    """A stored group as a lazy data set, one Dask chunk a shard; maps of a tile some dates at a time.

    ``revision`` is a hash of what the shards hold: cubes opened with the same one have the same Dask token. Documents
    do not tell one content from another, so without it each opening has a token of its own.
    """
    root, lazy = _opened(open_store(path), group), partial(_lazy, revision or uuid.uuid4().hex)
    return _dataset(root, {array.basename: _variable(array, lazy) for array, _ in _arrays_of(root)})


def drawn_from(store: Store, group: str, layers: Collection[str]) -> bool:
    """Whether layers of a Dask graph read a stored group, whatever it held when it was opened."""
    if get_bytes(store, f"{group}/zarr.json") is None:
        return False
    try:
        places = tuple(_place(array) for array, _ in point_arrays(store, group))
    except ValueError:  # damaged documents
        return False
    return any(layer.startswith(places) for layer in layers)


def products(path: str | Path | Store) -> list[str]:
    """Names of the products in a store, sorted: the groups that hold a raw cube."""
    store = open_store(path)
    return [name for name in list_names(store, "") if get_bytes(store, f"{name}/raw/zarr.json") is not None]


def newest_products(path: str | Path | Store) -> list[str]:
    """Names of the products in a store but for those that a newer vintage goes on with (``attrs["follows"]``)."""
    store, names = open_store(path), products(path)
    followed = {_opened(store, f"{name}/raw").attrs.get("follows") for name in names}
    return [name for name in names if name not in followed]


def overlapping(store: Store, group: str) -> str | None:
    """A group with arrays that a group of this name would lie in, or contain; None where there is none."""
    parts = group.split("/")
    above = ("/".join(parts[:n]) for n in range(1, len(parts)))
    return next(_with_arrays(store, above), None) or _below(store, group)


def _below(store: Store, group: str) -> str | None:
    inner = [f"{group}/{name}" for name, kind in _nodes(store, group).items() if kind == "group"]
    return next(_with_arrays(store, inner), None) or next(filter(None, (_below(store, one) for one in inner)), None)


def _with_arrays(store: Store, groups: Iterable[str]) -> Iterator[str]:
    return (group for group in groups if "array" in _nodes(store, group).values())


def _nodes(store: Store, group: str) -> dict[str, str]:
    """Names directly below a group with what each is, an array or a group, as far as its document says so."""
    names = list_names(store, group)
    documents = get_many(store, [f"{group}/{name}/zarr.json" for name in names])
    return {name: kind for name, data in zip(names, documents, strict=True) if (kind := _kind(data))}


def _kind(document: bytes | None) -> str:
    try:
        return str(json.loads(document or b"{}")["node_type"])
    except (ValueError, KeyError, TypeError):
        return ""


def _opened(store: Store, group: str, mode: Literal["r", "r+"] = "r") -> zarr.Group:
    with understood(group):
        return zarr.open_group(with_documents(store, group), path=group, mode=mode, zarr_format=3)


def _arrays_of(root: zarr.Group) -> Arrays:
    arrays = [(array, dimensions(array)) for array in arrays_below(root).values()]
    for array, dims in arrays:
        check_layout(array, dims)
    return arrays


def _plan_of(group: str, arrays: Arrays) -> ShardPlan:
    for array, dims in with_points(arrays):
        axis = dims.index(str(shard_axis(dims)))
        return ShardPlan(array.shape[axis], (array.shards or array.chunks)[axis])
    raise CubeError(f"{group} has no array with a point or tile axis; it is not a cube of this engine")


def _dataset(root: zarr.Group, variables: dict[str, xr.Variable]) -> xr.Dataset:
    import xarray as xr

    with understood(root.path):
        attributes = dict(root.attrs)
    coordinates = str(attributes.pop("coordinates", "")).split()
    for name in ("featureType", ARRAYS):
        attributes.pop(name, None)
    with understood(root.path):
        dataset = xr.Dataset(variables, attrs=attributes)
    return dataset.set_coords([name for name in coordinates if name in dataset.variables])


def _variable(array: zarr.Array[Any], values_of: Callable[[zarr.Array[Any], bool], Any]) -> xr.Variable:
    import xarray as xr

    dims = dimensions(array)
    attributes: dict[str, Any] = dict(array.attrs)
    if not shard_axis(dims):
        plain = xr.Variable(dims, StoredArray(array)[...], attributes)
        with understood(array.path):
            return xr.conventions.decode_cf_variable(array.basename, plain) if "units" in attributes else plain
    tenths = array.dtype == np.int16 and "scale_factor" in attributes
    encoding: dict[str, Any] = {k: attributes.pop(k) for k in PACKING if k in attributes}
    if tenths:
        encoding["dtype"] = "int16"
    return xr.Variable(dims, values_of(array, tenths), attributes, encoding)


def _lazy(revision: str, array: zarr.Array[Any], tenths: bool) -> Any:
    import dask.array as da  # 0.4 s that a process which only writes need not spend

    if dimensions(array) == [array.basename]:  # names of tiles are an index, which is never lazy
        return _decode(StoredArray(array)[...], tenths)
    axis, shards = shard_axis(dimensions(array)), array.shards or array.chunks
    cut = zip(dimensions(array), shards, array.chunks, strict=True)
    chunks = tuple(shard if dim == axis else inner for dim, shard, inner in cut)
    data = da.from_array(StoredArray(array), chunks=chunks, name=_token(array, revision), asarray=False)
    return data.map_blocks(_decode, tenths, dtype=_decoded_dtype(array.dtype, tenths), meta=_meta(array, tenths))


def _shard(plan: ShardPlan, index: int, taken: Taken, array: zarr.Array[Any], tenths: bool) -> Any:
    dims, where = dimensions(array), plan.slice(index)
    axis = shard_axis(dims)
    if dims == [axis] and array.dtype.kind in "TO":
        data = get_bytes(array.store, f"{array.path}/c/{index}")
        with understood(array.path):
            names = text_of(array, data, where.stop - where.start)
        if names is not None:
            return names
    at = tuple(where if dim == axis else slice(None) for dim in dims)
    return taken(array, at, tenths)


def _decode(values: npt.NDArray[Any], tenths: bool) -> npt.NDArray[Any]:
    if tenths:
        return decode_tenths(values)
    return values.astype(object).astype(str) if values.dtype.kind in "TO" else values


def _decoded_dtype(dtype: np.dtype[Any], tenths: bool) -> np.dtype[Any]:
    return np.dtype(np.float32) if tenths else np.dtype("U") if dtype.kind in "TO" else dtype


def _meta(array: zarr.Array[Any], tenths: bool) -> npt.NDArray[Any]:
    return np.empty((0,) * array.ndim, _decoded_dtype(array.dtype, tenths))


def _token(array: zarr.Array[Any], revision: str) -> str:
    """A name that follows from what is stored where, so that the same cube has the same Dask token everywhere."""
    text = json.dumps([array.metadata.to_dict(), revision], sort_keys=True, default=str)
    return f"{_place(array)}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _place(array: zarr.Array[Any]) -> str:
    """With what such a name begins, whatever is stored there."""
    return f"shards-{hashlib.sha256(str(array.store_path).encode()).hexdigest()[:32]}"
