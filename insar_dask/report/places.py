"""The CRS of a data set, asked for once and in one way."""

from __future__ import annotations

import xarray as xr

from insar_dask.cube import CubeError

__all__ = ["crs_name", "crs_wkt"]


def crs_wkt(data: xr.Dataset) -> str:
    """Well-known text of the CRS.

    Raises
    ------
    CubeError
        If the data set has none: a product without a place is an error, never a guess.
    """
    wkt = data["crs"].attrs.get("crs_wkt") if "crs" in data.variables else None
    if not wkt:
        raise CubeError("the data set has no CRS: set the grid-mapping variable 'crs' with attrs['crs_wkt']")
    return str(wkt)


def crs_name(data: xr.Dataset) -> str:
    """Short name of the CRS: its EPSG code when it has one."""
    wkt = crs_wkt(data)
    if data["crs"].attrs.get("epsg"):
        return f"EPSG:{data['crs'].attrs['epsg']}"
    from pyproj import CRS

    crs = CRS.from_wkt(wkt)
    return ":".join(crs.to_authority() or (crs.name,))
