"""K-means from samples and sums: mini-batches find the start, exact steps over all points end the descent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import insar_kernels
from insar_dask.cube import CubeError, years_since
from insar_dask.machine import one_blas_thread
from insar_kernels.lloyd import INERTIA_UNIT, SUM_UNIT, LloydSums

__all__ = ["Arrays", "Passes", "Settings", "from_sample", "learn", "plain_centroids", "scaled", "velocities"]

Float32 = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[Any]]
Passes = Callable[[Arrays | None], Iterable[Mapping[str, npt.NDArray[Any]]]]

ENOUGH = 1e-5
"""Relative gain of a step at which the descent on the sample ends; a hundredth of what the sample errs by."""

MOST_STEPS = 100


class TooFewSeriesError(CubeError):
    """A cube has fewer complete series than clusters are wanted."""


@dataclass(frozen=True)
class Settings:
    """Parameters of `insar_dask.Clusters`, and what names the columns of its rows: dates or features."""

    n_clusters: int
    centre: bool
    standardise: bool
    random_state: int
    n_init: int
    batch_size: int
    steps: int
    axis: Arrays


def learn(settings: Settings, passes: Passes) -> Arrays:
    """Learn centroids from passes over all points.

    Parameters
    ----------
    settings : Settings
    passes : callable
        ``passes(None)`` and ``passes(state)`` yield what `insar_dask.cluster.blocks.sample_block` and `sums_block` make
        of every block, in any order.

    Returns
    -------
    dict
        ``centroids`` (k, T) in the order of their velocity, or else of their first feature; ``times`` or ``features``
        (T,), ``sizes`` (k,), ``inertia`` () and ``start`` (k, T), where the descent began; with ``shift`` and ``scale``
        (T,) when standardised, in whose terms the centroids then are.

    Raises
    ------
    TooFewSeriesError
        When the sample holds fewer complete series than clusters are wanted.
    """
    _, state = from_sample(passes(None), settings)
    for _ in range(settings.steps):
        state |= _advanced(_total(passes(state)), state["centroids"])
    state |= _ordered(state)
    total = _total(passes(state))
    return state | {"sizes": total.sizes, "inertia": np.float64(total.inertia * INERTIA_UNIT)}


def scaled(rows: Float32, state: Mapping[str, npt.NDArray[Any]]) -> Float32:
    """Rows in the terms of the centroids: as they are, or ``centred``, or less ``shift`` and over ``scale``."""
    if "centred" in state:
        rows = _centred(rows, ~np.isnan(state["centroids"]).any(axis=0))
    return _standardised(rows, state) if "shift" in state else rows


def _centred(rows: Float32, used: npt.NDArray[np.bool_]) -> Float32:
    """Rows less their means over the valid ones of the dates in use."""
    valid = ~np.isnan(rows) & used
    totals = np.where(valid, rows, np.float32(0)).sum(axis=1, dtype=np.float64)
    means: Float32 = (totals / np.maximum(valid.sum(axis=1), 1)).astype(np.float32)
    return rows - means[:, None]


def _standardised(rows: Float32, state: Mapping[str, npt.NDArray[Any]]) -> Float32:
    terms: Float32 = (rows - state["shift"]) / state["scale"]
    return terms


def from_sample(samples: Iterable[Mapping[str, npt.NDArray[Any]]], settings: Settings) -> tuple[Float32, Arrays]:
    """Complete rows of a sample, shuffled and in the terms of the centroids that fit them; and the state so far."""
    rows, used = _complete(_shuffled(samples), settings.n_clusters)
    state = dict(settings.axis)
    if settings.centre:
        state["centred"] = np.array(True)
        rows = np.where(used, _centred(rows, used), np.float32(0))
    if settings.standardise:
        spread = rows.std(axis=0, dtype=np.float64)
        state["shift"] = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        state["scale"] = np.where(spread > 0, spread, 1).astype(np.float32)
        rows = _standardised(rows, state)
    start, found = _best_start(rows[:, used], settings)
    whole = np.full((2, settings.n_clusters, len(used)), np.nan, np.float32)
    whole[:, :, used] = start, _settled(rows[:, used], found)
    return rows, state | {"start": whole[0], "centroids": whole[1]}


def _shuffled(samples: Iterable[Mapping[str, npt.NDArray[Any]]]) -> Float32:
    """Rows in the order of their hashes, which mixes all blocks; points of one place by their values."""
    parts = list(samples)
    if not parts:
        raise CubeError("the cube has no points")
    hashes, rows = (np.concatenate([part[name] for part in parts]) for name in ("hash", "rows"))
    shuffled: Float32 = rows[np.lexsort((rows[:, -1], rows[:, 0], hashes))]
    return shuffled


def _complete(rows: Float32, n_clusters: int) -> tuple[Float32, npt.NDArray[np.bool_]]:
    """Rows without gaps at the dates that at least half of the sample has, zero at others; and which dates they are."""
    used = np.isfinite(rows).mean(axis=0) >= 0.5 if len(rows) else np.zeros(rows.shape[1], bool)
    complete = np.isfinite(rows[:, used]).all(axis=1) & used.any()
    if complete.sum() < n_clusters:
        raise TooFewSeriesError(
            f"of {len(rows)} sampled series only {int(complete.sum())} are complete, fewer than the {n_clusters} "
            "clusters wanted: ask for fewer, or fill gaps first with insar_dask.regularise(cube, every='12D'); points "
            "that begin later than their record do not count"
        )
    return np.where(used, rows[complete], np.float32(0)), used


def _best_start(rows: Float32, settings: Settings) -> tuple[Float32, Float32]:
    """The k-means++ start, of ``n_init``, that one epoch of mini-batches takes lowest; and where it takes it.

    Of 32 fits of four scenes the best of four starts missed the best inertia known in two, by 2.9 and 4.1 %; the best
    of eight in none.
    """
    from sklearn.cluster import MiniBatchKMeans, kmeans_plusplus

    chance = np.random.RandomState(settings.random_state)
    batches = np.array_split(rows, max(len(rows) // settings.batch_size, 1))
    candidates = []
    with one_blas_thread():  # the bits of a product of matrices may depend on the number of threads
        for _ in range(settings.n_init):
            start, _ = kmeans_plusplus(rows, settings.n_clusters, random_state=chance)
            # clusters of few points are what is looked for: none is moved elsewhere
            options = {"n_init": 1, "random_state": chance, "reassignment_ratio": 0}
            model = MiniBatchKMeans(settings.n_clusters, init=start, **options)
            for batch in batches:
                model.partial_fit(batch)
            found = model.cluster_centers_.astype(np.float32)
            candidates.append((int(_sums(rows, found).inertia), start.astype(np.float32), found))
    return min(candidates, key=lambda candidate: candidate[0])[1:]


def _settled(rows: Float32, centroids: Float32) -> Float32:
    """Lloyd's steps on the sample till they gain no more."""
    before = np.inf
    for _ in range(MOST_STEPS):
        total = _sums(rows, centroids)
        centroids = _advanced(total, centroids)["centroids"]
        if before - total.inertia <= ENOUGH * total.inertia:
            break
        before = float(total.inertia)
    return centroids


def _advanced(total: LloydSums, centroids: Float32) -> Arrays:
    """Means of the rows nearest to each centroid; a date that none of them has, or that is left out, stays as is."""
    means = total.sums * SUM_UNIT / np.maximum(total.counts, 1)
    known = (total.counts > 0) & ~np.isnan(centroids)
    return {"centroids": np.where(known, means, centroids).astype(np.float32)}


def _total(partials: Iterable[Mapping[str, npt.NDArray[Any]]]) -> LloydSums:
    """Sums over all blocks: of integers, so in any order the same."""
    total: LloydSums | None = None
    for part in partials:
        sums = _checked(LloydSums(*(part[name] for name in LloydSums._fields)))
        # the sum of two that fit is negative where it does not
        total = sums if total is None else _checked(LloydSums(*(a + b for a, b in zip(total, sums, strict=True))))
    if total is None:
        raise CubeError("the cube has no points")
    return total


def _sums(rows: Float32, centroids: Float32) -> LloydSums:
    return _checked(insar_kernels.lloyd_sums(rows, centroids))


def _checked(sums: LloydSums) -> LloydSums:
    if sums.inertia < 0:
        raise CubeError(
            "values are too large, or infinite, to be summed exactly: wanted displacement in mm, with NaN where it is "
            "missing; features of large numbers need standardise=True"
        )
    return sums


def _ordered(state: Arrays) -> Arrays:
    """Centroids by velocity, or else their first feature, the lowest first; equal ones by the first that differs."""
    plain = plain_centroids(state)
    order = np.lexsort([*plain.T[::-1], velocities(plain, state)])  # without velocities these are all alike
    return {"centroids": state["centroids"][order]}


def plain_centroids(state: Mapping[str, npt.NDArray[Any]]) -> Float32:
    """Centroids (k, T) in the units of the cube."""
    return state["centroids"] * state["scale"] + state["shift"] if "scale" in state else state["centroids"]


def velocities(centroids: npt.NDArray[Any], state: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Velocity (k,) [mm/yr] of centroids: the slope of a line through each; of features that of this name, or NaN."""
    if "features" in state:
        names = list(state["features"])
        if "velocity" not in names:
            return np.full(len(centroids), np.nan)
        return np.asarray(centroids[:, names.index("velocity")], np.float64)
    used = ~np.isnan(centroids).any(axis=0)
    years = years_since(state["times"])[used]
    years = years - years.mean()
    curves = centroids[:, used].astype(np.float64)
    squares = float((years**2).sum())
    return np.asarray((curves * years).sum(axis=1) / (squares if squares > 0 else 1.0))
