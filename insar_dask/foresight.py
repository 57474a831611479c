"""How far the values of a cube have seen ahead, and which of them knew nothing of what came after a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from insar_dask.cube import CubeError
from insar_dask.days import given_day

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["known_dates", "looks_ahead", "sees_future"]


def sees_future(cube: xr.Dataset) -> int:
    """Days of the future that the values of a cube have seen: 0 none, -1 the whole series."""
    return int(cube.attrs.get("sees_future", 0))


def looks_ahead(cube: xr.Dataset, days: int) -> int:
    """Days of the future seen after a step that looks ``days`` ahead (-1: everywhere) in ``cube``."""
    before = sees_future(cube)
    return -1 if -1 in (before, days) else before + days


def known_dates(cube: xr.Dataset, until: str | np.datetime64 | None) -> int:
    """How many of the first dates of a cube have seen nothing from ``until`` on; all of them where that is None.

    Raises
    ------
    CubeError
        When there are none; when ``until`` is no date.
    """
    times = cube["time"].values
    if until is None:
        return len(times)
    end = given_day(until, "until").astype("datetime64[s]")  # in nanoseconds the year 2263 would be 1678
    days = sees_future(cube)
    if days < 0:
        raise CubeError(
            "every value of this cube has seen the whole series (attrs['sees_future'] = -1), so none is known at "
            f"{until}: leave until= out, and cut what the step that looked ahead was given, as in "
            f"cube.isel(time=cube.time.values < np.datetime64({str(until)!r})), or interferograms by "
            f"insar.invert(pairs, as_of='{end.astype('datetime64[D]') - 1}')"
        )
    known = int((times.astype(end.dtype) + np.timedelta64(days, "D") < end).sum())
    if known == 0:
        raise CubeError(
            f"no value is known at {until}: the first date is {np.datetime_as_string(times[0], 'D')} and the values "
            f"have seen {days} days ahead; give a later date, or filter with trailing windows"
        )
    return known
