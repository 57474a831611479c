"""Cubes on disk: Zarr v3 groups of whole shards, Hilbert order, the memory a task will need.

One shard (a run of points x all dates) is the unit of storage, of work, of resume and of monitoring. Two writers in one
shard lose data, so nothing here writes less than a whole shard.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr
from zarr.abc.store import Store
from zarr.codecs import ZstdCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore

from insar_dask.cube import CubeError

__all__ = ["CODEC", "ShardPlan", "create_group", "open_cube", "open_group", "products", "read_block", "write_block"]

SHARD_POINTS = 65_536
SMALL_CUBE_SHARDS = 16
INNER_BYTES = 640 * 1024  # one point's series is then one range request of about 0.3 MB compressed
FEWEST_INNER_POINTS = 128
CODEC = {"name": "zstd", "level": 1}  # blosc gains 7 % and a browser cannot read it under a strict policy
INT16_NODATA = -32768
INT16_SCALE = 10  # displacement is stored as tenths of a millimetre


@dataclass(frozen=True)
class ShardPlan:
    """How the points of a cube are cut into shards; follows from the data alone, never from the machine.

    >>> ShardPlan.of(n_points=588_600, n_dates=158)
    ShardPlan(n_points=588600, shard=37888)
    >>> ShardPlan.of(n_points=20_000, n_dates=210).n_shards
    20
    """

    n_points: int
    shard: int

    @classmethod
    def of(cls, n_points: int, n_dates: int, shard_points: int = SHARD_POINTS) -> ShardPlan:
        """Shards of at most ``shard_points``, fewer in multiples of the inner chunk so that about 16 remain."""
        inner = inner_points(n_dates * 2)
        wanted = -(-n_points // SMALL_CUBE_SHARDS)
        shard = -(-wanted // inner) * inner
        return cls(n_points, int(min(max(shard, inner), max(shard_points, inner))))

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return -(-self.n_points // self.shard)

    def slice(self, index: int) -> slice:
        """Points of shard ``index``."""
        return slice(index * self.shard, min((index + 1) * self.shard, self.n_points))

    def inner(self, bytes_per_point: int) -> int:
        """Points of an inner chunk: the rule's, but a divisor of the shard."""
        return min(inner_points(bytes_per_point), self.shard & -self.shard)


def inner_points(bytes_per_point: int) -> int:
    """Largest power of two of points whose series take at most 640 KiB, at least 128.

    >>> inner_points(292 * 2), inner_points(292 * 4)
    (1024, 512)
    """
    points = max(INNER_BYTES // max(bytes_per_point, 1), 1)
    return int(min(max(1 << (points.bit_length() - 1), FEWEST_INNER_POINTS), SHARD_POINTS))


# --- bytes: the few object-store verbs that everything else stands on -------------------------------------------------


def open_store(path: str | Path | Store) -> Store:
    """The Zarr store behind a path; a store passes through."""
    return path if isinstance(path, Store) else LocalStore(Path(path).absolute())


def get_bytes(store: Store, key: str) -> bytes | None:
    """Whole object under ``key``, or None."""
    found = sync(store.get(key, prototype=default_buffer_prototype()))
    return None if found is None else found.to_bytes()


def put_bytes(store: Store, key: str, data: bytes) -> None:
    """Write an object at once: another process sees all of it or nothing."""
    sync(store.set(key, default_buffer_prototype().buffer.from_bytes(data)))


def list_keys(store: Store, prefix: str) -> list[str]:
    """Keys below ``prefix``, sorted."""

    async def collect() -> list[str]:
        return [key async for key in store.list_prefix(prefix)]

    return sorted(sync(collect()))


def delete(store: Store, key: str) -> None:
    """Remove one object; absent is fine."""
    sync(store.delete(key))


# --- encoding ---------------------------------------------------------------------------------------------------------


class NotTenths(ValueError):
    """A displacement is not a multiple of 0.1 mm within +-3276.7: the array must be float32."""


def encode_tenths(values: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Displacement [mm] to int16 tenths, NaN to -32768; raises NotTenths where that would lose anything."""
    missing = np.isnan(values)
    tenths = np.rint(values.astype(np.float64) * INT16_SCALE)
    tenths[missing] = 0
    if (np.abs(tenths) > -INT16_NODATA - 1).any():
        raise NotTenths("displacement beyond +-3276.7 mm")
    encoded = tenths.astype(np.int16)
    if not np.array_equal(decode_tenths(encoded)[~missing], values[~missing]):
        raise NotTenths("displacement that is no multiple of 0.1 mm")
    encoded[missing] = INT16_NODATA
    return encoded


def decode_tenths(tenths: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Int16 tenths to float32 millimetres as float32(k) / 10, so that reader and store agree to the bit."""
    values = tenths.astype(np.float32)
    values /= np.float32(INT16_SCALE)
    values[tenths == INT16_NODATA] = np.nan
    return values


# --- groups -----------------------------------------------------------------------------------------------------------


def create_group(store: Store, group: str, template: xr.Dataset, plan: ShardPlan) -> bool:
    """Create an empty group shaped like ``template``, unless exactly that group is there already.

    Parameters
    ----------
    store : zarr Store
        Where.
    group : str
        Path of the group in the store, such as ``site/raw``.
    template : xr.Dataset
        Any number of points; names, dtypes, attributes, other axes and the values without a point axis are taken from it.
        A variable is stored as int16 tenths if its ``encoding`` says so, else in its own dtype.
    plan : ShardPlan
        Number of points and shard length.

    Returns
    -------
    bool
        True when the group was made anew (whatever it held is gone), False when it was already exactly this.
    """
    draft = zarr.storage.MemoryStore()
    _write_metadata(draft, group, template, plan)
    wanted = {key: get_bytes(draft, key) for key in list_keys(draft, group)}
    if all(get_bytes(store, key) == data for key, data in wanted.items()):
        return False
    sync(store.delete_dir(group))
    for parent in ("", "jobs", *map(str, list(Path(group).parents)[-2::-1])):
        zarr.open_group(store, path=parent, mode="a", zarr_format=3)
    # the group's own document last: a group that can be opened is whole
    for key in sorted(wanted, key=lambda key: key == f"{group}/zarr.json"):
        put_bytes(store, key, wanted[key] or b"")
    return True


def _write_metadata(store: Store, group: str, template: xr.Dataset, plan: ShardPlan) -> None:
    coordinates = " ".join(sorted(str(name) for name in template.coords if name not in template.dims))
    attributes = {"Conventions": "CF-1.11", "coordinates": coordinates, **template.attrs}
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
    cut = lambda length: tuple(length if i == axis else n for i, n in enumerate(shape))  # noqa: E731
    packing = {"scale_factor": 1 / INT16_SCALE, "_FillValue": INT16_NODATA} if tenths else {}
    root.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=cut(inner),
        shards=cut(plan.shard) if len(shape) > 1 else None,
        fill_value=fill,
        compressors=[ZstdCodec(level=int(str(CODEC["level"])))],
        dimension_names=[str(dim) for dim in variable.dims],
        attributes=_plain({**variable.attrs, **packing}),
    )


def _dtype_and_fill(variable: xr.Variable, tenths: bool) -> tuple[str, Any]:
    if tenths:
        return "int16", INT16_NODATA
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
        compressors=[ZstdCodec(level=int(str(CODEC["level"])))],
        dimension_names=[str(dim) for dim in variable.dims],
        attributes=_plain(variable.attrs),
    )
    array[...] = values


def _plain(attributes: Mapping[Hashable, Any]) -> dict[str, Any]:
    """Attributes as JSON, sorted by name, so that equal cubes have equal bytes."""
    plain = {str(k): v.item() if isinstance(v, np.generic) else v for k, v in attributes.items()}
    return {k: plain[k] for k in sorted(plain)}


def write_block(store: Store, group: str, plan: ShardPlan, index: int, block: xr.Dataset) -> tuple[str, int]:
    """Write shard ``index`` of every array of a group; returns its checksum and stored bytes, read back from the store.

    Parameters
    ----------
    block : xr.Dataset
        In-memory values of exactly the points ``plan.slice(index)``; float32 displacement is packed where the array is int16.

    Raises
    ------
    NotTenths
        When a packed array cannot hold a value.
    CubeError
        When the block is not the whole shard.
    """
    where = plan.slice(index)
    root = zarr.open_group(store, path=group, mode="r+", zarr_format=3)
    for name, array in sorted(root.arrays()):
        dims = array.metadata.dimension_names or ()
        if "point" not in dims:
            continue
        variable = block.variables[name]
        if variable.sizes["point"] != where.stop - where.start:
            raise CubeError(
                f"{group}/{name}: shard {index} holds points {where.start}..{where.stop}, "
                f"but {variable.sizes['point']} came; write whole shards"
            )
        values = np.asarray(variable.values)
        if array.dtype == np.int16 and values.dtype == np.float32:
            values = encode_tenths(values)
        array[tuple(where if dim == "point" else slice(None) for dim in dims)] = values
    return checksum_block(store, group, index)


def checksum_block(store: Store, group: str, index: int) -> tuple[str, int]:
    """SHA-256 over the stored bytes of shard ``index`` of every array, and how many bytes; absent objects count as such."""
    digest, size = hashlib.sha256(), 0
    for name, dims in _point_arrays(store, group):
        data = get_bytes(store, _object_key(group, name, dims, index))
        digest.update(f"{name}:{-1 if data is None else len(data)};".encode())
        digest.update(data or b"")
        size += len(data or b"")
    return digest.hexdigest(), size


def block_size(store: Store, group: str, index: int) -> int:
    """Stored bytes of shard ``index``, without reading them."""
    keys = [_object_key(group, name, dims, index) for name, dims in _point_arrays(store, group)]
    return sum(sync(store.getsize(key)) for key in keys if sync(store.exists(key)))


def _point_arrays(store: Store, group: str) -> Iterator[tuple[str, list[str]]]:
    root = zarr.open_group(store, path=group, mode="r", zarr_format=3)
    for name, array in sorted(root.arrays()):
        dims = [str(dim) for dim in array.metadata.dimension_names or ()]
        if "point" in dims:
            yield name, dims


def _object_key(group: str, name: str, dims: list[str], index: int) -> str:
    return f"{group}/{name}/c/" + "/".join(str(index) if dim == "point" else "0" for dim in dims)


# --- reading ----------------------------------------------------------------------------------------------------------


def shard_plan(store: Store, group: str) -> ShardPlan:
    """The shard plan of a stored group."""
    root = zarr.open_group(store, path=group, mode="r", zarr_format=3)
    for name, dims in _point_arrays(store, group):
        array = root[name]
        if isinstance(array, zarr.Array):
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
    """Names of the products in a store, sorted."""
    root = zarr.open_group(open_store(path), mode="r", zarr_format=3)
    return sorted(name for name, _ in root.groups() if name != "jobs")


def _open(store: Store, group: str, where: slice | None, *, lazy: bool) -> xr.Dataset:
    root = zarr.open_group(store, path=group, mode="r", zarr_format=3)
    variables = {name: _variable(array, where, lazy=lazy) for name, array in sorted(root.arrays())}
    attributes = dict(root.attrs)
    coordinates = str(attributes.pop("coordinates", "")).split()
    attributes.pop("Conventions", None)
    dataset = xr.Dataset(variables, attrs=attributes)
    return dataset.set_coords([name for name in coordinates if name in dataset.variables])


def _variable(array: zarr.Array[Any], where: slice | None, *, lazy: bool) -> xr.Variable:
    dims = [str(dim) for dim in array.metadata.dimension_names or ()]
    attributes = dict(array.attrs)
    if "point" not in dims:
        plain = xr.Variable(dims, array[...], attributes)
        return xr.conventions.decode_cf_variable(array.basename, plain) if "units" in attributes else plain
    tenths = array.dtype == np.int16 and "scale_factor" in attributes
    encoding = {k: attributes.pop(k) for k in ("scale_factor", "_FillValue") if k in attributes}
    if tenths:
        encoding["dtype"] = "int16"
    if lazy:
        data = da.from_array(array, chunks=array.shards or array.chunks, name=_token(array), asarray=False)
        values = data.map_blocks(_decode, tenths, dtype=_decoded_dtype(array.dtype, tenths), meta=_meta(array, tenths))
    else:
        at = tuple(where if dim == "point" else slice(None) for dim in dims)
        values = _decode(array[at], tenths)
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
