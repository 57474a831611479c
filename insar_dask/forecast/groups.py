"""Groups of neighbours: points that a model sees together, cut from the order in which a cube stores them.

A group is ``length`` consecutive points of one pattern along the Hilbert curve, which is the order of storage. That
order is one curve: of its eight symmetries a store holds one, so what varies from round to round is only the offset of
the cuts, which is enough that no two neighbours are always kept apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ABSENT", "Groups", "cut_groups", "from_centroid"]

Index = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]

ABSENT = -1
"""Member of a group that has fewer points than seats."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Points cut into groups, every point in exactly one; made by `cut_groups`."""

    members: Index
    """(G, L) point of each seat, `ABSENT` behind the last point of a short group; groups by their first point."""
    n_points: int
    """Points that were cut."""

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """(G, L) whether there is a point in the seat."""
        return np.not_equal(self.members, ABSENT)

    @property
    def n_padded(self) -> int:
        """Groups with fewer points than seats."""
        return int((self.members[:, -1] == ABSENT).sum()) if self.members.size else 0

    def gather(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values (n, ...) of the points by seat, (G, L, ...); an absent seat repeats the first point of its group."""
        return values[np.where(self.present, self.members, self.members[:, :1])]

    def scatter(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values by seat (G, L, ...) back to the points, (n, ...); those of absent seats are dropped."""
        out = np.empty((self.n_points, *values.shape[2:]), values.dtype)
        present = self.present
        out[self.members[present]] = values[present]
        return out

    def places(self, places: npt.NDArray[np.float64]) -> Float32:
        """Metres (G, L, 2) from the centroid of a point's group, of points at ``places`` (n, 2); 0 where absent."""
        return from_centroid(self.gather(places), self.present)


def cut_groups(
    places: npt.NDArray[np.float64],
    length: int,
    reach: float,
    patterns: npt.NDArray[np.integer[Any]] | None = None,
    offset: int = 0,
) -> Groups:
    """Cut points, in their order, into groups of ``length`` consecutive points of one pattern.

    Points of a pattern follow each other in a run until the next one lies farther than ``reach`` from the one before
    it; a run is then cut every ``length`` points. What does not fill a group is padded, so a pattern with fewer points
    than ``length`` is one padded group.

    Parameters
    ----------
    places : (n, 2) array of float64
        Easting and northing [m] in the order of storage.
    length : int
        Seats of a group.
    reach : float
        Longest step [m] from one point of a group to the next.
    patterns : (n,) array of int, optional
        Pattern of each point, -1 (unknown) being one of its own; default: all points are of one.
    offset : int
        0 to ``length - 1``: points in front of the first cut of each run that is longer than a group.

    Raises
    ------
    ValueError
        When ``length``, ``reach`` or ``offset`` is out of range, or the arrays do not match.

    Examples
    --------
    >>> line = np.arange(5.0)[:, None] * [100.0, 0.0]
    >>> cut_groups(line, length=2, reach=150.0).members.tolist()
    [[0, 1], [2, 3], [4, -1]]
    >>> cut_groups(line, length=2, reach=150.0, offset=1).members.tolist()
    [[0, -1], [1, 2], [3, 4]]
    """
    _check(places, length, reach, patterns, offset)
    n_points = len(places)
    order = np.arange(n_points) if patterns is None else np.argsort(patterns, kind="stable")
    starts = _run_starts(places[order], None if patterns is None else patterns[order], reach)
    first = np.flatnonzero(starts)
    run = np.cumsum(starts) - 1
    sizes = np.diff(np.append(first, n_points))
    # a run that fits into one group stays whole: shifting its cut would only make two short ones of it
    shift = np.where(sizes > length, -offset % length, 0)
    starts |= (np.arange(n_points) - first[run] + shift[run]) % length == 0
    heads = np.flatnonzero(starts)
    group = np.cumsum(starts) - 1
    members = np.full((len(heads), length), ABSENT, np.int64)
    members[group, np.arange(n_points) - heads[group]] = order
    return Groups(members[np.argsort(members[:, 0])], n_points)


def from_centroid(places: npt.NDArray[np.float64], present: npt.NDArray[np.bool_]) -> Float32:
    """Metres (G, L, 2) from the centroid of the points present in each group; 0 where absent."""
    seats = np.where(present[..., None], places, 0.0)
    centroids = seats.sum(axis=1, keepdims=True) / np.maximum(present.sum(axis=1), 1)[:, None, None]
    return np.where(present[..., None], seats - centroids, 0.0).astype(np.float32)


def _run_starts(
    places: npt.NDArray[np.float64], patterns: npt.NDArray[np.integer[Any]] | None, reach: float
) -> npt.NDArray[np.bool_]:
    """Whether a run begins at each point of points that are sorted by pattern."""
    starts = np.ones(len(places), bool)
    steps = np.diff(places, axis=0)
    starts[1:] = (steps**2).sum(axis=1) > reach**2
    if patterns is not None:
        starts[1:] |= patterns[1:] != patterns[:-1]
    return starts


def _check(
    places: npt.NDArray[np.float64],
    length: int,
    reach: float,
    patterns: npt.NDArray[np.integer[Any]] | None,
    offset: int,
) -> None:
    if length < 1:
        raise ValueError(f"length is {length}; a group has at least 1 seat")
    if not reach > 0:
        raise ValueError(f"reach is {reach}; wanted a distance in metres above 0")
    if not 0 <= offset < length:
        raise ValueError(f"offset is {offset}; wanted 0 to {length - 1}, less than the {length} seats of a group")
    if places.ndim != 2 or places.shape[1] != 2:
        raise ValueError(f"places have shape {places.shape}, wanted (n, 2): easting and northing in metres")
    if not np.isfinite(places).all():
        raise ValueError(
            f"point {int(np.argmin(np.isfinite(places).all(axis=1)))} has no place: its coordinates are NaN"
        )
    if patterns is not None and patterns.shape != (len(places),):
        raise ValueError(f"there are patterns of shape {patterns.shape} for {len(places)} points")
