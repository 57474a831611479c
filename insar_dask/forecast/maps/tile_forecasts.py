"""Forecasts of whole tiles beyond their record."""

from __future__ import annotations

import xarray as xr

from insar_dask.forecast.maps.lattice import as_points, as_tiles
from insar_dask.forecast.protocol import forecast_block
from insar_dask.forecast.registry import Arrays, Device
from insar_dask.forecast.timetable import Plan

__all__ = ["forecast_tiles"]


def forecast_tiles(
    tiles: xr.Dataset, plan: Plan, state: Arrays, trained: Arrays | None = None, device: Device = "cpu"
) -> xr.Dataset:
    """Forecast the dates after the record of some tiles, one by one.

    Parameters
    ----------
    tiles : xr.Dataset
        Tile cube.
    plan, state, trained, device
        As for `insar_dask.forecast.protocol.forecast_block`.

    Returns
    -------
    xr.Dataset
        ``displacement``, ``lower``, ``upper`` [mm] over ``(tile, origin, lead, y, x)``, NaN in cells whose history is
        too short, such as those without a point.
    """
    made = []
    for number in range(tiles.sizes["tile"]):
        one = tiles.isel(tile=[number])
        made.append(as_tiles(forecast_block(as_points(one).load(), plan, state, trained, device), one))
    return xr.concat(made, "tile", data_vars="minimal", coords="minimal", compat="override")
