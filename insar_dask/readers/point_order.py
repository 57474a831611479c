"""The order of points: along the Hilbert curve, whatever the order of the file; and which identifiers come twice."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from insar_kernels.hilbert import hilbert_index

__all__ = ["hilbert_order", "repeated"]

Integer = TypeVar("Integer", np.int32, np.int64)

MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Knuth's multiplicative hash
HALF = np.uint64(32)
ROWS_AT_ONCE = 65_536


def hilbert_order(
    easting: npt.NDArray[np.float64],
    northing: npt.NDArray[np.float64],
    point_id: npt.NDArray[np.bytes_],
    rows: npt.NDArray[Integer],
) -> npt.NDArray[Integer]:
    """Sort ``rows`` by Hilbert index, within one cell of 1 m by identifier; (rows,) of the same type."""
    index = hilbert_index(easting, northing)
    if rows.size < index.size:
        index = index[rows]
    rank = np.argsort(index)
    index.sort()  # as index[rank], without the memory
    same = index[1:] == index[:-1]
    # only ties are sorted by text, which costs a hundred times the sort of integers
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    group = rank[tied]
    rank[tied] = group[np.lexsort((point_id[rows[group]], index[tied]))]
    del index, same
    return rows[rank]


def repeated(point_id: npt.NDArray[np.bytes_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows whose identifier stood in an earlier row, and that first row of each; both ascending by row."""
    suspects = _suspects(point_id)
    first: dict[bytes, int] = {}
    pairs = [(row, first.setdefault(point_id[row], row)) for row in suspects.tolist()]
    again, once = np.array([pair for pair in pairs if pair[0] != pair[1]], np.int64).reshape(-1, 2).T
    return again, once


def _suspects(point_id: npt.NDArray[np.bytes_]) -> npt.NDArray[np.int64]:
    """Rows whose identifier shares its hash with another's: nearly none, so that only these are compared as text."""
    key = np.empty(point_id.size, np.uint64)
    for start in range(0, key.size, ROWS_AT_ONCE):
        key[start : start + ROWS_AT_ONCE] = _hashes(point_id[start : start + ROWS_AT_ONCE])
    ordered = np.sort(key)
    shared = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    return np.flatnonzero(np.isin(key, shared)) if shared.size else np.empty(0, np.int64)


def _hashes(point_id: npt.NDArray[np.bytes_]) -> npt.NDArray[np.uint64]:
    width = -(-max(point_id.dtype.itemsize, 1) // 8) * 8
    words = point_id.astype(f"S{width}").view(np.uint64).reshape(point_id.size, width // 8)
    key = np.zeros(point_id.size, np.uint64)
    for word in words.T:
        key = (key ^ word) * MIX
        key ^= key >> HALF
    return key
