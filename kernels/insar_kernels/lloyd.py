"""Nearest centroid of every series, and what a step of Lloyd's k-means sums up of them, in one pass over the rows.

Distances are taken over the dates that both a series and a centroid have (Dixon 1979, doi:10.1109/TSMC.1979.4310090);
so the step descends the sum of squares over all values present, complete or not. Sums are of integers, exact in
float64, and add to the same bits in whatever blocks and order the rows come.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import namespace, rows
from insar_kernels.gpu import centroids as members

__all__ = ["INERTIA_UNIT", "SUM_UNIT", "LloydSums", "lloyd_sums", "nearest"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

SUM_UNIT = 2.0**-16
"""Values are summed as multiples of this, 1.5e-5 mm: the spacing of float32 at 128 mm. Exact for 30 million rows of 4 m
in one block; 10,000 million rows of 1 m fit into the int64 totals of all blocks."""

PER_UNIT = 1 / SUM_UNIT

INERTIA_UNIT = 2.0**-12
"""Squared distances are summed as multiples of this [mm²]: 10,000 million rows of 300 dates may be 27 mm away."""

MOST_EXACT = 2.0**53
"""Whole numbers up to this one are exact in float64."""

LANES = 8
"""Centroids compared in one sweep over a row, which is read once for all of them."""


class LloydSums(NamedTuple):
    """What `lloyd_sums` returns; all integers, so that parts add up to the same in any order."""

    sums: Any
    """(k, T) int64: sum of the rows nearest to each centroid, in units of `SUM_UNIT`."""
    counts: Any
    """(k, T) int64: how many of them have a value at each date."""
    sizes: Any
    """(k,) int64: how many there are."""
    inertia: Any
    """() int64: sum of squared distances to the nearest centroid, in units of `INERTIA_UNIT`; -1 where the rows are too
    large for exact sums, and the sums then are zero."""


def nearest(values: Any, centroids: Any) -> tuple[Any, Any]:
    """Nearest centroid of each row, by Euclidean distance over the dates that both have.

    label(i) = argmin_j d2(i, j), d2(i, j) = sum over t of (x(i, t) - c(j, t))^2, t where neither is NaN.

    Parameters
    ----------
    values : array of float32, shape (..., T)
        Series; missing is NaN.
    centroids : array of float32, shape (k, T)
        Their NaN must lie at the same dates, else distances are not of the same dates.

    Returns
    -------
    label : array of int32, shape (...)
        The first of those equally near; -1 for a row that has no date in common with the centroids.
    square : array of float32, shape (...)
        Squared distance to it; NaN where there is none.
    """
    xp = namespace(values)
    if xp is not np:
        return members.nearest(xp, values, xp.asarray(centroids))
    series, shape = rows(values), np.shape(values)[:-1]
    nothing = np.empty((0, series.shape[1]))
    label, square = _on_cpu(series, centroids, nothing, np.empty(nothing.shape, np.int64), np.empty(0, np.int64))
    return label.reshape(shape), square.reshape(shape)


def lloyd_sums(values: Any, centroids: Any) -> LloydSums:
    """Sum the rows nearest to each centroid: ``sums * SUM_UNIT / counts`` are the centroids of Lloyd's next step.

    Parameters
    ----------
    values : array of float32, shape (..., T)
        Series; missing is NaN. A row without any date in common with the centroids counts nowhere.
    centroids : array of float32, shape (k, T)
        As in `nearest`.

    Returns
    -------
    LloydSums

    Notes
    -----
    Lloyd (1982), doi:10.1109/TIT.1982.1056489.
    """
    xp = namespace(values)
    if xp is not np:
        label, square = members.nearest(xp, values, xp.asarray(centroids))
        return _exact(xp, *members.member_sums(xp, values, label, len(centroids), PER_UNIT), square)
    series, k = rows(values), len(centroids)
    sums, gaps, sizes = np.zeros((k, series.shape[1])), np.zeros((k, series.shape[1]), np.int64), np.zeros(k, np.int64)
    _, square = _on_cpu(series, centroids, sums, gaps, sizes)
    return _exact(np, sums, sizes[:, None] - gaps, sizes, square)


def _exact(xp: ModuleType, sums: Any, counts: Any, sizes: Any, square: Any) -> LloydSums:
    """Sums as integers, if they are whole in float64 and fit."""
    squares = xp.rint(xp.nan_to_num(square).astype(xp.float64) / INERTIA_UNIT)
    if (abs(sums) <= MOST_EXACT).all() and squares.sum() < 2.0**62:
        return LloydSums(sums.astype(xp.int64), counts, sizes, squares.astype(xp.int64).sum())
    return LloydSums(xp.zeros(sums.shape, xp.int64), counts, sizes, xp.int64(-1))


def _on_cpu(series: Float32, centroids: Any, sums: Float64, gaps: Int64, sizes: Int64) -> tuple[Int32, Float32]:
    """Labels and squares; what rows sum up to is added to ``sums``, ``gaps`` and ``sizes`` unless these are empty."""
    label, square = np.empty(len(series), np.int32), np.empty(len(series), np.float32)
    k = len(centroids)
    # the first one repeated up to whole sweeps: never nearer than itself
    padded = np.ascontiguousarray(np.asarray(centroids, np.float32)[[*range(k), *[0] * (-k % LANES)]])
    used = np.ones(series.shape[1], np.float32)
    used[np.isnan(padded).any(axis=0)] = 0
    padded[:, used == 0] = 0
    _loop(series, padded, used, k, label, square, sums, gaps, sizes)
    return label, square


@njit(nogil=True, cache=True, error_model="numpy")
def _loop(
    series: Float32,
    centroids: Float32,
    used: Float32,
    k: int,
    label: Int32,
    square: Float32,
    sums: Float64,
    gaps: Int64,
    sizes: Int64,
) -> None:
    whole = used.size > 0 and used.min() > np.float32(0)
    distances, filled, weight = np.empty(len(centroids), np.float32), np.empty_like(used), np.empty_like(used)
    for i in range(len(series)):
        if whole:
            for first in range(0, len(centroids), LANES):
                _squares(series[i], centroids[first : first + LANES], distances[first : first + LANES])
        gappy = not whole or distances[0] != distances[0]
        if gappy:
            if _fill(series[i], used, filled, weight) == 0:
                label[i], square[i] = -1, np.nan
                continue
            for first in range(0, len(centroids), LANES):
                _weighted(filled, weight, centroids[first : first + LANES], distances[first : first + LANES])
        best = 0
        for j in range(1, k):
            if distances[j] < distances[best]:
                best = j
        label[i], square[i] = best, distances[best]
        if len(sums) > 0:
            sizes[best] += 1
            _add(series[i], gappy, sums[best], gaps[best])


@njit(nogil=True, cache=True, error_model="numpy")
def _fill(row: Float32, used: Float32, filled: Float32, weight: Float32) -> int:
    """Zero for what is missing, and its weight; returns how many dates the row has in common with the centroids."""
    common = np.int32(0)
    for t in range(np.uintp(row.size)):
        there = row[t] == row[t]
        filled[t] = row[t] if there else np.float32(0)
        weight[t] = used[t] if there else np.float32(0)
        common += np.int32(weight[t])
    return int(common)


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})
def _squares(row: Float32, centroids: Float32, distances: Float32) -> None:
    """Squared distances to eight centroids; NaN if anything is. Sums may be reordered, for vector operations."""
    a = b = c = d = e = f = g = h = np.float32(0)
    for t in range(np.uintp(row.size)):
        y = row[t]
        a += (y - centroids[0, t]) * (y - centroids[0, t])
        b += (y - centroids[1, t]) * (y - centroids[1, t])
        c += (y - centroids[2, t]) * (y - centroids[2, t])
        d += (y - centroids[3, t]) * (y - centroids[3, t])
        e += (y - centroids[4, t]) * (y - centroids[4, t])
        f += (y - centroids[5, t]) * (y - centroids[5, t])
        g += (y - centroids[6, t]) * (y - centroids[6, t])
        h += (y - centroids[7, t]) * (y - centroids[7, t])
    distances[0], distances[1], distances[2], distances[3] = a, b, c, d
    distances[4], distances[5], distances[6], distances[7] = e, f, g, h


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})
def _weighted(row: Float32, weight: Float32, centroids: Float32, distances: Float32) -> None:
    """The same over the dates of weight 1."""
    a = b = c = d = e = f = g = h = np.float32(0)
    for t in range(np.uintp(row.size)):
        y, w = row[t], weight[t]
        a += w * (y - centroids[0, t]) * (y - centroids[0, t])
        b += w * (y - centroids[1, t]) * (y - centroids[1, t])
        c += w * (y - centroids[2, t]) * (y - centroids[2, t])
        d += w * (y - centroids[3, t]) * (y - centroids[3, t])
        e += w * (y - centroids[4, t]) * (y - centroids[4, t])
        f += w * (y - centroids[5, t]) * (y - centroids[5, t])
        g += w * (y - centroids[6, t]) * (y - centroids[6, t])
        h += w * (y - centroids[7, t]) * (y - centroids[7, t])
    distances[0], distances[1], distances[2], distances[3] = a, b, c, d
    distances[4], distances[5], distances[6], distances[7] = e, f, g, h


@njit(nogil=True, cache=True, error_model="numpy")
def _add(row: Float32, gappy: bool, sums: Float64, gaps: Int64) -> None:
    """Whole numbers in float64: exact, hence the same in any order."""
    if not gappy:
        for t in range(np.uintp(row.size)):
            sums[t] += np.rint(np.float64(row[t]) * PER_UNIT)
        return
    for t in range(np.uintp(row.size)):
        there = row[t] == row[t]
        sums[t] += np.rint(np.float64(row[t]) * PER_UNIT) if there else 0.0
        gaps[t] += not there
