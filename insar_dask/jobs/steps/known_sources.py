"""Whether the files that a product was read from are still those files, as few as can be of them read again.

A file in a bucket is, where the bucket says the same of it as it did both before and after it was read: address, size,
date and tag. A bucket gives an object another tag when its bytes change, and another date whenever it is written. So a
file that was written again is hashed, were it with the same bytes; and so is one of a bucket that has no tags, or weak
ones. Of files on a disk nothing is taken for granted: whoever writes one may keep its size and its date.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from insar_dask.readers.area import area_files
from insar_dask.readers.bucket_file import BucketFile, SourceFile
from insar_dask.readers.csv_source import file_blake3

__all__ = ["by_content", "known_checksum", "seen_as"]


def seen_as(source: SourceFile) -> dict[str, Any]:
    """What a bucket says of a file now, to be kept; empty where that proves nothing, as on a disk."""
    if not isinstance(source, BucketFile):
        return {}
    size, modified, tag = source.look()
    if not tag or tag.startswith("W/"):
        return {}
    return {"address": str(source), "size": size, "modified": modified.isoformat(), "tag": tag}


def known_checksum(source: SourceFile, note: Mapping[str, Any] | None) -> str | None:
    """BLAKE3 of a file where it is still the one that was noted, `seen_as` and ``blake3``; None where it must be read.

    >>> known_checksum(BucketFile("s3://egms/a.zip"), {"blake3": "00"}) is None
    True
    """
    seen = {name: value for name, value in (note or {}).items() if name != "blake3"}
    return str((note or {})["blake3"]) if seen and seen == seen_as(source) else None


def by_content(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a reader for a key: a file of an area is what it holds, since it may be drawn anew under its name."""
    area = options.get("area")
    if not isinstance(area, str | Path):
        return dict(options)
    checksums = [file_blake3(file) for file in area_files(Path(area))]
    return {**options, "area": checksums[0] if len(checksums) == 1 else checksums}
