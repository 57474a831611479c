"""Series of cells put together to maps, and cells without a value filled from the nearest one that has one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from insar_dask.forecast.maps.lattice import cells_at

__all__ = ["filled", "gridded"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


def gridded(series: Float32, places: Float64, side: int) -> Float32:
    """Maps (T, side, side) of the series (n, T) of some cells of one tile; NaN elsewhere."""
    maps = np.full((series.shape[1], side, side), np.nan, np.float32)
    row, col = cells_at(places, side)
    maps[:, row, col] = series.T
    return maps


def filled(maps: Float32) -> Float32:
    """Maps (T, Y, X) whose missing cells have the value of the nearest given one of the same date.

    A map without any value stays NaN.
    """
    given = np.isfinite(maps)
    out = maps.copy()
    for pattern, dates in _alike(given):
        if pattern.any() and not pattern.all():
            row, col = distance_transform_edt(~pattern, return_distances=False, return_indices=True)
            out[dates] = maps[dates][:, row, col]
    return out


def _alike(given: npt.NDArray[np.bool_]) -> list[tuple[npt.NDArray[np.bool_], list[int]]]:
    """Dates that have values in the same cells."""
    found: dict[bytes, list[int]] = {}
    for date, pattern in enumerate(given):
        found.setdefault(np.packbits(pattern).tobytes(), []).append(date)
    return [(given[dates[0]], dates) for dates in found.values()]
