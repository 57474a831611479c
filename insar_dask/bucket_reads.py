"""Fewer requests to a bucket: documents of a group are asked for once a process, objects of a shard once a task.

A group has some 30 arrays, and to open it Zarr asks for the document of each. A chunk job opens its groups five times:
13,400 requests for 21 shards and 4 groups, measured. The documents that a process knows are those of the group while
its own document, which is written last and says what the others are, has the same tag and date; and the checksum of a
receipt covers all of them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterable, Iterator
from datetime import datetime
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, Self

from zarr.abc.store import OffsetByteRequest, RangeByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.core.sync import sync

from insar_dask.buckets import Bucket, gathered
from insar_dask.shards import shard_axis

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest

__all__ = ["fetch_ahead", "for_one_task", "with_documents"]

MOST_GROUPS = 64

Stamp = tuple[str | None, datetime]
Documents = dict[str, bytes | None]

_KNOWN: dict[tuple[str, str], tuple[Stamp, list[str], Documents]] = {}
_KNOWN_LOCK = Lock()


def with_documents(store: Store, group: str) -> Store:
    """A store that knows what all shards of a group share, as it is now: of a bucket for one request."""
    if not isinstance(store, Bucket):
        return store
    reads = store if isinstance(store, _Reads) else _Reads(store.store, store.address)
    reads.learn(group)
    return reads


def for_one_task(store: Store) -> Store:
    """A store that holds what was read of it, for as long as one task lasts: no object is read twice."""
    if not isinstance(store, Bucket) or (isinstance(store, _Reads) and store.keeps):
        return store
    return _Reads(store.store, store.address, keep=True)


def fetch_ahead(store: Store, keys: Iterable[str]) -> None:
    """Ask for objects together that will be wanted one by one, where the store holds what was read."""
    if isinstance(store, _Reads):
        store.fetch(keys)


class _Reads(Bucket):
    """A bucket of which some objects are known."""

    def __init__(self, store: Any, address: str, *, read_only: bool = False, keep: bool = False) -> None:
        super().__init__(store, address, read_only=read_only)
        self.keeps = keep
        self._found: dict[str, bytes | None] = {}
        self._of_group: dict[str, list[str]] = {}

    def with_read_only(self, read_only: bool = False) -> Self:
        """The same, to be read alone or not."""
        other = type(self)(self.store, self.address, read_only=read_only, keep=self.keeps)
        other._found, other._of_group = self._found, self._of_group
        return other

    def learn(self, group: str) -> None:
        """Know the documents of a group, and the values that all its shards share."""
        if group in self._of_group:
            return
        data, stamp = self.get_stamped(f"{group}/zarr.json")
        if data is None or stamp is None:
            return
        place = self.address, group
        with _KNOWN_LOCK:
            known = _KNOWN.get(place)
        if known is None or known[0] != stamp:
            known = stamp, *self._ask_for(group, data)
            with _KNOWN_LOCK:
                while len(_KNOWN) >= MOST_GROUPS:
                    del _KNOWN[next(iter(_KNOWN))]
                _KNOWN[place] = known
        self._of_group[group] = known[1]
        self._found.update(known[2])

    def fetch(self, keys: Iterable[str]) -> None:
        """Hold objects of shards."""
        wanted = [key for key in keys if self.keeps and key not in self._found]
        self._found.update(zip(wanted, self._many(wanted), strict=True))

    def _many(self, keys: list[str]) -> list[bytes | None]:
        return gathered(super().get, keys)

    def _ask_for(self, group: str, own: bytes) -> tuple[list[str], Documents]:
        names = [name for name in sync(_collected(super().list_dir(group))) if name != "zarr.json"]
        keys = [f"{group}/{name}/zarr.json" for name in names]
        documents = {key: data for key, data in zip(keys, self._many(keys), strict=True) if data is not None}
        shared = [found for key, data in documents.items() for found in _shared_value(key, data)]
        values = zip(shared, self._many(shared), strict=True)
        return names, {f"{group}/zarr.json": own, **documents, **dict(values)}

    def _held(self, key: str) -> bytes | None:
        if self.keeps and "/c/" in key and key not in self._found:
            self.fetch([key])
        return self._found.get(key)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """As of every Zarr store."""
        if self.keeps and "/c/" in key and key not in self._found:
            whole = await super().get(key, default_buffer_prototype())
            self._found[key] = None if whole is None else whole.to_bytes()
        if key not in self._found:
            return await super().get(key, prototype, byte_range)
        data = self._found[key]
        return None if data is None else prototype.buffer.from_bytes(_part(data, byte_range))

    def stream(self, key: str, block: int) -> tuple[int, Iterator[bytes]] | None:
        """Size of an object and its bytes; None where there is none."""
        data = self._held(key)
        if data is None:
            return None if key in self._found else super().stream(key, block)
        return len(data), iter((data,))

    async def list_dir(self, prefix: str) -> AsyncGenerator[str, None]:
        """As of every Zarr store."""
        names = self._of_group.get(prefix.rstrip("/"))
        if names is None:
            names = await _collected(super().list_dir(prefix))
        for name in names:
            yield name

    def put(self, key: str, data: bytes | IO[bytes], part: int) -> None:
        """Write an object at once."""
        self._found.pop(key, None)
        super().put(key, data, part)

    async def set(self, key: str, value: Buffer) -> None:
        """As of every Zarr store."""
        self._found.pop(key, None)
        await super().set(key, value)

    async def delete(self, key: str) -> None:
        """As of every Zarr store."""
        self._found.pop(key, None)
        await super().delete(key)


async def _collected(names: AsyncGenerator[str, None]) -> list[str]:
    return [name async for name in names]


def _shared_value(key: str, document: bytes) -> list[str]:
    """Key of the values of an array that is not cut into shards."""
    try:
        told: Any = json.loads(document)
        if told["node_type"] != "array" or shard_axis(told.get("dimension_names") or ()):
            return []
        return ["/".join([key.removesuffix("/zarr.json"), "c", *("0" for _ in told["shape"])])]
    except (ValueError, KeyError, TypeError):  # damaged: whoever opens it says so
        return []


def _part(data: bytes, byte_range: ByteRequest | None) -> bytes:
    if byte_range is None:
        return data
    if isinstance(byte_range, RangeByteRequest):
        return data[byte_range.start : byte_range.end]
    if isinstance(byte_range, OffsetByteRequest):
        return data[byte_range.offset :]
    return data[-byte_range.suffix :]
