"""What the CF conventions (1.11) want said of a stored cube, beyond the units and long names of its variables."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from insar_dask.shards import shard_axis

__all__ = ["cf_attributes", "cf_crs"]

NAMES: dict[str, dict[str, str]] = {
    "time": {"standard_name": "time", "units_metadata": "leap_seconds: none"},
    "point_id": {"cf_role": "timeseries_id"},
    "easting": {"standard_name": "projection_x_coordinate"},
    "northing": {"standard_name": "projection_y_coordinate"},
    "longitude": {"standard_name": "longitude"},
    "latitude": {"standard_name": "latitude"},
    "height": {"standard_name": "height_above_mean_sea_level"},
    "height_ellipse": {"standard_name": "height_above_reference_ellipsoid"},
    "line": {"long_name": "line of the point in the radar image"},
    "pixel": {"long_name": "pixel of the point in the radar image"},
    "mp_type": {"long_name": "kind of measurement point: persistent or distributed scatterer"},
}
"""CF has no standard name for displacement, velocity or coherence."""

LAEA_EUROPE = {
    "grid_mapping_name": "lambert_azimuthal_equal_area",
    "latitude_of_projection_origin": 52.0,
    "longitude_of_projection_origin": 10.0,
    "false_easting": 4321000.0,
    "false_northing": 3210000.0,
    "semi_major_axis": 6378137.0,
    "inverse_flattening": 298.257222101,
    "longitude_of_prime_meridian": 0.0,
}
"""EPSG:3035, that of all EGMS products, without asking PROJ, which a process that only reads need not load."""


def cf_attributes(
    name: str, dims: Collection[str], attributes: Mapping[Any, Any], places: Collection[str]
) -> dict[Any, Any]:
    """Attributes of a variable with what CF wants of them; what is there already stays.

    Parameters
    ----------
    name : str
    dims : collection of str
    attributes : mapping
        Those that it has.
    places : collection of str
        Coordinates of the cube; where ``crs`` is among them, every other variable over points or tiles that is none
        of them refers to it.
    """
    if name == "crs":
        return {**cf_crs(attributes.get("epsg"), str(attributes.get("crs_wkt", ""))), **attributes}
    mapped = "crs" in places and shard_axis(dims) is not None and name not in places
    words = {"long_name": name.replace("_", " "), **NAMES.get(name, {})}
    return {**words, **({"grid_mapping": "crs"} if mapped else {}), **attributes}


def cf_crs(epsg: int | None, wkt: str) -> dict[str, Any]:
    """Grid mapping attributes of a CRS; none where CF has no name for its projection, or PROJ does not understand it.

    >>> cf_crs(3035, "")["grid_mapping_name"]
    'lambert_azimuthal_equal_area'
    """
    return dict(LAEA_EUROPE) if epsg == 3035 else dict(_from_wkt(wkt))


@lru_cache
def _from_wkt(wkt: str) -> dict[str, Any]:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        found = CRS.from_wkt(wkt).to_cf()
    except CRSError:
        return {}
    listed = {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}
    numbers = {name: value for name, value in listed.items() if isinstance(value, float | list)}
    named = found.get("grid_mapping_name")
    return {"grid_mapping_name": named, **numbers} if named and named != "unknown" else {}
