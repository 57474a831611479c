"""Rates of areas over the last years before a vintage, and in space where east and up are known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

import insar_kernels
from insar_dask.cube import CubeError, check_cube, years_since
from insar_dask.days import given_day
from insar_dask.detect.areas import Areas, MapGrid
from insar_dask.detect.cards import CORRELATION_AREA, median_of
from insar_dask.detect.evidence import points_in
from insar_dask.settings import positive
from insar_kernels.nested_models import MIN_DATES

__all__ = ["rates_in_space", "recent_dates", "recent_rates"]

Float64 = npt.NDArray[np.float64]


def recent_rates(areas: Areas, cube: xr.Dataset, until: str | None = None, years: float = 2.0) -> Areas:
    """Areas with their rate over the last years before a vintage.

    Parameters
    ----------
    areas : Areas
    cube : xr.Dataset
        Point cube.
    until : str, optional
        Last day; default: the last date.
    years : float
        Length of the window.

    Returns
    -------
    Areas
        With ``rate`` and ``rate_std`` [mm/yr]: the mean over the points of the velocity in the window, and its error:
        what the velocities scatter, errors of neighbours hanging together over 400 m.

    Raises
    ------
    CubeError
        When fewer than seven dates lie in the window.
    """
    check_cube(cube)
    times = cube["time"].values
    window = recent_dates(times, until, years)
    if window.size < MIN_DATES:
        last = _last(times, until)
        raise CubeError(
            f"{window.size} dates lie in the {years:g} years before {last}, and a rate takes "
            f"{MIN_DATES}: give a longer window, or another until="
        )
    t = years_since(times[window])
    rates, errors = [], []
    for outline, mine in zip(areas.geometry, points_in(areas, cube), strict=True):
        series = cube["displacement"].isel(point=mine, time=window).values
        velocity = np.asarray(insar_kernels.motion(series, t).velocity, np.float64)
        velocity = velocity[np.isfinite(velocity)]
        independent = min(max(outline.area / CORRELATION_AREA, 1.0), max(velocity.size, 1))
        rates.append(velocity.mean() if velocity.size else np.nan)
        errors.append(velocity.std(ddof=1) / np.sqrt(independent) if velocity.size > 1 else np.nan)
    return areas.with_columns({"rate": np.array(rates), "rate_std": np.array(errors)})


def recent_dates(times: npt.NDArray[np.datetime64], until: str | None, years: float) -> npt.NDArray[np.int64]:
    """Places of the dates in so many years up to a day, by default the last date."""
    last, dates = _last(times, until), times.astype("datetime64[D]")
    span = np.timedelta64(round(positive("years", years) * 365.25), "D")
    return np.flatnonzero((dates <= last) & (dates > last - span))


def _last(times: npt.NDArray[np.datetime64], until: str | None) -> np.datetime64:
    return given_day(times[-1] if until is None else until, "until")


def rates_in_space(areas: Areas, east: xr.Dataset, up: xr.Dataset) -> Areas:
    """Areas with their motion to the east and up, and down their slope.

    Parameters
    ----------
    areas : Areas
        With ``slope_deg`` and ``aspect_deg`` for the motion down the slope.
    east, up : xr.Dataset
        Maps with ``velocity`` [mm yr-1] of either component, of one grid, as `insar_dask.detect.mapping.area_maps`
        makes them of what `insar_dask.geometry.series.east_up` gives.

    Returns
    -------
    Areas
        With ``east_rate``, ``up_rate`` (medians over the cells in an area) and ``slope_rate`` [mm/yr], positive
        downhill: E sin(aspect) cos(slope) - U sin(slope), the ground being taken not to move to the north.

    Raises
    ------
    CubeError
        When the maps are of two grids, or not of east and up.
    """
    grid = MapGrid.of(east)
    if grid != MapGrid.of(up):
        raise CubeError("the maps of east and up are of two grids: make both with area_maps(motion, cell=...)")
    for maps, component in ((east, "east"), (up, "up")):
        if maps.attrs.get("component") != component:
            raise CubeError(f"the maps of {component} are of component {maps.attrs.get('component')!r}")
    cells = [grid.inside(outline) for outline in areas.geometry]
    to_east, to_up = (
        np.array([median_of(maps["velocity"].values[mine.row, mine.column]) for mine in cells]) for maps in (east, up)
    )
    columns = {"east_rate": to_east, "up_rate": to_up}
    if {"slope_deg", "aspect_deg"} <= set(areas.columns):
        slope, aspect = (np.radians(areas[name].astype(np.float64)) for name in ("slope_deg", "aspect_deg"))
        columns["slope_rate"] = to_east * np.sin(aspect) * np.cos(slope) - to_up * np.sin(slope)
    return areas.with_columns(columns)
