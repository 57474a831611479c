"""Sums from which forecast scores follow: one pass over the pairs, mergeable in any order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import namespace
from insar_kernels.gpu import errors

__all__ = ["ERROR_SUMS", "error_sums", "merge_error_sums"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

BLOCK = 1024
"""Pairs summed in float32 before they join the float64 sums: 16 lanes of 4 accumulators take 16 terms each."""

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
        return errors.error_sums(xp, predicted, observed)
    p = np.ascontiguousarray(predicted, np.float32).ravel()
    return _on_cpu(p, np.ascontiguousarray(observed, np.float32).ravel())


def merge_error_sums(one: Float64, other: Float64) -> Float64:
    """Join the sums of two disjoint sets of pairs (Chan, Golub & LeVeque 1983, doi:10.1080/00031305.1983.10483115)."""
    merged = one.copy()
    _merge(merged, other)
    return merged


@njit(nogil=True, cache=True, error_model="numpy")
def _on_cpu(predicted: Float32, observed: Float32) -> Float64:
    """Join float32 sums of short blocks in float64; only a block with a missing value is gone over twice."""
    total, sums = np.zeros(13), np.zeros(13)
    kept = np.empty((2, BLOCK), np.float32)
    for start in range(0, observed.size, BLOCK):
        p, o = predicted[start : start + BLOCK], observed[start : start + BLOCK]
        _block(p, o, sums)
        if sums[3] != sums[3]:
            n = _without_missing(p, o, kept)
            _block(kept[0, :n], kept[1, :n], sums)
            sums[1] = p.size - n
        _merge(total, sums)
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def _without_missing(p: Float32, o: Float32, kept: Float32) -> int:
    n = np.uintp(0)
    for i in range(np.uintp(o.size)):
        kept[0, n], kept[1, n] = p[i], o[i]
        n += np.uintp(p[i] == p[i] and o[i] == o[i])
    return int(n)


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"arcp", "contract", "nsz", "reassoc"})
def _block(p: Float32, o: Float32, sums: Float64) -> None:
    """Sums of pairs without NaN, about the first observation; NaN in, NaN out."""
    zero, one = np.float32(0), np.float32(1)
    shift = o[0] if o.size else zero
    n_zero = squared = absolute = relative = relative_squared = symmetric = zero
    sum_p = sum_o = spread_p = spread_o = spread_both = zero
    for i in range(np.uintp(o.size)):
        size = abs(o[i])
        both = abs(p[i]) + size
        error = abs(p[i] - o[i])
        share = error / (size * both)  # one division serves both relative errors
        ratio = share * both if size > zero else zero
        symmetric += share * size if size > zero else (one if error > zero else zero)
        n_zero += zero if size > zero else one
        relative += ratio
        relative_squared += ratio * ratio
        absolute += error
        squared += error * error
        from_p, from_o = p[i] - shift, o[i] - shift
        sum_p += from_p
        sum_o += from_o
        spread_p += from_p * from_p
        spread_o += from_o * from_o
        spread_both += from_p * from_o
    n = np.float64(o.size)
    mean_p, mean_o = np.float64(sum_p) / max(n, 1.0), np.float64(sum_o) / max(n, 1.0)
    sums[0], sums[1], sums[2], sums[3], sums[4] = n, 0.0, n_zero, squared, absolute
    sums[5], sums[6], sums[7] = relative, relative_squared, 2.0 * symmetric
    sums[8], sums[9] = shift + mean_p, shift + mean_o
    sums[10], sums[11] = spread_p - n * mean_p * mean_p, spread_o - n * mean_o * mean_o
    sums[12] = spread_both - n * mean_p * mean_o


@njit(nogil=True, cache=True, error_model="numpy")
def _merge(one: Float64, other: Float64) -> None:
    """Add ``other`` to ``one`` in place."""
    n = one[0] + other[0]
    share = other[0] / n if n > 0 else 0.0
    shift_p, shift_o = other[8] - one[8], other[9] - one[9]
    for k in range(8):
        one[k] += other[k]
    before = n - other[0]
    one[8] += share * shift_p
    one[9] += share * shift_o
    one[10] += other[10] + before * share * shift_p * shift_p
    one[11] += other[11] + before * share * shift_o * shift_o
    one[12] += other[12] + before * share * shift_p * shift_o
