"""Common dates of tracks that fly on different days."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.days import given_day
from insar_dask.geometry.options import Options
from insar_kernels.look_sums import Dates

__all__ = ["common_dates", "days_ahead", "place_dates"]

Times = npt.NDArray[np.datetime64]
Float64 = npt.NDArray[np.float64]


def common_dates(times: Sequence[Times], ascending: Sequence[bool], options: Options) -> Times:
    """Even dates that both ways of looking cover, (T,) datetime64[ns].

    From the later of the two ways' first acquisitions to the earlier of their last, or from ``start`` to ``end``.

    Raises
    ------
    CubeError
        When there is no such date.
    """
    spans = []
    for way in (True, False):
        mine = [dates for dates, up in zip(times, ascending, strict=True) if up == way]
        spans.append((min(dates[0] for dates in mine), max(dates[-1] for dates in mine)))
    first, last = max(span[0] for span in spans), min(span[1] for span in spans)
    first = first if options.start is None else given_day(options.start, "start")
    last = last if options.end is None else given_day(options.end, "end")
    first = first.astype("datetime64[D]")
    if first > last:
        said = " and ".join(f"{_day(a)} to {_day(b)}" for a, b in spans)
        asked = (
            f"; asked for were {options.start or 'the first'} to {options.end or 'the last'}"
            if (options.start or options.end)
            else ""
        )
        raise CubeError(
            f"no date is in both ways of looking: ascending and descending tracks cover {said}{asked}: take tracks of "
            "the same years, or another start and end"
        )
    step = np.timedelta64(options.days, "D")
    return np.arange(first, last.astype("datetime64[D]") + np.timedelta64(1, "D"), step).astype("datetime64[ns]")


def place_dates(times: Times, wanted: Times) -> Dates:
    """Where the wanted dates lie among those of a track."""
    days, dates = _days(times), _days(wanted)
    before = np.searchsorted(days, dates, side="right") - 1
    return Dates(days, dates, before, np.searchsorted(days, dates, side="left"))


def days_ahead(dates: Dates, how: str, back: float) -> float:
    """Days after a wanted date that a series without gaps is looked at; one with gaps is looked at no later."""
    if how == "previous":
        return 0.0
    days = np.concatenate([[-np.inf], dates.days, [np.inf]])
    behind, beyond = dates.wanted - days[dates.before + 1], days[dates.after + 1] - dates.wanted
    used = (beyond <= back) & (behind > 0)
    used &= (beyond <= behind) if how == "nearest" else (behind <= back)
    return float(beyond[used].max(initial=0.0))


def _days(times: Times) -> Float64:
    return np.asarray(times.astype("datetime64[ns]").astype(np.int64) / 86_400e9, np.float64)


def _day(date: np.datetime64) -> str:
    return str(date.astype("datetime64[D]"))
