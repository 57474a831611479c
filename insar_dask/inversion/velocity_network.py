"""Velocities between dates as the older programmes solve them: a tree of pairs, pseudo-inverse or smoothing.

Points with equal gaps share one linear map from pairs to increments, which is found by dense algebra.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.linalg

__all__ = ["VelocityNetwork", "spanning_tree"]

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SMALLEST = 1e-8
"""Singular values below this share of the largest count as zero in the smoothed system."""

AT_ONCE = 256
"""Points whose increments are summed at once; sums do not depend on it."""


@dataclass(frozen=True, eq=False)
class VelocityNetwork:
    """A network whose points are solved in velocities.

    Parameters
    ----------
    first, second : (P,) int
        Places of the dates of each pair.
    years : (T,) float64
        Dates in years of 365.25 days.
    method : {"svd", "laplacian"}
        Smallest velocities by pseudo-inverse; or velocities whose second differences, times 10^-0.25, are zero too.
    min_pairs : int
        Points with fewer have no series.
    tree_weights : (P,) float64, optional
        Keep of each point's pairs only a minimum spanning tree by these, such as the shares of missing values.
    covariance : (P, P) float64, optional
        Of the pairs, for "laplacian"; default: the identity.
    """

    first: Int64
    second: Int64
    years: Float64
    method: Literal["svd", "laplacian"] = "svd"
    min_pairs: int = 10
    tree_weights: Float64 | None = None
    covariance: Float64 | None = None

    def increments(self, values: npt.NDArray[np.floating]) -> Float64:
        """Displacement between consecutive dates, (N, T - 1), of pairs (N, P); NaN where pairs cannot resolve it.

        Berardino et al. (2002), doi:10.1109/TGRS.2002.803792; smoothing: Schmidt & Buergmann (2003),
        doi:10.1029/2002JB002267.
        """
        found = np.full((len(values), self.years.size - 1), np.nan)
        valid = ~np.isnan(values)
        patterns, which = np.unique(np.packbits(valid, axis=1), axis=0, return_inverse=True)
        for number in range(len(patterns)):
            points = np.flatnonzero(which.ravel() == number)
            pairs, weights = self._operator(valid[points[0]])
            for start in range(0, points.size, AT_ONCE):
                some = points[start : start + AT_ONCE]
                found[some] = (values[some][:, None, pairs] * weights).sum(axis=-1)  # NaN where the map has no row
        return found

    def _operator(self, valid: Bools) -> tuple[Int64, Float64]:
        """Pairs that count for points with these, and the map (T - 1, pairs) from them to increments."""
        pairs = np.flatnonzero(valid)
        enough = pairs.size >= max(self.min_pairs, 1)
        if enough and self.tree_weights is not None:
            pairs = pairs[spanning_tree(self.first[pairs], self.second[pairs], self.tree_weights[pairs])]
        steps = np.diff(self.years)
        weights = np.full((steps.size, pairs.size), np.nan)
        if not enough:
            return pairs, weights
        interval = np.arange(steps.size)
        design = steps * ((interval >= self.first[pairs, None]) & (interval < self.second[pairs, None]))
        kept = _resolvable(design)
        pairs, design, weights = pairs[kept], design[kept], weights[:, kept]
        known = (design != 0).any(axis=0)
        if known.any():
            solve = self._smoothed if self.method == "laplacian" else self._smallest
            weights[known] = steps[known, None] * solve(design[:, known], pairs)
        return pairs, weights

    def _smallest(self, design: Float64, _pairs: Int64) -> Float64:
        return np.asarray(np.linalg.pinv(design))

    def _smoothed(self, design: Float64, pairs: Int64) -> Float64:
        """Second differences between, and at both ends the mean of the others."""
        count = design.shape[1]
        smooth = np.zeros((count, count))
        for k in range(1, count - 1):
            smooth[k, k - 1 : k + 2] = 1, -2, 1
        for k in {0, count - 1}:
            smooth[k] = -1 / max(count - 1, 1)
            smooth[k, k] = 1
        smooth[1:-1] *= 10**-0.25
        covariance = np.eye(pairs.size) if self.covariance is None else self.covariance[np.ix_(pairs, pairs)]
        whole = scipy.linalg.block_diag(covariance, np.eye(count))
        root = np.linalg.cholesky(np.linalg.inv(whole)).T
        system = root @ np.concatenate([design, smooth])
        return np.asarray((np.linalg.pinv(system, rcond=SMALLEST) @ root)[:, : pairs.size])


def spanning_tree(first: Int64, second: Int64, weights: Float64) -> Int64:
    """Pairs of a minimum spanning forest, ascending; of equal weights the first pair goes before (Kruskal 1956)."""
    root = list(range(int(second.max(initial=-1)) + 1))

    def find(date: int) -> int:
        while root[date] != date:
            root[date] = root[root[date]]
            date = root[date]
        return date

    kept = []
    for pair in np.argsort(weights, kind="stable").tolist():
        one, other = find(int(first[pair])), find(int(second[pair]))
        if one != other:
            root[other] = one
            kept.append(pair)
    return np.sort(np.array(kept, np.int64))


def _resolvable(design: Float64) -> Int64:
    """Rows left when those that touch an interval which cannot be resolved are dropped, until all others can."""
    rows = np.arange(len(design))
    while rows.size:
        own = design[rows]
        order = scipy.linalg.qr(own, mode="economic", pivoting=True)[2]
        dependent = order[np.linalg.matrix_rank(own) :]
        bad = (own[:, dependent] != 0).any(axis=1)
        if not bad.any():
            break
        rows = rows[~bad]
    return rows
