"""What a network is told about a date."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["CALENDARS", "calendar_features", "year_range"]

Days = npt.NDArray[np.int64]

CALENDARS = {"paper": 3, "waves": 5}
"""Kinds of features and how many each has."""

MEAN_YEAR = 365.25
EPOCH = np.datetime64("2015-01-01", "D").astype(np.int64)
"""Near the first Sentinel-1 acquisitions."""


def calendar_features(days: Days, kind: str, years: tuple[int, int] | None = None) -> npt.NDArray[np.float32]:
    """Features (..., d) of dates (...), counted in days from 1970-01-01.

    Parameters
    ----------
    days : array of int64
    kind : {"paper", "waves"}
        ``"paper"``, d = 3: the calendar year from 0 to 1 between ``years``, month and day of the month linearly from -1
        to 1. ``"waves"``, d = 5: (years since 2015) / 10, then sine and cosine of 2 pi and of 4 pi times the day of the
        year / 365.25: nothing of the record, no jump from December to January.
    years : (int, int), optional
        First and last calendar year of the training block, which ``"paper"`` needs. The published code takes them from
        the whole record; of the training block alone they tell nothing of later dates, whose years are then above 1.

    Raises
    ------
    ValueError
        When the kind is not known, or lacks its years.

    Examples
    --------
    >>> day = np.array([np.datetime64("2020-12-31", "D").astype(int)])
    >>> calendar_features(day, "paper", years=(2015, 2020)).tolist()
    [[1.0, 1.0, 1.0]]
    """
    if kind not in CALENDARS:
        raise ValueError(f"no calendar is called {kind!r}; there are {', '.join(CALENDARS)}")
    if kind == "waves":
        return _waves(days)
    if years is None:
        raise ValueError("the 'paper' calendar needs years, the first and last of the training block: see year_range")
    return _published(days, *years)


def year_range(days: Days) -> tuple[int, int]:
    """First and last calendar year of some dates.

    >>> year_range(np.array([0, 400]))
    (1970, 1971)
    """
    years = _years(np.array([np.min(days), np.max(days)]))
    return int(years[0]), int(years[1])


def _years(days: Days) -> Days:
    return days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970


def _published(days: Days, first: int, last: int) -> npt.NDArray[np.float32]:
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    year = (_years(days) - first) / max(last - first, 1)
    month = months.astype(np.int64) % 12 / 11 * 2 - 1
    day = (dates - months.astype("datetime64[D]")).astype(np.int64) / 30 * 2 - 1
    return np.stack([year, month, day], axis=-1).astype(np.float32)


def _waves(days: Days) -> npt.NDArray[np.float32]:
    january = days.astype("datetime64[D]").astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    angle = 2 * np.pi * (days - january + 1) / MEAN_YEAR
    waves = [wave(k * angle) for k in (1, 2) for wave in (np.sin, np.cos)]
    return np.stack([(days - EPOCH) / (10 * MEAN_YEAR), *waves], axis=-1).astype(np.float32)
