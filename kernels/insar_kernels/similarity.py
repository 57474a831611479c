"""How alike two maps are: structural similarity and correlation of each pair, over the cells that count.

Eight maps are gone over at once, each in a lane of its own: sums over a window follow from those of its neighbour by
what enters and what leaves, so that no cell is added up more than twice.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import namespace
from insar_kernels.gpu import errors
from insar_kernels.lanes import aligned, choose, load, store

__all__ = ["WINDOW", "map_correlation", "map_similarity"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

WINDOW = 7
"""Side of the uniform window [cells]."""

PAD = WINDOW // 2
K1, K2 = 0.01, 0.03
"""Constants of the index, as its authors chose them."""

LANES, RING = 8, 8
"""Maps at once, and lines of them that are kept: those of a window, and the one that leaves it."""

SOME = 32
"""Maps whose masked cells are filled at a time: half a megabyte of 64 x 64 cells stays in the cache."""


def map_similarity(predicted: Any, observed: Any, data_range: npt.ArrayLike, mask: Any = None) -> Any:
    """Mean structural similarity (SSIM) of each pair of maps, with a uniform window of 7 x 7 cells.

    Windows lie whole within the map. Cells that are masked, or NaN on either side, are left out of the means,
    variances and covariance of a window; no window is centred on them, and a window needs two cells that count. So
    what fills a masked cell never matters, and where all count this is `skimage.metrics.structural_similarity`.

    Parameters
    ----------
    predicted, observed : arrays of float32, shape (..., Y, X)
    data_range : float, or array of shape (...)
        Distance between the least and the largest possible value, in the unit of the maps.
    mask : array of bool, shape (..., Y, X) or (Y, X), optional
        Cells that count; by default all. One mask, whatever its leading axes of length 1, is for all maps.

    Returns
    -------
    array of float64, shape (...)
        NaN where a map has no window.

    Notes
    -----
    Wang, Bovik, Sheikh and Simoncelli (2004), doi:10.1109/TIP.2003.819861, with the sample covariance.
    """
    xp = namespace(observed)
    shape = observed.shape[:-2]
    ranges = xp.broadcast_to(xp.asarray(data_range, xp.float64), shape)
    counted = _mask(xp, mask, observed.shape)
    if xp is not np:
        return errors.map_similarity(xp, predicted, observed, ranges, counted, WINDOW, (K1, K2))
    if min(observed.shape[-2:]) < WINDOW:
        return np.full(shape, np.nan)
    p, o = _maps(predicted), _maps(observed)
    ranges = np.array(ranges).ravel()
    # as if no cell were missing; a map with a missing one comes out NaN, and is gone over once more
    found = _in_lanes(p, o, counted[:0], ranges) if counted.all() else np.full(ranges.size, np.nan)
    again = np.flatnonzero(np.isnan(found))
    for start in range(0, again.size, SOME):
        some = again[start : start + SOME]
        ours, theirs, counts = p[some], o[some], counted[some if len(counted) > 1 else [0] * some.size]
        counts &= (ours == ours) & (theirs == theirs)
        # bits times 0 or 1: half the time of np.where, whose branch no processor foresees
        ours, theirs = ((values.view(np.uint32) * counts).view(np.float32) for values in (ours, theirs))
        found[some] = _in_lanes(ours, theirs, counts, ranges[some])
    return found.reshape(shape)


def map_correlation(predicted: Any, observed: Any, mask: Any = None) -> Any:
    """Pearson correlation of each pair of maps over the cells that count.

    Parameters
    ----------
    predicted, observed : arrays of float32, shape (..., Y, X)
    mask : array of bool, shape (..., Y, X) or (Y, X), optional
        As for `map_similarity`; by default all count, and never those that are NaN on either side.

    Returns
    -------
    array of float64, shape (...)
        NaN where fewer than two cells count, or where one map is flat.
    """
    xp = namespace(observed)
    counted = _mask(xp, mask, observed.shape)
    if xp is not np:
        return errors.map_correlation(xp, predicted, observed, counted)
    found = _correlation_on_cpu(_maps(predicted), _maps(observed), counted)
    return found.reshape(observed.shape[:-2])


def _maps(values: Any) -> Float32:
    array = np.ascontiguousarray(values, np.float32)
    return array.reshape(-1, *array.shape[-2:])


def _mask(xp: ModuleType, mask: Any, shape: tuple[int, ...]) -> Any:
    """Masks of all maps, (n, Y, X), or one for all, (1, Y, X)."""
    array = xp.ones(shape[-2:], xp.bool_) if mask is None else xp.ascontiguousarray(mask, xp.bool_)
    n_masks = math.prod(array.shape[:-2])
    if array.shape[-2:] != shape[-2:] or n_masks not in (1, math.prod(shape[:-2])):
        raise ValueError(f"mask has shape {array.shape}, maps {shape}: wanted a mask for each map, or one for all")
    return array.reshape(n_masks, *shape[-2:])


def _in_lanes(p: Float32, o: Float32, counted: Bool, ranges: Float64) -> Float64:
    width = o.shape[2]
    ring, columns = aligned(3 * RING * width, np.float64), aligned(5 * (width + WINDOW), np.float64)
    return _similarity_on_cpu(p, o, counted, ranges, ring, columns, aligned(8, np.float64))


@njit(nogil=True, cache=True, error_model="numpy")
def _similarity_on_cpu(
    predicted: Float32,
    observed: Float32,
    counted: Bool,
    ranges: Float64,
    ring: Float64,
    columns: Float64,
    rows: Float64,
) -> Float64:
    """Blocks of eight maps, 0 where a cell does not count; ``counted`` is empty where all do.

    ``rows`` are both constants, 0, 1, two cells less a bit, the cells of a window, total and windows.
    """
    n, height, width = observed.shape
    out = np.full(n, np.nan)
    full = counted.shape[0] == 0
    rows[3], rows[4], rows[5] = 1.0, 1.5, WINDOW * WINDOW if full else 0.0
    for start in range(0, n, LANES):
        size = min(LANES, n - start)
        for lane in range(size):
            rows[0, lane], rows[1, lane] = (K1 * ranges[start + lane]) ** 2, (K2 * ranges[start + lane]) ** 2
        rows[6:], columns[:], ring[:] = 0.0, 0.0, 0.0
        for y in range(height):
            _interleave(predicted, start, y, ring, 0)
            _interleave(observed, start, y, ring, RING * width)
            if not full:
                _interleave(counted, start, y, ring, 2 * RING * width)
            _line(ring, columns, rows, y, width, full)
        for lane in range(size):
            if rows[7, lane] > 0.0:
                out[start + lane] = rows[6, lane] / rows[7, lane]
    return out


@njit(nogil=True, cache=True)
def _interleave(maps: Any, start: int, y: int, ring: Float64, first: int) -> None:
    """Write line y of eight maps from ``start`` on into a lane each; lanes beyond the last map repeat it."""
    width, last = np.uintp(maps.shape[2]), np.uintp(maps.shape[0] - 1)
    at, line, a = np.uintp(first) + np.uintp(y % RING) * width, np.uintp(y), np.uintp(start)
    b, c, d = min(a + np.uintp(1), last), min(a + np.uintp(2), last), min(a + np.uintp(3), last)
    e, f, g = min(a + np.uintp(4), last), min(a + np.uintp(5), last), min(a + np.uintp(6), last)
    h = min(a + np.uintp(7), last)
    for x in range(width):
        # whole cache lines: a loop over the lanes within takes half as long again
        ring[at + x, 0], ring[at + x, 1] = maps[a, line, x], maps[b, line, x]
        ring[at + x, 2], ring[at + x, 3] = maps[c, line, x], maps[d, line, x]
        ring[at + x, 4], ring[at + x, 5] = maps[e, line, x], maps[f, line, x]
        ring[at + x, 6], ring[at + x, 7] = maps[g, line, x], maps[h, line, x]


@njit(nogil=True, cache=True)
def _line(ring: Any, columns: Any, rows: Any, y: int, width: int, full: bool) -> None:
    """Slide the sums of all columns down to line y, then the window along it; add up the index."""
    new, old, middle = y % RING * width, (y - WINDOW) % RING * width, (y - PAD) % RING * width - PAD
    second, third, column = RING * width, 2 * RING * width, width + WINDOW
    c1, c2, none, one, two, n = (
        load(rows, 0), load(rows, 1), load(rows, 2), load(rows, 3), load(rows, 4), load(rows, 5)
    )  # fmt: skip
    total, windows = load(rows, 6), load(rows, 7)
    sp = so = sq = sb = none
    for x in range(width):
        at = x + WINDOW
        p, o, q, r = (
            load(ring, new + x),
            load(ring, second + new + x),
            load(ring, old + x),
            load(ring, second + old + x),
        )
        cp = load(columns, at) + (p - q)
        co = load(columns, column + at) + (o - r)
        cq = load(columns, 2 * column + at) + ((p * p + o * o) - (q * q + r * r))
        cb = load(columns, 3 * column + at) + (p * o - q * r)
        store(columns, at, cp)
        store(columns, column + at, co)
        store(columns, 2 * column + at, cq)
        store(columns, 3 * column + at, cb)
        sp = sp + (cp - load(columns, x))
        so = so + (co - load(columns, column + x))
        sq = sq + (cq - load(columns, 2 * column + x))
        sb = sb + (cb - load(columns, 3 * column + x))
        if not full:
            cn = load(columns, 4 * column + at) + (load(ring, third + new + x) - load(ring, third + old + x))
            store(columns, 4 * column + at, cn)
            n = n + (cn - load(columns, 4 * column + x))
        if y < WINDOW - 1 or x < WINDOW - 1:
            continue
        # the formula times n^2 above and below: no mean is ever divided out
        both, squares, pairs = sp * so, sp * sp + so * so, n * n
        first, spread, shared = c1 * pairs, c2 * (pairs - n), n * sb - both
        above = (both + both + first) * (shared + shared + spread)
        below = (squares + first) * ((n * sq - squares) + spread)
        if full:
            total = total + above / below
            windows = windows + one
        else:
            counts = choose(n, two, none, load(ring, third + middle + x))
            total = total + counts * (above / choose(n, two, one, below))
            windows = windows + counts
    store(rows, 6, total)
    store(rows, 7, windows)


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})
def _correlation_on_cpu(predicted: Float32, observed: Float32, mask: Bool) -> Float64:
    n, height, width = observed.shape
    out = np.full(n, np.nan)
    counted = np.empty((height, width), np.bool_)
    for i in range(n):
        p, o, own = predicted[i], observed[i], mask[i if mask.shape[0] > 1 else 0]
        count, mean_p, mean_o = 0, 0.0, 0.0
        for y in range(np.uintp(height)):
            for x in range(np.uintp(width)):
                counts = (p[y, x] == p[y, x]) & (o[y, x] == o[y, x]) & own[y, x]
                counted[y, x] = counts
                count += counts
                mean_p += np.float64(p[y, x]) if counts else 0.0
                mean_o += np.float64(o[y, x]) if counts else 0.0
        mean_p, mean_o = mean_p / max(count, 1), mean_o / max(count, 1)
        spread_p = spread_o = both = 0.0
        for y in range(np.uintp(height)):
            for x in range(np.uintp(width)):
                from_p = np.float64(p[y, x]) - mean_p if counted[y, x] else 0.0
                from_o = np.float64(o[y, x]) - mean_o if counted[y, x] else 0.0
                spread_p += from_p * from_p
                spread_o += from_o * from_o
                both += from_p * from_o
        if count > 1 and spread_p > 0.0 and spread_o > 0.0:
            out[i] = both / np.sqrt(spread_p * spread_o)
    return out
