"""What a cube is: dimensions, names, units, required attributes; checked once, at the door.

A *point cube* is an ``xr.Dataset`` over ``(point, time)`` whose variable ``displacement`` is in millimetres, missing
values being NaN. One cube is one product file: one geometry, one release, one vector of dates.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "COMPONENTS",
    "DAYS_PER_YEAR",
    "CubeError",
    "check_cube",
    "check_even",
    "check_finite",
    "check_points",
    "check_series",
    "describe",
    "years_since",
]

DAYS_PER_YEAR = 365.0
"""EGMS counts a year as 365 days (Product Description v3, Table 14); 365.25 misses its printed columns."""

MOST_MM = 1e9
"""A thousand kilometres: no ground has moved so far while it was measured, and float32 holds its square."""

COMPONENTS = ("los", "up", "east")
REQUIRED_ATTRIBUTES = ("component", "positive", "reference_date", "reference", "release")
REQUIRED_FOR_LOS = ("track", "pass")

LONG_NAMES_AND_UNITS: dict[str, tuple[str, str]] = {
    "displacement": ("ground displacement since the reference date", "mm"),
    "observed": ("date of a real acquisition", "1"),
    "point_id": ("identifier of the measurement point", "1"),
    "easting": ("easting of the point", "m"),
    "northing": ("northing of the point", "m"),
    "longitude": ("longitude of the point", "degrees_east"),
    "latitude": ("latitude of the point", "degrees_north"),
    "height": ("orthometric height", "m"),
    "height_ellipse": ("height above the ellipsoid", "m"),
    "coherence": ("temporal coherence", "1"),
    "amplitude_dispersion": ("amplitude dispersion index", "1"),
    "incidence_angle": ("incidence angle", "degree"),
    "track_angle": ("heading of the satellite", "degree"),
    "los_east": ("east component of the unit vector to the satellite", "1"),
    "los_north": ("north component of the unit vector to the satellite", "1"),
    "los_up": ("up component of the unit vector to the satellite", "1"),
    "velocity": ("mean velocity", "mm yr-1"),
    "velocity_std": ("standard error of the mean velocity", "mm yr-1"),
    "acceleration": ("acceleration", "mm yr-2"),
    "acceleration_std": ("standard error of the acceleration", "mm yr-2"),
    "seasonality": ("amplitude of the annual signal", "mm"),
    "seasonality_std": ("standard error of the annual amplitude", "mm"),
    "phase": ("day of the year at which the annual signal peaks", "d"),
    "rmse": ("root mean square residual of the cubic and annual model", "mm"),
    "n_dates": ("number of valid dates", "1"),
    "trend": ("trend of the displacement", "mm"),
    "season": ("seasonal part of the displacement", "mm"),
    "residual": ("what trend and season leave of the displacement", "mm"),
    "alpha": ("smoothing parameter of the level", "1"),
    "beta": ("smoothing parameter of the slope", "1"),
    "gamma": ("smoothing parameter of the season", "1"),
    "sse": ("sum of the squared errors of one-step forecasts", "mm2"),
    "sigma": ("standard deviation of the errors of one-step forecasts", "mm"),
    "final_level": ("level after the last date", "mm"),
    "final_slope": ("slope after the last date", "mm yr-1"),
    "final_season": ("seasonal index of the dates after the last one", "mm"),
    "lower": ("lower bound of the prediction interval", "mm"),
    "cluster": ("pattern of motion that a point belongs to", "1"),
    "cluster_distance": ("root mean square difference from the centroid of its cluster", "mm"),
    "cluster_size": ("number of points in the cluster", "1"),
    "centroid": ("mean series of the cluster", "mm"),
    "centroid_velocity": ("velocity of the centroid", "mm yr-1"),
    "exceedance": ("probability of passing the threshold displacement", "1"),
    "offset": ("newer series minus older one, median of the last year in common", "mm"),
    "offset_error": ("standard error of the offset", "mm"),
    "drift": ("drift of the newer series against the older one", "mm yr-1"),
    "difference_rms": ("root mean square difference of the series about their offset", "mm"),
    "gain": ("slope of the newer series on the older one", "1"),
    "likeness": ("correlation of the newer series with the older one", "1"),
    "n_shared": ("number of dates with a value in both series", "1"),
    "departure": ("observation minus the forecast made before it came", "mm"),
    "half_width": ("half the width of the prediction interval", "mm"),
    "noise_class": ("class of noise that the point's forecast errors are pooled in", "1"),
    "excess": ("departure in units of half the prediction interval", "1"),
    "p_value": ("share of earlier forecast errors that were as large", "1"),
    "p_lasting": ("the largest p-value of the last dates, 1 where they depart to both sides", "1"),
    "q_value": ("smallest rate of false alarms at which the point is one", "1"),
    "alarm": ("1 where the point is an alarm, -1 where it could not be judged", "1"),
    "lasting": ("number of last dates in a row outside the interval on one side", "1"),
    "since": ("first of the last dates outside the interval, after the first new date", "d"),
    "upper": ("upper bound of the prediction interval", "mm"),
}


class CubeError(ValueError):
    """A data set is not the cube that a function needs; the message says what came and the cure."""


def describe(name: str) -> dict[str, str]:
    """CF attributes (``long_name``, ``units``) of a variable of ours.

    >>> describe("velocity")
    {'long_name': 'mean velocity', 'units': 'mm yr-1'}
    """
    long_name, units = LONG_NAMES_AND_UNITS[name]
    return {"long_name": long_name, "units": units}


def years_since(times: npt.ArrayLike, start: np.datetime64 | None = None) -> npt.NDArray[np.float64]:
    """Years of 365 days from ``start`` (default: the first date) to each date, shape of ``times``.

    >>> years_since(np.array(["2020-01-01", "2020-12-31"], "datetime64[ns]"))
    array([0., 1.])
    """
    dates = np.asarray(times, dtype="datetime64[ns]")
    origin = dates.flat[0] if start is None else start
    return np.asarray((dates - origin) / np.timedelta64(1, "D") / DAYS_PER_YEAR, dtype=np.float64)


def check_cube(cube: xr.Dataset, *, needs: Iterable[str] = ("displacement",)) -> xr.Dataset:
    """Return ``cube`` unchanged if it is a point cube, else raise.

    Parameters
    ----------
    cube : xr.Dataset
        Data set over ``(point, time)``.
    needs : iterable of str
        Variables over ``(point, time)`` that the caller reads.

    Raises
    ------
    CubeError
        Naming the fault and its cure. Only metadata and 1-D coordinates are looked at: nothing is computed.
    """
    if not _is_dataset(cube):
        raise CubeError(f"wanted an xarray.Dataset, got {type(cube).__name__}; open a store with insar_dask.open_cube")
    for name in needs:
        _check_variable(cube, name)
    _check_times(cube)
    _check_place(cube)
    _check_attributes(cube.attrs)
    return cube


def check_series(cube: xr.Dataset) -> xr.Dataset:
    """Return a point cube, or a grid cube whose ``displacement`` has dims ``(y, x, time)``, unchanged; else raise.

    Raises
    ------
    CubeError
        Naming the fault and its cure.
    """
    if not _is_dataset(cube) or "point" in cube.dims:
        return check_cube(cube)
    if "displacement" not in cube or cube["displacement"].dims[-1:] != ("time",):
        raise CubeError("wanted 'displacement' with 'time' as its last dimension: use cube.transpose(..., 'time')")
    _check_times(cube)
    return cube


def check_points(data: xr.Dataset) -> xr.Dataset:
    """Return a data set over ``point`` with a cube's place, CRS and attributes unchanged; else raise `CubeError`.

    It is a cube, or what was made of one: motion, components, labels, a forecast.
    """
    if not _is_dataset(data):
        return check_cube(data)
    if "time" in data.dims:
        _check_times(data)
    _check_place(data)
    _check_attributes(data.attrs)
    return data


def _is_dataset(cube: object) -> bool:
    import xarray as xr  # 0.5 s and 80 MB that a process which only reads product files need not spend

    return isinstance(cube, xr.Dataset)


def check_even(cube: xr.Dataset) -> np.timedelta64:
    """Return the spacing of the dates of a cube, zero if there is but one; raise `CubeError` if they are uneven."""
    steps = np.diff(cube["time"].values)
    day = np.timedelta64(1, "D")
    if steps.size and (steps != steps[0]).any():
        raise CubeError(
            f"dates are {steps.min() / day:g} to {steps.max() / day:g} days apart, wanted an even spacing: "
            "use insar_dask.regularise(cube, every='12D') first"
        )
    return np.timedelta64(steps[0] if steps.size else 0, "ns")


def check_finite(cube: xr.Dataset) -> xr.Dataset:
    """Return a cube whose displacement is in memory unchanged; raise `CubeError` for what cannot be millimetres.

    Infinite values are none, nor are the large numbers that other programs write where nothing was measured.
    """
    values = cube["displacement"].values
    wild = np.abs(values) > MOST_MM  # never of NaN
    if wild.any():
        point, date = (int(found[0]) for found in np.nonzero(wild))
        name = cube["point_id"].values[point] if "point_id" in cube.variables else _place(cube, point)
        raise CubeError(
            f"displacement of point {str(name)!r} is {values[point, date]:g} mm on "
            f"{_day(cube['time'].values[date])}, one of {wild.sum():,} such values: set to NaN what was not "
            "measured, as in cube.assign(displacement=cube.displacement.where(abs(cube.displacement) < 1e6))"
        )
    return cube


def _place(cube: xr.Dataset, point: int) -> str:
    return ", ".join(f"{name} {cube[name].values[point]:.1f}" for name in ("easting", "northing"))


def _check_variable(cube: xr.Dataset, name: str) -> None:
    if name not in cube:
        raise CubeError(f"the cube has no variable {name!r}; it has {sorted(map(str, cube.data_vars))}")
    variable = cube[name]
    if variable.dims != ("point", "time"):
        raise CubeError(
            f"{name!r} has dims {variable.dims}, wanted ('point', 'time'): "
            f"use cube[{name!r}].transpose('point', 'time'), or flatten a grid's valid pixels first"
        )
    if variable.dtype != np.float32:
        raise CubeError(f"{name!r} is {variable.dtype}, wanted float32 millimetres: use .astype('float32')")
    units = variable.attrs.get("units")
    if units != LONG_NAMES_AND_UNITS.get(name, ("", units))[1]:
        raise CubeError(f"{name!r} is in {units!r}, wanted 'mm': convert the values and set attrs['units'] = 'mm'")


def _check_times(cube: xr.Dataset) -> None:
    if "time" not in cube.coords or cube["time"].dtype.kind != "M":
        raise CubeError("the cube needs a datetime64 coordinate 'time'")
    times = cube["time"].values
    if times.size == 0:
        raise CubeError("the cube has no dates")
    steps = np.diff(times)
    if (steps <= np.timedelta64(0)).any():
        at = int(np.argmax(steps <= np.timedelta64(0))) + 1
        raise CubeError(
            f"dates must increase strictly: date {at} ({_day(times[at])}) follows {_day(times[at - 1])}; "
            "use cube.sortby('time').drop_duplicates('time')"
        )


def _check_place(cube: xr.Dataset) -> None:
    for name in ("point_id", "easting", "northing"):
        if name not in cube.variables or cube[name].dims != ("point",):
            raise CubeError(f"the cube needs {name!r} over ('point',)")
    for name in ("easting", "northing"):
        if cube[name].dtype != np.float64:
            raise CubeError(f"{name!r} is {cube[name].dtype}; float32 moves points by half a metre, wanted float64")
    if "crs" not in cube.variables or not cube["crs"].attrs.get("crs_wkt"):
        raise CubeError("the cube has no CRS: set the grid-mapping variable 'crs' with attrs['crs_wkt']")


def _check_attributes(attrs: dict[str, Any]) -> None:
    component = attrs.get("component")
    required = REQUIRED_ATTRIBUTES + (REQUIRED_FOR_LOS if component == "los" else ())
    missing = [name for name in required if name not in attrs]
    if missing:
        raise CubeError(f"the cube's attributes lack {missing}; set cube.attrs[...] for each of them")
    if component not in COMPONENTS:
        raise CubeError(f"attribute component is {component!r}, wanted one of {COMPONENTS}")
    if attrs["positive"] in ("down", "west"):
        raise CubeError(
            f"the cube is positive {attrs['positive']!r}, wanted {component!r}: turn the sign of displacement, and set "
            "attrs['positive']"
        )


def _day(date: np.datetime64) -> str:
    return str(date.astype("datetime64[D]"))
