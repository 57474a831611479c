"""Points onto a plane in metres: the Hilbert order, distances and maps of a cube need one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pyproj import CRS, Transformer

from insar_dask.cube import CubeError
from insar_dask.readers.area import open_area
from insar_dask.readers.crs import crs_of
from insar_kernels.hilbert import HILBERT_LIMIT

__all__ = ["Places", "project", "utm_crs", "wanted_places"]

Floats = npt.NDArray[np.float64]

UTM_SOUTH, UTM_NORTH = -80.0, 84.0
"""Latitudes that UTM covers [degree]."""


@dataclass(frozen=True, eq=False)
class Places:
    """Points on a plane; ``degrees`` has their longitude and latitude where the source gave such."""

    easting: Floats
    northing: Floats
    crs: CRS
    degrees: Mapping[str, Floats]


def wanted_places(
    places: Places,
    coherence: npt.NDArray[Any] | None,
    name: str,
    area: Any,
    area_crs: Any,
    min_coherence: float | None,
) -> npt.NDArray[np.bool_]:
    """Which places lie inside an area and have at least a coherence; raises CubeError when none does."""
    wanted = np.ones(places.easting.size, bool)
    if min_coherence is not None and coherence is not None:
        wanted &= coherence >= min_coherence
    if area is not None:
        wanted &= open_area(area, area_crs, home=places.crs).contains(places.easting, places.northing, places.crs)
    if not wanted.any():
        raise CubeError(
            f"{name}: none of {wanted.size} points is in the area and of the coherence asked for; they lie between "
            f"({places.easting.min():.0f}, {places.northing.min():.0f}) and ({places.easting.max():.0f}, "
            f"{places.northing.max():.0f}) in {places.crs.name}"
        )
    return wanted


def utm_crs(longitude: float, latitude: float, name: str = "the place") -> CRS:
    """WGS 84 / UTM of the zone that a place lies in, zones of 6 degrees without the exceptions around Norway.

    Raises
    ------
    CubeError
        Beyond 84 degrees north or 80 south, where there is no UTM.

    >>> utm_crs(130.87, 31.93).to_epsg(), utm_crs(-70.0, -33.4).to_epsg()
    (32652, 32719)
    """
    if not UTM_SOUTH <= latitude <= UTM_NORTH:
        raise CubeError(
            f"{name}: latitude {latitude:.2f} lies outside UTM (80 S to 84 N): pass crs=, such as crs='EPSG:3413'"
        )
    zone = int((longitude + 180) // 6) % 60 + 1
    return CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone)


def project(x: Floats, y: Floats, source: CRS, wanted: Any, centre: tuple[float, float] | None, name: str) -> Places:
    """Put points on a plane: ``wanted``, else the plane they come on, else UTM of the zone of ``centre``.

    Parameters
    ----------
    x, y : (n,) float64
        In ``source``: longitude and latitude [degree], or easting and northing.
    source : CRS
        What they come in.
    wanted : CRS-like, optional
        What they shall be in; a projected CRS in metres.
    centre : (x, y), optional
        The place that says the zone, in ``source``; default: the middle of the box around the points.
    name : str
        What messages call the source.

    Raises
    ------
    CubeError
        When ``wanted`` is no projected CRS in metres, or a point has no place on it.
    """
    degrees: dict[str, Floats] = {}
    if source.is_geographic:
        _check_degrees(x, y, name)
        x = _wrapped(x)
        middle = _middle(x, y) if centre is None else (float(_wrapped(np.array([centre[0]]))[0]), centre[1])
        degrees = {"longitude": x, "latitude": y}
    target = crs_of(wanted, "crs") if wanted is not None else utm_crs(*middle, name) if degrees else source
    if not target.is_projected or any(axis.unit_conversion_factor != 1.0 for axis in target.axis_info[:2]):
        raise CubeError(f"{name}: {target.name} is no plane in metres: pass crs= of a projected CRS, or leave it out")
    easting, northing = (
        (x, y) if target == source else Transformer.from_crs(source, target, always_xy=True).transform(x, y)
    )
    off = ~((np.abs(easting) < HILBERT_LIMIT) & (np.abs(northing) < HILBERT_LIMIT))
    if off.any():
        at = int(np.argmax(off))
        raise CubeError(f"{name}: ({x[at]:.6f}, {y[at]:.6f}) has no place in {target.name}: pass another crs=")
    return Places(np.asarray(easting, np.float64), np.asarray(northing, np.float64), target, degrees)


def _check_degrees(longitude: Floats, latitude: Floats, name: str) -> None:
    off = ~((np.abs(latitude) <= 90.0) & (longitude >= -180.0) & (longitude <= 360.0))
    if off.any():
        at = int(np.argmax(off))
        raise CubeError(
            f"{name}: longitude {longitude[at]:.6f}, latitude {latitude[at]:.6f} is no place on Earth; are the two "
            "swapped, or are these metres of some CRS?"
        )


def _middle(longitude: Floats, latitude: Floats) -> tuple[float, float]:
    """Of the box around points, which may lie on both sides of the 180th meridian."""
    if np.ptp(longitude) > 180.0:
        longitude = np.where(longitude < 0.0, longitude + 360.0, longitude)
    return float(longitude.min() + longitude.max()) / 2, float(latitude.min() + latitude.max()) / 2


def _wrapped(longitude: Floats) -> Floats:
    """Degrees from -180 to 180."""
    return np.where(longitude > 180.0, longitude - 360.0, longitude)
