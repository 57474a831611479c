"""Where on the ground the shards of a stage lie, for a map of its jobs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from zarr.abc.store import Store
from zarr.errors import BaseZarrError

from insar_dask.objects import get_bytes
from insar_dask.store import point_arrays, shard_plan

__all__ = ["stage_boxes"]

MOST_POINTS = 4_000_000
"""Of more the coordinates are not read for a picture: these are 64 MB, and take 0.3 s."""


def stage_boxes(store: Store, source: str, n_shards: int) -> npt.NDArray[np.float64] | None:
    """West, south, east and north of each shard (n_shards, 4), in the projected coordinates of its points.

    None where they are not known: the group has none, or too many points, or is cut otherwise than its raw cube.
    """
    for group in dict.fromkeys([source, "/".join([*source.split("/")[:-1], "raw"])]):
        if get_bytes(store, f"{group}/easting/zarr.json") is not None:
            try:
                return _boxes(store, group, n_shards)
            except (BaseZarrError, ValueError, OSError):  # damaged: for the stage itself to say
                return None
    return None


def _boxes(store: Store, group: str, n_shards: int) -> npt.NDArray[np.float64] | None:
    plan = shard_plan(store, group)
    if plan.n_shards != n_shards or plan.n_points > MOST_POINTS:
        return None
    found = {array.basename: array for array, _ in point_arrays(store, group)}
    axes = [np.asarray(found[name][...], np.float64) for name in ("easting", "northing")]
    firsts = np.arange(n_shards) * plan.shard
    # fmin and fmax pass over NaN, which shards that are not written yet are full of
    # a tile has a row and a column of coordinates, a point one of each
    edges = ([edge.reduce(axis.reshape(len(axis), -1), axis=1) for axis in axes] for edge in (np.fmin, np.fmax))
    lows, highs = (
        [edge.reduceat(axis, firsts) for axis in of] for edge, of in zip((np.fmin, np.fmax), edges, strict=True)
    )
    boxes = np.stack([*lows, *highs], axis=1)
    return boxes if np.isfinite(boxes).any() else None
