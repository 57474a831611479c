"""A sample that keeps neighbours together: whole runs along the order of storage, drawn pattern by pattern."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["stratified_runs"]


def stratified_runs(
    patterns: npt.NDArray[np.integer[Any]], n_points: int = 4096, run: int = 64, seed: int = 0
) -> npt.NDArray[np.int64]:
    """Points of runs of consecutive points, as many runs for every pattern as there are.

    The points are cut into runs in their order; a run belongs to the pattern that most of its points have. Runs are
    drawn at random, pattern after pattern in turn, so that rare patterns weigh as much as common ones: on the plateau
    75 % of the runs are of one pattern.

    Parameters
    ----------
    patterns : (n,) array of int
        Pattern of each point, in the order of storage; negative is none.
    n_points : int
        Size of the sample, a multiple of ``run``.
    run : int
        Consecutive points kept together; groups of neighbours are cut from them.
    seed : int

    Returns
    -------
    (n_points,) array of int64
        Numbers of the points, increasing.

    Raises
    ------
    ValueError
        When the sample is no multiple of the run, or there are too few runs.

    Examples
    --------
    >>> stratified_runs(np.repeat([0, 0, 0, 1], 2), n_points=4, run=2, seed=0).tolist()
    [4, 5, 6, 7]
    """
    n_runs, left = divmod(n_points, run)
    if left or n_runs < 1:
        raise ValueError(f"n_points is {n_points}; wanted a multiple of the run of {run} points")
    whole = len(patterns) // run
    if n_runs > whole:
        raise ValueError(
            f"{len(patterns)} points make {whole} runs of {run}, wanted {n_runs}: take a smaller sample or shorter runs"
        )
    kinds = _commonest(patterns[: whole * run].reshape(whole, run))
    shuffled = np.random.default_rng(seed).permutation(whole)
    # the k-th run of every pattern comes before the k + 1st of any
    rank = np.empty(whole, np.int64)
    for kind in np.unique(kinds):
        mine = shuffled[kinds[shuffled] == kind]
        rank[mine] = np.arange(len(mine))
    chosen = np.sort(np.lexsort((kinds, rank))[:n_runs])
    return np.asarray((chosen[:, None] * run + np.arange(run)).ravel(), np.int64)


def _commonest(labels: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
    """Pattern of most points of each row; the lowest of several, -1 where no point has one."""
    counts = np.stack([(labels == kind).sum(axis=1) for kind in range(max(int(labels.max()) + 1, 1))], axis=1)
    return np.where(counts.any(axis=1), counts.argmax(axis=1), -1)
