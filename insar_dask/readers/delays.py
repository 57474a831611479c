"""Delays of the atmosphere from a NetCDF file: what a package for weather models, or a service, has reckoned."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.readers.declared import millimetres
from insar_dask.readers.netcdf_stack import NetCdfStack, look_into
from insar_dask.readers.pixels import Tile
from insar_dask.readers.source_files import SourceFiles

__all__ = ["read_delays"]

DIRECTIONS = ("zenith", "los")


def read_delays(
    path: str | Path,
    *,
    variable: str | None = None,
    direction: Literal["zenith", "los"] | None = None,
    units: str | None = None,
    source_crs: Any = None,
) -> xr.DataArray:
    """Read delays (date, y, x) on a regular grid into memory, for `insar_dask.inversion.correct_delays`.

    Parameters
    ----------
    path : str or Path
        NetCDF with one variable over dates, y and x (or latitude and longitude).
    variable : str, optional
        Its name, where there are several.
    direction : {"zenith", "los"}, optional
        Along which the delays are; default: the variable's, or the file's, attribute ``direction``.
    units : str, optional
        Of the delays, where the file does not say them: m, cm or mm.
    source_crs : CRS-like, optional
        Of the grid, where the file does not say it.

    Returns
    -------
    xr.DataArray
        (date, y, x) float32 [mm] with the attributes ``direction`` and ``crs_wkt``.

    Raises
    ------
    FileNotFoundError, CubeError
        As of other NetCDF files; when the direction or the unit is not said.
    """
    content = SourceFiles.seen([Path(path)])
    file = look_into(Path(path), variable, source_crs)
    said = direction or file.tags.get("direction")
    if said not in DIRECTIONS:
        raise CubeError(
            f"{file.path.name} says the direction {said!r} of its delays: set the attribute 'direction' to 'zenith' or "
            "'los', or pass direction= (in a configuration, delay_direction under [pairs])"
        )
    factor = millimetres(units or file.units, file.path.name)
    grid, places = file.grid, np.argsort(file.order)
    stack = NetCdfStack(file, grid, file.times, places, factor, None, Tile.of(grid, 4 * places.size), content)
    values = np.empty((places.size, grid.rows, grid.columns), np.float32)
    with stack.pieces() as pieces:
        for dates, block in pieces(slice(0, grid.rows), slice(0, grid.columns)):
            values[dates] = block
    axes = {"date": file.times, "y": grid.y(np.arange(grid.rows)), "x": grid.x(np.arange(grid.columns))}
    attrs = {"long_name": f"delay along {said}", "units": "mm", "direction": said, "crs_wkt": grid.crs_wkt}
    return xr.DataArray(values, axes, ("date", "y", "x"), name="delay", attrs=attrs)
