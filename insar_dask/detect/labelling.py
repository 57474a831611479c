"""Connected cells of a mask, tile by tile: runs of cells in a row, joined over the seams; never the whole mask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

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
    one, other = _touching(runs, 1)
    roots = _joined(runs.group[one], runs.group[other], int(offsets[-1]))[runs.group]
    alive = np.flatnonzero(np.isin(roots, roots[runs.seeded]))
    alive = alive[np.argsort(roots[alive], kind="stable")]
    cuts = np.flatnonzero(np.diff(roots[alive])) + 1
    objects = [Runs._make(values[mine] for values in runs) for mine in np.split(alive, cuts) if mine.size]
    return sorted(objects, key=lambda found: (int(found.row[0]), int(found.start[0])))


def whole_objects(objects: Iterable[Runs], fewest: int) -> list[Cells]:
    """Cells of objects without their holes; those of too few are left out.

    What lies in a hole of another belongs to that one; one that shares a cell with a larger one, of the other way say,
    is left out. Works on runs: what it takes grows with them, and with the cells of objects that stay, not with boxes.
    """
    parts = [part._replace(group=np.full(len(part.row), number)) for number, part in enumerate(objects)]
    if not parts:
        return []
    runs = _without_holes(Runs._make(np.concatenate(values) for values in zip(*parts, strict=True)))
    first = np.flatnonzero(np.diff(runs.group, prepend=-1))
    n_cells = np.add.reduceat(runs.stop - runs.start, first)
    rank = np.empty_like(first)
    rank[np.lexsort((runs.start[first], runs.row[first], -n_cells))] = np.arange(len(first))
    kept = np.flatnonzero((n_cells >= fewest) & (_least_rank(runs, rank, first) == rank))
    kept = kept[np.lexsort((runs.start[first[kept]], runs.row[first[kept]]))]
    last = np.append(first[1:], len(runs.group))
    return [_cells(Runs._make(values[first[k] : last[k]] for values in runs)) for k in kept]


def _touching(runs: Runs, corner: int) -> tuple[Whole, Whole]:
    """Pairs of runs that touch, with 1 also where they share a corner only; runs come row by row, from west to east."""
    width = int(runs.stop.max()) + 1
    own, above = runs.row * width, (runs.row - 1) * width
    first = np.searchsorted(own + runs.stop, above + runs.start - corner, side="right")
    counts = np.maximum(np.searchsorted(own + runs.start, above + runs.stop + corner) - first, 0)
    meeting = np.flatnonzero((runs.row[1:] == runs.row[:-1]) & (runs.stop[:-1] == runs.start[1:]))
    below = np.repeat(np.arange(len(first)), counts)
    return np.concatenate([below, meeting + 1]), np.concatenate([_stretches(first, counts), meeting])


def _joined(one: Whole, other: Whole, n: int) -> Whole:
    """Number of the connected part that each of ``n`` is in."""
    apart = one != other
    links = coo_array((np.ones(apart.sum(), bool), (one[apart], other[apart])), shape=(n, n))
    return np.asarray(connected_components(links, directed=False)[1], np.int64)


def _stretches(start: Whole, counts: Whole) -> Whole:
    """Whole numbers from each start on, so many of each."""
    return np.arange(counts.sum()) + np.repeat(start - np.cumsum(counts) + counts, counts)


def _without_holes(runs: Runs) -> Runs:
    """Runs of objects, each a group, with those of their holes: by object and row, and longest.

    Gaps between the runs of a row are background, 4-connected as objects are 8-connected; what of it does not reach
    the edge of its object's box is a hole. Objects are set one below the other with a row between, so that all are
    looked at in one go.
    """
    order = np.lexsort((runs.start, runs.row, runs.group))
    runs = Runs._make(values[order] for values in runs)
    first = np.flatnonzero(np.diff(runs.group, prepend=-1))
    top, bottom = np.minimum.reduceat(runs.row, first), np.maximum.reduceat(runs.row, first)
    left, right = np.minimum.reduceat(runs.start, first), np.maximum.reduceat(runs.stop, first)
    shift = np.cumsum(bottom - top + 2) - bottom - 2
    lines = runs._replace(row=runs.row + shift[runs.group])
    gaps = _gaps(lines, left, right)
    edge = (gaps.start == left[gaps.group]) | (gaps.stop == right[gaps.group])
    edge |= (gaps.row == (top + shift)[gaps.group]) | (gaps.row == (bottom + shift)[gaps.group])
    if not edge.all():
        parts = _joined(*_touching(gaps, 0), len(edge))
        hole = ~np.isin(parts, parts[edge])
        lines = Runs._make(np.concatenate([run, gap[hole]]) for run, gap in zip(lines, gaps, strict=True))
    lines = _longest(lines)
    return lines._replace(row=lines.row - shift[lines.group])


def _gaps(lines: Runs, left: Whole, right: Whole) -> Runs:
    """What lies between the runs of each row, and between them and the edges of their object's box."""
    new = np.diff(lines.row, prepend=-1) > 0
    final = np.append(new[1:], True)
    before = np.where(new, left[lines.group], np.roll(lines.stop, 1))
    row, group = (np.concatenate([values, values[final]]) for values in (lines.row, lines.group))
    start = np.concatenate([before, lines.stop[final]])
    stop = np.concatenate([lines.start, right[lines.group[final]]])
    order = np.lexsort((start, row))
    order = order[start[order] < stop[order]]
    return Runs(row[order], start[order], stop[order], group[order], np.zeros(len(order), bool))


def _longest(lines: Runs) -> Runs:
    """Runs that meet as one."""
    lines = Runs._make(values[np.lexsort((lines.start, lines.row))] for values in lines)
    new = np.append(True, (lines.row[1:] != lines.row[:-1]) | (lines.start[1:] != lines.stop[:-1]))
    return Runs._make(values[new] for values in lines)._replace(stop=lines.stop[np.append(new[1:], True)])


def _least_rank(runs: Runs, rank: Whole, first: Whole) -> Whole:
    """Of each object the least rank of any that has one of its cells."""
    places = runs.row * (int(runs.stop.max()) + 1)
    starts, stops = places + runs.start, places + runs.stop
    cuts = np.unique(np.concatenate([starts, stops]))
    begin, end = np.searchsorted(cuts, starts), np.searchsorted(cuts, stops)
    holder, mine = np.empty(len(cuts), np.int64), rank[runs.group]
    for k in np.argsort(-mine, kind="stable").tolist():
        holder[begin[k] : end[k]] = mine[k]
    least = np.minimum.reduceat(holder, np.stack([begin, end], axis=1).ravel())[::2]
    return np.minimum.reduceat(least, first)


def _cells(runs: Runs) -> Cells:
    counts = runs.stop - runs.start
    return Cells(np.repeat(runs.row, counts), _stretches(runs.start, counts))
