"""Kernels that keep order and count, against what a user would write with NumPy and pandas.

Run as ``python tests/benchmarks/run.py bookkeeping``; about one minute.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from insar_kernels.counting import N_BINS, N_GROUPS, Tally, bin_edges, tally
from insar_kernels.gaps import forward_fill
from insar_kernels.hilbert import HILBERT_BITS, hilbert_index
from tests.benchmarks.measure import Row, gate, limit, paired, row, size, worst

N_CLASSES, N_STRATA, HORIZON = 5, 6, 6


def rows() -> list[Row]:
    return [hilbert_row(), fill_row(), tally_row()]


def hilbert_row() -> Row:
    rng = np.random.default_rng(0)
    easting, northing = rng.uniform(4.4e6, 4.5e6, (2, size(1_000_000)))
    gates = [gate("indices equal", np.array_equal(hilbert_index(easting, northing), rotated(easting, northing)), 1, 1)]
    timed = paired(lambda: hilbert_index(easting, northing), lambda: rotated(easting, northing))
    moved = limit("read", 3 * easting.nbytes)
    what = f"Hilbert order of {easting.size:,} points"
    return row(what, timed[0], "NumPy, all points a level", timed[1], gates=gates, limit=moved)


def rotated(easting: Any, northing: Any) -> Any:
    """The textbook's way: each level turns the cell into its quadrant's frame by reflections within the square."""
    x, y = ((np.floor(one) + 2 ** (HILBERT_BITS - 1)).astype(np.int64) for one in (easting, northing))
    place = np.zeros(x.shape, np.int64)
    side = 1 << (HILBERT_BITS - 1)
    while side:
        right, upper = (x & side) > 0, (y & side) > 0
        place += side * side * (3 * right ^ upper)
        turned = right & ~upper
        x, y = np.where(turned, side - 1 - x, x), np.where(turned, side - 1 - y, y)
        x, y = np.where(upper, x, y), np.where(upper, y, x)
        side >>= 1
    return place.astype(np.uint64)


def fill_row() -> Row:
    y = np.random.default_rng(0).normal(0, 9, (size(100_000), 158)).astype(np.float32)
    y[np.random.default_rng(1).random(y.shape) < 0.05] = np.nan

    def rival() -> Any:
        return pd.DataFrame(y.T).ffill().values.T

    gates = [gate("mm", worst(forward_fill(y), rival()), 0)]
    timed = paired(lambda: forward_fill(y), rival)
    what = f"forward fill {len(y):,} x 158, 5 % NaN"
    return row(what, timed[0], "pandas ffill", timed[1], gates=gates, limit=limit("copy", 2 * y.nbytes))


def tally_row() -> Row:
    rng = np.random.default_rng(0)
    n = size(1_000_000)
    errors = rng.normal(0, 3, (n, HORIZON)).astype(np.float32)
    scale = rng.gamma(4, 1, errors.shape).astype(np.float32)
    errors[rng.random(errors.shape) < 0.05] = np.nan
    kinds = [rng.integers(0, most, n).astype(np.int8) for most in (N_CLASSES, N_STRATA, N_GROUPS)]

    def ours() -> Tally:
        return tally(errors, scale, *kinds, N_CLASSES, N_STRATA)

    def rival() -> Tally:
        return tally_by_histograms(errors, scale, *kinds)

    pairs = list(zip(ours(), rival(), strict=True))
    relative = max(worst(a / np.maximum(b, 1), b / np.maximum(b, 1)) for a, b in (pairs[k] for k in (0, 1, 2, 4)))
    gates = [gate("sums, relative", relative, 1e-9), gate("counts that differ", (pairs[3][0] != pairs[3][1]).sum(), 0)]
    timed = paired(ours, rival)
    read = limit("read", errors.nbytes + scale.nbytes)
    return row(f"tally {n:,} x {HORIZON} errors", timed[0], "NumPy bincount", timed[1], gates=gates, limit=read)


def tally_by_histograms(errors: Any, scale: Any, classes: Any, strata: Any, groups: Any) -> Tally:
    known = ~np.isnan(errors)
    sizes = np.where(known, np.abs(errors), 0).astype(np.float64)
    squares, counts = (sizes**2).sum(axis=1), known.sum(axis=1)
    leads = np.stack([known.sum(axis=0), sizes.sum(axis=0), (sizes**2).sum(axis=0)], axis=1)
    sums = [
        np.stack([np.bincount(kind, weight, n) for weight in (counts, squares)], axis=1)
        for kind, n in ((strata, N_STRATA), (groups, N_GROUPS))
    ]
    place = np.searchsorted(bin_edges()[1:-1], (sizes / scale).astype(np.float32), side="right")
    cell = (classes[:, None].astype(np.int64) * HORIZON + np.arange(HORIZON)) * N_BINS + place
    ratios = np.bincount(cell[known], minlength=N_CLASSES * HORIZON * N_BINS).reshape(N_CLASSES, HORIZON, N_BINS)
    widths = [
        [scale[(classes == k) & known[:, h], h].sum(dtype=float) for h in range(HORIZON)] for k in range(N_CLASSES)
    ]
    return Tally(leads, *sums, ratios, np.array(widths))
