"""An older and a newer series to one: values that were there stay, and later dates are put behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["joined_dates", "joined_series", "later_dates"]

Indices = npt.NDArray[np.int64]


def later_dates(older: npt.NDArray[Any], newer: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which dates of a newer product lie after the older one."""
    last = np.asarray(older, "datetime64[D]")[-1]
    return np.asarray(np.asarray(newer, "datetime64[D]") > last)


def joined_dates(older: npt.NDArray[Any], newer: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Dates of the older product, then the later ones of the newer product."""
    return np.concatenate([older, np.asarray(newer)[later_dates(older, newer)]])


def joined_series(
    older: Mapping[str, npt.NDArray[Any]],
    newer: Mapping[str, npt.NDArray[Any]],
    offset: npt.NDArray[np.float32],
    late: Indices,
    shared: tuple[Indices, Indices],
    n_dates: int,
) -> dict[str, npt.NDArray[Any]]:
    """Variables of some points of a joined cube, whose older values are just those that were there.

    Parameters
    ----------
    older, newer : mapping of arrays over the points
        Variables of the older and of the newer cube, NaN or "" where a point is not in it; empty: none of them is.
    offset : (n,) array [mm]
        What the newer series lie above the older ones.
    late : array of int
        Places of the dates of the newer cube that are taken: the last ones of the joined cube.
    shared : (array of int, array of int)
        Places of the dates in common in the older and in the newer cube: a point that is new has its history there.
    n_dates : int
        Of the joined cube.
    """
    known = newer["point_id"] != "" if newer else np.zeros(len(offset), bool)
    out: dict[str, npt.NDArray[Any]] = {}
    for name in newer or older:
        one, other = older.get(name), newer.get(name)
        out[name] = _chosen(known, one if one is not None else other, other if other is not None else one)
    series = np.full((len(offset), n_dates), np.nan, np.float32)
    if newer:
        tied = newer["displacement"] - offset[:, None]
        series[:, n_dates - len(late) :] = tied[:, late]
        series[:, shared[0]] = tied[:, shared[1]]
    if older:
        mine = older["point_id"] != ""
        series[mine, : n_dates - len(late)] = older["displacement"][mine]
    return {**out, "displacement": series}


def _chosen(known: npt.NDArray[np.bool_], older: Any, newer: Any) -> Any:
    return older if older.ndim > 1 else np.where(known, newer, older)
