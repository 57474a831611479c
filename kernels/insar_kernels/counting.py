"""Errors of forecasts, counted in one pass: by lead, by kind of point, by neighbourhood, and as a histogram of ratios.

The histogram has eight equal bins in every octave, read off the bits of a float32; from it any quantile of
|error| / scale follows, and the share below any bound, without the errors themselves.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["N_BINS", "N_GROUPS", "Tally", "bin_edges", "tally"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Small = npt.NDArray[np.int8]

LOWEST_EXPONENT, OCTAVES, BINS_PER_OCTAVE = -6, 12, 8
N_BINS = OCTAVES * BINS_PER_OCTAVE
N_GROUPS = 64
"""Neighbourhoods that the bootstrap draws from; more would not narrow what it says of an interval."""

SHIFT = 23 - 3
OFFSET = (127 + LOWEST_EXPONENT) << 3


class Tally(NamedTuple):
    """What `tally` returns; sums of float64, counts too, so that tallies add."""

    leads: Float64
    """(h, 3): number, sum of |error|, sum of error²."""
    strata: Float64
    """(n_strata, 2): number, sum of error²."""
    groups: Float64
    """(N_GROUPS, 2): number, sum of error²."""
    ratios: npt.NDArray[np.uint32]
    """(n_classes, h, N_BINS): histogram of |error| / scale."""
    scales: Float64
    """(n_classes, h): sum of the scales behind ``ratios``."""


def tally(
    errors: Float32,
    scale: Float32,
    classes: Small,
    strata: Small,
    groups: Small,
    n_classes: int,
    n_strata: int,
) -> Tally:
    """Count errors; a NaN error is not counted, and one whose scale is NaN has no ratio.

    Parameters
    ----------
    errors, scale : (n, h) array of float32
        Forecast minus observation, and what it is measured by [mm].
    classes, strata, groups : (n,) array of int8
        Class of noise, kind of motion, and neighbourhood of each point; negative in ``classes`` and ``strata`` is none.
    n_classes, n_strata : int
    """
    horizon = errors.shape[1]
    out = Tally(
        np.zeros((horizon, 3)),
        np.zeros((n_strata, 2)),
        np.zeros((N_GROUPS, 2)),
        np.zeros((n_classes, horizon, N_BINS), np.uint32),
        np.zeros((n_classes, horizon)),
    )
    _count(errors, scale, classes, strata, groups, *out)
    return out


def bin_edges() -> Float64:
    """Edges (N_BINS + 1,) of the ratios; the first bin starts at 0, the last also holds what lies beyond.

    >>> bin_edges()[[0, 1, 8, 48, 49]]
    array([0.        , 0.01757812, 0.03125   , 1.        , 1.125     ])
    """
    octave, part = np.divmod(np.arange(N_BINS + 1), BINS_PER_OCTAVE)
    edges = 2.0 ** (octave + LOWEST_EXPONENT) * (1 + part / BINS_PER_OCTAVE)
    edges[0] = 0.0
    return edges


@njit(nogil=True, cache=True)
def _count(
    errors: Float32,
    scale: Float32,
    classes: Small,
    strata: Small,
    groups: Small,
    leads: Float64,
    by_stratum: Float64,
    by_group: Float64,
    ratios: npt.NDArray[np.uint32],
    scales: Float64,
) -> None:
    ratio = np.empty(1, np.float32)
    bits = ratio.view(np.uint32)
    for i in range(errors.shape[0]):
        squares = 0.0
        count = 0.0
        for lead in range(errors.shape[1]):
            error = np.float64(errors[i, lead])
            if error != error:
                continue
            size = abs(error)
            count += 1.0
            squares += size * size
            leads[lead, 0] += 1.0
            leads[lead, 1] += size
            leads[lead, 2] += size * size
            width = np.float64(scale[i, lead])
            if width > 0.0 and classes[i] >= 0:
                ratio[0] = size / width
                place = min(max(int(bits[0] >> SHIFT) - OFFSET, 0), N_BINS - 1)
                ratios[classes[i], lead, place] += np.uint32(1)
                scales[classes[i], lead] += width
        by_group[groups[i], 0] += count
        by_group[groups[i], 1] += squares
        if strata[i] >= 0:
            by_stratum[strata[i], 0] += count
            by_stratum[strata[i], 1] += squares
