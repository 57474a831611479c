"""Sums over the points of a cell of what two looking directions saw, date by date, in whole numbers.

Every term is rounded once to a multiple of `QUANTUM`, and integers add exactly: so the sums, and all that is made of
them, are bit for bit the same in whatever order points, chunks and tracks come.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["HOW", "QUANTUM", "TERMS", "Dates", "add_looks"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

QUANTUM = 2.0**-28
"""4e-9 mm, a tenth of what float32 keeps of a tenth of a millimetre; sums up to 3e10 fit."""

TERMS = ("east_east", "east_up", "up_up", "east_seen", "up_seen")
"""Last axis of the sums: the normal matrix of a date, and its right side."""

HOW = ("nearest", "linear", "previous")


class Dates(NamedTuple):
    """Where wanted dates lie among a track's acquisitions."""

    days: Float64
    """(A,) acquisitions."""
    wanted: Float64
    """(T,) dates that are wanted, in the same days."""
    before: Whole
    """(T,) last acquisition at or before each wanted date, -1 for none."""
    after: Whole
    """(T,) first acquisition at or after it, A for none."""


def add_looks(
    sums: Whole,
    values: Float32,
    cells: Whole,
    east: Float64,
    up: Float64,
    weights: Float64,
    slopes: Float64,
    dates: Dates,
    how: int,
    back: float,
    ahead: float,
) -> None:
    """Add the points of a block to the sums of their cells.

    A point's value at a wanted date is that of its nearest valid acquisition, the mean of both where two are equally
    near (``how`` 0); on the line between the valid neighbours (1); or the last valid one (2). With w, l_e, l_u and y of
    all points of a cell the sums are those of w l_e l_e, w l_e l_u, w l_u l_u, w l_e y and w l_u y.

    Parameters
    ----------
    sums : (n_cells, T, 5) array of int64
        In units of `QUANTUM`; added to in place.
    values : (n, A) array of float32
        Displacement along the line of sight [mm]; NaN is missing.
    cells : (n,) array of int64
        Cell of each point; a negative one is in none.
    east, up, weights : (n,) array of float64
        Components of the unit vector to the satellite, and weight.
    slopes : (n,) array of float64
        Taken from the values, times the days since the first wanted date [mm/d].
    dates : Dates
    how : int
        Place in `HOW`.
    back, ahead : float
        Days that an acquisition may lie before and after a wanted date.
    """
    _add(sums, values, cells, east, up, weights, slopes, *dates, how, back, ahead)


@njit(nogil=True, cache=True)
def _add(
    sums: Whole,
    values: Float32,
    cells: Whole,
    east: Float64,
    up: Float64,
    weights: Float64,
    slopes: Float64,
    days: Float64,
    wanted: Float64,
    before: Whole,
    after: Whole,
    how: int,
    back: float,
    ahead: float,
) -> None:
    last, following = np.empty(days.size, np.int64), np.empty(days.size, np.int64)
    for p in range(values.shape[0]):
        if cells[p] < 0:
            continue
        _neighbours(values[p], last, following)
        to_east, to_up, weight = east[p], up[p], weights[p]
        ee = _whole(weight * to_east * to_east)
        eu = _whole(weight * to_east * to_up)
        uu = _whole(weight * to_up * to_up)
        for t in range(wanted.size):
            i = last[before[t]] if before[t] >= 0 else -1
            j = following[after[t]] if after[t] < days.size else days.size
            behind = wanted[t] - days[i] if i >= 0 else np.inf
            beyond = days[j] - wanted[t] if j < days.size else np.inf
            y = _value(values[p], i, j, behind, beyond, how, back, ahead)
            if y != y:
                continue
            y -= slopes[p] * (wanted[t] - wanted[0])
            cell = sums[cells[p], t]
            cell[0] += ee
            cell[1] += eu
            cell[2] += uu
            cell[3] += _whole(weight * to_east * y)
            cell[4] += _whole(weight * to_up * y)


@njit(nogil=True, cache=True)
def _neighbours(series: Float32, last: Whole, following: Whole) -> None:
    """Last valid date up to each one, -1 for none, and first valid from it on, the number of dates for none."""
    n = series.size
    at = -1
    for t in range(n):
        if series[t] == series[t]:
            at = t
        last[t] = at
    at = n
    for t in range(n - 1, -1, -1):
        if series[t] == series[t]:
            at = t
        following[t] = at


@njit(nogil=True, cache=True)
def _value(series: Float32, i: int, j: int, behind: float, beyond: float, how: int, back: float, ahead: float) -> float:
    """Of a series at a wanted date, from its valid neighbours ``i`` and ``j`` and the days to them; NaN for none."""
    if behind == 0.0:
        return np.float64(series[i])
    near, far = behind <= back, beyond <= ahead
    if how == 2:
        return np.float64(series[i]) if near else np.nan
    if how == 1:
        if near and far:
            return float((series[i] * beyond + series[j] * behind) / (behind + beyond))
        return np.nan
    if near and far and behind == beyond:
        return (np.float64(series[i]) + np.float64(series[j])) / 2.0
    if near and (not far or behind < beyond):
        return np.float64(series[i])
    return np.float64(series[j]) if far else np.nan


@njit(nogil=True, cache=True)
def _whole(term: float) -> int:
    return int(np.rint(term / QUANTUM))
