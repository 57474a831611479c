"""The point or area where displacement is zero: every interferogram is known but for a constant."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.inversion.pairs import check_pairs, timeline
from insar_dask.readers.grid import PixelGrid

__all__ = ["pixel_at", "refer_pairs", "reference_offsets", "subtract_offsets"]

Float64 = npt.NDArray[np.float64]


def refer_pairs(pairs: xr.Dataset, row: int, col: int, *, window: int = 5, min_valid: float = 0.8) -> xr.Dataset:
    """Refer all interferograms to an area: its median phase becomes zero in each.

    Parameters
    ----------
    pairs : xr.Dataset
        Pair cube of pixels; of its points only those of the area are computed.
    row, col : int
        Centre of the area, counted from 0.
    window : int
        Pixels on a side of the area, odd.
    min_valid : float
        Share of the area's pixels that must be valid in each interferogram.

    Returns
    -------
    xr.Dataset
        The pair cube with new phase; ``reference`` says the area.

    Raises
    ------
    CubeError
        When the area has too few valid pixels in an interferogram; it is named.
    """
    offsets = reference_offsets(pairs, row, col, window=window, min_valid=min_valid)
    text = f"median of {window} x {window} pixels around row {row}, column {col}"
    return subtract_offsets(pairs, offsets).assign_attrs(reference=text)


def pixel_at(pairs: xr.Dataset, longitude: float, latitude: float) -> tuple[int, int]:
    """Row and column of the pixel of a pair cube that is nearest to a place [degree].

    Raises
    ------
    CubeError
        When the place lies more than two pixels from any that has data.
    """
    from pyproj import CRS, Transformer

    PixelGrid.of(pairs)
    crs = CRS.from_wkt(pairs["crs"].attrs["crs_wkt"])
    x, y = Transformer.from_crs(CRS.from_epsg(4326), crs, always_xy=True).transform(longitude, latitude)
    away = np.hypot(pairs["easting"].values - x, pairs["northing"].values - y)
    near = int(np.argmin(away))
    row, column = int(pairs["row"].values[near]), int(pairs["col"].values[near])
    if not away[near] <= 2 * _spacing(pairs):
        raise CubeError(
            f"the place {longitude:g} E, {latitude:g} N lies {away[near]:,.0f} m from the nearest pixel with data, row "
            f"{row}, column {column}: are longitude and latitude in this order?"
        )
    return row, column


def reference_offsets(pairs: xr.Dataset, row: int, col: int, *, window: int = 5, min_valid: float = 0.8) -> Float64:
    """Median phase of the reference area in each interferogram [rad], (P,); as `refer_pairs`."""
    check_pairs(pairs)
    grid = PixelGrid.of(pairs)
    if not (0 <= row < grid.rows and 0 <= col < grid.columns):
        raise CubeError(
            f"the reference, row {row}, column {col}, lies outside the raster of {grid.rows} x {grid.columns} pixels, "
            "which are counted from 0"
        )
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window is {window}, wanted an odd number of pixels")
    reach = window // 2
    inside = (abs(pairs["row"].values - row) <= reach) & (abs(pairs["col"].values - col) <= reach)
    area = pairs["phase"].isel(point=np.flatnonzero(inside)).values.astype(np.float64)
    share = (~np.isnan(area)).sum(axis=0) / window**2
    poor = np.flatnonzero(share < min_valid)
    if poor.size:
        raise CubeError(
            f"the reference area, {window} x {window} pixels around row {row}, column {col}, has data in "
            f"{share[poor[0]]:.0%} of its pixels in the pair {timeline(pairs).name(int(poor[0]))} ({poor.size} such "
            f"pairs of {share.size}), wanted {min_valid:.0%}: choose another place, or leave these pairs out"
        )
    return np.asarray(np.nanmedian(area, axis=0), np.float64)


def _spacing(pairs: xr.Dataset) -> float:
    """About the distance [m] of neighbouring pixels: from the area that they cover, and how many they are."""
    row, column = (np.asarray(pairs[name].values, np.float64) for name in ("row", "col"))
    sides = [np.ptp(pairs[name].values) for name in ("easting", "northing")]
    return float(max(sides) / max(np.ptp(row), np.ptp(column), 1)) or np.inf


def subtract_offsets(pairs: xr.Dataset, offsets: Any) -> xr.Dataset:
    """Take a constant [rad] off each interferogram; ``offsets`` (P,)."""
    steps = xr.Variable("pair", np.asarray(offsets, np.float64).astype(np.float32))
    phase = pairs["phase"].variable - steps
    phase.attrs = pairs["phase"].attrs
    return pairs.assign(phase=phase)
