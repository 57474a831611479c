"""Objects on their way to a bucket, while the next ones of their shard are made.

A shard is an object an array, mostly small ones, and each put waits for its answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import IO, Self

from zarr.core.sync import sync

from insar_dask.buckets import Bucket

__all__ = ["PART_BYTES", "PUTS_AT_ONCE", "Blocks", "upload", "upload_each"]

Blocks = tuple[int, Iterable[bytes]]
"""Size of an object and its bytes, block by block, once."""

PUTS_AT_ONCE = 8
"""Objects of a shard that are on their way together."""

PART_BYTES = 8 << 20
"""An object of more goes in parts of so many bytes, two at a time, and waits for that in a file."""

BLOCK_BYTES = 1 << 16


def upload(bucket: Bucket, key: str, blocks: Iterable[bytes]) -> Blocks:
    """Write an object at once; returns what now lies there."""
    draft = _Draft(blocks)
    try:
        return _sent(bucket, key, draft)
    except BaseException:
        draft.close()
        raise


def upload_each(
    bucket: Bucket, objects: Iterable[tuple[str, Iterable[bytes] | None]]
) -> Generator[Blocks | None, None, None]:
    """Write objects, or remove them where there are no blocks; yields in order what now lies there.

    Blocks are made in the caller's thread, and what is yielded is read before the next one is asked for. Where one
    fails, all that were begun have come to an end before it is told: nothing is written after that.
    """
    with ExitStack() as drafts, ThreadPoolExecutor(PUTS_AT_ONCE, thread_name_prefix="upload") as pool:
        sent: deque[Future[Blocks | None]] = deque()
        for key, blocks in objects:
            if len(sent) == PUTS_AT_ONCE:
                yield sent.popleft().result()
            draft = None if blocks is None else drafts.enter_context(_Draft(blocks))
            sent.append(pool.submit(_sent_or_removed, bucket, key, draft))
        while sent:
            yield sent.popleft().result()


class _Draft:
    """What is to be written: in memory, a large one in a file."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._file = SpooledTemporaryFile(PART_BYTES)  # noqa: SIM115  closed with the draft
        self._data: bytes | None = None
        try:
            self._file.writelines(blocks)
            self.size = self._file.tell()
            self._file.seek(0)
            if self.size <= PART_BYTES:
                self._data = self._file.read()
                self._file.close()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._data = None
        self._file.close()

    def whole(self) -> bytes | IO[bytes]:
        return self._file if self._data is None else self._data

    def blocks(self) -> Iterator[bytes]:
        if self._data is not None:
            yield self._data
        else:
            self._file.seek(0)
            while block := self._file.read(BLOCK_BYTES):
                yield block
        self.close()


def _sent(bucket: Bucket, key: str, draft: _Draft) -> Blocks:
    bucket.put(key, draft.whole(), PART_BYTES)
    return draft.size, draft.blocks()


def _sent_or_removed(bucket: Bucket, key: str, draft: _Draft | None) -> Blocks | None:
    if draft is not None:
        return _sent(bucket, key, draft)
    sync(bucket.delete(key))
    return None
