"""Delaunay triangles of many points, box by box: those that no point outside the box can change, then the rest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.spatial import Delaunay, QhullError

from insar_kernels.barycentric import locate

__all__ = ["triangulated"]

Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
Bool = npt.NDArray[np.bool_]

AT_ONCE = 32_768
"""Points of a box. Qhull takes 0.9 KB a point and more: for a full tile of a million 1.8 GB at once, 0.13 GB so."""

MARGIN = 0.05
"""Of a box's sides: how far beyond it points are looked at."""


def triangulated(points: Float64, places: Float64) -> tuple[Int32, Int32, Float64]:
    """Triangulate points and find what each place lies between.

    Of the triangles of a box, with a margin about it, those are Delaunay triangles of all points whose circle does not
    leave it: no other point can lie in the circle. A point inside that is only in such triangles is done with. The
    others (shores of voids, the hull) are few, and triangulated together they have all triangles that are left, for the
    circle of such a triangle is empty of all points, hence of these.

    Parameters
    ----------
    points : (n, 2) float64
    places : (m, 2) float64

    Returns
    -------
    triangles : (k, 3) int32
        All Delaunay triangles, some twice, and some that are none between points that are not done with.
    corners : (m, 3) int32
        Points of the triangle that holds each place; -1 outside the hull.
    weights : (m, 3) float64
        Their barycentric coordinates.

    Raises
    ------
    scipy.spatial.QhullError
        When there are fewer than three points, or all lie on one line.
    """
    corners, weights = np.full((len(places), 3), -1, np.int32), np.full((len(places), 3), np.nan)
    left, triangles = np.arange(len(points), dtype=np.int32), []
    if len(points) > AT_ONCE:
        done = np.zeros(len(points), bool)
        for low, high in _boxes(points, np.full(2, -np.inf), np.full(2, np.inf)):
            triangles.append(_in_box(points, places, low, high, corners, weights, done))
        left = np.flatnonzero(~done).astype(np.int32)
    net = Delaunay(points[left])
    triangles.append(left[net.simplices])
    _place(net, left, places, np.flatnonzero(corners[:, 0] < 0), np.ones(len(net.simplices), bool), corners, weights)
    return np.concatenate(triangles), corners, weights


def _boxes(points: Float64, low: Float64, high: Float64) -> Iterator[tuple[Float64, Float64]]:
    """Boxes of at most so many points, halved where they are longer; each with its margin."""
    size = np.ptp(points, axis=0)
    axis = int(np.argmax(size))
    middle = np.median(points[:, axis])
    lower = points[:, axis] <= middle
    if len(points) <= AT_ONCE or lower.all():
        yield low - MARGIN * size, high + MARGIN * size
        return
    for half, edge in ((lower, high), (~lower, low)):
        before = edge[axis]
        edge[axis] = middle
        yield from _boxes(points[half], low.copy(), high.copy())
        edge[axis] = before


def _in_box(
    points: Float64, places: Float64, low: Float64, high: Float64, corners: Int32, weights: Float64, done: Bool
) -> Int32:
    """Triangles of a box that are sure; what lies in them is placed, and points that have no others are done."""
    near = np.flatnonzero(_inside(points, low, high)).astype(np.int32)
    try:
        net = Delaunay(points[near])
    except QhullError:  # on one line, or fewer than three: they are left over
        return np.empty((0, 3), np.int32)
    sure = _sure(net, low, high)
    unsure = np.zeros(len(near), bool)
    unsure[net.simplices[~sure]] = unsure[net.convex_hull] = unsure[net.coplanar[:, 0]] = True
    done[near[~unsure]] = True
    wanted = np.flatnonzero((corners[:, 0] < 0) & _inside(places, low, high))
    _place(net, near, places, wanted, sure, corners, weights)
    return near[net.simplices[sure]]


def _sure(net: Delaunay, low: Float64, high: Float64) -> Bool:
    """Whether the circle of each triangle lies in the box."""
    a, b, c = (net.points[net.simplices[:, k]] for k in range(3))
    b, c = b - a, c - a
    squares = [(b**2).sum(axis=1), (c**2).sum(axis=1)]
    with np.errstate(divide="ignore", invalid="ignore"):  # a flat triangle has no circle, and is not sure
        twice = 2 * (b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0])
        x = (c[:, 1] * squares[0] - b[:, 1] * squares[1]) / twice
        y = (b[:, 0] * squares[1] - c[:, 0] * squares[0]) / twice
        radius, centre = np.hypot(x, y)[:, None], a + np.stack([x, y], axis=1)
        return np.asarray(((centre - radius > low) & (centre + radius < high)).all(axis=1))


def _place(
    net: Delaunay,
    of: Int32,
    places: Float64,
    wanted: npt.NDArray[np.int64],
    sure: Bool,
    corners: Int32,
    weights: Float64,
) -> None:
    """Fill in the wanted places that lie in sure triangles; ``of`` are the net's points among all."""
    found, shares = locate(places[wanted], net.points, net.simplices, net.neighbors)
    good = (found >= 0) & sure[found]
    corners[wanted[good]], weights[wanted[good]] = of[net.simplices[found[good]]], shares[good]


def _inside(places: Float64, low: Float64, high: Float64) -> Bool:
    return np.asarray(((places >= low) & (places <= high)).all(axis=1))
