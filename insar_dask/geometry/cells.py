"""Square cells that hold points of several tracks, and what their looks alone say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from insar_dask.geometry.options import Options
from insar_dask.geometry.tracks import Track
from insar_kernels.hilbert import hilbert_index
from insar_kernels.look_sums import QUANTUM

__all__ = [
    "REASONS",
    "Cells",
    "Sight",
    "cell_keys",
    "count_later",
    "find_cells",
    "in_cells",
    "keys_of_ways",
    "look_totals",
    "meeting_cells",
    "sight_of",
    "sights",
]

Float64 = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

REASONS = ("solved", "one_way_of_looking", "ill_conditioned", "looks_too_alike", "too_few_dates")
"""Why a cell has no values, by its code."""

BITS = 30
N_TOTALS = 13
"""Sums of a cell's looks: five of the normal equations, four of the two ways' slants, height; points with a height,
ascending, descending."""

HALF = 1 << (BITS - 1)
"""Columns and rows from -2^29: cells of a metre need 2^25 of them."""


@dataclass(frozen=True)
class Cells:
    """Numbers of columns and rows of cells, along the Hilbert curve."""

    keys: Whole
    """(n,) column and row in one number."""
    side: float

    @property
    def centres(self) -> Float64:
        """(n, 2) easting and northing of the middles [m]."""
        return np.asarray((_unpacked(self.keys) + 0.5) * self.side, np.float64)

    @property
    def names(self) -> list[str]:
        """Such as ``E45984N17414``: the cell's corner, in cells."""
        return [f"E{column}N{row}" for column, row in _unpacked(self.keys).tolist()]

    def places(self, keys: Whole) -> Whole:
        """(n,) number of the cell of each key, -1 for none."""
        if not len(self.keys):
            return np.full(len(keys), -1)
        order, known = self._sorted
        at = np.minimum(np.searchsorted(known, keys), len(order) - 1)
        return np.where(known[at] == keys, order[at], -1)

    @cached_property
    def _sorted(self) -> tuple[Whole, Whole]:
        """Numbers of the cells by their keys, and the keys so: sorted once, 0.7 s of 4,000,000."""
        order = np.argsort(self.keys)
        return order, self.keys[order]

    def part(self, where: slice) -> Cells:
        """Some of them."""
        return Cells(self.keys[where], self.side)


class Sight(NamedTuple):
    """What the looks of a cell's points alone say; arrays (n_cells,)."""

    ascending: Whole
    """Points."""
    descending: Whole
    condition: Float64
    """Of the normal matrix."""
    angle: Float64
    """Between the mean looks of the two ways, seen from the south [degree]."""
    east_per_north: Float64
    """How much east comes out of a millimetre to the north."""
    up_per_north: Float64
    height: Float64
    reason: npt.NDArray[np.int8]
    """Place in `REASONS`."""


def find_cells(tracks: Sequence[Track], options: Options) -> Cells:
    """Cells that hold a point, along the Hilbert curve; with ``one_track="drop"`` only those of both ways."""
    seen = [keys_of_ways(track, options) for track in tracks]
    return meeting_cells([keys for keys, _ in seen], [keys for _, keys in seen], options)


def keys_of_ways(track: Track, options: Options) -> tuple[Whole, Whole]:
    """Keys of the cells that points of a track see as ascending ones do, and as descending ones do; each once."""
    keys, up = cell_keys(track, options), track.ascending
    ways = [np.unique(keys[(keys >= 0) & (up == way)]) for way in (True, False)]
    return ways[0], ways[1]


def meeting_cells(ascending: Sequence[Whole], descending: Sequence[Whole], options: Options) -> Cells:
    """Cells of the keys that are seen both ways, or with ``one_track="nan"`` either way, along the Hilbert curve."""
    one, other = (np.unique(np.concatenate([np.empty(0, np.int64), *keys])) for keys in (ascending, descending))
    found: Whole = np.intersect1d(one, other) if options.one_track == "drop" else np.union1d(one, other)
    cells = Cells(found, options.cell)
    return Cells(found[np.argsort(hilbert_index(*cells.centres.T), kind="stable")], options.cell)


def in_cells(track: Track, cells: Cells, options: Options) -> Whole:
    """(n,) number of the cell that each point counts in, -1 for none."""
    return cells.places(cell_keys(track, options))


def sights(tracks: Sequence[Track], members: Sequence[Whole], n_cells: int, options: Options) -> Sight:
    """What the looks say of every cell, from all points in it, in whatever order."""
    totals = [look_totals(track, cells, n_cells) for track, cells in zip(tracks, members, strict=True)]
    return sight_of(np.sum(totals, axis=0, dtype=np.int64).reshape(n_cells, N_TOTALS), options)


def look_totals(track: Track, cells: Whole, n_cells: int) -> Whole:
    """(n_cells, 13) sums over the looks of a track's points in each cell, in whole numbers: they add in any order."""
    inside = cells >= 0
    cells, track = cells[inside], track.part(inside)
    to_east, to_north, to_up = track.look.T
    w, up, known = track.weight, track.ascending, np.isfinite(track.height)
    ones, height = np.ones(len(cells)), np.where(known, track.height, 0.0)
    terms = [
        *(w * a * b for a, b in ((to_east, to_east), (to_east, to_up), (to_up, to_up), (to_east, to_north))),
        w * to_up * to_north,
        *(part * (up == way) for way in (True, False) for part in (to_east, to_up)),
        height,
    ]
    totals = np.zeros((n_cells, N_TOTALS), np.int64)
    for k, values in enumerate(terms):
        np.add.at(totals[:, k], cells, np.rint(values / QUANTUM).astype(np.int64))  # exact, as in the sums of dates
    for k, counted in enumerate((known, up, ~up), len(terms)):
        np.add.at(totals[:, k], cells, (ones * counted).astype(np.int64))
    return totals


def sight_of(totals: Whole, options: Options) -> Sight:
    """What the sums of `look_totals` over all points of some cells say of these."""
    ee, eu, uu, en, un, *slopes, height = (totals[:, :10] * QUANTUM).T
    n_known, ascending, descending = totals[:, 10:].T
    determinant = ee * uu - eu**2
    with np.errstate(divide="ignore", invalid="ignore"):
        condition = ((ee + uu) / 2 + np.sqrt((ee - uu) ** 2 / 4 + eu**2)) ** 2 / np.maximum(determinant, 0)
        slants = [np.arctan2(slopes[k], slopes[k + 1]) for k in (0, 2)]
        leaks = [(uu * en - eu * un) / determinant, (ee * un - eu * en) / determinant]
        height = height / n_known
    angle = np.degrees(np.abs(slants[1] - slants[0]))
    reason = np.zeros(len(totals), np.int8)
    reason[angle < options.min_angle] = REASONS.index("looks_too_alike")
    reason[~(condition < options.max_condition)] = REASONS.index("ill_conditioned")
    reason[(ascending == 0) | (descending == 0)] = REASONS.index("one_way_of_looking")
    return Sight(ascending, descending, condition, angle, leaks[0], leaks[1], height, reason)


def cell_keys(track: Track, options: Options) -> Whole:
    """Column and row of each point's cell in one number, -1 outside the extent and of points that begin later."""
    return np.where(track.later, -1, _keys(track, options))


def count_later(track: Track, options: Options) -> int:
    """Points in the extent that are in no cell because they begin later."""
    return int((track.later & (_keys(track, options) >= 0)).sum())


def _keys(track: Track, options: Options) -> Whole:
    column, row = np.floor(track.place / options.cell).astype(np.int64).T
    keys: Whole = ((column + HALF) << BITS) + row + HALF
    if options.extent is None:
        return keys
    west, south, east, north = options.extent
    easting, northing = track.place.T
    inside = (easting >= west) & (easting < east) & (northing >= south) & (northing < north)
    return np.where(inside, keys, -1)


def _unpacked(keys: Whole) -> Whole:
    return np.stack([(keys >> BITS) - HALF, (keys & (2 * HALF - 1)) - HALF], axis=1)
