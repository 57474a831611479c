"""How a cube is laid out in Zarr v3: an empty group of whole shards, made after a template."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.abc.buffer import Buffer
from zarr.abc.store import Store
from zarr.codecs import ZstdCodec
from zarr.storage import MemoryStore

from insar_dask.cf import cf_attributes
from insar_dask.objects import delete_below, get_bytes, get_many, list_names, put_bytes, put_many
from insar_dask.outline import Outline, Part
from insar_dask.shards import ShardPlan, inner_dates, shard_axis
from insar_dask.stored_arrays import ARRAYS
from insar_dask.tenths import PACKING

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CODEC", "create_group", "create_root"]

CODEC: dict[str, Any] = {
    "name": "zstd",
    "level": 1,
}  # blosc gains 7 % and a browser cannot read it under a strict policy
_COMPRESSOR = ZstdCodec(level=CODEC["level"])


def create_group(
    store: Store,
    group: str,
    template: xr.Dataset | Outline,
    plan: ShardPlan,
    replacing: Callable[[bytes], None] = lambda _: None,
) -> bool:
    """Create an empty group shaped like ``template``, unless exactly that group is there already.

    Parameters
    ----------
    store : zarr Store
        Where.
    group : str
        Path of the group in the store, such as ``site/raw``.
    template : xr.Dataset or Outline
        Any number of points or tiles; names, dtypes, attributes, other axes and values that all shards share are taken
        from it. A variable is stored as int16 tenths if its ``encoding`` says so, else in its own dtype.
    plan : ShardPlan
        Number of points or tiles, and shard length.
    replacing : callable
        Is called before anything is removed or made, with the document of a group of that name; empty where none is.

    Returns
    -------
    bool
        True when the group was made anew (whatever it held is gone), False when it was already exactly this.
    """
    _mend_parents(store, group)
    draft: dict[str, Buffer] = {}
    outline = template if isinstance(template, Outline) else Outline.of(template)
    root, own = _write_metadata(MemoryStore(draft), group, outline, plan), f"{group}/zarr.json"
    wanted = {key: data.to_bytes() for key, data in draft.items() if key.startswith(f"{group}/")}  # parents stay
    older = wanted[own]
    attributes: dict[Any, Any] = {**root.attrs.asdict(), ARRAYS: _digest({**wanted, own: b""})}
    root.attrs.put(_plain(attributes))
    wanted[own] = draft[own].to_bytes()
    names = list_names(store, group)
    known = sorted({*wanted, *(f"{group}/{name}/zarr.json" for name in names)})
    found = dict(zip(known, get_many(store, known), strict=True))
    if all(data == wanted.get(key) or (key == own and data == older) for key, data in found.items()):
        return False
    replacing(found[own] or b"")
    if names:
        delete_below(store, group)
    put_many(store, {key: data for key, data in wanted.items() if key != own})
    put_bytes(store, own, wanted[own])  # last: a group that can be opened is whole
    return True


def _digest(objects: Mapping[str, bytes]) -> str:
    """SHA-256 of objects under their keys, its first half."""
    digest = hashlib.sha256()
    for key, data in sorted(objects.items()):
        digest.update(f"{key}:{len(data)};".encode() + data)
    return digest.hexdigest()[:32]


def create_root(store: Store) -> None:
    """Make a folder or prefix a store, where it is none: one that keeps no cube, but what was found in others."""
    _mend_parents(store, "areas")


def _mend_parents(store: Store, group: str) -> None:
    """Make the groups above a group, where they are not there or their documents are damaged."""
    for parent in ("", "jobs", *map(str, list(Path(group).parents)[-2::-1])):
        key = f"{parent}/zarr.json".lstrip("/")
        try:
            known = json.loads(get_bytes(store, key) or b"{}")
        except ValueError:
            known = {}
        if not isinstance(known, dict) or known.get("node_type") != "group":
            put_bytes(store, key, _bare_group())


@cache
def _bare_group() -> bytes:
    """Document of a group without attributes, which Zarr takes 2 ms to write to a folder."""
    draft: dict[str, Buffer] = {}
    zarr.open_group(MemoryStore(draft), mode="w", zarr_format=3)
    return draft["zarr.json"].to_bytes()


def _write_metadata(store: Store, group: str, template: Outline, plan: ShardPlan) -> zarr.Group:
    coordinates = " ".join(sorted(template.coords - template.dims))
    kind: dict[str, Any] = {"featureType": "timeSeries"} if {"point", "time"} <= template.dims else {}
    attributes: dict[Any, Any] = {"Conventions": "CF-1.11", **template.attrs, **kind, "coordinates": coordinates}
    root = zarr.open_group(store, path=group, mode="w", zarr_format=3, attributes=_plain(attributes))
    for name, part in sorted(template.parts.items()):
        part = replace(part, attrs=cf_attributes(name, part.dims, part.attrs, template.coords))
        if shard_axis(part.dims):
            _create_array(root, name, part, plan)
        else:
            _create_whole(root, name, part)
    return root


def _create_array(root: zarr.Group, name: str, part: Part, plan: ShardPlan) -> None:
    axis = str(shard_axis(part.dims))
    sizes = part.sizes | {axis: plan.n_points}
    tenths = str(part.encoding.get("dtype", "")) == "int16" and part.values.dtype == np.float32
    dtype, fill = _dtype_and_fill(part, tenths)
    shard, inner = _cuts(sizes, axis, plan, 2 if tenths else part.values.dtype.itemsize)
    root.create_array(
        name,
        shape=tuple(sizes.values()),
        dtype=dtype,
        chunks=tuple(inner.values()),
        shards=tuple(shard.values()) if len(sizes) > 1 else None,
        fill_value=fill,
        compressors=[_COMPRESSOR],
        dimension_names=[str(dim) for dim in part.dims],
        attributes=_plain({**part.attrs, **(PACKING if tenths else {})}),
    )


def _cuts(sizes: Mapping[str, int], axis: str, plan: ShardPlan, itemsize: int) -> tuple[dict[str, int], dict[str, int]]:
    """Lengths of a shard and of its inner chunks: points are cut along points, a tile's maps along their dates."""
    shard = {**sizes, axis: plan.shard}
    if len(sizes) == 1:
        return shard, shard
    if {"tile", "time", "y", "x"} == set(sizes):
        dates = min(inner_dates(sizes, itemsize), 1 << (sizes["time"] - 1).bit_length())
        return {**shard, "time": -(-sizes["time"] // dates) * dates}, {**shard, "time": dates}
    others = int(np.prod([size for dim, size in sizes.items() if dim != axis], dtype=np.int64))
    return shard, {**shard, axis: plan.inner(others * itemsize)}


def _dtype_and_fill(part: Part, tenths: bool) -> tuple[str, Any]:
    if tenths:
        return "int16", PACKING["_FillValue"]
    if part.values.dtype.kind in "UTO":
        return "string", ""
    if part.values.dtype.kind == "f":
        return str(part.values.dtype), np.nan
    return str(part.values.dtype), part.values.dtype.type(0)


def _create_whole(root: zarr.Group, name: str, part: Part) -> None:
    values = np.asarray(part.values)
    array = root.create_array(
        name,
        shape=values.shape,
        dtype="string" if values.dtype.kind in "UTO" else values.dtype,
        chunks=tuple(max(n, 1) for n in values.shape),
        compressors=[_COMPRESSOR],
        dimension_names=[str(dim) for dim in part.dims],
        attributes=_plain(part.attrs),
    )
    array[...] = values


def _plain(attributes: Mapping[Hashable, Any]) -> dict[str, Any]:
    """Attributes as JSON, sorted by name, so that equal cubes have equal bytes."""
    plain = {str(k): v.tolist() if isinstance(v, np.generic | np.ndarray) else v for k, v in attributes.items()}
    return {k: plain[k] for k in sorted(plain)}
