"""Arrays of a store whose documents and bytes somebody else may have written: what does not hold together is an error.

A document of a hundred bytes may claim an array of any size, and Zarr would make room for it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.buffer import default_buffer_prototype
from zarr.core.common import concurrent_map
from zarr.core.sync import sync

from insar_dask.buckets import AT_ONCE
from insar_dask.cube import CubeError
from insar_dask.objects import list_names
from insar_dask.shards import shard_axis
from insar_dask.store_errors import StoreError

__all__ = ["ARRAYS", "StoredArray", "arrays_below", "check_layout", "understood"]

ARRAYS = "arrays_sha256"
"""Attribute of a group that says what its arrays are, but for their shards: so its document changes when they do, and
whoever knows documents of a bucket sees by that one whether they are still current. Older groups have none."""

MOST_CHUNKS = 1_000_000
"""Of an array in Dask: as shards at the least a hundred million points, and ten times the jobs of a submission."""

MOST_LONG = 1 << 31
"""Points or dates of a chunk: no cube has longer ones."""

MOST_SHARED = 1 << 28
"""Bytes of an array that all shards share: dates, targets and the like take some thousand."""

CURE = "`insar-dask verify` says what is damaged; run again what makes it"

LOST = "`insar-dask verify` says whether an array is lost"


@contextmanager
def understood(place: str) -> Iterator[None]:
    """Whatever Zarr and its codecs make of what they cannot read is a CubeError that names the place.

    Their own errors are of a dozen kinds, TypeError and RuntimeError among them.
    """
    try:
        yield
    except CubeError:  # said already
        raise
    except Exception as error:
        if isinstance(error, StoreError) or (isinstance(error, OSError) and error.errno is not None):
            raise  # a bucket or disk that cannot be read; codecs have OSErrors of their own
        first = (str(error).splitlines() or [""])[0][:200]
        wrong = "is not as it was written"
        if isinstance(error, MemoryError):
            wrong += ", or more than there is memory for here"
        raise CubeError(f"{place} {wrong} ({type(error).__name__}: {first}); {CURE}") from error


def arrays_below(root: zarr.Group) -> dict[str, zarr.Array[Any]]:
    """Arrays of a group by name, sorted.

    CubeError names the first that cannot be understood, a warning what has lost its document. ``root.arrays()`` goes on
    reading where one fails, and asyncio prints whatever fails after it, with its traceback.
    """
    names = [name for name in list_names(root.store, root.path) if name != "zarr.json" and not _is_no_object(name)]
    group = zarr.AsyncGroup(replace(root.metadata, consolidated_metadata=None), root.store_path)

    async def look(name: str) -> Any:
        try:
            return await group.getitem(name)
        except OSError:  # a bucket or disk that cannot be read
            raise
        except Exception as error:
            return error

    with understood(root.path):
        looked = sync(concurrent_map([(name,) for name in names], look, limit=AT_ONCE))
    arrays = {}
    for name, found in zip(names, looked, strict=True):
        if isinstance(found, KeyError) and isinstance(found.__cause__, FileNotFoundError):
            warnings.warn(f"{root.path}/{name} has no zarr.json and is left out; {LOST}", stacklevel=2)
            continue
        if isinstance(found, Exception):
            with understood(f"{root.path}/{name}"):
                raise found
        if isinstance(found, zarr.AsyncArray):
            arrays[name] = zarr.Array(found)
    return arrays


def _is_no_object(name: str) -> bool:
    """Files of a desktop, and drafts that a kill left."""
    return name.startswith(".") or name.endswith(".partial")


def check_layout(array: zarr.Array[Any], dims: Sequence[str]) -> None:
    """Raise CubeError where no cube of this engine has an array of such sizes."""
    axis = shard_axis(dims)
    if not isinstance(array.metadata.attributes, Mapping):
        raise CubeError(f"{array.path} has no attributes by name; {CURE}")
    if len(dims) != array.ndim:
        raise CubeError(f"{array.path} names {len(dims)} of its {array.ndim} dimensions; {CURE}")
    if not all(0 < length < MOST_LONG for length in (*array.chunks, *(array.shards or ()))):
        raise CubeError(f"{array.path} is cut into chunks of {array.chunks}; {CURE}")
    if axis is None:
        if math.prod(array.shape) * array.dtype.itemsize > MOST_SHARED:
            raise CubeError(f"{array.path} is of shape {array.shape}, too large for what all shards share; {CURE}")
        return
    outer = zip(dims, array.shape, array.shards or array.chunks, array.chunks, strict=True)
    if math.prod(-(-n // (shard if dim == axis else inner)) for dim, n, shard, inner in outer) > MOST_CHUNKS:
        raise CubeError(f"{array.path} is of shape {array.shape} in shards of {array.shards or array.chunks}; {CURE}")


@dataclass(frozen=True)
class StoredArray:
    """What Dask slices: an array of a store, whose errors say which it is."""

    array: zarr.Array[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every axis."""
        return self.array.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.array.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        return self.array.dtype

    def __getitem__(self, where: Any, /) -> npt.NDArray[Any]:
        with understood(self.array.path):
            return np.asarray(self.array[where])

    def read_into(self, room: Any, where: tuple[slice, ...]) -> None:
        """Read a box into an array of NumPy of its shape and dtype."""
        with understood(self.array.path):
            self.array.get_basic_selection(where, out=default_buffer_prototype().nd_buffer.from_ndarray_like(room))
