"""Split-conformal intervals: how many times its own scale a point's forecast has missed by, at origins before the test.

Ratios |error| / scale are pooled within a class of noise and a lead (Mondrian conformal prediction), so that quiet and
restless points, near and far leads each get the width that held their share. Vovk, Gammerman and Shafer (2005),
Algorithmic Learning in a Random World, chapters 2 and 4; Lei et al. (2018), doi:10.1080/01621459.2017.1307116.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from insar_kernels.counting import bin_edges

__all__ = ["N_CLASSES", "class_edges", "classify", "covered", "log_histogram", "quantiles"]

Float64 = npt.NDArray[np.float64]

N_CLASSES = 5
"""Quintiles of the rmse of the harmonic fit."""

CLASS_GRID = np.geomspace(2.0**-8, 2.0**10, 18 * 32 + 1)
"""Edges of the histogram of rmse [mm]: 32 bins an octave, a class boundary is off by at most 2 %."""


def quantiles(ratios: npt.NDArray[Any], level: float) -> Float64:
    """Ratio that holds ``level`` of each histogram of ``ratios`` (classes, h, N_BINS), shape (classes, h).

    With n ratios it is that of rank (n + 1) level, as split-conformal prediction asks, or the largest where n is too
    small for such a rank; a class that has none takes the pool of all classes. NaN stands where there is none at all,
    and where that rank falls into the last bin, which is open: nobody knows how far beyond its lower edge the ratios
    there are.
    """
    counts = np.asarray(ratios, np.float64)
    counts = np.where(counts.sum(axis=-1, keepdims=True) > 0, counts, counts.sum(axis=0))
    out = np.full(counts.shape[:-1], np.nan)
    edges = bin_edges()
    for at in np.ndindex(out.shape):
        below = np.concatenate([[0.0], np.cumsum(counts[at])])
        rank = min((below[-1] + 1) * level, below[-1])
        if below[-1] > 0 and rank <= below[-2]:
            k = np.searchsorted(below, rank)  # the end of the bin that holds it, and of no empty one after
            out[at] = np.interp(rank, below[k - 1 : k + 1], edges[k - 1 : k + 1])
    return out


def covered(ratios: npt.NDArray[Any], bounds: Float64) -> Float64:
    """Number of ratios (classes, h) that are at most ``bounds`` (classes, h); those in the last, open bin never are."""
    below = np.concatenate([np.zeros((*ratios.shape[:-1], 1)), np.cumsum(ratios, axis=-1, dtype=np.float64)], axis=-1)
    edges = bin_edges()
    out = np.empty(bounds.shape)
    for at in np.ndindex(bounds.shape):
        out[at] = np.interp(bounds[at], edges[:-1], below[at][:-1]) if np.isfinite(bounds[at]) else 0.0
    return out


def log_histogram(rmse: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Counts of ``rmse`` on `CLASS_GRID`; additive over blocks."""
    return np.histogram(np.clip(rmse[np.isfinite(rmse)], CLASS_GRID[0], CLASS_GRID[-1]), CLASS_GRID)[0]


def class_edges(counts: npt.NDArray[np.int64]) -> Float64:
    """Inner boundaries (N_CLASSES - 1,) of the quintiles of the rmse [mm]."""
    below = np.concatenate([[0.0], np.cumsum(counts, dtype=np.float64)])
    shares = np.arange(1, N_CLASSES) / N_CLASSES
    return np.asarray(np.interp(shares * below[-1], below, CLASS_GRID))


def classify(rmse: npt.NDArray[np.float32], edges: Float64) -> npt.NDArray[np.int8]:
    """Class of each point, 0 the quietest; -1 where its rmse is NaN."""
    return np.where(np.isnan(rmse), -1, np.searchsorted(edges, rmse)).astype(np.int8)
