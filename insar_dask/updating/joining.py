"""An older and a newer series to one: values that were there stay, and dates that were not are put in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.zeros import ZERO

__all__ = ["joined_dates", "joined_series", "later_dates"]

Indices = npt.NDArray[np.int64]


def later_dates(older: npt.NDArray[Any], newer: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which dates of a newer product lie after the older one."""
    last = np.asarray(older, "datetime64[D]")[-1]
    return np.asarray(np.asarray(newer, "datetime64[D]") > last)


def joined_dates(older: npt.NDArray[Any], newer: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Indices, Indices]:
    """Dates of the older product and those that only the newer one has; and where those of each stand among them."""
    days, more = (np.asarray(times, "datetime64[D]") for times in (older, newer))
    dates = np.sort(np.concatenate([older, np.asarray(newer)[~np.isin(more, days)]]))
    joined = dates.astype("datetime64[D]")
    return dates, np.searchsorted(joined, days), np.searchsorted(joined, more)


def joined_series(
    older: Mapping[str, npt.NDArray[Any]],
    newer: Mapping[str, npt.NDArray[Any]],
    offset: npt.NDArray[np.float32],
    places: tuple[Indices, Indices],
    n_dates: int,
) -> dict[str, npt.NDArray[Any]]:
    """Variables of some points of a joined cube, whose older values are just those that were there.

    Parameters
    ----------
    older, newer : mapping of arrays over the points
        Variables of the older and of the newer cube, NaN or "" where a point is not in it; empty: none of them is.
    offset : (n,) array [mm]
        What the newer series lie above the older ones.
    places : (array of int, array of int)
        Where the dates of each cube stand among those of the joined one, which has ``n_dates``.
    n_dates : int
    """
    known = newer["point_id"] != "" if newer else np.zeros(len(offset), bool)
    out: dict[str, npt.NDArray[Any]] = {}
    for name in newer or older:
        one, other = older.get(name), newer.get(name)
        out[name] = _chosen(known, one if one is not None else other, other if other is not None else one)
    if ZERO in older and ZERO in out:  # what goes on with an older series counts from where that does
        out[ZERO] = np.where(older["point_id"] != "", older[ZERO], out[ZERO])
    series = np.full((len(offset), n_dates), np.nan, np.float32)
    if newer:
        series[:, places[1]] = newer["displacement"] - offset[:, None]
    if older:
        series[np.ix_(older["point_id"] != "", places[0])] = older["displacement"][older["point_id"] != ""]
    return {**out, "displacement": series}


def _chosen(known: npt.NDArray[np.bool_], older: Any, newer: Any) -> Any:
    return older if older.ndim > 1 else np.where(known, newer, older)
