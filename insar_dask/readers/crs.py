"""Coordinate reference systems as callers and files name them."""

from __future__ import annotations

from typing import Any

from pyproj import CRS
from pyproj.exceptions import CRSError

from insar_dask.cube import CubeError

__all__ = ["crs_of"]


def crs_of(crs: Any, what: str) -> CRS:
    """Anything that pyproj takes as a CRS; raises CubeError naming ``what`` where it is none."""
    try:
        return CRS.from_user_input(crs)
    except (CRSError, UnicodeError) as error:
        raise CubeError(f"{what}={crs!r} is no CRS ({error}); wanted something like 'EPSG:32633'") from None
