"""Cubes on disk: Zarr v3 groups of whole shards.

Two writers in one shard lose data, so nothing here writes less than a whole shard.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr
from zarr.abc.store import Store
from zarr.codecs import ZstdCodec
from zarr.storage import MemoryStore

from insar_dask.cube import CubeError
from insar_dask.objects import delete, delete_below, get_bytes, list_keys, list_names, open_store, put_bytes
from insar_dask.shard_bytes import Block, can_encode, encode_shard
from insar_dask.shards import ShardPlan
from insar_dask.tenths import PACKING, decode_tenths, encode_tenths

__all__ = [
    "CODEC",
    "ShardWriter",
    "checksum_block",
    "create_group",
    "open_cube",
    "open_group",
    "products",
    "read_block",
    "shard_plan",
    "write_block",
]

CODEC: dict[str, Any] = {
    "name": "zstd",
    "level": 1,
}  # blosc gains 7 % and a browser cannot read it under a strict policy
Arrays = list[tuple[zarr.Array[Any], list[str]]]
_COMPRESSOR = ZstdCodec(level=CODEC["level"])


def create_group(store: Store, group: str, template: xr.Dataset, plan: ShardPlan) -> bool:
    """Create an empty group shaped like ``template``, unless exactly that group is there already.

    Parameters
    ----------
    store : zarr Store
        Where.
    group : str
        Path of the group in the store, such as ``site/raw``.
    template : xr.Dataset
        Any number of points; names, dtypes, attributes, other axes and values without a point axis are taken from it. A
        variable is stored as int16 tenths if its ``encoding`` says so, else in its own dtype.
    plan : ShardPlan
        Number of points and shard length.

    Returns
    -------
    bool
        True when the group was made anew (whatever it held is gone), False when it was already exactly this.
    """
    _mend_parents(store, group)
    draft = MemoryStore()
    _write_metadata(draft, group, template, plan)
    wanted = {key: get_bytes(draft, key) for key in list_keys(draft, group)}
    others = [f"{group}/{name}/zarr.json" for name in list_names(store, group)]
    if all(get_bytes(store, key) == wanted.get(key) for key in {*wanted, *others}):
        return False
    delete_below(store, group)
    # the group's own document last: a group that can be opened is whole
    for key in sorted(wanted, key=lambda key: key == f"{group}/zarr.json"):
        put_bytes(store, key, wanted[key] or b"")
    return True


def _mend_parents(store: Store, group: str) -> None:
    """Make the groups above a group, where they are not there or their documents are damaged."""
    for parent in ("", "jobs", *map(str, list(Path(group).parents)[-2::-1])):
        key = f"{parent}/zarr.json".lstrip("/")
        try:
            known = json.loads(get_bytes(store, key) or b"{}")
        except ValueError:
            known = {}
        if not isinstance(known, dict) or known.get("node_type") != "group":
            delete(store, key)
            zarr.open_group(store, path=parent, mode="a", zarr_format=3)


def _write_metadata(store: Store, group: str, template: xr.Dataset, plan: ShardPlan) -> None:
    coordinates = " ".join(sorted(str(name) for name in template.coords if name not in template.dims))
    kind: dict[str, Any] = {"featureType": "timeSeries"} if "time" in template.dims else {}
    attributes = {"Conventions": "CF-1.11", **template.attrs, **kind, "coordinates": coordinates}
    root = zarr.open_group(store, path=group, mode="w", zarr_format=3, attributes=_plain(attributes))
    for name in sorted(map(str, template.variables)):
        variable = template.variables[name]
        if "point" in variable.dims:
            _create_array(root, name, variable, plan)
        else:
            _create_whole(root, name, xr.conventions.encode_cf_variable(variable.compute(), name=name))


def _create_array(root: zarr.Group, name: str, variable: xr.Variable, plan: ShardPlan) -> None:
    axis = variable.dims.index("point")
    shape = tuple(plan.n_points if dim == "point" else size for dim, size in variable.sizes.items())
    tenths = str(variable.encoding.get("dtype", "")) == "int16" and variable.dtype == np.float32
    dtype, fill = _dtype_and_fill(variable, tenths)
    others = int(np.prod([size for dim, size in variable.sizes.items() if dim != "point"], dtype=np.int64))
    inner = plan.inner(others * np.dtype("int16" if tenths else dtype).itemsize) if len(shape) > 1 else plan.shard

    def cut(length: int) -> tuple[int, ...]:
        return (*shape[:axis], length, *shape[axis + 1 :])

    root.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=cut(inner),
        shards=cut(plan.shard) if len(shape) > 1 else None,
        fill_value=fill,
        compressors=[_COMPRESSOR],
        dimension_names=[str(dim) for dim in variable.dims],
        attributes=_plain({**variable.attrs, **(PACKING if tenths else {})}),
    )


def _dtype_and_fill(variable: xr.Variable, tenths: bool) -> tuple[str, Any]:
    if tenths:
        return "int16", PACKING["_FillValue"]
    if variable.dtype.kind in "UTO":
        return "string", ""
    if variable.dtype.kind == "f":
        return str(variable.dtype), np.nan
    return str(variable.dtype), variable.dtype.type(0)


def _create_whole(root: zarr.Group, name: str, variable: xr.Variable) -> None:
    values = np.asarray(variable.values)
    array = root.create_array(
        name,
        shape=values.shape,
        dtype="string" if values.dtype.kind in "UTO" else values.dtype,
        chunks=tuple(max(n, 1) for n in values.shape),
        compressors=[_COMPRESSOR],
        dimension_names=[str(dim) for dim in variable.dims],
        attributes=_plain(variable.attrs),
    )
    array[...] = values


def _plain(attributes: Mapping[Hashable, Any]) -> dict[str, Any]:
    """Attributes as JSON, sorted by name, so that equal cubes have equal bytes."""
    plain = {str(k): v.tolist() if isinstance(v, np.generic | np.ndarray) else v for k, v in attributes.items()}
    return {k: plain[k] for k in sorted(plain)}


def write_block(store: Store, group: str, plan: ShardPlan, index: int, block: xr.Dataset) -> tuple[str, int]:
    """Write shard ``index`` of every array of a group; returns what ``checksum_block`` will.

    Parameters
    ----------
    block : xr.Dataset
        In-memory values of exactly the points ``plan.slice(index)``; float32 is packed where the array is int16.

    Raises
    ------
    NotTenthsError
        When a packed array cannot hold a value.
    CubeError
        When the block is not the whole shard.
    """
    arrays = {str(name): variable.values for name, variable in block.variables.items() if "point" in variable.dims}
    return ShardWriter(store, group, plan).write(index, arrays)


class ShardWriter:
    """Writes shards of one group, which is opened once; threads may share it."""

    def __init__(self, store: Store, group: str, plan: ShardPlan) -> None:
        self.store, self.group, self._plan = store, group, plan
        arrays = all_arrays(store, group, mode="r+")
        self._arrays, self._shared = _with_points(arrays), _group_digest(store, group, arrays)

    def write(self, index: int, blocks: Mapping[str, Block]) -> tuple[str, int]:
        """Write shard ``index`` as ``write_block`` does, from its values by name."""
        where, digest, size = self._plan.slice(index), self._shared.copy(), 0
        for array, dims in self._arrays:
            values = blocks[array.basename]
            n_points = values.shape[dims.index("point")]
            if n_points != where.stop - where.start:
                raise CubeError(
                    f"{array.path}: shard {index} holds points {where.start}..{where.stop}, "
                    f"but {n_points} came; write whole shards"
                )
            if array.dtype == np.int16 and values.dtype == np.float32:
                values = encode_tenths(np.asarray(values))
            data = _write_shard(self.store, array, dims, index, where, values)
            size += _digest(digest, array.basename, data)
        return digest.hexdigest(), size


def _write_shard(
    store: Store, array: zarr.Array[Any], dims: list[str], index: int, where: slice, values: Block
) -> bytes | memoryview | None:
    """The bytes that now lie there; None when there are none, all being fill value."""
    key = _object_key(array.path, dims, index)
    if can_encode(array):
        data = encode_shard(array, values)
        if data is None:
            delete(store, key)
        else:
            put_bytes(store, key, data)
        return data
    # Zarr reads a shard before it replaces it, and would stumble over a damaged one
    delete(store, key)
    array[tuple(where if dim == "point" else slice(None) for dim in dims)] = np.asarray(values)
    return get_bytes(store, key)


def _digest(digest: Any, name: str, data: bytes | memoryview | None) -> int:
    digest.update(f"{name}:{-1 if data is None else len(data)};".encode())
    digest.update(data or b"")
    return len(data or b"")


def checksum_block(store: Store, group: str, index: int) -> tuple[str, int]:
    """Checksum and number of the bytes of shard ``index`` of every array of a group.

    The SHA-256 also covers what all shards share: documents, dates, every array without a point axis. So a shard is not
    what it was when its dates are not, neither to ``verify`` nor to what is computed from it. Absent objects count; a
    group that is gone, or whose documents are damaged, has the checksum ``""``.
    """
    if get_bytes(store, f"{group}/zarr.json") is None:
        return "", 0
    try:
        arrays = all_arrays(store, group)
    except ValueError:  # JSON that is none, or no Zarr metadata
        return "", 0
    digest, size = _group_digest(store, group, arrays), 0
    for array, dims in _with_points(arrays):
        size += _digest(digest, array.basename, get_bytes(store, _object_key(array.path, dims, index)))
    return digest.hexdigest(), size


def _group_digest(store: Store, group: str, arrays: Arrays) -> Any:
    """Hash begun with what all shards of a group share."""
    digest = hashlib.sha256()
    _digest(digest, "", get_bytes(store, f"{group}/zarr.json"))
    for array, dims in arrays:
        _digest(digest, array.basename, get_bytes(store, f"{array.path}/zarr.json"))
        if "point" not in dims:
            _digest(digest, array.basename, get_bytes(store, "/".join([array.path, "c", *("0" for _ in array.shape)])))
    return digest


def all_arrays(store: Store, group: str, mode: Literal["r", "r+"] = "r") -> Arrays:
    """Arrays of a group by name, with their dimensions."""
    root = zarr.open_group(store, path=group, mode=mode, zarr_format=3)
    return [(array, dimensions(array)) for _, array in sorted(root.arrays())]


def point_arrays(store: Store, group: str) -> Arrays:
    """Arrays of a group that have a point axis, by name, with their dimensions."""
    return _with_points(all_arrays(store, group))


def _with_points(arrays: Arrays) -> Arrays:
    return [(array, dims) for array, dims in arrays if "point" in dims]


def dimensions(array: zarr.Array[Any]) -> list[str]:
    """Names of an array's dimensions."""
    return [str(dim) for dim in getattr(array.metadata, "dimension_names", None) or ()]


def _object_key(path: str, dims: list[str], index: int) -> str:
    return f"{path}/c/" + "/".join(str(index) if dim == "point" else "0" for dim in dims)


def shard_plan(store: Store, group: str) -> ShardPlan:
    """The shard plan of a stored group."""
    for array, dims in point_arrays(store, group):
        axis = dims.index("point")
        return ShardPlan(array.shape[axis], (array.shards or array.chunks)[axis])
    raise CubeError(f"{group} has no array with a point axis; it is not a cube of this engine")


def read_block(store: Store, group: str, index: int) -> xr.Dataset:
    """Shard ``index`` of a group as an in-memory data set, decoded."""
    return _open(store, group, shard_plan(store, group).slice(index), lazy=False)


def open_group(path: str | Path | Store, group: str) -> xr.Dataset:
    """A stored group as a lazy data set, one Dask chunk a shard."""
    return _open(open_store(path), group, None, lazy=True)


def open_cube(path: str | Path | Store, group: str | None = None) -> xr.Dataset:
    """Open a cube of a store, lazily.

    Parameters
    ----------
    path : str, Path or zarr Store
        The store.
    group : str, optional
        Such as ``"SITE/raw"``; default: the raw cube of the only product in the store.

    Returns
    -------
    xr.Dataset
        Point cube; one Dask chunk a shard.

    Raises
    ------
    FileNotFoundError
        When there is no store.
    CubeError
        When the store holds several products and none was named, or no such group.
    """
    store = open_store(path)
    if get_bytes(store, "zarr.json") is None:
        raise FileNotFoundError(f"{path} is not a store; make one with insar_dask.save or `insar-dask ingest`")
    names = products(store)
    if group is None:
        if len(names) != 1:
            raise CubeError(f"{path} holds {len(names)} products, name one of: {[f'{name}/raw' for name in names]}")
        group = f"{names[0]}/raw"
    if get_bytes(store, f"{group}/zarr.json") is None:
        raise CubeError(f"{path} has no group {group!r}; its products are {names}")
    return open_group(store, group)


def products(path: str | Path | Store) -> list[str]:
    """Names of the products in a store, sorted: the groups that hold a raw cube."""
    store = open_store(path)
    return [name for name in list_names(store, "") if get_bytes(store, f"{name}/raw/zarr.json") is not None]


def _open(store: Store, group: str, where: slice | None, *, lazy: bool) -> xr.Dataset:
    root = zarr.open_group(store, path=group, mode="r", zarr_format=3)
    variables = {name: _variable(array, where, lazy=lazy) for name, array in sorted(root.arrays())}
    attributes = dict(root.attrs)
    coordinates = str(attributes.pop("coordinates", "")).split()
    attributes.pop("featureType", None)
    dataset = xr.Dataset(variables, attrs=attributes)
    return dataset.set_coords([name for name in coordinates if name in dataset.variables])


def _variable(array: zarr.Array[Any], where: slice | None, *, lazy: bool) -> xr.Variable:
    dims = dimensions(array)
    attributes: dict[str, Any] = dict(array.attrs)
    if "point" not in dims:
        plain = xr.Variable(dims, array[...], attributes)
        return xr.conventions.decode_cf_variable(array.basename, plain) if "units" in attributes else plain
    tenths = array.dtype == np.int16 and "scale_factor" in attributes
    encoding: dict[str, Any] = {k: attributes.pop(k) for k in PACKING if k in attributes}
    if tenths:
        encoding["dtype"] = "int16"
    if lazy:
        import dask.array as da  # 0.4 s that a process which only writes need not spend

        data = da.from_array(array, chunks=array.shards or array.chunks, name=_token(array), asarray=False)
        values = data.map_blocks(_decode, tenths, dtype=_decoded_dtype(array.dtype, tenths), meta=_meta(array, tenths))
    else:
        at = tuple(where if dim == "point" and where else slice(None) for dim in dims)
        values = _decode(np.asarray(array[at]), tenths)
    return xr.Variable(dims, values, attributes, encoding)


def _decode(values: npt.NDArray[Any], tenths: bool) -> npt.NDArray[Any]:
    if tenths:
        return decode_tenths(values)
    return values.astype(object).astype(str) if values.dtype.kind in "TO" else values


def _decoded_dtype(dtype: np.dtype[Any], tenths: bool) -> np.dtype[Any]:
    return np.dtype(np.float32) if tenths else np.dtype("U") if dtype.kind in "TO" else dtype


def _meta(array: zarr.Array[Any], tenths: bool) -> npt.NDArray[Any]:
    return np.empty((0,) * array.ndim, _decoded_dtype(array.dtype, tenths))


def _token(array: zarr.Array[Any]) -> str:
    """A name that follows from what is stored where, so that the same cube has the same Dask token everywhere."""
    text = json.dumps([str(array.store_path), array.metadata.to_dict()], sort_keys=True, default=str)
    return f"shards-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
