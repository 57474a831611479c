"""Sums of errors and likeness of maps: what `insar_kernels.scoring` and `insar_kernels.similarity` do.

A thread sums what it meets on its way, columns of a map or every so many-th pair, and CuPy joins what the threads have.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from insar_kernels.gpu import running

__all__ = ["error_sums", "map_correlation", "map_similarity"]

MOST_PARTS = 2048
"""Threads of a multiprocessor that sum pairs: as many as it holds."""

NUMBERS = 13
"""Entries of a vector of error sums."""


def error_sums(xp: Any, predicted: Any, observed: Any) -> Any:
    """All pairs, in the order of `insar_kernels.scoring.ERROR_SUMS`."""
    p, o = (xp.ascontiguousarray(values, xp.float32).reshape(-1) for values in (predicted, observed))
    if not o.size:
        return xp.zeros(NUMBERS)
    parts = xp.zeros((NUMBERS, running.threads(o.size, MOST_PARTS)))
    running.over_rows(_sum_pairs, parts.shape[1], parts.shape[1], p, o, parts)
    return xp.concatenate([parts[:8].sum(1), _joined(xp, parts[0], *parts[8:])])


def map_similarity(xp: Any, predicted: Any, observed: Any, ranges: Any, counted: Any, window: int, k: Any) -> Any:
    """Mean structural similarity of each pair of maps; masks ``counted`` of all, (n, Y, X), or one, (1, Y, X)."""
    p, o = _maps(xp, predicted, observed)
    n, height, width = o.shape
    if min(height, width) < window:
        return xp.full(observed.shape[:-2], xp.nan)
    sums = xp.empty((2, n, width - window + 1))
    constants = (xp.ascontiguousarray((one * ranges.reshape(-1)) ** 2) for one in k)
    running.over_cells(_compare, n, sums.shape[2], p, o, counted, *constants, window, sums[0], sums[1])
    total, windows = sums.sum(-1)
    found = xp.where(windows > 0, total / xp.maximum(windows, 1), xp.nan)
    return found.reshape(observed.shape[:-2])


def map_correlation(xp: Any, predicted: Any, observed: Any, counted: Any) -> Any:
    """Pearson correlation of each pair of maps."""
    p, o = _maps(xp, predicted, observed)
    n, _, width = o.shape
    parts = xp.empty((6, n, width))
    running.over_cells(_sum_column, n, width, p, o, counted, parts)
    _, _, spread_p, spread_o, both = _joined(xp, *parts)
    able = (parts[0].sum(-1) > 1) & (spread_p > 0) & (spread_o > 0)
    found = xp.where(able, both / xp.sqrt(xp.where(able, spread_p * spread_o, 1.0)), xp.nan)
    return found.reshape(observed.shape[:-2])


def _maps(xp: Any, predicted: Any, observed: Any) -> tuple[Any, Any]:
    *leading, height, width = observed.shape
    n = int(np.prod(leading))
    p, o = (xp.ascontiguousarray(values, xp.float32).reshape(n, height, width) for values in (predicted, observed))
    return p, o


def _joined(xp: Any, n: Any, mean_p: Any, mean_o: Any, spread_p: Any, spread_o: Any, both: Any) -> Any:
    """Means and spreads about them of what lies along the last axis (Chan, Golub & LeVeque 1983)."""
    share = n / xp.maximum(n.sum(-1, keepdims=True), 1)
    most = xp.argmax(n, axis=-1, keepdims=True)  # from its means on: what is flat stays flat to the last bit
    wholes = []
    for mean in (mean_p, mean_o):
        base = xp.take_along_axis(mean, most, -1)
        wholes.append(base + (share * (mean - base)).sum(-1, keepdims=True))
    from_p, from_o = mean_p - wholes[0], mean_o - wholes[1]
    pairs = (spread_p, from_p, from_p), (spread_o, from_o, from_o), (both, from_p, from_o)
    return xp.stack([*(whole[..., 0] for whole in wholes), *((inner + n * x * y).sum(-1) for inner, x, y in pairs)])


def _sum_pairs(part: int, thread: int, predicted: Any, observed: Any, parts: Any) -> None:
    """Every so many-th pair, means and spreads about the first of them."""
    n = n_missing = n_zero = 0
    squared = absolute = relative = relative_squared = symmetric = np.float64(0)
    shift = sum_p = sum_o = spread_p = spread_o = both = np.float64(0)
    for k in range(part, observed.size, parts.shape[1]):
        p, o = np.float64(predicted[k]), np.float64(observed[k])
        if p != p or o != o:
            n_missing += 1
        else:
            if n == 0:
                shift = o
            n += 1
            error, size = abs(p - o), abs(o)
            if size > 0.0:
                relative += error / size
                relative_squared += (error / size) * (error / size)
            else:
                n_zero += 1
            symmetric += 2.0 * error / (abs(p) + size) if error > 0.0 else 0.0
            squared += error * error
            absolute += error
            sum_p += p - shift
            sum_o += o - shift
            spread_p += (p - shift) * (p - shift)
            spread_o += (o - shift) * (o - shift)
            both += (p - shift) * (o - shift)
    parts[0, part], parts[1, part], parts[2, part], parts[3, part] = n, n_missing, n_zero, squared
    parts[4, part], parts[5, part], parts[6, part], parts[7, part] = absolute, relative, relative_squared, symmetric
    count = max(n, 1)
    parts[8, part], parts[9, part] = shift + sum_p / count, shift + sum_o / count
    parts[10, part], parts[11, part] = spread_p - sum_p * sum_p / count, spread_o - sum_o * sum_o / count
    parts[12, part] = both - sum_p * sum_o / count


def _sum_column(i: int, x: int, predicted: Any, observed: Any, counted: Any, parts: Any) -> None:
    """Count, means and spreads of a column of one map, about its first values."""
    own = i if counted.shape[0] > 1 else 0
    n = 0
    first_p = first_o = sum_p = sum_o = spread_p = spread_o = both = np.float64(0)
    for y in range(observed.shape[1]):
        p, o = np.float64(predicted[i, y, x]), np.float64(observed[i, y, x])
        if counted[own, y, x] and p == p and o == o:
            if n == 0:
                first_p, first_o = p, o
            n += 1
            sum_p += p - first_p
            sum_o += o - first_o
            spread_p += (p - first_p) * (p - first_p)
            spread_o += (o - first_o) * (o - first_o)
            both += (p - first_p) * (o - first_o)
    count = max(n, 1)
    parts[0, i, x], parts[1, i, x], parts[2, i, x] = n, first_p + sum_p / count, first_o + sum_o / count
    parts[3, i, x], parts[4, i, x] = spread_p - sum_p * sum_p / count, spread_o - sum_o * sum_o / count
    parts[5, i, x] = both - sum_p * sum_o / count


def _compare(
    i: int, x: int, predicted: Any, observed: Any, counted: Any, first: Any, second: Any, window: int, total: Any,
    windows: Any,
) -> None:  # fmt: skip
    """Walk down a column of windows: a line of cells enters each of them, and one leaves."""
    own, half = i if counted.shape[0] > 1 else 0, window // 2
    n = sp = so = sq = sb = similar = used = np.float64(0)
    for y in range(observed.shape[1]):
        for line in range(2):
            at, sign = y - line * window, 1.0 - 2.0 * line
            if 0 <= at < observed.shape[1]:
                for k in range(x, x + window):
                    p, o = np.float64(predicted[i, at, k]), np.float64(observed[i, at, k])
                    if counted[own, at, k] and p == p and o == o:
                        n += sign
                        sp += sign * p
                        so += sign * o
                        sq += sign * (p * p + o * o)
                        sb += sign * (p * o)
        if window - 1 <= y < observed.shape[1]:
            p, o = predicted[i, y - half, x + half], observed[i, y - half, x + half]
            if n > 1.5 and counted[own, y - half, x + half] and p == p and o == o:
                both, squares = sp * so, sp * sp + so * so
                above = (2.0 * both + first[i] * n * n) * (2.0 * (n * sb - both) + second[i] * n * (n - 1.0))
                below = (squares + first[i] * n * n) * (n * sq - squares + second[i] * n * (n - 1.0))
                similar += above / below
                used += 1.0
    total[i, x], windows[i, x] = similar, used
