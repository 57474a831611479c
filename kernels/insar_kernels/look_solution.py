"""East and up of each cell and date out of sums of looks, with their covariance; anchored series."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.look_sums import QUANTUM
from insar_kernels.nested_models import DEGENERATE, MIN_DATES, basis_of

__all__ = ["ANCHORS", "Solution", "solve_looks"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

ANCHORS = ("model", "first", "none")


class Solution(NamedTuple):
    """What `solve_looks` returns; arrays (n_cells, T) of float32, but the last."""

    east: Float32
    up: Float32
    east_std: Float32
    up_std: Float32
    correlation: Float32
    anchored: npt.NDArray[np.bool_]
    """(n_cells,) false where a model could not be fitted to a series that has values."""


def solve_looks(sums: Whole, usable: npt.NDArray[np.bool_], years: Float64, most: float, anchor: int) -> Solution:
    """Solve the normal equations of every cell and date, and anchor each series.

    With N the normal matrix and r its right side, (E, U) = N⁻¹ r and their covariance is N⁻¹. A date whose N has a
    condition number of ``most`` or more is NaN: at it the looks do not tell east from up.

    Parameters
    ----------
    sums : (n_cells, T, 5) array of int64
        As of `insar_kernels.look_sums.add_looks`.
    usable : (n_cells,) array of bool
        Others are NaN.
    years : (T,) array of float64
        Years of 365 days since the first date.
    most : float
        Condition number that is too large.
    anchor : int
        Place in `ANCHORS`: subtract what the cubic and annual model fitted to the series has at the first date; or the
        first valid value; or nothing.

    Returns
    -------
    Solution
    """
    shape = sums.shape[:2]
    out = Solution._make([*(np.full(shape, np.nan, np.float32) for _ in range(5)), np.ones(shape[0], bool)])
    _solve(sums, usable, basis_of(years)[0], most, anchor, *out)
    return out


@njit(nogil=True, cache=True, error_model="numpy")
def _solve(
    sums: Whole,
    usable: npt.NDArray[np.bool_],
    basis: Float64,
    most: float,
    anchor: int,
    east: Float32,
    up: Float32,
    east_std: Float32,
    up_std: Float32,
    correlation: Float32,
    anchored: npt.NDArray[np.bool_],
) -> None:
    n_dates = sums.shape[1]
    first, second = np.empty(n_dates), np.empty(n_dates)
    for c in range(sums.shape[0]):
        if not usable[c]:
            continue
        n_valid = 0
        for t in range(n_dates):
            ee, eu, uu = sums[c, t, 0] * QUANTUM, sums[c, t, 1] * QUANTUM, sums[c, t, 2] * QUANTUM
            to_east, to_up = sums[c, t, 3] * QUANTUM, sums[c, t, 4] * QUANTUM
            determinant = ee * uu - eu * eu
            half, spread = (ee + uu) / 2, np.sqrt((ee - uu) * (ee - uu) / 4 + eu * eu)
            # the smaller eigenvalue from the determinant: a difference of two nearly equal numbers would be noise
            if not (determinant > 0 and (half + spread) ** 2 < most * determinant):
                first[t] = second[t] = np.nan
                continue
            n_valid += 1
            first[t] = (uu * to_east - eu * to_up) / determinant
            second[t] = (ee * to_up - eu * to_east) / determinant
            east_std[c, t] = np.sqrt(uu / determinant)
            up_std[c, t] = np.sqrt(ee / determinant)
            correlation[c, t] = -eu / np.sqrt(ee * uu)
        at_east, at_up = _anchors(first, second, basis, anchor)
        anchored[c] = at_east == at_east or n_valid == 0
        for t in range(n_dates):
            east[c, t], up[c, t] = first[t] - at_east, second[t] - at_up


@njit(nogil=True, cache=True, error_model="numpy")
def _anchors(first: Float64, second: Float64, basis: Float64, anchor: int) -> tuple[float, float]:
    """What is subtracted from two series that have the same dates."""
    if anchor == 2:
        return 0.0, 0.0
    if anchor == 1:
        for t in range(first.size):
            if first[t] == first[t]:
                return first[t], second[t]
        return np.nan, np.nan
    gram, sides = np.zeros((6, 6)), np.zeros((2, 6))
    count = 0
    for t in range(first.size):
        if first[t] == first[t]:
            count += 1
            for a in range(6):
                sides[0, a] += basis[a, t] * first[t]
                sides[1, a] += basis[a, t] * second[t]
                for b in range(6):
                    gram[a, b] += basis[a, t] * basis[b, t]
    if count < MIN_DATES:
        return np.nan, np.nan
    _eliminate(gram, sides)
    at_first = np.zeros(2)
    for row in range(2):
        for a in range(6):
            at_first[row] += sides[row, a] * basis[a, 0]
    return at_first[0], at_first[1]


@njit(nogil=True, cache=True, error_model="numpy")
def _eliminate(gram: Float64, sides: Float64) -> None:
    """Solve in place; NaN where the valid dates do not tell the columns apart."""
    for k in range(6):
        pivot = gram[k, k] if gram[k, k] > DEGENERATE else np.nan
        for a in range(k + 1, 6):
            factor = gram[a, k] / pivot
            for b in range(k, 6):
                gram[a, b] -= factor * gram[k, b]
            for row in range(2):
                sides[row, a] -= factor * sides[row, k]
        gram[k, k] = pivot
    for k in range(5, -1, -1):
        for row in range(2):
            for b in range(k + 1, 6):
                sides[row, k] -= gram[k, b] * sides[row, b]
            sides[row, k] /= gram[k, k]
