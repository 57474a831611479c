"""Clusters of scattered points, where a grid would be mostly empty."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from insar_dask.detect.areas import shapely_of
from insar_dask.settings import positive, whole

__all__ = ["cluster_points", "hull_of"]

Float64 = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

RATIO = 0.3
"""Of the longest and shortest edges of a concave hull."""


def cluster_points(easting: npt.ArrayLike, northing: npt.ArrayLike, radius: float = 60.0, fewest: int = 5) -> Labels:
    """(n,) number of the cluster of each point, from 0 in order of their first points; -1 for none.

    DBSCAN (Ester et al., KDD 1996): points with ``fewest`` points within ``radius``, themselves among them, are cores;
    cores within ``radius`` are of one cluster. A border point goes to the cluster of its nearest core, of several the
    first: so neither the order of points nor tiles that overlap by ``radius`` change a cluster.

    Parameters
    ----------
    easting, northing : (n,) array_like [m]
        Of the points that move.
    radius : float
        In metres.
    fewest : int
        Points of a core's neighbourhood.
    """
    place = np.stack([np.asarray(easting, np.float64), np.asarray(northing, np.float64)], axis=1)
    positive("radius", radius, of="metres")
    whole("fewest", fewest, of="points")
    labels = np.full(len(place), -1)
    if not len(place):
        return labels
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    tree = cKDTree(place)
    core = np.flatnonzero(tree.query_ball_point(place, radius, return_length=True) >= fewest)
    if not core.size:
        return labels
    cores = cKDTree(place[core])
    pairs = cores.query_pairs(radius, output_type="ndarray")
    links = coo_array((np.ones(len(pairs), bool), tuple(pairs.T)), (core.size, core.size))
    _, groups = connected_components(links, directed=False)
    found = cores.query(place, distance_upper_bound=np.nextafter(radius, np.inf))
    distance, nearest = (np.asarray(part) for part in found)
    near = np.isfinite(distance)
    labels[near] = groups[nearest[near]]
    _, first = np.unique(labels[labels >= 0], return_index=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    labels[labels >= 0] = rank[labels[labels >= 0]]
    return labels


def hull_of(easting: npt.ArrayLike, northing: npt.ArrayLike, spacing: float) -> Any:
    """Concave hull of a cluster's points, each with half a spacing [m] of ground about it."""
    shapely = shapely_of()
    points = shapely.MultiPoint(np.stack([np.asarray(easting), np.asarray(northing)], axis=1))
    hull = shapely.concave_hull(points, ratio=RATIO)
    return shapely.normalize(shapely.make_valid(shapely.buffer(hull, positive("spacing", spacing) / 2)))
