"""Linear interpolation on a triangulation, split in two: where the places lie, once; weighted sums, for every date."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import namespace
from insar_kernels.gpu import triangles as on_gpu

__all__ = ["Located", "add_weighted", "locate", "mark_cells"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

OUTSIDE = 1e-12
"""A place this far beyond an edge, as a share of the triangle's height above it, still lies in the triangle."""


class Located(NamedTuple):
    """What `locate` returns."""

    triangle: Any
    """(m,) int32: the triangle that holds each place; -1 outside the hull."""
    weights: Any
    """(m, 3) float64: barycentric coordinates in it, which sum to 1; NaN outside the hull."""


def locate(places: Any, points: Any, triangles: Any, neighbours: Any) -> Located:
    """Find the triangle that holds each place, and the place's barycentric coordinates in it.

    From a triangle the walk goes on across the edge beyond which the place lies farthest, until there is none: on
    Delaunay triangles it ends (De Floriani et al. 1991, doi:10.1016/0167-8655(91)90274-S). Where it meets an edge of
    the hull, the place is outside. Where it would turn back, a triangle is too flat to tell its sides, and all of them
    are looked at.

    Parameters
    ----------
    places : array of float64, shape (m, 2)
        Best in an order in which each is near the one before.
    points : array of float64, shape (n, 2)
    triangles : array of int32, shape (k, 3)
        Points of each triangle; a Delaunay triangulation whose triangles all have an area.
    neighbours : array of int32, shape (k, 3)
        Triangle opposite of each of its points; -1 at the hull.

    Returns
    -------
    Located
    """
    xp = namespace(places)
    if xp is not np:
        return Located(*on_gpu.locate(xp, places, points, triangles, neighbours, OUTSIDE))
    found, weights = np.full(len(places), -1, np.int32), np.full((len(places), 3), np.nan)
    _walk(places, points, triangles, neighbours, found, weights)
    return Located(found, weights)


def add_weighted(sums: Any, starts: Any, columns: Any, weights: Any, values: Any) -> None:
    """Add weighted rows: ``sums[i] += sum over j in starts[i]:starts[i + 1] of weights[j] * values[columns[j]]``.

    Each sum is taken in the order of ``j``: rows added block by block come to the same bits as all at once.

    Parameters
    ----------
    sums : array of float64, shape (cells, T)
        Changed in place. NaN is any sum that a missing value has a part in.
    starts : array of int64, shape (cells + 1,)
    columns : array of int32, shape (k,)
    weights : array of float64, shape (k,)
        With the two before a sparse matrix of compressed rows, (cells, n).
    values : array of float32, shape (n, T)
    """
    xp = namespace(values)
    if xp is np:
        _add_rows(sums, starts, columns, weights, values)
    else:
        on_gpu.add_weighted(xp, sums, starts, columns, weights, values)


def mark_cells(mask: Any, cells: Any, values: Any) -> None:
    """Set ``mask[cells[i], t]`` where ``values[i, t]`` is no NaN.

    Parameters
    ----------
    mask : array of bool, shape (cells, T)
        Changed in place.
    cells : array of int32, shape (n,)
        Negative where a row lies in no cell.
    values : array of float32, shape (n, T)
    """
    xp = namespace(values)
    if xp is np:
        _mark(mask.view(np.uint8), cells, values)
    else:
        on_gpu.mark_cells(xp, mask, cells, values)


@njit(nogil=True, cache=True, error_model="numpy")
def _walk(
    places: Float64, points: Float64, triangles: Int32, neighbours: Int32, found: Int32, weights: Float64
) -> None:
    here = np.int32(0)
    for i in range(len(places)):
        before, lost = np.int32(-1), True
        for _ in range(len(triangles)):
            u, v, w = _areas(places[i, 0], places[i, 1], points, triangles[here])
            least = min(u, v, w)
            if least >= -OUTSIDE * (u + v + w) < 0.0:
                found[i], lost = here, False
                break
            onward = neighbours[here, 0 if u == least else 1 if v == least else 2]
            if onward < 0:
                lost = False
                break
            if onward == before:
                break
            before, here = here, onward
        if lost:
            for k in range(len(triangles)):
                u, v, w = _areas(places[i, 0], places[i, 1], points, triangles[k])
                if min(u, v, w) >= -OUTSIDE * (u + v + w) < 0.0:
                    found[i] = here = np.int32(k)
                    break
        if found[i] >= 0:
            u, v, w = _areas(places[i, 0], places[i, 1], points, triangles[here])
            weights[i, 0], weights[i, 1], weights[i, 2] = u / (u + v + w), v / (u + v + w), w / (u + v + w)


@njit(nogil=True, cache=True, error_model="numpy")
def _areas(x: float, y: float, points: Float64, triangle: Int32) -> tuple[float, float, float]:
    """Twice the areas between a place and the sides opposite of a triangle's points; negative beyond a side."""
    a, b, c = triangle[0], triangle[1], triangle[2]
    # from the third point, so that whole metres stay exact
    ax, ay = points[a, 0] - points[c, 0], points[a, 1] - points[c, 1]
    bx, by = points[b, 0] - points[c, 0], points[b, 1] - points[c, 1]
    dx, dy = x - points[c, 0], y - points[c, 1]
    area = ax * by - ay * bx
    turn = 1.0 if area > 0.0 else -1.0
    u, v = turn * (dx * by - dy * bx), turn * (ax * dy - ay * dx)
    return u, v, turn * area - u - v


@njit(nogil=True, cache=True)
def _add_rows(sums: Float64, starts: Int64, columns: Int32, weights: Float64, values: Float32) -> None:
    n_dates = np.uintp(values.shape[1])
    for i in range(len(sums)):
        for j in range(starts[i], starts[i + 1]):
            weight, row = weights[j], values[columns[j]]
            for t in range(n_dates):
                sums[i, t] += weight * row[t]


@njit(nogil=True, cache=True)
def _mark(mask: npt.NDArray[np.uint8], cells: Int32, values: Float32) -> None:
    n_dates = np.uintp(values.shape[1])
    for i in range(len(values)):
        if cells[i] >= 0:
            for t in range(n_dates):
                mask[cells[i], t] |= values[i, t] == values[i, t]
