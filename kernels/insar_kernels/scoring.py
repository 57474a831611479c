"""Sums from which forecast scores follow: one pass over the pairs, mergeable in any order."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import namespace

__all__ = ["ERROR_SUMS", "error_sums", "merge_error_sums"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

ERROR_SUMS = (
    "n",  # valid pairs
    "n_missing",  # pairs with a NaN on either side
    "n_zero",  # valid pairs whose observation is 0: they have no relative error
    "squared",  # sum of (p - o)^2
    "absolute",  # sum of |p - o|
    "relative",  # sum of |p - o| / |o|
    "relative_squared",  # sum of ((p - o) / o)^2
    "symmetric",  # sum of 2 |p - o| / (|p| + |o|)
    "mean_predicted",
    "mean_observed",
    "spread_predicted",  # sum of (p - mean)^2
    "spread_observed",
    "spread_both",  # sum of (p - mean)(o - mean)
)
"""Names of the entries of a vector of sums."""


def error_sums(predicted: Any, observed: Any) -> Any:
    """Sum over all pairs, in the order of `ERROR_SUMS`.

    Parameters
    ----------
    predicted, observed : arrays of float32, one shape
        Values [mm]; a pair with NaN on either side is counted and left out.

    Returns
    -------
    array of float64, shape (13,)
    """
    xp = namespace(observed)
    if xp is not np:
        return _on_array(xp, predicted, observed)
    p = np.ascontiguousarray(predicted, np.float32).ravel()
    return _on_cpu(p, np.ascontiguousarray(observed, np.float32).ravel())


def merge_error_sums(one: Float64, other: Float64) -> Float64:
    """Join the sums of two disjoint sets of pairs (Chan, Golub & LeVeque 1983, doi:10.1080/00031305.1983.10483115)."""
    n = one[0] + other[0]
    merged = one + other
    if n == 0:
        return merged
    share = other[0] / n
    shift = other[8:10] - one[8:10]
    merged[8:10] = one[8:10] + share * shift
    cross = np.array([shift[0] * shift[0], shift[1] * shift[1], shift[0] * shift[1]])
    merged[10:13] += one[0] * share * cross
    return merged


@njit(nogil=True, cache=True)
def _on_cpu(predicted: Float32, observed: Float32) -> Float64:
    sums = np.zeros(13)
    first = second = cross = sum_p = sum_o = 0.0
    for i in range(observed.size):
        p, o = np.float64(predicted[i]), np.float64(observed[i])
        if p != p or o != o:
            sums[1] += 1
            continue
        error = abs(p - o)
        sums[0] += 1
        sums[3] += error * error
        sums[4] += error
        if o == 0.0:
            sums[2] += 1
        else:
            sums[5] += error / abs(o)
            sums[6] += (error / o) ** 2
        if error > 0.0:
            sums[7] += 2.0 * error / (abs(p) + abs(o))
        sum_p += p
        sum_o += o
        first += p * p
        second += o * o
        cross += p * o
    if sums[0] > 0:
        sums[8], sums[9] = sum_p / sums[0], sum_o / sums[0]
        sums[10] = first - sums[8] * sum_p
        sums[11] = second - sums[9] * sum_o
        sums[12] = cross - sums[8] * sum_o
    return sums


def _on_array(xp: ModuleType, predicted: Any, observed: Any) -> Any:
    valid = ~(xp.isnan(predicted) | xp.isnan(observed))
    p, o = predicted[valid].astype(xp.float64), observed[valid].astype(xp.float64)
    error, nonzero, size = xp.abs(p - o), o != 0, xp.abs(p) + xp.abs(o)
    relative = error[nonzero] / xp.abs(o[nonzero])
    n = max(int(valid.sum()), 1)
    mean_p, mean_o = p.sum() / n, o.sum() / n
    entries = [
        valid.sum(),
        valid.size - valid.sum(),
        (~nonzero).sum(),
        (error**2).sum(),
        error.sum(),
        relative.sum(),
        (relative**2).sum(),
        (2 * error / xp.where(size == 0, 1, size)).sum(),
        mean_p,
        mean_o,
        ((p - mean_p) ** 2).sum(),
        ((o - mean_o) ** 2).sum(),
        ((p - mean_p) * (o - mean_o)).sum(),
    ]
    return xp.stack([xp.asarray(entry, xp.float64) for entry in entries])
