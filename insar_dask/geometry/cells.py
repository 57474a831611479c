"""Square cells that hold points of several tracks, and what their looks alone say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from insar_dask.geometry.options import Options
from insar_dask.geometry.tracks import Track
from insar_kernels.hilbert import hilbert_index
from insar_kernels.look_sums import QUANTUM

__all__ = ["REASONS", "Cells", "Sight", "find_cells", "in_cells", "sights"]

Float64 = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

REASONS = ("solved", "one_way_of_looking", "ill_conditioned", "looks_too_alike", "too_few_dates")
"""Why a cell has no values, by its code."""

BITS = 30
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
    keys = [_keys(track, options) for track in tracks]
    every = np.concatenate(keys)
    up = np.concatenate([track.ascending for track in tracks])
    found = np.unique(every[every >= 0])
    if options.one_track == "drop":
        ways = [np.isin(found, every[(every >= 0) & (up == way)]) for way in (True, False)]
        found = found[ways[0] & ways[1]]
    cells = Cells(found, options.cell)
    return Cells(found[np.argsort(hilbert_index(*cells.centres.T), kind="stable")], options.cell)


def in_cells(track: Track, cells: Cells, options: Options) -> Whole:
    """(n,) number of the cell that each point lies in, -1 for none."""
    order = np.argsort(cells.keys)
    keys = _keys(track, options)
    at = np.minimum(np.searchsorted(cells.keys[order], keys), max(len(order) - 1, 0))
    if not len(order):
        return np.full(len(keys), -1)
    return np.where(cells.keys[order][at] == keys, order[at], -1)


def sights(tracks: Sequence[Track], members: Sequence[Whole], n_cells: int, options: Options) -> Sight:
    """What the looks say of every cell, from all points in it, in whatever order."""
    track = _joined(tracks)
    cell = np.concatenate(members)
    inside = cell >= 0
    cell, track = cell[inside], track.part(inside)

    def total(values: Float64) -> Float64:
        sums = np.zeros(n_cells, np.int64)
        np.add.at(sums, cell, np.rint(values / QUANTUM).astype(np.int64))  # exact, as in the sums of dates
        return np.asarray(sums * QUANTUM, np.float64)

    to_east, to_north, to_up = track.look.T
    w, up = track.weight, track.ascending
    counts = [np.bincount(cell[up == way], minlength=n_cells) for way in (True, False)]
    ee, eu, uu = total(w * to_east * to_east), total(w * to_east * to_up), total(w * to_up * to_up)
    en, un = total(w * to_east * to_north), total(w * to_up * to_north)
    determinant, known = ee * uu - eu**2, np.isfinite(track.height)
    with np.errstate(divide="ignore", invalid="ignore"):
        condition = ((ee + uu) / 2 + np.sqrt((ee - uu) ** 2 / 4 + eu**2)) ** 2 / np.maximum(determinant, 0)
        slants = [np.arctan2(total(to_east * (up == way)), total(to_up * (up == way))) for way in (True, False)]
        leaks = [(uu * en - eu * un) / determinant, (ee * un - eu * en) / determinant]
        height = total(np.where(known, track.height, 0.0)) / total(known.astype(np.float64))
    angle = np.degrees(np.abs(slants[1] - slants[0]))
    reason = np.zeros(n_cells, np.int8)
    reason[angle < options.min_angle] = REASONS.index("looks_too_alike")
    reason[~(condition < options.max_condition)] = REASONS.index("ill_conditioned")
    reason[(counts[0] == 0) | (counts[1] == 0)] = REASONS.index("one_way_of_looking")
    return Sight(counts[0], counts[1], condition, angle, leaks[0], leaks[1], height, reason)


def _joined(tracks: Sequence[Track]) -> Track:
    return Track(*(np.concatenate([getattr(t, name) for t in tracks]) for name in Track.__annotations__))


def _keys(track: Track, options: Options) -> Whole:
    """Column and row of each point's cell in one number, -1 outside the extent."""
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
