"""The shards of a stored cube: written whole, read, and summed up by a checksum.

Two writers in one shard lose data, so nothing here writes less than a whole shard.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.abc.store import Store
from zarr.storage import LocalStore

from insar_dask.bucket_reads import fetch_ahead, with_documents
from insar_dask.buckets import Bucket
from insar_dask.cube import CubeError
from insar_dask.objects import Blocks, delete, get_blocks, get_bytes, list_names, put_each, sizes_below
from insar_dask.shard_bytes import Block, can_encode, encode_shard
from insar_dask.shard_text import plain_text
from insar_dask.shards import ShardPlan, shard_axis
from insar_dask.store import Arrays, Taken, all_arrays, decoded, load_shard, point_arrays, with_points
from insar_dask.tenths import encode_tenths

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ShardWriter", "checksum_block", "listed_sizes", "read_block", "shard_sizes", "write_block"]


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
        When the block is not the whole shard, or holds objects that are no text.
    """
    arrays = {str(name): variable.values for name, variable in block.variables.items() if shard_axis(variable.dims)}
    return ShardWriter(store, group, plan).write(index, arrays)


class ShardWriter:
    """Writes shards of one group, which is opened once; threads may share it."""

    def __init__(self, store: Store, group: str, plan: ShardPlan) -> None:
        self.store, self.group, self._plan = store, group, plan
        store = with_documents(store, group)
        arrays = all_arrays(store, group, mode="r+")
        self._arrays, self._shared = with_points(arrays), _group_digest(store, group, arrays)
        self._ours = [can_encode(array) for array, _ in self._arrays]

    def write(self, index: int, blocks: Mapping[str, Block]) -> tuple[str, int]:
        """Write shard ``index`` as ``write_block`` does, from its values by name."""
        digest, size = self._shared.copy(), 0
        with closing(put_each(self.store, self._objects(index, blocks))) as put:
            for (array, dims), ours in zip(self._arrays, self._ours, strict=True):
                stored = next(put) if ours else self._by_zarr(array, dims, index, blocks)
                size += _digest(digest, array.basename, stored)
        return digest.hexdigest(), size

    def _objects(self, index: int, blocks: Mapping[str, Block]) -> Iterator[tuple[str, Iterator[bytes] | None]]:
        """Keys and bytes, made when their turn comes; no bytes where all is fill value."""
        for (array, dims), ours in zip(self._arrays, self._ours, strict=True):
            if ours:
                encoded = encode_shard(array, self._values(array, dims, index, blocks))
                first = next(encoded, None)
                yield _object_key(array.path, dims, index), None if first is None else chain((first,), encoded)

    def _values(self, array: zarr.Array[Any], dims: list[str], index: int, blocks: Mapping[str, Block]) -> Block:
        where, values = self._plan.slice(index), blocks[array.basename]
        n_points = values.shape[dims.index(str(shard_axis(dims)))]
        if n_points != where.stop - where.start:
            raise CubeError(
                f"{array.path}: shard {index} holds points {where.start}..{where.stop}, "
                f"but {n_points} came; write whole shards"
            )
        if values.dtype.kind in "OT":
            return plain_text(array.basename, values)
        packed = array.dtype == np.int16 and values.dtype == np.float32
        return encode_tenths(np.asarray(values)) if packed else values

    def _by_zarr(
        self, array: zarr.Array[Any], dims: list[str], index: int, blocks: Mapping[str, Block]
    ) -> Blocks | None:
        """Write as Zarr does, which reads a shard before it replaces it, and would stumble over a damaged one."""
        key, axis = _object_key(array.path, dims, index), shard_axis(dims)
        delete(self.store, key)
        where, values = self._plan.slice(index), self._values(array, dims, index, blocks)
        array[tuple(where if dim == axis else slice(None) for dim in dims)] = np.asarray(values)
        return get_blocks(self.store, key)


def _digest(digest: Any, name: str, stored: Blocks | None) -> int:
    size, blocks = stored or (-1, ())
    digest.update(f"{name}:{size};".encode())
    for block in blocks:
        digest.update(block)
    return max(size, 0)


def checksum_block(store: Store, group: str, index: int) -> tuple[str, int]:
    """Checksum and number of the bytes of shard ``index`` of every array of a group.

    The SHA-256 also covers what all shards share: documents, dates, every array that is not cut. So a shard is not
    what it was when its dates are not, neither to ``verify`` nor to what is computed from it. Absent objects count; a
    group that is gone, or whose documents are damaged, has the checksum ``""``.
    """
    store = with_documents(store, group)
    if get_bytes(store, f"{group}/zarr.json") is None:
        return "", 0
    try:
        arrays = all_arrays(store, group)
    except ValueError:  # JSON that is none, or no Zarr metadata
        return "", 0
    digest, size = _group_digest(store, group, arrays), 0
    fetch_ahead(store, (_object_key(array.path, dims, index) for array, dims in with_points(arrays)))
    for array, dims in with_points(arrays):
        size += _digest(digest, array.basename, get_blocks(store, _object_key(array.path, dims, index)))
    return digest.hexdigest(), size


def shard_sizes(store: Store, group: str, indices: Iterable[int]) -> dict[int, int]:
    """Number of bytes that ``checksum_block`` would read of some shards; none where that takes more than a folder.

    Files are not opened, and take 7 µs each; Zarr would take 30 ms to open a group.
    """
    if not isinstance(store, LocalStore):
        return {}
    arrays = _cut_arrays(store, group)
    return {i: sum(_size(store.root / _object_key(path, dims, i)) for path, dims in arrays) for i in indices}


def _cut_arrays(store: Store, group: str) -> list[tuple[str, list[str]]]:
    """Paths and dimensions of a group's arrays that are cut into shards, as far as their documents can be read."""
    found = []
    for name in list_names(store, group):
        try:
            told = json.loads(get_bytes(store, f"{group}/{name}/zarr.json") or b"{}")
            dims = [str(dim) for dim in told.get("dimension_names") or ()]
        except (ValueError, AttributeError, TypeError, RecursionError):  # damaged
            continue
        if shard_axis(dims):
            found.append((f"{group}/{name}", dims))
    return found


def listed_sizes(store: Store, group: str, indices: Iterable[int]) -> dict[int, int] | None:
    """Number of bytes that ``checksum_block`` would read of some shards, from a list of a bucket; None elsewhere.

    A bucket keeps what it was given, or fails: to read all again is for `verify`. A group that is gone, or whose
    documents are damaged, has -1, which no receipt is for.
    """
    if not isinstance(store, Bucket):
        return None
    try:
        arrays = point_arrays(store, group)
    except CubeError:
        return dict.fromkeys(indices, -1)
    sizes = sizes_below(store, f"{group}/")
    return {i: sum(sizes.get(_object_key(a.path, dims, i), 0) for a, dims in arrays) for i in indices}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # all fill value
        return 0


def _group_digest(store: Store, group: str, arrays: Arrays) -> Any:
    """Hash begun with what all shards of a group share."""
    digest = hashlib.sha256()
    _digest(digest, "", get_blocks(store, f"{group}/zarr.json"))
    for array, dims in arrays:
        _digest(digest, array.basename, get_blocks(store, f"{array.path}/zarr.json"))
        if not shard_axis(dims):
            _digest(digest, array.basename, get_blocks(store, "/".join([array.path, "c", *("0" for _ in array.shape)])))
    return digest


def read_block(
    store: Store, group: str, index: int, names: Collection[str] | None = None, taken: Taken = decoded
) -> xr.Dataset:
    """Shard ``index`` of a group as an in-memory data set, decoded; ``names``: of what is cut only these.

    ``taken`` makes the values of what is cut, as of `insar_dask.store.load_shard`.
    """
    return load_shard(store, group, index, names, taken)


def _object_key(path: str, dims: list[str], index: int) -> str:
    axis = shard_axis(dims)
    return f"{path}/c/" + "/".join(str(index) if dim == axis else "0" for dim in dims)
