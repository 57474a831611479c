"""Uneven dates with gaps -> a regular calendar."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import xarray as xr

import insar_kernels
from insar_dask.cube import CubeError, check_series, describe
from insar_dask.foresight import looks_ahead

__all__ = ["regular_dates", "regularise"]

RECENT = 730
"""Days at the end of the record whose acquisitions choose the phase of the grid."""


def regularise(cube: xr.Dataset, every: str = "12D", max_gap: str | None = "60D") -> xr.Dataset:
    """Interpolate every series linearly onto regular dates.

    Parameters
    ----------
    cube : xr.Dataset
        Point cube over ``(point, time)``, or grid cube over ``(y, x, time)``; in memory or lazy.
    every : str
        Spacing of the dates in whole days, as ``"12D"``; their phase is that of `regular_dates`.
    max_gap : str or None
        Longest span between two valid neighbours of a series that is bridged; None bridges any.

    Returns
    -------
    xr.Dataset
        The cube on the regular dates: a valid value where a date meets one, else a value on the line between its valid
        neighbours; NaN in longer gaps and before the first and after the last valid date. ``observed`` (time) tells
        which dates have a real acquisition. The attribute ``sees_future`` grows by ``max_gap``: a value inside a gap
        has seen the end of it.

    Raises
    ------
    CubeError
        If the cube is none, or has two acquisitions on one day.
    ValueError
        If a duration is not a whole number of days.
    """
    check_series(cube)
    gap = np.inf if max_gap is None else float(_whole_days(max_gap))
    dates = regular_dates(cube["time"].values, every)
    old, new = _days(cube["time"].values), _days(dates)
    displacement = xr.apply_ufunc(
        insar_kernels.regularise,
        cube["displacement"],
        kwargs={"days": old.astype(float), "new_days": new.astype(float), "max_gap": gap},
        input_core_dims=[["time"]],
        output_core_dims=[["time"]],
        exclude_dims={"time"},
        dask="parallelized",
        dask_gufunc_kwargs={"output_sizes": {"time": len(new)}},
        output_dtypes=[np.float32],
        keep_attrs=True,
    )
    keep = cube.drop_vars([name for name in cube.variables if "time" in cube[name].dims])
    regular = keep.assign(displacement=displacement, observed=_observed(cube, old, new))
    regular = regular.assign_coords(time=("time", dates, cube["time"].attrs))
    return regular.assign_attrs(sees_future=looks_ahead(cube, -1 if max_gap is None else int(gap)))


def _observed(cube: xr.Dataset, old: npt.NDArray[np.int64], new: npt.NDArray[np.int64]) -> xr.Variable:
    """Whether each new date meets an old one that is a real acquisition; lazy where the cube's own flags are."""
    place = np.clip(np.searchsorted(old, new), 0, len(old) - 1)
    met = xr.Variable("time", old[place] == new)
    real = met & cube["observed"].variable.isel(time=place) if "observed" in cube else met
    real.attrs = describe("observed")
    return real


def regular_dates(
    times: npt.ArrayLike, every: str = "12D", until: np.datetime64 | None = None
) -> npt.NDArray[np.datetime64]:
    """Evenly spaced dates, on the phase that meets most of the acquisitions of the last two years.

    The phase matters: after one of two satellites is lost, a grid on the phase of the lost one meets no acquisition any
    more, and each of its values is a mean of past and future. Ties go to the phase that meets most of the whole record,
    then to the earliest.

    Parameters
    ----------
    times : array of datetime64
        Dates of the acquisitions, increasing: of the whole record, or of the history at an origin.
    every : str
        Spacing in whole days, as ``"12D"``.
    until : datetime64, optional
        Last day that the dates may reach; default: the last acquisition.

    Returns
    -------
    array of datetime64[ns]
        From the first date of that phase that is not before the first acquisition.

    >>> times = np.array(["2024-01-01", "2024-01-07", "2024-01-19", "2024-01-31"], "datetime64[D]")
    >>> regular_dates(times, "12D").astype("datetime64[D]").astype(str).tolist()
    ['2024-01-07', '2024-01-19', '2024-01-31']
    """
    step = _whole_days(every)
    days = _days(np.asarray(times, "datetime64[ns]"))
    phases = (days - days[0]) % step
    recent = np.bincount(phases[days > days[-1] - RECENT], minlength=step)
    whole = np.bincount(phases, minlength=step)
    start = days[0] + np.lexsort((-whole, -recent))[0]
    stop = days[-1] if until is None else int(np.asarray(until, "datetime64[D]").astype(np.int64))
    return np.arange(start, stop + 1, step).astype("datetime64[D]").astype("datetime64[ns]")


def _days(times: npt.NDArray[np.datetime64]) -> npt.NDArray[np.int64]:
    days = times.astype("datetime64[D]").astype(np.int64)
    if (np.diff(days) == 0).any():
        at = int(np.argmax(np.diff(days) == 0))
        raise CubeError(f"two acquisitions on {times[at].astype('datetime64[D]')}: keep one, e.g. cube.isel(time=...)")
    return days


def _whole_days(duration: str) -> int:
    match = re.fullmatch(r"([1-9]\d*) ?D", duration)
    if match is None:
        raise ValueError(f"{duration!r} is not a duration; wanted a whole number of days such as '12D'")
    return int(match[1])
