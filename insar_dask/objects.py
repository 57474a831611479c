"""The few object-store verbs that receipts and shards stand on; one spelling for folders and buckets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore

__all__ = [
    "Blocks",
    "delete",
    "delete_below",
    "get_blocks",
    "get_bytes",
    "list_keys",
    "list_names",
    "open_store",
    "put_blocks",
    "put_bytes",
    "size_of",
]

Blocks = tuple[int, Iterable[bytes]]
"""Size of an object and its bytes, block by block, once."""

BLOCK_BYTES = 1 << 16


def open_store(path: str | Path | Store) -> Store:
    """The Zarr store behind a path; a store passes through."""
    return path if isinstance(path, Store) else LocalStore(Path(path).absolute())


def get_bytes(store: Store, key: str) -> bytes | None:
    """Whole object under ``key``, or None."""
    found = sync(store.get(key, prototype=default_buffer_prototype()))
    return None if found is None else found.to_bytes()


def size_of(store: Store, key: str) -> int:
    """Bytes of an object that is there."""
    return int(sync(store.getsize(key)))


def put_bytes(store: Store, key: str, data: bytes | memoryview) -> None:
    """Write an object at once: another process sees all of it or nothing."""
    sync(store.set(key, default_buffer_prototype().buffer.from_bytes(data)))


def get_blocks(store: Store, key: str) -> Blocks | None:
    """Object under ``key``, never whole in memory where the store is a folder; None where there is none."""
    if isinstance(store, LocalStore):
        path = store.root / key
        return (path.stat().st_size, _read_blocks(path)) if path.is_file() else None
    data = get_bytes(store, key)
    return None if data is None else (len(data), (data,))


def put_blocks(store: Store, key: str, blocks: Iterable[bytes]) -> Blocks:
    """Write an object as ``put_bytes`` does; returns what now lies there, as ``get_blocks`` would.

    In a folder the blocks go to a file as they come, and memory holds one at a time.
    """
    if not isinstance(store, LocalStore):
        data = b"".join(blocks)
        put_bytes(store, key, data)
        return len(data), (data,)
    path = store.root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{uuid4().hex}.partial")
    try:
        with draft.open("wb") as file:
            file.writelines(blocks)
            size = file.tell()
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return size, _read_blocks(path)


def _read_blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def list_keys(store: Store, prefix: str) -> list[str]:
    """Keys below ``prefix``, sorted; what a killed process left half written is no object, whole though it may look."""

    async def collect() -> list[str]:
        return [key async for key in store.list_prefix(prefix) if not key.endswith(".partial")]

    return sorted(sync(collect()))


def list_names(store: Store, prefix: str) -> list[str]:
    """Names directly below ``prefix``, of objects and of folders, sorted."""

    async def collect() -> list[str]:
        return [name async for name in store.list_dir(prefix)]

    return sorted(sync(collect()))


def delete(store: Store, key: str) -> None:
    """Remove one object; absent is fine."""
    sync(store.delete(key))


def delete_below(store: Store, prefix: str) -> None:
    """Remove every object below ``prefix``."""
    sync(store.delete_dir(prefix))
