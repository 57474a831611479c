"""An index of frost and thaw: how deep the ground has thawed, from daily air temperature.

The square root of a sum of degree-days is Stefan's: depth of thaw grows with it, and settlement follows the ice that
melted. The form is the usual one of the literature on displacement of frozen ground; the source that the published
system cites could not be read in full, and its own index, of monthly dew points, is not this one.
"""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.days import given_day

__all__ = ["composite_index", "frost_and_thaw", "until"]

Float64 = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]

WEEK = 5
"""Days of the running mean that says when a season begins."""


def composite_index(
    temperature: xr.DataArray,
    dates: npt.ArrayLike,
    alpha: float | Literal["close", "fit"] = "close",
    *,
    series: xr.Dataset | None = None,
    reset: bool = True,
) -> xr.DataArray:
    """Index of frost and thaw at dates: 0 fully frozen, 1 at the end of a usual summer.

    I = max(0, sqrt(A_T) - alpha sqrt(A_F)) / median over the years of sqrt(A_T) at the onset of frost; A_T sums degrees
    above zero since the onset of thaw, the first day after 1 March of a five-day mean above 0 degrees, A_F those below
    since the onset of frost, the first after mid-July of a mean below. At the next onset of thaw both begin anew.

    Parameters
    ----------
    temperature : xr.DataArray
        Daily mean air temperature at 2 m [degree C], over one dimension of dates without a gap; dew points are
        degrees too cold and tell less than half of the season. All its years have a say in ``alpha`` and in what is
        usual, those after the dates too: `until` takes the later ones off.
    dates : array of datetime64, (T,)
        Dates wanted, within those of the temperature; the first summer before them should be too.
    alpha : float, "close" or "fit"
        Weight of frost; by default the one that brings the index back to 0 by spring in the median year; "fit": the one
        between 0.3 and 1.3 that ``series`` say, `insar_dask.inversion.frost_weight.fit_weight`.
    series : xr.Dataset, optional
        Point cube, for "fit".
    reset : bool
        Begin anew each year. Without it the yearly ends are summed, which is nearly a straight line: a warning says
        how badly conditioned index and time are together.

    Returns
    -------
    xr.DataArray
        (time,) of float64, with the attributes ``alpha`` and ``usual_summer`` [degree^0.5 day^0.5].

    Raises
    ------
    CubeError
        When days of temperature are missing, in kelvin, or there is no whole year of thaw and frost.

    Notes
    -----
    Stefan (1891), doi:10.1002/andp.18912780206; of displacement: Liu et al. (2012), doi:10.1029/2010JB007941.
    """
    if alpha == "fit":
        alpha = _fitted(temperature, series)
    thawed, frozen, years = frost_and_thaw(temperature)
    days, wanted = _days(temperature), np.asarray(dates, "datetime64[D]")
    if wanted.min() < days[0] or wanted.max() > days[-1]:
        raise CubeError(
            f"temperatures are of {days[0]} to {days[-1]}, dates of {wanted.min()} to {wanted.max()}: give more of them"
        )
    weight = float(np.median(years[:, 1] / years[:, 2])) if alpha == "close" else float(alpha)
    usual = float(np.median(years[:, 0]))
    index = np.maximum(thawed - weight * frozen, 0.0) / usual
    if not reset:
        index = _summed(index, frozen)
    values = index[(wanted - days[0]).astype(int)]
    if not reset:
        time = (wanted - wanted[0]).astype(np.float64)
        columns = np.stack([np.ones_like(time), time / max(time.max(), 1), values / max(values.max(), 1e-9)], axis=1)
        warnings.warn(
            f"an index that is not reset grows with time: together their condition number is "
            f"{np.linalg.cond(columns):.0f}, so velocity and season cannot be told apart well",
            stacklevel=2,
        )
    attrs = {"long_name": "composite index of frost and thaw", "units": "1", "alpha": weight, "usual_summer": usual}
    return xr.DataArray(values, {"time": np.asarray(dates, "datetime64[ns]")}, ("time",), attrs=attrs)


def until(temperature: xr.DataArray, day: str | None) -> xr.DataArray:
    """What was known of a temperature on a day; all of it where none is named."""
    if day is None:
        return temperature
    return temperature.isel({temperature.dims[0]: _days(temperature) <= given_day(day, "day")})


def frost_and_thaw(temperature: xr.DataArray) -> tuple[Float64, Float64, Float64]:
    """Square roots of the degree-days of thaw and of frost on each day, and of whole years (years, 3).

    Of each year: thaw at the onset of frost, thaw and frost at the next onset of thaw.

    Raises
    ------
    CubeError
        As `composite_index`.
    """
    days, degrees = _days(temperature), np.asarray(temperature.values, np.float64)
    if np.isnan(degrees).any() or (np.diff(days) != np.timedelta64(1, "D")).any():
        raise CubeError("temperature must have a value for every day: fill its gaps first")
    if degrees.max(initial=0) > 100:
        raise CubeError(f"temperature reaches {degrees.max():.0f}: subtract 273.15 for degrees Celsius")
    mean = np.convolve(degrees, np.ones(WEEK) / WEEK, "full")[: degrees.size]  # of the day and the four before
    mean[: WEEK - 1] = np.nan
    thaws, frosts = _onsets(days, mean > 0, 3, 1), _onsets(days, mean < 0, 7, 15)
    thawed, frozen = np.zeros(degrees.size), np.zeros(degrees.size)
    years: list[tuple[float, float, float]] = []
    for number, thaw in enumerate(thaws):
        stop = thaws[number + 1] if number + 1 < len(thaws) else degrees.size
        frost = next((day for day in frosts if thaw < day < stop), stop)
        thawed[thaw:stop] = np.cumsum(np.maximum(degrees[thaw:stop], 0))
        frozen[frost:stop] = np.cumsum(np.maximum(-degrees[frost:stop], 0))
        if stop < degrees.size and frost < stop:
            years.append((thawed[frost], thawed[stop - 1], frozen[stop - 1]))
    if not years:
        raise CubeError(
            f"temperatures of {days[0]} to {days[-1]} hold no whole year from one thaw to the next: is there frost?"
        )
    return np.sqrt(thawed), np.sqrt(frozen), np.sqrt(np.array(years))


def _fitted(temperature: xr.DataArray, series: xr.Dataset | None) -> float:
    from insar_dask.inversion.frost_weight import fit_weight  # which makes an index of each weight here

    if series is None:
        raise ValueError("alpha='fit' takes the weight from series: pass series=, a cube")
    return fit_weight(temperature, series)


def _onsets(days: Days, holds: npt.NDArray[np.bool_], month: int, day: int) -> list[int]:
    """First day of each year, from a date in it on, on which a condition holds."""
    found = []
    for year in np.unique(days.astype("datetime64[Y]")):
        start = np.datetime64(f"{year}-{month:02d}-{day:02d}", "D")
        later = np.flatnonzero((days >= start) & (days.astype("datetime64[Y]") == year) & holds)
        if later.size and days[0] <= start:
            found.append(int(later[0]))
    return found


def _summed(index: Float64, frozen: Float64) -> Float64:
    """The index with the ends of all years before added, an end being its value before the next thaw."""
    drops = np.flatnonzero((frozen[1:] == 0) & (frozen[:-1] > 0))
    added = np.zeros(index.size)
    for drop in drops:
        added[drop + 1 :] += index[drop]
    return index + added


def _days(temperature: xr.DataArray) -> Days:
    if temperature.ndim != 1 or temperature[temperature.dims[0]].dtype.kind != "M":
        raise CubeError(f"temperature has dims {temperature.dims}, wanted one, of dates")
    return np.asarray(temperature[temperature.dims[0]].values, "datetime64[D]")
