"""How many clusters: inertia and silhouette over a range of numbers, on a sample."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

import insar_kernels
from insar_dask.cluster.blocks import over_blocks, sample_block
from insar_dask.cluster.estimator import Clusters
from insar_dask.cluster.learning import from_sample
from insar_dask.cluster.rows import PLACE, axis_of, check_rows, names_of
from insar_dask.machine import one_blas_thread

__all__ = ["choose_n_clusters"]

SILHOUETTE_POINTS = 2_000
"""Silhouettes compare all pairs: 4 million of these. Two such samples differ by about 0.01."""


def choose_n_clusters(
    cube: xr.Dataset, n_clusters: Sequence[int] = range(2, 13), *, until: str | None = None, **parameters: Any
) -> xr.Dataset:
    """Help to choose the number of clusters, from a sample of the cube.

    Parameters
    ----------
    cube : xr.Dataset
        As `Clusters.fit` takes it.
    n_clusters : sequence of int
        Numbers to try, increasing, from 2 on.
    until : str, optional
        As in `Clusters.fit`.
    **parameters
        Of `Clusters`, but ``n_clusters``.

    Returns
    -------
    xr.Dataset
        Over ``n_clusters``: ``inertia``, the mean squared distance of a point to its centroid [mm²], and ``silhouette``
        in [-1, 1], the mean of (b - a) / max(a, b), with a the mean distance of a point to the others of its cluster
        and b to those of the next nearest; NaN where all of its sample are in one cluster, or each in its own.
        Attributes: ``elbow``, the number at which the curve of inertia lies farthest below the line between its ends;
        ``best_silhouette``, that of the highest silhouette, left out where all are NaN; ``n_points`` of the sample.
        Only series without gaps are in it. Neither number is a truth: ground moves in no number of patterns, and real
        scenes are often all of one piece, with a best silhouette at two.

    Raises
    ------
    CubeError
        As `Clusters.fit`.
    ValueError
        When the numbers do not increase, or start below 2.

    Notes
    -----
    Rousseeuw (1987), doi:10.1016/0377-0427(87)90125-7; the elbow is that of Satopaa et al. (2011),
    doi:10.1109/ICDCSW.2011.20.
    """
    numbers = list(n_clusters)
    if not numbers or numbers[0] < 2 or (np.diff(numbers) <= 0).any():
        raise ValueError(f"n_clusters is {numbers}; wanted increasing numbers from 2 on")
    most = Clusters(numbers[-1], **parameters)
    check_rows(cube, most.features, until)
    axis = axis_of(cube, most.features, until)
    draw = most.draw(cube.sizes["point"], until)
    names = (*names_of(cube, most.features), *PLACE)
    parts = over_blocks(cube, names, partial(sample_block, **draw))
    found = [from_sample(parts, Clusters(k, **parameters).settings(axis)) for k in numbers]
    scores = [_scores(rows, state["centroids"]) for rows, state in found]
    inertia, silhouette = np.array(scores).T
    best = {} if np.isnan(silhouette).all() else {"best_silhouette": numbers[int(np.nanargmax(silhouette))]}
    return xr.Dataset(
        {
            "inertia": ("n_clusters", inertia, {"long_name": "mean squared distance to the centroid", "units": "mm2"}),
            "silhouette": ("n_clusters", silhouette, {"long_name": "mean silhouette", "units": "1"}),
        },
        coords={"n_clusters": numbers},
        attrs={
            "elbow": numbers[_elbow(np.array(numbers, float), inertia)],
            **best,
            "n_points": len(found[0][0]),
        },
    )


def _scores(rows: npt.NDArray[np.float32], centroids: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Mean squared distance, and silhouette of the first rows; rows are shuffled."""
    from sklearn.metrics import silhouette_score

    label, square = insar_kernels.nearest(rows, centroids)
    used, first = ~np.isnan(centroids).any(axis=0), slice(SILHOUETTE_POINTS)
    if not 1 < len(np.unique(label[first])) < len(label[first]):  # nothing to compare
        return float(square.mean(dtype=np.float64)), np.nan
    with one_blas_thread():
        silhouette = float(silhouette_score(rows[first, used], label[first]))
    return float(square.mean(dtype=np.float64)), silhouette


def _elbow(numbers: npt.NDArray[np.float64], inertia: npt.NDArray[np.float64]) -> int:
    """Where the curve lies farthest below its chord, in units of its height."""
    chord = np.interp(numbers, numbers[[0, -1]], inertia[[0, -1]])
    return int(np.argmax(chord - inertia))
