"""Nearest centroids and their members' sums: what `insar_kernels.lloyd` does."""

from __future__ import annotations

from typing import Any

import numpy as np

from insar_kernels.dispatch import rows
from insar_kernels.gpu import running
from insar_kernels.gpu.running import date

__all__ = ["member_sums", "nearest"]

IN_A_RUN, FOR_EACH = 256, 32
"""Rows that a thread sums, date by date: so many, or so many for each centroid if that is more. So sums and counts of
all runs, in float64, take an eighth of the memory of the rows, where these are many."""

WHOLE = 2.0**52
"""From here on float64 holds whole numbers alone."""


def nearest(xp: Any, values: Any, centroids: Any) -> tuple[Any, Any]:
    """Label and squared distance of each row."""
    series = rows(values, xp)
    used = ~xp.isnan(centroids).any(0)
    known = xp.ascontiguousarray(xp.where(used, centroids, 0), xp.float32)
    label, square = xp.empty(len(series), xp.int32), xp.empty(len(series), xp.float32)
    running.over_series(_choose, len(series), series, known, used, label, square)
    return label.reshape(values.shape[:-1]), square.reshape(values.shape[:-1])


def member_sums(xp: Any, values: Any, label: Any, k: int, per_unit: float) -> tuple[Any, Any, Any]:
    """Sums (k, T) of each centroid's members in whole units, counts (k, T) of their values, and sizes (k,)."""
    series = rows(values, xp)
    owner = label.reshape(-1)
    at_once = max(IN_A_RUN, FOR_EACH * k)
    n_runs = -(-len(series) // at_once)
    sums, counts = xp.zeros((2, max(n_runs, 1), k, series.shape[1]))
    running.over_cells(_sum_run, n_runs, series.shape[1], series, owner, at_once, float(per_unit), sums, counts)
    sizes = xp.stack([(owner == j).sum() for j in range(k)])
    return sums.sum(0), counts.sum(0).astype(xp.int64), sizes.astype(xp.int64)


def _choose(i: int, thread: int, tiles: Any, series: Any, centroids: Any, used: Any, label: Any, square: Any) -> None:
    """Eight centroids at a time, so that the row is read an eighth as often; the first of those equally near."""
    last = centroids.shape[0] - 1
    best, least, common = -1, np.float32(np.nan), 0
    for first in range(0, last + 1, 8):
        j, k, m = min(first + 1, last), min(first + 2, last), min(first + 3, last)
        n, o, p, q = min(first + 4, last), min(first + 5, last), min(first + 6, last), min(first + 7, last)
        a = b = c = d = e = f = g = h = np.float32(0)
        common = 0
        for t in range(series.shape[1]):
            y = date(tiles, 0, series, i, t)
            if used[t] and y == y:
                common += 1
                a += (y - centroids[first, t]) * (y - centroids[first, t])
                b += (y - centroids[j, t]) * (y - centroids[j, t])
                c += (y - centroids[k, t]) * (y - centroids[k, t])
                d += (y - centroids[m, t]) * (y - centroids[m, t])
                e += (y - centroids[n, t]) * (y - centroids[n, t])
                f += (y - centroids[o, t]) * (y - centroids[o, t])
                g += (y - centroids[p, t]) * (y - centroids[p, t])
                h += (y - centroids[q, t]) * (y - centroids[q, t])
        if common > 0:
            if best < 0 or a < least:
                best, least = first, a
            best, least = _nearer(j, b, best, least)
            best, least = _nearer(k, c, best, least)
            best, least = _nearer(m, d, best, least)
            best, least = _nearer(n, e, best, least)
            best, least = _nearer(o, f, best, least)
            best, least = _nearer(p, g, best, least)
            best, least = _nearer(q, h, best, least)
    label[i], square[i] = best, least


def _nearer(j: int, square: Any, best: int, least: Any) -> tuple[int, Any]:
    return (j, square) if square < least else (best, least)


def _sum_run(
    run: int, t: int, series: Any, label: Any, at_once: int, per_unit: float, sums: Any, counts: Any
) -> None:  # fmt: skip
    """Whole numbers in float64: exact, hence the same in any order."""
    for i in range(run * at_once, min((run + 1) * at_once, series.shape[0])):
        y = series[i, t]
        if label[i] >= 0 and y == y:
            sums[run, label[i], t] += _rounded(np.float64(y) * per_unit)
            counts[run, label[i], t] += 1.0


def _rounded(x: float) -> float:
    """To the nearest whole number, halves to the even one: past 2^52 float64 rounds so by itself."""
    if abs(x) >= WHOLE:
        return x
    return (x + WHOLE) - WHOLE if x >= 0.0 else (x - WHOLE) + WHOLE
