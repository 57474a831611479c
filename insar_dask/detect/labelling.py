"""Connected cells of a mask, tile by tile: runs of cells in a row, joined over the seams; never the whole mask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_fill_holes, label

__all__ = ["Cells", "Runs", "join_tiles_of_runs", "runs_of", "tiles_of", "whole_objects"]

Whole = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

EIGHT = np.ones((3, 3), bool)


class Runs(NamedTuple):
    """Stretches of a mask in the rows of a tile; arrays (n,), places in the whole scene."""

    row: Whole
    start: Whole
    stop: Whole
    """Column after the last."""
    group: Whole
    """Connected stretches of the tile share one."""
    seeded: Bool
    """Whether a stretch holds a seed."""


class Cells(NamedTuple):
    """Cells of one object, row by row; arrays (n,)."""

    row: Whole
    column: Whole


def tiles_of(shape: tuple[int, int], side: int) -> Iterator[tuple[slice, slice]]:
    """Squares that cover a raster, row by row; the last ones are smaller."""
    for top in range(0, shape[0], side):
        for left in range(0, shape[1], side):
            yield slice(top, min(top + side, shape[0])), slice(left, min(left + side, shape[1]))


def runs_of(body: Bool, seed: Bool, top: int, left: int) -> Runs:
    """Those of a tile whose first cell is in row ``top``, column ``left`` of the scene."""
    groups, _ = label(body, EIGHT)
    edges = np.diff(np.pad(body.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    row, start = np.nonzero(edges == 1)
    stop = np.nonzero(edges == -1)[1]
    counts = np.pad(np.cumsum(seed, axis=1), ((0, 0), (1, 0)))
    seeded = counts[row, stop] > counts[row, start]
    return Runs(row + top, start + left, stop + left, groups[row, start].astype(np.int64), seeded)


def join_tiles_of_runs(tiles: Iterable[Runs]) -> list[Runs]:
    """Objects of a scene that hold a seed, by their first cell; from the runs of tiles that cover it, in any order.

    Two runs touch where they are in the same row and meet, or in neighbouring rows and overlap but for a cell: across
    a seam as anywhere.
    """
    parts = list(tiles)
    offsets = np.cumsum([0, *(int(part.group.max(initial=0)) + 1 for part in parts)])
    groups = [part.group + offset for part, offset in zip(parts, offsets, strict=False)]
    if not parts or not sum(map(len, groups)):
        return []
    places = [np.concatenate([part[k] for part in parts]) for k in range(3)]
    seeded = np.concatenate([part.seeded for part in parts])
    runs = Runs(places[0], places[1], places[2], np.concatenate(groups), seeded)
    order = np.lexsort((runs.start, runs.row))
    runs = Runs._make(values[order] for values in runs)
    parent = np.arange(offsets[-1])
    for one, other in _touching(runs):
        a, b = _root(parent, runs.group[one]), _root(parent, runs.group[other])
        parent[max(a, b)] = min(a, b)
    roots = np.array([_root(parent, group) for group in runs.group])
    alive = np.flatnonzero(np.isin(roots, roots[runs.seeded]))
    alive = alive[np.argsort(roots[alive], kind="stable")]
    cuts = np.flatnonzero(np.diff(roots[alive])) + 1
    objects = [Runs._make(values[mine] for values in runs) for mine in np.split(alive, cuts) if mine.size]
    return sorted(objects, key=lambda found: (int(found.row[0]), int(found.start[0])))


def whole_objects(objects: Iterable[Runs], fewest: int) -> list[Cells]:
    """Cells of objects without their holes, each on a window of its own; those of too few are left out.

    What lies in a hole of another belongs to that one.
    """
    filled = [_filled(runs) for runs in objects]
    taken: set[tuple[int, int]] = set()
    kept: list[Cells] = []
    for cells in sorted(filled, key=lambda found: (-len(found.row), int(found.row[0]), int(found.column[0]))):
        mine = set(zip(cells.row.tolist(), cells.column.tolist(), strict=True))
        if len(mine) >= fewest and not mine & taken:
            kept.append(cells)
        taken |= mine
    return sorted(kept, key=lambda found: (int(found.row[0]), int(found.column[0])))


def _touching(runs: Runs) -> Iterator[tuple[int, int]]:
    """Pairs of runs that touch, where not in one group already; runs come row by row, from west to east."""
    width = int(runs.stop.max()) + 1
    row, above = runs.row * width, (runs.row - 1) * width
    starts, stops = row + runs.start, row + runs.stop
    in_row_above = np.searchsorted(stops, above + runs.start), np.searchsorted(starts, above + runs.stop, side="right")
    in_own_row = np.searchsorted(stops, starts), np.arange(len(starts))
    for first, last in (in_row_above, in_own_row):
        for one in np.flatnonzero(first < last).tolist():
            for other in range(first[one], last[one]):
                if runs.group[one] != runs.group[other]:
                    yield one, other


def _root(parent: Whole, group: int) -> int:
    while parent[group] != group:
        parent[group] = parent[parent[group]]
        group = parent[group]
    return int(group)


def _filled(runs: Runs) -> Cells:
    top, left = int(runs.row.min()), int(runs.start.min())
    mask = np.zeros((int(runs.row.max()) - top + 1, int(runs.stop.max()) - left), bool)
    for row, start, stop in zip(runs.row - top, runs.start - left, runs.stop - left, strict=True):
        mask[row, start:stop] = True
    row, column = np.nonzero(binary_fill_holes(mask))
    return Cells(row + top, column + left)
