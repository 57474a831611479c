"""The normal equations of a network of pairs, which are banded, for one point at a time.

Dates are eliminated from the last to the first: pairs of short baselines join near dates, so the matrix has a narrow
band, and the elimination tree tells which dates hang together. A column without an entry below its diagonal is the
last date eliminated of its component, where displacement is taken to be zero; the matrix of a network is one of a
graph's Laplacian, whose fill never cancels, so that zero there means zero. Dates of one tree are one component.

``u`` counts dates in the order of elimination, ``column[u, k]`` is the entry of row ``u + k``. One point's arrays are
made once and used for all points.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["MISSING", "accumulate", "eliminate", "invert_band", "solve", "substitute"]

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

MISSING = -1
"""Component of a date that no pair of the point has."""


@njit(nogil=True, cache=True, error_model="numpy")
def accumulate(
    values: npt.NDArray[np.floating],
    weights: npt.NDArray[np.floating],
    low: Int64,
    high: Int64,
    column: Float64,
    right: Float64,
    mass: Float64,
    kept: Int64,
) -> int:
    """Normal matrix and right side of one point; how many pairs are valid, which ``kept`` then lists.

    A pair's value is the displacement of date ``low`` less that of date ``high``, low < high in order of elimination.
    """
    column[:] = 0.0
    right[:] = 0.0
    count = 0
    for p in range(np.uintp(values.size)):
        d, w = np.float64(values[p]), np.float64(weights[p])
        if d == d and w > 0.0:
            a, b = np.uintp(low[p]), np.uintp(high[p])
            column[a, 0] += w
            column[b, 0] += w
            column[a, b - a] -= w
            right[a] += w * d
            right[b] -= w * d
            kept[count] = p
            count += 1
    for u in range(np.uintp(len(mass))):
        mass[u] = column[u, 0]
    return count


@njit(nogil=True, cache=True, error_model="numpy")
def eliminate(column: Float64, right: Float64, parent: Int64) -> None:
    """L D L' in place: ``column[u, 0]`` becomes 1/d and the rest L; the right side is eliminated along."""
    dates, width = column.shape
    for u in range(dates):
        parent[u] = MISSING
        reach = min(width, dates - u)
        for k in range(1, reach):
            if column[u, k] != 0.0:
                parent[u] = u + k
                break
        if parent[u] == MISSING:
            column[u, 0] = 0.0  # the last of its component, or one without any pair: displacement is zero
            continue
        inverse = 1.0 / column[u, 0]
        for k in range(1, reach):
            entry = column[u, k]
            if entry != 0.0:
                factor = entry * inverse
                right[u + k] -= factor * right[u]
                for m in range(k, reach):
                    column[u + k, m - k] -= factor * column[u, m]
        for k in range(1, reach):
            column[u, k] *= inverse
        column[u, 0] = inverse


@njit(nogil=True, cache=True, error_model="numpy")
def substitute(
    column: Float64, right: Float64, mass: Float64, parent: Int64, solution: Float64, component: Int64
) -> int:
    """Displacement of each date from the last one eliminated of its component, and which component that is.

    Returns how many components there are.
    """
    dates, width = column.shape
    found = 0
    for u in range(dates - 1, -1, -1):
        if parent[u] == MISSING:
            solution[u] = 0.0
            component[u] = MISSING
            if mass[u] > 0.0:
                component[u] = found
                found += 1
            continue
        total = right[u] * column[u, 0]
        for k in range(1, min(width, dates - u)):
            total -= column[u, k] * solution[u + k]
        solution[u] = total
        component[u] = component[parent[u]]
    return found


@njit(nogil=True, cache=True, error_model="numpy")
def invert_band(column: Float64, parent: Int64, inverse: Float64) -> None:
    """Entries of the inverse inside the band, as `column` lays them out; rows where displacement is zero are zero.

    Takahashi, Fagan & Chin (1973): Z = D^-1 L^-1 + (I - L') Z needs no other entries than those of L.
    """
    dates, width = column.shape
    for u in range(dates - 1, -1, -1):
        reach = min(width, dates - u)
        if parent[u] == MISSING:
            for k in range(reach):
                inverse[u, k] = 0.0
            continue
        diagonal = column[u, 0]
        for i in range(1, reach):
            total = 0.0
            for k in range(1, reach):
                entry = inverse[u + min(i, k), abs(i - k)]
                total -= column[u, k] * entry
            inverse[u, i] = total
            diagonal -= column[u, i] * total
        inverse[u, 0] = diagonal


@njit(nogil=True, cache=True, error_model="numpy")
def solve(column: Float64, values: Float64) -> None:
    """The inverse times ``values``, in place."""
    dates, width = column.shape
    for u in range(dates):
        if values[u] != 0.0:
            for k in range(1, min(width, dates - u)):
                values[u + k] -= column[u, k] * values[u]
    for u in range(dates - 1, -1, -1):
        total = values[u] * column[u, 0]
        for k in range(1, min(width, dates - u)):
            total -= column[u, k] * values[u + k]
        values[u] = total
