"""The few object-store verbs that receipts and shards stand on; one spelling for folders and buckets."""

from __future__ import annotations

from pathlib import Path

from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore

__all__ = ["delete", "delete_below", "get_bytes", "list_keys", "list_names", "open_store", "put_bytes"]


def open_store(path: str | Path | Store) -> Store:
    """The Zarr store behind a path; a store passes through."""
    return path if isinstance(path, Store) else LocalStore(Path(path).absolute())


def get_bytes(store: Store, key: str) -> bytes | None:
    """Whole object under ``key``, or None."""
    found = sync(store.get(key, prototype=default_buffer_prototype()))
    return None if found is None else found.to_bytes()


def put_bytes(store: Store, key: str, data: bytes | memoryview) -> None:
    """Write an object at once: another process sees all of it or nothing."""
    sync(store.set(key, default_buffer_prototype().buffer.from_bytes(data)))


def list_keys(store: Store, prefix: str) -> list[str]:
    """Keys below ``prefix``, sorted."""

    async def collect() -> list[str]:
        return [key async for key in store.list_prefix(prefix)]

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
