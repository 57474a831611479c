"""Which points and windows a network is shown: rare kinds of motion more often than they occur.

Most ground does not move. Groups are told apart by pattern, velocity and seasonal amplitude, as the training block has
them, and a kind that makes up a share p of the groups gets a share proportional to p ** evenness of the windows (power
allocation, Bankier 1988, doi:10.1080/00031305.1988.10475556): 1 shows what there is, 0 all kinds alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import insar_kernels
from insar_dask.cube import DAYS_PER_YEAR
from insar_dask.forecast.groups import ABSENT

__all__ = ["draw", "kinds_of_groups", "kinds_of_points", "spread", "weights"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

VELOCITIES = (2.0, 5.0, 15.0)
"""Edges of the classes of |velocity| [mm/yr]; below the first the ground is stable."""

AMPLITUDES = (2.0, 5.0)
"""Edges of the classes of the seasonal amplitude [mm]."""

GOLDEN = (5**0.5 - 1) / 2
NEAR = 20
"""How far from the golden section a stride may be."""


def kinds_of_points(values: Float32, days: Index, patterns: npt.NDArray[np.integer[Any]]) -> Index:
    """Kind of motion of each point: a number made of its pattern, |velocity| and seasonal amplitude.

    Parameters
    ----------
    values : (n, T) array of float32
        Series [mm] over the training block alone.
    days : (T,) array of int64
    patterns : (n,) array of int
        Pattern of each point, -1 where there is none.

    Returns
    -------
    (n,) array of int64
        At least 0; a point whose motion cannot be estimated counts as stable.
    """
    motion = insar_kernels.motion(np.ascontiguousarray(values), (days - days[0]) / DAYS_PER_YEAR)
    fast = np.searchsorted(VELOCITIES, np.abs(np.nan_to_num(motion.velocity)))
    seasonal = np.searchsorted(AMPLITUDES, np.nan_to_num(motion.seasonality))
    kinds: Index = ((patterns.astype(np.int64) + 1) * (len(VELOCITIES) + 1) + fast) * (len(AMPLITUDES) + 1) + seasonal
    return kinds


def kinds_of_groups(kinds: Index, members: Index) -> Index:
    """Kind of each group (G,): that of its point that moves most, the groups being ``members`` (G, L)."""
    return np.asarray(np.where(np.not_equal(members, ABSENT), kinds[members], -1).max(axis=1))


def weights(kinds: Index, evenness: float) -> Float64:
    """Share (G,) that each of some groups gets of the windows, by its kind; they sum to 1."""
    if not 0 <= evenness <= 1:
        raise ValueError(f"evenness is {evenness}; wanted 0 (all kinds alike) to 1 (as they occur)")
    _, which, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    shares = counts**evenness / np.sum(counts**evenness)
    return np.asarray(shares / counts)[which]


def draw(shares: Float64, size: int, rng: np.random.Generator) -> Index:
    """``size`` numbers of groups in random order, each as often as its share asks for, to within one.

    Systematic sampling in random order (Madow 1949): a group is never missed or repeated by chance alone.
    """
    order = rng.permutation(len(shares))
    ends = np.cumsum(shares[order])
    marks = (np.arange(size) + rng.random()) * (ends[-1] / size)
    return rng.permutation(order[np.minimum(np.searchsorted(ends, marks), len(order) - 1)])


def spread(places: Index, n: int) -> Index:
    """Elements of an endless walk through ``range(n)`` at some ``places`` of it, without holding the walk.

    Every ``n`` steps in succession meet each number once, and any few in succession are spread over the whole range:
    the stride is near the golden section of ``n``, and of those the one that comes back to its own traces latest.

    >>> spread(np.arange(8), 8).tolist()
    [0, 3, 6, 1, 4, 7, 2, 5]
    """
    near = round(GOLDEN * n)
    stride = min(range(max(near - NEAR, 1), near + NEAR + 1), key=lambda candidate: _largest_quotient(candidate, n))
    return np.asarray(places * stride % n)


def _largest_quotient(stride: int, n: int) -> float:
    """Largest partial quotient of the continued fraction of stride / n; infinite where they have a common divisor.

    The larger it is, the more some stretch of the walk clings to where another was (three-gap theorem): 768 of 1,242
    has a common divisor, and 769 a quotient of 19, so that a tenth of the walk leaves gaps of four times the mean.
    """
    largest = 0
    while n:
        quotient, rest = divmod(stride, n)
        if not rest and n > 1:
            return float("inf")
        largest = max(largest, quotient)
        stride, n = n, rest
    return largest
