"""Points of a cube by area or nearness."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from insar_dask.cube import CubeError

__all__ = ["select"]


def select(
    cube: xr.Dataset, *, area: Any = None, near: tuple[float, float] | None = None, radius: float | None = None
) -> xr.Dataset:
    """Points inside an area, or near a place, nearest first when a place is given.

    Parameters
    ----------
    cube : xr.Dataset
        Any data set over ``point`` with ``easting``, ``northing`` and ``crs``.
    area : bounding box, geometry or file, optional
        ``(west, south, east, north)`` in the cube's CRS, or whatever `insar_dask.readers.area` understands.
    near : (longitude, latitude), optional
        Degrees WGS 84; the nearest points come first.
    radius : float, optional
        Metres around ``near``; default: the one nearest point.

    Returns
    -------
    xr.Dataset
        The chosen points, lazily.

    Raises
    ------
    CubeError
        When neither or both of ``area`` and ``near`` are given, a ``radius`` without ``near``, or no point is found.
    """
    if (area is None) == (near is None):
        raise CubeError("give either area=... or near=(longitude, latitude)")
    if near is None and radius is not None:
        raise CubeError(f"radius={radius} is around a place: give near=(longitude, latitude) instead of area=...")
    easting, northing = np.asarray(cube["easting"].values), np.asarray(cube["northing"].values)
    if easting.size == 0:
        raise CubeError("the cube has no points to select from: take one that has some")
    if near is None:
        from insar_dask.readers.area import points_inside

        chosen = np.flatnonzero(points_inside(area, easting, northing, str(cube["crs"].attrs["crs_wkt"])))
        what = f"in the area {area!r}"
    else:
        chosen = _nearest(cube, near, radius, easting, northing)
        what = f"within {radius} m of {near}"
    if chosen.size == 0:
        bounds = tuple(float(v) for v in (easting.min(), northing.min(), easting.max(), northing.max()))
        raise CubeError(f"no point {what}; the cube covers {bounds} (west, south, east, north) in its own CRS")
    return cube.isel(point=chosen)


def _nearest(cube: xr.Dataset, near: tuple[float, float], radius: float | None, easting: Any, northing: Any) -> Any:
    from pyproj import CRS, Transformer

    crs = CRS.from_wkt(str(cube["crs"].attrs["crs_wkt"]))
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(*near)
    if not np.isfinite([x, y]).all():
        raise CubeError(f"near={near} has no place in {crs.name}; give (longitude, latitude) in degrees")
    distance = np.hypot(easting - x, northing - y)
    order = np.argsort(distance, kind="stable")
    return order[:1] if radius is None else order[distance[order] <= radius]
