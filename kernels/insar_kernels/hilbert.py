"""Place of a point along the Hilbert curve: neighbours on the ground become neighbours in storage.

The curve covers 2^25 x 2^25 cells of 1 m, whatever the data, so that two tiles of one projection always agree.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import namespace

__all__ = ["HILBERT_BITS", "HILBERT_LIMIT", "hilbert_index"]

HILBERT_BITS = 25
"""Bits of each axis."""

HILBERT_LIMIT = float(2 ** (HILBERT_BITS - 1))
"""Coordinates must lie in [-limit, limit) metres."""


def hilbert_index(easting: Any, northing: Any) -> Any:
    """Index along the Hilbert curve of the 1 m cell of each point.

    The cell is ``floor(coordinate) + 2^24`` on each axis. The curve is Hilbert's (Math. Annalen 38, 1891,
    doi:10.1007/BF01199431), descended bit by bit: at every level the quadrant gives two bits of the index, and the
    cell is turned into that quadrant's own frame.

    Parameters
    ----------
    easting, northing : array of float64, shape (...)
        Projected coordinates [m] in ``[-HILBERT_LIMIT, HILBERT_LIMIT)``; not checked here.

    Returns
    -------
    array of uint64, shape (...)

    >>> hilbert_index(np.array([-2.0**24, -2.0**24 + 1]), np.array([-2.0**24, -2.0**24]))
    array([0, 3], dtype=uint64)
    """
    xp = namespace(easting)
    if xp is not np:
        return _on_array(xp, easting, northing)
    x, y = np.broadcast_arrays(np.asarray(easting, np.float64), np.asarray(northing, np.float64))
    return _on_cpu(np.ascontiguousarray(x).ravel(), np.ascontiguousarray(y).ravel()).reshape(x.shape)


@njit(nogil=True, cache=True)
def _on_cpu(easting: npt.NDArray[np.float64], northing: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    index = np.empty(easting.size, np.uint64)
    for i in range(easting.size):
        x = np.int64(np.floor(easting[i])) + (1 << (HILBERT_BITS - 1))
        y = np.int64(np.floor(northing[i])) + (1 << (HILBERT_BITS - 1))
        place = np.int64(0)
        for level in range(HILBERT_BITS - 1, -1, -1):
            right = (x >> level) & 1
            upper = (y >> level) & 1
            place = (place << 2) | (3 * right ^ upper)
            if upper == 0:
                if right == 1:
                    x, y = ~x, ~y
                x, y = y, x
        index[i] = place
    return index


def _on_array(xp: ModuleType, easting: Any, northing: Any) -> Any:
    x = xp.floor(easting).astype(xp.int64) + (1 << (HILBERT_BITS - 1))
    y = xp.floor(northing).astype(xp.int64) + (1 << (HILBERT_BITS - 1))
    place = xp.zeros(x.shape, xp.int64)
    for level in range(HILBERT_BITS - 1, -1, -1):
        right, upper = (x >> level) & 1, (y >> level) & 1
        place = (place << 2) | (3 * right ^ upper)
        mirrored = (upper == 0) & (right == 1)
        x, y = xp.where(mirrored, ~x, x), xp.where(mirrored, ~y, y)
        x, y = xp.where(upper == 0, y, x), xp.where(upper == 0, x, y)
    return place.astype(xp.uint64)
