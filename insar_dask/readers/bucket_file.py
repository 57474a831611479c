"""A file in a bucket, read in place: what a reader of one file asks of a path, answered by ranged requests.

Nothing is copied to a disk. A reader that goes through a file from its first byte on is given it in blocks that grow to
8 MB, of which one is held; a look at a header, or at the end of a zip, takes 256 KB.
"""

from __future__ import annotations

import io
import re
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import quote

from zarr.core.sync import sync

from insar_dask.bucket_address import address_parts, bucket_address, is_bucket
from insar_dask.bucket_opening import open_bucket
from insar_dask.buckets import Bucket

__all__ = ["BucketFile", "SourceFile", "bucket_files", "source_file"]

FIRST_BLOCK, LARGEST_BLOCK = 1 << 18, 1 << 23
SIGNS = re.compile(r"[*\[]")


class Stat(NamedTuple):
    """What `pathlib.Path.stat` tells of a file, as far as readers ask."""

    st_size: int
    st_mtime_ns: int


class BucketFile:
    """An object in a bucket, where a `pathlib.Path` is wanted of which only is asked what stands here.

    Parameters
    ----------
    address : str
        ``s3://bucket/prefix/name.zip``, with options as those of a store.

    Examples
    --------
    >>> file = BucketFile("s3://egms/l3/EGMS_L3_E32N34_100km_U_2020_2024_1.zip?region=eu-west-1")
    >>> file.stem, file.suffix
    ('EGMS_L3_E32N34_100km_U_2020_2024_1', '.zip')
    """

    def __init__(self, address: str) -> None:
        bucket, key, options = address_parts(address)
        self.address = bucket_address(address)
        above, _, self.name = key.rpartition("/")
        self.stem, self.suffix = PurePosixPath(self.name).stem, PurePosixPath(self.name).suffix
        self._above = bucket_address(f"s3://{bucket}/{quote(above)}", options)

    def __str__(self) -> str:
        return self.address

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BucketFile) and self.address == other.address

    def __hash__(self) -> int:
        return hash(self.address)

    @property
    def bucket(self) -> Bucket:
        """What it lies in, to be read alone."""
        return open_bucket(self._above, read_only=True)

    def absolute(self) -> BucketFile:
        """Itself."""
        return self

    def resolve(self) -> BucketFile:
        """Itself."""
        return self

    def is_dir(self) -> bool:
        """Never."""
        return False

    def is_file(self) -> bool:
        """Whether it is there; StoreError where the bucket does not say."""
        return self.bucket.modified(self.name) is not None

    def stat(self) -> Stat:
        """Size and date; FileNotFoundError where it is not there."""
        size, modified, _ = self.look()
        return Stat(size, int(modified.timestamp() * 1e9))

    def look(self) -> tuple[int, datetime, str | None]:
        """Size, date and tag; FileNotFoundError where it is not there."""
        found = self.bucket.look_at(self.name)
        if found is None:
            raise FileNotFoundError(f"{self.address}: no such object")
        return found

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """Its bytes, from the first on."""
        if mode != "rb":
            raise ValueError(f"mode is {mode!r}: a file in a bucket is read as bytes, 'rb'")
        return io.BufferedReader(_Ranged(self), 1 << 16)


SourceFile = Path | BucketFile
"""Where a product lies."""


def source_file(source: str | SourceFile) -> SourceFile:
    """The file behind a path or an address."""
    if isinstance(source, BucketFile):
        return source
    return BucketFile(str(source)) if is_bucket(source) else Path(source)


def bucket_files(source: str) -> list[BucketFile]:
    """Objects that an address names: itself, those right below a prefix, or those that its last part matches.

    ``*`` and ``[...]`` stand for what they do in a shell; a ``?`` begins the address's options.
    """
    bucket, prefix, options = address_parts(source)
    above, _, last = prefix.rpartition("/")
    if SIGNS.search(above):
        raise ValueError(f"{source}: signs such as * may stand in the last part of an address only")
    folder = above if SIGNS.search(last) else prefix
    place = f"s3://{bucket}/{quote(folder)}".rstrip("/")
    if not SIGNS.search(last) and (one := BucketFile(bucket_address(source))).name and one.is_file():
        return [one]
    names = sync(open_bucket(bucket_address(place, options), read_only=True).files())
    wanted = sorted(name for name in names if folder == prefix or fnmatchcase(name, last))
    return [BucketFile(bucket_address(f"{place}/{quote(name)}", options)) for name in wanted]


class _Ranged(io.RawIOBase):
    """An object as a file that is read on from anywhere; never the parts of two, one having taken the other's place."""

    def __init__(self, file: BucketFile) -> None:
        self._bucket, self._name = file.bucket, file.name
        self._size, _, self._tag = file.look()
        self._at = self._begin = 0
        self._step, self._block = FIRST_BLOCK, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence], 0)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._at >= self._size:
            return 0
        if not self._begin <= self._at < self._begin + len(self._block):
            self._fetch()
        first = self._at - self._begin
        part = memoryview(self._block)[first : first + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def _fetch(self) -> None:
        """The block that begins where one reads; a larger one each time that it follows on the one before."""
        follows = self._at == self._begin + len(self._block) and self._block
        self._step = min(2 * self._step, LARGEST_BLOCK) if follows else FIRST_BLOCK
        self._block = b""  # one is held at a time
        found = self._bucket.get_part(self._name, self._at, min(self._at + self._step, self._size), self._tag)
        if not found:
            raise FileNotFoundError(f"{self._bucket.address}: {self._name} went away while it was read")
        self._begin, self._block = self._at, found
