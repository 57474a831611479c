"""Triangles that hold places, and weighted rows: what `insar_kernels.barycentric` does."""

from __future__ import annotations

from typing import Any

import numpy as np

from insar_kernels.gpu import running

__all__ = ["add_weighted", "locate", "mark_cells"]


def locate(xp: Any, places: Any, points: Any, triangles: Any, neighbours: Any, outside: float) -> tuple[Any, Any]:
    """Triangle (m,) of each place, and barycentric coordinates (m, 3) in it; all walks begin at the first triangle."""
    found, weights = xp.full(len(places), -1, xp.int32), xp.full((len(places), 3), xp.nan)
    net = places, points, triangles, neighbours
    running.over_rows(_walk, len(places), len(places), *map(xp.ascontiguousarray, net), outside, found, weights)
    return found, weights


def add_weighted(xp: Any, sums: Any, starts: Any, columns: Any, weights: Any, values: Any) -> None:
    """Add weighted rows, each sum in the order of its columns."""
    running.over_cells(_add, *sums.shape, sums, starts, columns, weights, xp.ascontiguousarray(values))


def mark_cells(xp: Any, mask: Any, cells: Any, values: Any) -> None:
    """Set what cells have a value at."""
    running.over_cells(_mark, *values.shape, mask, cells, xp.ascontiguousarray(values))


def _walk(
    i: int, thread: int, places: Any, points: Any, triangles: Any, neighbours: Any, outside: float, found: Any,
    weights: Any,
) -> None:  # fmt: skip
    """Across the edge beyond which the place lies farthest; where the walk would turn back, all triangles in turn."""
    x, y, here, before, lost = places[i, 0], places[i, 1], 0, -1, True
    for _ in range(triangles.shape[0]):
        u, v, w = _areas(x, y, points, triangles, here)
        least = min(u, min(v, w))
        if least >= -outside * (u + v + w) and u + v + w > 0.0:
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
        for k in range(triangles.shape[0]):
            u, v, w = _areas(x, y, points, triangles, k)
            if min(u, min(v, w)) >= -outside * (u + v + w) and u + v + w > 0.0:
                found[i] = k
                break
    if found[i] >= 0:
        u, v, w = _areas(x, y, points, triangles, found[i])
        weights[i, 0], weights[i, 1], weights[i, 2] = u / (u + v + w), v / (u + v + w), w / (u + v + w)


def _areas(x: float, y: float, points: Any, triangles: Any, k: int) -> tuple[float, float, float]:
    """Twice the areas between a place and the sides opposite of a triangle's points; negative beyond a side."""
    a, b, c = triangles[k, 0], triangles[k, 1], triangles[k, 2]
    ax, ay = points[a, 0] - points[c, 0], points[a, 1] - points[c, 1]
    bx, by = points[b, 0] - points[c, 0], points[b, 1] - points[c, 1]
    dx, dy = x - points[c, 0], y - points[c, 1]
    area = ax * by - ay * bx
    turn = 1.0 if area > 0.0 else -1.0
    u, v = turn * (dx * by - dy * bx), turn * (ax * dy - ay * dx)
    return u, v, turn * area - u - v


def _add(i: int, t: int, sums: Any, starts: Any, columns: Any, weights: Any, values: Any) -> None:
    total = sums[i, t]
    for j in range(starts[i], starts[i + 1]):
        total += weights[j] * np.float64(values[columns[j], t])
    sums[i, t] = total


def _mark(i: int, t: int, mask: Any, cells: Any, values: Any) -> None:
    if cells[i] >= 0 and values[i, t] == values[i, t]:
        mask[cells[i], t] = True
