"""The few object-store verbs that receipts and shards stand on; one spelling for folders and buckets."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeGuard
from uuid import uuid4

from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.common import concurrent_map
from zarr.core.sync import sync
from zarr.storage import LocalStore

from insar_dask.bucket_address import is_bucket
from insar_dask.bucket_opening import open_bucket
from insar_dask.buckets import AT_ONCE, Bucket, gathered
from insar_dask.uploads import Blocks, upload, upload_each

__all__ = [
    "Blocks",
    "delete",
    "delete_all",
    "delete_below",
    "get_blocks",
    "get_bytes",
    "get_many",
    "get_seen",
    "keep_bytes",
    "keep_text",
    "list_keys",
    "list_names",
    "open_store",
    "put_blocks",
    "put_bytes",
    "put_each",
    "put_if",
    "put_many",
    "size_of",
    "sizes_below",
]

Seen = str | None
"""State of an object when it was looked at; None: there was none."""

BLOCK_BYTES = 1 << 16


def open_store(path: str | Path | Store) -> Store:
    """The Zarr store behind a path or an address ``s3://bucket/prefix``; a store passes through."""
    if isinstance(path, Store):
        return path
    return open_bucket(str(path)) if is_bucket(path) else LocalStore(Path(path).absolute())


def keep_text(path: Path, text: str) -> None:
    """Write a file beside a store, whole or not at all: of an empty configuration every setting would be a default."""
    keep_bytes(path, text.encode())


def keep_bytes(path: Path, data: bytes) -> None:
    """As `keep_text`; a link that has the place of the file or its draft goes, and what it leads to stays."""
    draft = path.with_name(f"{path.name}.part")
    draft.unlink(missing_ok=True)
    with draft.open("xb") as file:
        file.write(data)
    draft.replace(path)


def get_bytes(store: Store, key: str) -> bytes | None:
    """Whole object under ``key``, or None."""
    if isinstance(store, LocalStore):  # Zarr would make the folder
        try:
            with open(_place(store, key), "rb", buffering=0) as file:  # noqa: PTH123  it takes half the time
                return file.read()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
    found = sync(store.get(key, prototype=default_buffer_prototype()))
    return None if found is None else found.to_bytes()


def get_many(store: Store, keys: Sequence[str]) -> list[bytes | None]:
    """Whole objects under some keys: of a bucket so many at a time that nobody waits for each."""
    if not isinstance(store, Bucket):
        return [get_bytes(store, key) for key in keys]
    return gathered(store.get, keys)


def size_of(store: Store, key: str) -> int:
    """Bytes of an object that is there."""
    return int(sync(store.getsize(key)))


def put_bytes(store: Store, key: str, data: bytes | memoryview) -> None:
    """Write an object at once: another process sees all of it or nothing."""
    if _is_folder(store):
        _write_file(store.root / key, (data,))
        return
    sync(store.set(key, default_buffer_prototype().buffer.from_bytes(data)))


def put_many(store: Store, objects: Mapping[str, bytes]) -> None:
    """Write objects, in any order: to a bucket so many at a time that nobody waits for each."""
    if not isinstance(store, Bucket):
        for key, data in objects.items():
            put_bytes(store, key, data)
        return
    buffer = default_buffer_prototype().buffer
    sync(concurrent_map([(k, buffer.from_bytes(v)) for k, v in objects.items()], store.set, limit=AT_ONCE))


def get_blocks(store: Store, key: str) -> Blocks | None:
    """Object under ``key``, never whole in memory where the store is a folder or bucket; None where there is none."""
    if isinstance(store, LocalStore):
        path = store.root / key
        return (path.stat().st_size, _read_blocks(path)) if path.is_file() else None
    if isinstance(store, Bucket):
        return store.stream(key, BLOCK_BYTES)
    data = get_bytes(store, key)
    return None if data is None else (len(data), (data,))


def put_blocks(store: Store, key: str, blocks: Iterable[bytes]) -> Blocks:
    """Write an object as ``put_bytes`` does; returns what now lies there, as ``get_blocks`` would.

    In a folder the blocks go to a file as they come, and memory holds one at a time; on their way to a bucket those of
    a large object wait in a file too, for it is told how many bytes will come.
    """
    if isinstance(store, Bucket):
        return upload(store, key, blocks)
    if not isinstance(store, LocalStore):
        data = b"".join(blocks)
        put_bytes(store, key, data)
        return len(data), (data,)
    path = store.root / key
    size = _write_file(path, blocks)
    return size, _read_blocks(path)


def _write_file(path: Path, blocks: Iterable[bytes | memoryview]) -> int:
    """Write a file at once; returns its bytes."""
    draft = path.with_suffix(f".{uuid4().hex}.partial")
    try:
        with _opened_anew(draft) as file:
            for block in blocks:
                file.write(block)
            size = file.tell()
        os.replace(draft, path)  # noqa: PTH105  as below
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return size


def _opened_anew(path: Path) -> BinaryIO:
    """A file that is not there yet, to be written; the folders above it are mostly there."""
    try:
        return open(path, "xb")  # noqa: PTH123  pathlib takes a fifth of what a receipt takes
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "xb")  # noqa: PTH123


def put_each(
    store: Store, objects: Iterable[tuple[str, Iterable[bytes] | None]]
) -> Generator[Blocks | None, None, None]:
    """Write objects as ``put_blocks`` does, or remove them where there are no blocks; yields in order what lies there.

    To a bucket some are on their way while the next ones are made. Whoever takes an answer reads its blocks before the
    next one.
    """
    if isinstance(store, Bucket):
        yield from upload_each(store, objects)
        return
    for key, blocks in objects:
        if blocks is None:
            delete(store, key)
        yield None if blocks is None else put_blocks(store, key, blocks)


def _read_blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def list_keys(store: Store, prefix: str) -> list[str]:
    """Keys below ``prefix``, sorted; what a killed process left half written is no object, whole though it may look."""

    async def collect() -> list[str]:
        return [key async for key in store.list_prefix(prefix)]

    keys = _files_below(store.root, prefix) if isinstance(store, LocalStore) else sync(collect())
    return sorted(key for key in keys if not key.endswith(".partial"))


def _files_below(root: Path, prefix: str) -> Iterator[str]:
    """Keys of a folder's files: Zarr's way asks for the state of each, which takes five times as long."""
    place = str(root)
    for folder, _, names in os.walk(root / prefix):
        inside = folder[len(place) :].replace(os.sep, "/").strip("/")
        yield from (f"{inside}/{name}" if inside else name for name in names)


def list_names(store: Store, prefix: str) -> list[str]:
    """Names directly below ``prefix``, of objects and of folders, sorted."""

    async def collect() -> list[str]:
        return [name async for name in store.list_dir(prefix)]

    if not isinstance(store, LocalStore):
        return sorted(sync(collect()))
    try:
        return sorted(os.listdir(_place(store, prefix)))  # noqa: PTH208  names are wanted, not paths
    except (FileNotFoundError, NotADirectoryError):
        return []


def sizes_below(store: Store, prefix: str) -> dict[str, int]:
    """Bytes of every object below ``prefix``: of a bucket a request tells a thousand."""
    if isinstance(store, Bucket):
        return sync(store.sizes(prefix))
    return {key: size_of(store, key) for key in list_keys(store, prefix)}


def get_seen(store: Store, key: str) -> tuple[bytes | None, Seen]:
    """Whole object under ``key``, or None, and its state, for `put_if`."""
    if isinstance(store, Bucket):
        return store.get_tagged(key)
    data = get_bytes(store, key)
    return data, None if data is None else hashlib.sha256(data).hexdigest()


def put_if(store: Store, key: str, data: bytes, seen: Seen) -> bool:
    """Write an object at once if it is still as it was ``seen``; returns whether that is what now lies there.

    A bucket compares and writes in one step. Elsewhere these are two, and a lock says who may take them.
    """
    if isinstance(store, Bucket):
        return store.put_if(key, data, seen)
    if get_seen(store, key)[1] != seen:
        return False
    put_bytes(store, key, data)
    return True


def delete_all(store: Store, keys: Iterable[str]) -> None:
    """Remove objects: of a bucket a thousand a request."""
    if isinstance(store, Bucket):
        store.delete_all(list(keys))
        return
    for key in keys:
        delete(store, key)


def delete(store: Store, key: str) -> None:
    """Remove one object; absent is fine."""
    if _is_folder(store):
        with suppress(FileNotFoundError):
            os.unlink(_place(store, key))  # noqa: PTH108  it takes half the time
        return
    sync(store.delete(key))


def delete_below(store: Store, prefix: str) -> None:
    """Remove every object below ``prefix``."""
    sync(store.delete_dir(prefix))


def _place(store: LocalStore, key: str) -> str:
    """Path of an object in a folder as text: to make a `pathlib.Path` takes as long as to read a receipt."""
    return f"{store.root}{os.sep}{key}"


def _is_folder(store: Store) -> TypeGuard[LocalStore]:
    """Whether files are written without Zarr: its event loop and its threads take 0.2 ms of each, a receipt 0.03."""
    return isinstance(store, LocalStore) and not store.read_only
