"""Points of a stored group by their places in it, wherever its shards cut them: what a job on other shards reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from zarr.abc.store import Store

from insar_dask.jobs.engine import Engine, str_path
from insar_dask.jobs.task import read_input
from insar_dask.objects import open_store
from insar_dask.shards import ShardPlan
from insar_dask.store import shard_plan

__all__ = ["Part", "Stored", "gather"]

Part = tuple[Any, str, int, list[tuple[int, str]]]
"""What a task is told of a group: address, name, points of a shard, and shards that it reads with their checksums."""


@dataclass(frozen=True)
class Stored:
    """A stored group as it was found, whole."""

    path: str | Store
    group: str
    plan: ShardPlan
    checksums: tuple[str, ...]

    @classmethod
    def found(cls, path: str | Path | Store, group: str) -> Stored:
        """Look at a group; a JobError says what it lacks."""
        receipts, plan = Engine(path, quiet=True).require(group), shard_plan(open_store(path), group)
        return cls(str_path(path), group, plan, tuple(receipts[index].checksum for index in range(plan.n_shards)))

    def part(self, points: npt.NDArray[np.int64]) -> Part:
        """What a task is told that reads some points; those below 0 are in no shard."""
        shards = np.unique(points[points >= 0] // self.plan.shard).tolist()
        return self.path, self.group, self.plan.shard, [(index, self.checksums[index]) for index in shards]


def gather(part: Part, points: npt.NDArray[np.int64], names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Variables over ``point`` of some points, which is their first axis then; one shard in memory at a time.

    A point below 0 has NaN, 0 or "". Nothing is returned where no point is in the group.
    """
    path, group, length, shards = part
    out: dict[str, npt.NDArray[Any]] = {}
    for index, checksum in shards:
        block = read_input(open_store(path), group, index, checksum, names)
        here = np.flatnonzero(points // length == index)
        for name in names:
            variable = block[name].variable
            values = np.moveaxis(np.asarray(variable.values), variable.dims.index("point"), 0)
            out.setdefault(name, _empty(len(points), values))[here] = values[points[here] - index * length]
    return {name: values.astype(str) if values.dtype == object else values for name, values in out.items()}


def _empty(count: int, like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array for so many points: text of any length, or numbers that are missing."""
    shape = (count, *like.shape[1:])
    if like.dtype.kind in "UTO":
        return np.full(shape, "", object)
    return np.full(shape, np.nan if like.dtype.kind == "f" else 0, like.dtype)
