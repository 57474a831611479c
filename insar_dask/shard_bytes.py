"""The bytes of one shard, made in one pass: each inner chunk is compressed while it is in the cache.

Zarr's own writer does the same by way of an event loop, a thread hop for each inner chunk and several copies of the
shard: for 17 shards of 62,464 x 304 int16 it takes 2.1 s of CPU where this takes 1.6 (1.35 of them zstd). The format is
Zarr's ``sharding_indexed`` codec (Zarr enhancement proposal 2).
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from google_crc32c import value as crc32c
from numcodecs.zstd import Zstd  # type: ignore[import-untyped]

__all__ = ["can_encode", "encode_shard"]

ABSENT = np.uint64(2**64 - 1)
"""Offset and length of an inner chunk that holds nothing but the fill value."""

INDEX_CODECS = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]


def can_encode(array: zarr.Array[Any]) -> bool:
    """Whether an array is laid out as ``encode_shard`` writes: shards of little-endian numbers in zstd, index last."""
    return array.shards is not None and array.dtype.kind in "iufb" and _zstd_level(array) is not None


def encode_shard(array: zarr.Array[Any], values: npt.NDArray[Any]) -> bytes | None:
    """Encode one shard.

    Parameters
    ----------
    array : zarr.Array
        Where the shard belongs; see ``can_encode``.
    values : ndarray
        Values of the shard: its whole extent, or less at the end of the array.

    Returns
    -------
    bytes or None
        The object to store; None when all is fill value, which Zarr says by having no object.

    Raises
    ------
    ValueError
        When the array is laid out in another way, or the values do not fit into a shard.
    """
    level, shard, inner = _zstd_level(array), array.shards, array.chunks
    if level is None or shard is None:
        raise ValueError(f"{array.path} is not made of zstd shards: {array.metadata}")
    if values.ndim != len(shard) or any(n > most for n, most in zip(values.shape, shard, strict=True)):
        raise ValueError(f"{array.path}: values of shape {values.shape} came for a shard of {shard}")
    codec, fill = Zstd(level=level), np.asarray(array.fill_value, array.dtype)
    index = np.full((*(n // m for n, m in zip(shard, inner, strict=True)), 2), ABSENT)
    parts: list[bytes] = []
    offset = 0
    for place in np.ndindex(index.shape[:-1]):
        chunk = _chunk(values, place, inner, fill)
        if chunk is not None:
            parts.append(codec.encode(chunk))
            index[place] = offset, len(parts[-1])
            offset += len(parts[-1])
    if not parts:
        return None
    tail = index.astype("<u8").tobytes()
    return b"".join([*parts, tail, struct.pack("<I", crc32c(tail))])


def _chunk(
    values: npt.NDArray[Any], place: tuple[int, ...], inner: tuple[int, ...], fill: npt.NDArray[Any]
) -> npt.NDArray[Any] | None:
    """One inner chunk, filled up at the end of the array; None when nothing but fill value is in it."""
    found = values[tuple(slice(k * n, (k + 1) * n) for k, n in zip(place, inner, strict=True))]
    filled = np.isnan(found) if fill.dtype.kind == "f" and np.isnan(fill) else found == fill
    if filled.all():
        return None
    if found.shape == inner:
        return np.ascontiguousarray(found, fill.dtype)
    chunk = np.full(inner, fill)
    chunk[tuple(slice(n) for n in found.shape)] = found
    return chunk


def _zstd_level(array: zarr.Array[Any]) -> Any:
    """Level of the zstd codec within the shards of an array; None when its codecs are any others."""
    codecs = [codec.to_dict() for codec in getattr(array.metadata, "codecs", ())]
    if len(codecs) != 1 or codecs[0]["name"] != "sharding_indexed":
        return None
    layout: Any = codecs[0]["configuration"]
    inside = list(layout["codecs"])
    level = inside[-1].get("configuration", {}).get("level") if inside else None
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    zstd = {"name": "zstd", "configuration": {"level": level, "checksum": False}}
    plain = array.dtype.itemsize == 1 and inside[:1] == [{"name": "bytes"}]
    told = (
        list(layout["index_codecs"]) == INDEX_CODECS
        and str(getattr(layout["index_location"], "value", layout["index_location"])) == "end"
    )
    return level if told and inside[1:] == [zstd] and (inside[0] == little or plain) else None
