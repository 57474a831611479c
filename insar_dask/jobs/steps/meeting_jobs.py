"""Where stored tracks meet: a job a shard says which cells it sees and how; no points come to this process.

Kept of a shard are the sums of its looks in each cell, 110 bytes a cell; in memory here are the keys of all cells, 8
bytes each, and of the sums those of one shard and one run of cells at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from zarr.abc.store import Store

from insar_dask.cube import check_cube
from insar_dask.geometry.cells import (
    N_TOTALS,
    Cells,
    Sight,
    cell_keys,
    count_later,
    look_totals,
    meeting_cells,
    sight_of,
)
from insar_dask.geometry.checking import check_cells, check_cubes, check_ways
from insar_dask.geometry.cubes import shared_attributes
from insar_dask.geometry.dates import common_dates
from insar_dask.geometry.options import Options
from insar_dask.geometry.tracks import STATIC, Track
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.memory import BASE_BYTES
from insar_dask.jobs.receipts import Ledger
from insar_dask.jobs.steps.part_jobs import Arrays, Order, run_parts
from insar_dask.jobs.task import read_input
from insar_dask.objects import open_store
from insar_dask.shards import ShardPlan

__all__ = ["StoredMeeting", "StoredTrack", "meet_tracks", "see_shard", "wanted_names"]

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class StoredTrack:
    """A track as it was found, whole."""

    path: str | Store
    group: str
    cube: xr.Dataset
    plan: ShardPlan
    checksums: tuple[str, ...]

    def orders(self, options: Options) -> list[dict[str, Any]]:
        """What the job of each shard is told."""
        shared = {"path": self.path, "group": self.group, "options": options.to_dict()}
        return [{**shared, "shard": i, "checksum": checksum} for i, checksum in enumerate(self.checksums)]


@dataclass(frozen=True)
class StoredMeeting:
    """Where and when stored tracks meet."""

    cells: Cells
    dates: npt.NDArray[np.datetime64]
    options: Options
    plan: ShardPlan
    shards: tuple[tuple[tuple[int, ...], ...], ...]
    """Of each run of cells and each track: shards that have points in it."""
    attributes: Mapping[str, Any]


def meet_tracks(
    engine: Engine, name: str, tracks: Sequence[StoredTrack], options: Options, shard_cells: int
) -> StoredMeeting:
    """Bring stored tracks together: which cells they see both ways, when, and which shards hold points of which cells.

    Raises
    ------
    CubeError
        What `insar_dask.geometry.series.east_up` says of tracks.
    """
    cubes = [track.cube for track in tracks]
    for cube in cubes:
        check_cube(cube)
    check_cubes(cubes)
    orders = [order for track in tracks for order in track.orders(options)]
    largest = max(track.plan.shard for track in tracks)
    work = f"{see_shard.__module__}:{see_shard.__name__}"
    parts = run_parts(engine, f"{name}/cells", work, orders, step="east_up", memory=BASE_BYTES + 300 * largest)
    of = [number for number, track in enumerate(tracks) for _ in track.checksums]
    firsts = np.cumsum([0, *(len(track.checksums) for track in tracks)]).tolist()
    seen = [_Seen.of(part) for part in parts]
    ways = [sum(one.n_ascending for one in mine) * 2 > sum(one.n for one in mine) for mine in _by_track(seen, of)]
    check_ways(ways, cubes)
    dates = common_dates([cube["time"].values for cube in cubes], ways, options)
    cells = meeting_cells([one.ascending for one in seen], [one.descending for one in seen], options)
    n_later = sum(one.n_later for one in seen)
    check_cells(len(cells.keys), [_box(mine) for mine in _by_track(seen, of)], cubes, n_later)
    plan = ShardPlan.of(len(cells.keys), len(dates), shard_cells)
    shards: list[list[list[int]]] = [[[] for _ in tracks] for _ in range(plan.n_shards)]
    for number, (track, one) in enumerate(zip(of, seen, strict=True)):
        inside = cells.places(np.union1d(one.ascending, one.descending))
        for run in np.unique(inside[inside >= 0] // plan.shard).tolist():
            shards[run][track].append(number - firsts[track])
    frozen = tuple(tuple(tuple(mine) for mine in run) for run in shards)
    sight = _sight(engine.ledger, f"jobs/partials/{name}/cells", cells, plan, frozen, firsts, options)
    attributes = shared_attributes(cubes, dates, sight, options, n_later)
    return StoredMeeting(cells, dates, options, plan, frozen, attributes)


def see_shard(order: Order, _: Ledger) -> Arrays:
    """Cells that the points of a shard lie in, and the sums of their looks in each."""
    options = Options.of(order["options"])
    store = open_store(order["path"])
    block = read_input(store, order["group"], order["shard"], order["checksum"], wanted_names(options))
    track = Track.of(block, options)
    keys = cell_keys(track, options)
    found, cells = np.unique(keys[keys >= 0], return_inverse=True)
    inside = np.full(len(keys), -1)
    inside[keys >= 0] = cells
    counts = np.array([len(keys), int(track.ascending.sum()), count_later(track, options)])
    return {"keys": found, "totals": look_totals(track, inside, len(found)), "n": counts, "box": np.array(track.box)}


def wanted_names(options: Options) -> list[str]:
    """Variables over ``point`` that tell where points lie and look, when they begin, and what they weigh."""
    return [*STATIC, *(name for name in (options.sigma, options.north) if isinstance(name, str))]


@dataclass(frozen=True)
class _Seen:
    """What is kept here of a shard: the keys of its cells."""

    ascending: Whole
    descending: Whole
    n: int
    n_ascending: int
    n_later: int
    box: npt.NDArray[np.float64]

    @classmethod
    def of(cls, part: Mapping[str, npt.NDArray[Any]]) -> _Seen:
        ascending, descending = part["totals"][:, -2] > 0, part["totals"][:, -1] > 0
        n, n_ascending, n_later = part["n"].tolist()
        return cls(part["keys"][ascending], part["keys"][descending], n, n_ascending, n_later, part["box"])


def _sight(
    ledger: Ledger, target: str, cells: Cells, plan: ShardPlan, shards: Any, firsts: list[int], options: Options
) -> Sight:
    """What the looks say of all cells, run by run; of the numbers those that attributes tell of."""
    found = []
    for run, mine in enumerate(shards):
        part = cells.part(plan.slice(run))
        totals = np.zeros((len(part.keys), N_TOTALS), np.int64)
        for track, numbers in enumerate(mine):
            for number in numbers:
                stored = ledger.read_partial(target, firsts[track] + number)
                at = part.places(stored["keys"])
                totals[at[at >= 0]] += stored["totals"][at >= 0]  # each key is there once
        sight = sight_of(totals, options)
        found.append((sight.east_per_north, sight.up_per_north, sight.reason))
    east, up, reason = (np.concatenate(column) for column in zip(*found, strict=True))
    whole, nothing = np.empty(0, np.int64), np.empty(0)
    return Sight(whole, whole, nothing, nothing, east, up, nothing, reason)


def _by_track(seen: Sequence[_Seen], of: Sequence[int]) -> list[list[_Seen]]:
    found: list[list[_Seen]] = [[] for _ in range(max(of) + 1)]
    for one, track in zip(seen, of, strict=True):
        found[track].append(one)
    return found


def _box(seen: Sequence[_Seen]) -> list[float]:
    boxes = np.array([one.box for one in seen])
    return [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]
