"""Bytes of objects in a bucket as a web server gives them: whole, or the range that was asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from insar_dask.bucket_opening import open_bucket
from insar_dask.buckets import Bucket

__all__ = ["Answer", "bucket_reader"]

RANGE = re.compile(r"bytes=(\d*)-(\d*)")
KEPT = 4096
"""Objects whose sizes are remembered."""


@dataclass(frozen=True)
class Answer:
    """Status, length and range as headers of HTTP tell them, and the bytes."""

    status: int
    length: int
    range: str = ""
    data: bytes = b""


def bucket_reader(address: str) -> Callable[[str, str | None, bool], Answer]:
    """What reads ``(key, value of the header Range or None, whether the bytes are wanted)``.

    Threads may call it at once. The bookkeeping of runs is read by nobody. A size is asked for once an object; of an
    object that was replaced since, both are asked for anew.

    Raises
    ------
    FileNotFoundError
        By what is returned: when there is no such object.
    OSError
        By what is returned: when the bucket does not answer, or does not let us.
    """
    bucket, known = open_bucket(address, read_only=True), dict[str, tuple[int, str | None]]()

    def read(key: str, wanted: str | None, body: bool) -> Answer:
        parts = key.split("/")
        if not {"", ".", ".."}.isdisjoint(parts) or parts[0] == "jobs" or "\\" in key or "\0" in key:
            raise FileNotFoundError(key)
        asked = RANGE.fullmatch(wanted or "")
        if asked is None and body:
            return _whole(bucket, key)
        look = known.get(key) or _look(bucket, key)
        if len(known) >= KEPT:
            known.clear()
        known[key] = look
        if asked is None:
            return Answer(200, look[0])
        try:
            return _part(bucket, key, *look, *asked.groups())
        except OSError:
            known.pop(key, None)
            if (now := _look(bucket, key)) == look:
                raise
        return _part(bucket, key, *now, *asked.groups())

    return read


def _whole(bucket: Bucket, key: str) -> Answer:
    data = bucket.get_tagged(key)[0]
    if data is None:
        raise FileNotFoundError(key)
    return Answer(200, len(data), data=data)


def _look(bucket: Bucket, key: str) -> tuple[int, str | None]:
    found = bucket.look_at(key)
    if found is None:
        raise FileNotFoundError(key)
    return found[0], found[2]


def _part(bucket: Bucket, key: str, size: int, tag: str | None, first: str, last: str) -> Answer:
    start = int(first) if first else max(size - int(last or 0), 0)
    stop = min(int(last) + 1, size) if first and last else size
    if start >= stop:
        return Answer(416, 0, f"bytes */{size}")
    data = bucket.get_part(key, start, stop, tag)
    if data is None:
        raise FileNotFoundError(key)
    return Answer(206, len(data), f"bytes {start}-{stop - 1}/{size}", data)
