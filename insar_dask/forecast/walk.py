"""A cube's points block by block, in the order and the shards of a store: in memory or stored, the same numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError, check_cube
from insar_dask.forecast.maps.lattice import cells_across
from insar_dask.forecast.memory import check_free
from insar_dask.forecast.places import check_places
from insar_dask.forecast.training.progress_line import ProgressLine
from insar_dask.foresight import sees_future
from insar_dask.readers.point_order import hilbert_order
from insar_dask.settings import whole
from insar_dask.shards import ShardPlan

__all__ = ["Tell", "Walk", "check_raw", "fingerprint", "observed_dates"]

Tell = Callable[[Mapping[str, Any]], None]

PLACE = "easting", "northing", "point_id"


@dataclass(frozen=True)
class Walk:
    """Blocks of a point cube, loaded one at a time.

    Forecasters that look at neighbours cut their groups within a shard along the Hilbert curve. So the points are taken
    in that order, whatever order they come in, and in the blocks that a store would make of them. Of cells of tiles
    every tile is a block, as a job has one: networks of maps see it whole.

    Parameters
    ----------
    cube : xr.Dataset
        In memory or lazy.
    shard_points : int
        Most points of a block; a tile is not cut.
    """

    cube: xr.Dataset
    shard_points: int

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        whole("shard_points", self.shard_points, of="points")

    @cached_property
    def plan(self) -> ShardPlan:
        """How the points are cut: by tiles, or the stored shards where the cube is one's lazy view, or their rule."""
        if cells := cells_across(self.cube):
            return ShardPlan(self.cube.sizes["point"], cells**2)
        chunks = self.cube["displacement"].chunksizes.get("point", ())
        even = len(set(chunks[:-1])) <= 1 and (not chunks or chunks[-1] <= chunks[0] <= self.shard_points)
        if chunks and even and self.sorted:
            return ShardPlan(self.cube.sizes["point"], chunks[0])
        return ShardPlan.of(self.cube.sizes["point"], self.cube.sizes["time"], self.shard_points)

    @cached_property
    def order(self) -> npt.NDArray[np.int64]:
        """Points along the Hilbert curve; a CubeError for one without a place."""
        easting, northing, names = (np.asarray(self.cube[name].values) for name in PLACE)
        check_places(easting, northing, names)
        return hilbert_order(easting, northing, names, np.arange(self.cube.sizes["point"]))

    @cached_property
    def sorted(self) -> bool:
        """Whether the points come in that order, as stored ones do."""
        return bool((self.order[:-1] <= self.order[1:]).all())

    def __len__(self) -> int:
        """Number of blocks."""
        return self.plan.n_shards

    def __iter__(self) -> Iterator[xr.Dataset]:
        """Blocks in their order, in memory."""
        for index in range(len(self)):
            where = self.plan.slice(index)
            yield self.cube.isel(point=where if self.sorted else self.order[where]).load()

    def check_free(self, what: str, needed: Callable[[int], int], memory: int | None) -> None:
        """Refuse what takes more memory than there is: see `insar_dask.forecast.memory.check_free`."""
        lazy, n_points = bool(self.cube["displacement"].chunksizes), self.cube.sizes["point"]
        cells = cells_across(self.cube)
        check_free(f"{what} {n_points:,} points", needed, self.plan.shard, lazy=lazy, cells=cells, memory=memory)

    def told(self, stage: str, tell: Tell | None) -> Iterator[xr.Dataset]:
        """Blocks in their order; each is told as ``{"stage", "done", "total"}``, or in the terminal."""
        with ProgressLine(stage, quiet=tell is not None) as line:
            for done, block in enumerate(self, start=1):
                yield block
                line({"kind": "step", "step": done, "of": len(self)})
                if tell is not None:
                    tell({"stage": stage, "done": done, "total": len(self)})

    def back(self, made: xr.Dataset) -> xr.Dataset:
        """What was made of the points, in the order that the cube has them in."""
        return made if self.sorted else made.isel(point=np.argsort(self.order))


def fingerprint(walk: Walk) -> str:
    """SHA-256 of dates, places and displacement: of the same points the same, in whatever order and blocks they come.

    Every missing value counts as the same one, and -0 as 0.
    """
    digest = hashlib.sha256(walk.cube["time"].values.astype("datetime64[s]").astype(np.int64).tobytes())
    for name in ("easting", "northing"):
        digest.update(np.asarray(walk.cube[name].values, np.float64)[walk.order].tobytes())
    for block in Walk(walk.cube[["displacement", *PLACE]], walk.shard_points):
        values = block["displacement"].values
        known = np.where(np.isnan(values), np.float32(np.nan), values) + np.float32(0)
        digest.update(np.ascontiguousarray(known).tobytes())
    return digest.hexdigest()


def check_raw(cube: xr.Dataset) -> xr.Dataset:
    """Return a raw cube with points in it unchanged; else raise `CubeError`."""
    check_cube(cube)
    if days := sees_future(cube):
        seen = "the whole series" if days < 0 else f"{days} days of the future"
        raise CubeError(
            f"the values of this cube have seen {seen} (attrs['sees_future'] = {days}): a Forecaster takes the raw "
            "cube and filters it per origin itself; series that were inverted from interferograms go to "
            "`insar.fit_stored`, from their store, whose card says how far its scores LEAK"
        )
    if cube.sizes["point"] == 0:
        raise CubeError("the cube has no points: nothing can be learned or forecast")
    return cube


def observed_dates(cube: xr.Dataset) -> npt.NDArray[np.bool_] | None:
    """Which dates are real acquisitions; None where the cube does not say: all are."""
    return np.asarray(cube["observed"].values) if "observed" in cube else None
