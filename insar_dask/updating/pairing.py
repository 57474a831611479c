"""Which point of a newer product is which of an older one: by identifier, or by place where identifiers changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.spatial import cKDTree

from insar_dask.settings import positive
from insar_dask.shards import SHARD_POINTS

__all__ = ["WITHIN", "Pairing", "Places", "pair_points"]

Float64 = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

WITHIN = 10.0
"""Metres that a point may have moved between two releases: a radar target is located to a few metres, and its next
neighbour in a burst is 25 m away on the average."""

ENOUGH = 0.5
"""Share of the points of the smaller product that must be found by identifier, for identifiers to be those of points
and not of rows."""


class Places(NamedTuple):
    """Identifiers (n,), texts or their UTF-8 bytes, and places (n,) [m] of the points of a product."""

    ids: npt.NDArray[Any]
    easting: Float64
    northing: Float64

    @classmethod
    def of(cls, cube: xr.Dataset) -> Places:
        """Those of a cube, in memory: identifiers as bytes, a quarter of the text.

        With those of the other product, and what `pair_points` needs at its most, these are 144 bytes a point in the
        process that calls, 240 where points are found by place: 85 and 141 MB of a burst of 588,600.
        """
        easting, northing = (np.asarray(cube[name].values) for name in ("easting", "northing"))
        return cls(_encoded(cube["point_id"]), easting, northing)

    @property
    def spots(self) -> Float64:
        """Easting and northing (n, 2)."""
        return np.stack([self.easting, self.northing], axis=1)


@dataclass(frozen=True)
class Pairing:
    """What became of the points of a product in a newer one."""

    before: Indices
    """(n,) place in the older product of each point of the newer one; -1 where it has none there."""
    n_before: int
    by: Literal["point_id", "place"]
    moved: int
    """Points that have an identifier in common and lie farther apart than they may: they are not paired."""

    @property
    def gone(self) -> Indices:
        """Points of the older product that the newer one lacks."""
        return np.setdiff1d(np.arange(self.n_before), self.before)

    def counts(self) -> dict[str, Any]:
        """Plain numbers for a report."""
        matched = int((self.before >= 0).sum())
        return {
            "matched": matched,
            "new": len(self.before) - matched,
            "gone": self.n_before - matched,
            "moved": self.moved,
            "matched_by": self.by,
        }


def pair_points(older: Places, newer: Places, within: float = WITHIN) -> Pairing:
    """Pair points one to one: by identifier where half of the smaller product is found so, else by place.

    By place two points are one when each is the other's nearest within ``within`` metres; of several at one place the
    first goes with the first.

    Parameters
    ----------
    older, newer : Places
        In one CRS.
    within : float
        In metres; points of one identifier that lie farther apart are not paired either.

    Examples
    --------
    >>> one = Places(np.array(["a", "b"]), np.array([0.0, 50.0]), np.zeros(2))
    >>> other = Places(np.array(["x", "y", "z"]), np.array([90.0, 51.0, 0.0]), np.zeros(3))
    >>> pair_points(one, other).before, pair_points(one, other).by
    (array([-1,  1,  0]), 'place')
    """
    positive("within", within, of="metres")
    n_before, fewest = len(older.ids), min(len(older.ids), len(newer.ids))
    mine, theirs = _shared(newer.ids, older.ids)
    away = (getattr(newer, axis)[mine] - getattr(older, axis)[theirs] for axis in ("easting", "northing"))
    near = np.hypot(*away) <= within
    before = np.full(len(newer.ids), -1)
    if near.sum() >= ENOUGH * fewest:
        before[mine[near]] = theirs[near]
        return Pairing(before, n_before, "point_id", int((~near).sum()))
    _pair_by_place(older.spots, newer.spots, within, before)
    return Pairing(before, n_before, "place", 0)


def _shared(newer: npt.NDArray[Any], older: npt.NDArray[Any]) -> tuple[Indices, Indices]:
    """Places of what both have, in each of them; the first of equal ones; `numpy.intersect1d` takes more memory."""
    if not older.size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    order = np.argsort(older, kind="stable")
    at = np.searchsorted(older, newer, sorter=order)
    at = order[np.minimum(at, older.size - 1)]
    mine = np.flatnonzero(older[at] == newer)
    theirs, first = np.unique(at[mine], return_index=True)
    return mine[first], theirs


def _pair_by_place(older: Float64, newer: Float64, within: float, before: Indices) -> None:
    """Points at just the same place first, for of two at one place the tree would name the same one twice."""
    mine, theirs = _shared(_named(newer), _named(older))
    before[mine] = theirs
    left, free = np.flatnonzero(before < 0), np.setdiff1d(np.arange(len(older)), theirs)
    if not (left.size and free.size):
        return
    distance, nearest = (np.asarray(found) for found in cKDTree(older[free]).query(newer[left]))
    back = np.asarray(cKDTree(newer[left]).query(older[free])[1])
    mutual = (back[nearest] == np.arange(left.size)) & (distance <= within)
    before[left[mutual]] = free[nearest[mutual]]


def _encoded(texts: xr.DataArray) -> npt.NDArray[np.bytes_]:
    """UTF-8 of texts, a run of them at a time: bytes sort and compare as texts do."""
    starts = range(0, texts.size, SHARD_POINTS)
    runs = (np.asarray(texts[start : start + SHARD_POINTS].values, str) for start in starts)
    parts = [np.char.encode(run, "utf-8") for run in runs]
    return np.concatenate(parts) if parts else np.empty(0, "S1")


def _named(spots: Float64) -> npt.NDArray[Any]:
    """A name of each point: its place, and which of the points there it is."""
    order = np.lexsort(spots.T)
    same = np.append(False, (np.diff(spots[order], axis=0) == 0).all(axis=1))
    starts = np.maximum.accumulate(np.where(same, 0, np.arange(len(spots))))
    rank = np.empty(len(spots))
    rank[order] = np.arange(len(spots)) - starts
    named = np.column_stack([spots, rank])
    return named.view([("", named.dtype)] * 3)[:, 0]
