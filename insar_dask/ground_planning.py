"""What a run would do to find moving areas, and how large east and up of some tracks may be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from insar_dask.config import Config
from insar_dask.costs import Size, Work
from insar_dask.cube import CubeError
from insar_dask.detect.finding import TILE
from insar_dask.ground_costs import areas_work
from insar_dask.jobs.memory import BASE_BYTES, task_memory
from insar_dask.map_planning import STORED_FLOAT, Stages
from insar_dask.shards import ShardPlan

__all__ = ["check_tracks", "met_size", "plan_areas", "plan_meeting"]

NUMBERS = 8
"""Numbers of a point that rules and cards look at."""

PAGE_BYTES = 1_000_000

Times = npt.NDArray[np.datetime64]


def plan_areas(config: Config, sizes: Sequence[Size]) -> tuple[str, Stages, Work]:
    """What is done to find the areas of a run's products, in a line, its stages, and what they take.

    Parameters
    ----------
    config : Config
        Its areas are wanted.
    sizes : sequence of Size
        Of the products.
    """
    plans = [ShardPlan.of(size.points, size.dates, config.store.shard_points) for size in sizes]
    points = sum(size.points for size in sizes)
    shard, dates = max(plan.shard for plan in plans), max(size.dates for size in sizes)
    tiles = sum(-(-size.points // TILE**2) for size in sizes)  # of a point a cell: of more points there are fewer cells
    window = BASE_BYTES + 4 * 4 * TILE**2 * NUMBERS + 8 * (NUMBERS + 30) * shard
    evidence = window + task_memory(shard, 4 * dates) - BASE_BYTES
    stages = {
        "errors": (sum(plan.n_shards for plan in plans), 3 * STORED_FLOAT * points, task_memory(shard, 4 * dates)),
        "survey": (tiles, 8 * points / 100, window),
        "find": (tiles, points / 10, window),
        "cards": (tiles, points / 10, evidence),
        "report": (len(sizes), PAGE_BYTES * len(sizes), None),
    }
    work = dict(areas_work(sizes, tiles))
    judged = f"rule {config.areas.method}"
    if config.areas.inventory:  # nothing is looked for
        judged = f"outlines of {config.areas.inventory}"
        del stages["find"], work["find"]
    return f"areas: {judged}, about {tiles} tiles of {TILE} x {TILE} cells", stages, work


def check_tracks(n_files: int, n_stored: int) -> None:
    """Refuse a run, before any work, whose files and stored tracks cannot be an ascending and a descending one."""
    if n_files + n_stored < 2:
        raise CubeError(
            f"east and up take an ascending and a descending track, and there is {n_files + n_stored}: name the other "
            "one in files under [source], or in tracks under [east_up] where it is stored"
        )


def met_size(config: Config, tracks: Sequence[tuple[int, Times]]) -> tuple[int, int]:
    """Most cells, and the dates, that tracks of so many points come to: a cell takes a point of each way."""
    first, last = (edge([times[at] for _, times in tracks]) for edge, at in ((max, 0), (min, -1)))
    step = np.timedelta64(int(config.east_up.every.removesuffix("D")), "D")
    return max(sum(n for n, _ in tracks) // 2, 1), max(int((last - first) / step) + 1, 1)


def plan_meeting(plan: ShardPlan, n_cells: int, n_dates: int, track_points: int) -> Stages:
    """Stages that bring tracks together: a look at what cells they meet in, and east and up of these.

    Parameters
    ----------
    plan : ShardPlan
        Of the cells.
    n_cells, n_dates : int
    track_points : int
        Of the largest shard of a track.
    """
    cells = min(plan.shard, n_cells) * n_dates * (5 * 8 + 2 * 5 * 4)
    read = 2 * 4 * track_points * (n_dates + 24)
    return {"east-up": (2 * plan.n_shards, 6 * STORED_FLOAT * n_dates * n_cells, BASE_BYTES + cells + read)}
