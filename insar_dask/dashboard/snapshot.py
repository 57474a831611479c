"""What the page shows of a run, as JSON of at most some 100 KB however many jobs there are.

Shards are shown as cells: each one shard, or where there are more than 2,400, each 2, 4, 8, ... consecutive ones, which
are neighbours on the ground as well.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.addresses import parent_address
from insar_dask.jobs.progress.board import Board
from insar_dask.jobs.progress.pace import thinned
from insar_dask.jobs.progress.stage_board import STATES, Fault, StageBoard

__all__ = ["cell_details", "cell_size", "names", "places", "shard_details", "snapshot"]

MOST_CELLS = 2400
MOST_ROWS = 60
MOST_WORKERS = 200
MOST_MODELS = 8
LOSS_POINTS = 240
STRAGGLER = 3.0
"""A job that runs for so many medians is pointed out."""
FEWEST_TO_COMPARE = 5

LETTERS = "wrdfts"
"""Of the states, in their order."""


def cell_size(n_shards: int) -> int:
    """Shards of a cell: 1, 2, 4, 8, ...

    >>> cell_size(588), cell_size(24_000), cell_size(100_000)
    (1, 16, 64)
    """
    return 1 << max(math.ceil(math.log2(max(n_shards, 1) / MOST_CELLS)), 0)


def snapshot(
    board: Board,
    stage: str | None = None,
    *,
    now: float | None = None,
    workers: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """A run, one of its stages in full.

    Parameters
    ----------
    board : Board
    stage : str, optional
        The one that is shown in full; default: the one that runs, or ran last.
    now : float, optional
        Seconds since 1970.
    workers : sequence of mappings, optional
        What the scheduler knows of the workers; else what they did is all there is.
    """
    now = time.time() if now is None else now
    chosen = board.stages.get(stage or "") or board.current
    return {
        "run": board.run,
        "store": board.store,
        "now": now,
        "began": board.began,
        "last": board.last,
        "ended": board.ended,
        "error": board.error,
        "stages": [_line(one) for one in board.stages.values()],
        "folded": vars(board.folded) if board.folded.stages else None,
        "stage": None if chosen is None else _whole(chosen, board.ended or now),
        "workers": _workers(board, workers, now),
        "losses": _losses(board),
    }


def _line(stage: StageBoard) -> dict[str, Any]:
    counts = stage.counts()
    return {
        "name": stage.name,
        "n": stage.n_shards,
        "counts": {name: count for name, count in counts.items() if count},
        "began": stage.began,
        "ended": stage.ended,
        "error": stage.error,
        "points": stage.points,
        "bytes": stage.bytes,
        "retries": stage.retries,
    }


def _whole(stage: StageBoard, now: float) -> dict[str, Any]:
    until = now if stage.ended is None else stage.ended
    median, speed = stage.median(), stage.speed(until)
    faults = sorted(stage.faults.values(), key=lambda fault: (fault.kind != "retried", fault.at), reverse=True)
    return {
        **_line(stage),
        "targets": list(stage.targets),
        "points_of": list(stage.points_of),
        **_cells(stage),
        "has_places": stage.boxes is not None,
        "has_names": _is_named(stage),
        "median": median,
        "busy": stage.busy,
        "rate": {"jobs": speed.jobs, "points": speed.points, "bytes": speed.bytes},
        "eta": speed.left,
        "stragglers": _stragglers(stage, median, until),
        "faults": [_brief(stage, fault) for fault in faults[:MOST_ROWS]],
        "n_faults": len(faults),
        "course": stage.course.to_dict(),
    }


def _brief(stage: StageBoard, fault: Fault) -> dict[str, Any]:
    """A fault without its traceback, and what has become of its shard."""
    told = {name: value for name, value in vars(fault).items() if name != "traceback"}
    return {**told, "state": _state(stage, fault.shard)}


def _cells(stage: StageBoard) -> dict[str, Any]:
    """States by cell: a letter each, or where a cell is many shards how many are in each state."""
    size = cell_size(stage.n_shards)
    states = np.frombuffer(stage.states, np.uint8)
    if size == 1:
        letters = np.frombuffer(LETTERS.encode(), np.uint8)[states].tobytes().decode()
        return {"cell": 1, "states": letters, "tried": sorted(stage.faults)}
    counts = _counted(states, size)
    shown = {name: counts[code].tolist() for code, name in enumerate(STATES) if counts[code].any()}
    return {"cell": size, "counts_of": shown, "tried": sorted({shard // size for shard in stage.faults})}


def _counted(states: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.int64]:
    """Shards (states, cells) by state."""
    n_cells = -(-states.size // size)
    place = np.arange(states.size) // size
    flat = np.bincount(states.astype(np.int64) * n_cells + place, minlength=len(STATES) * n_cells)
    return flat.reshape(len(STATES), n_cells)


def _stragglers(stage: StageBoard, median: float, now: float) -> list[dict[str, Any]]:
    """Shards that have run for more than three times the median, the longest first."""
    if stage.counts()["done"] < FEWEST_TO_COMPARE:
        return []
    late = [(now - since, shard, worker) for shard, (since, worker) in stage.running.items()]
    late = sorted((one for one in late if one[0] > STRAGGLER * median), reverse=True)
    return [{"shard": shard, "seconds": seconds, "worker": worker} for seconds, shard, worker in late[:MOST_ROWS]]


def _workers(board: Board, known: Sequence[Mapping[str, Any]] | None, now: float) -> dict[str, Any]:
    running: dict[str, int] = {}
    for stage in board.stages.values():
        for _, worker in stage.running.values():
            running[worker] = running.get(worker, 0) + 1
    if known is None:
        names = sorted({*board.hands, *running} - {""})
        known = [{"address": name} for name in names]
    there = {str(one["address"]) for one in known}
    return {
        "n": len(known),
        "threads": sum(int(one.get("threads", 0)) for one in known),
        # a receipt has a host where nobody heard which worker it was: that is no worker that is gone
        "gone": sum("://" in name for name in board.hands if name not in there),
        "rows": [_worker(board, one, running) for one in known[:MOST_WORKERS]],
    }


def _worker(board: Board, one: Mapping[str, Any], running: Mapping[str, int]) -> dict[str, Any]:
    name = str(one["address"])
    did = board.hands.get(name)
    row = {**one, "running": running.get(name, 0)}
    return row if did is None else {**row, **vars(did)}


def _losses(board: Board) -> list[dict[str, Any]]:
    """Loss curves of the models that trained last."""
    latest = sorted(board.training, key=lambda name: board.training[name].get("at", 0.0))[-MOST_MODELS:]
    return [
        {"model": name, "rows": thinned(board.losses.get(name, []), LOSS_POINTS), "last": board.training[name]}
        for name in latest
    ]


def places(stage: StageBoard) -> list[list[int]] | None:
    """West, south, east and north of each cell, in whole metres; empty where not known; None where none is."""
    if stage.boxes is None:
        return None
    size, boxes = cell_size(stage.n_shards), stage.boxes
    found: list[list[int]] = []
    for first in range(0, len(boxes), size):
        part = boxes[first : first + size]
        part = part[np.isfinite(part).all(axis=1)]
        if not part.size:
            found.append([])
            continue
        low, high = part[:, :2].min(axis=0), part[:, 2:].max(axis=0)
        found.append([int(value) for value in (*np.floor(low), *np.ceil(high))])
    return found


def names(stage: StageBoard) -> list[str] | None:
    """Of a campaign the name of each cell's product; None where cells are shards, or several products."""
    return [parent_address(store)[1].removesuffix(".zarr") for store in stage.stores] if _is_named(stage) else None


def _is_named(stage: StageBoard) -> bool:
    return bool(stage.stores) and len(stage.stores) == stage.n_shards and cell_size(stage.n_shards) == 1


def cell_details(stage: StageBoard, cell: int) -> list[dict[str, Any]]:
    """The shards of a cell: state, seconds, where they run, and what went wrong with them."""
    size = cell_size(stage.n_shards)
    shards = range(cell * size, min((cell + 1) * size, stage.n_shards))
    return [shard_details(stage, shard) for shard in shards]


def shard_details(stage: StageBoard, shard: int) -> dict[str, Any]:
    """What is known of a shard."""
    details: dict[str, Any] = {"shard": shard, "state": _state(stage, shard)}
    if stage.seconds[shard]:
        details["seconds"] = round(stage.seconds[shard], 3)
    if shard in stage.running:
        details["since"], details["worker"] = stage.running[shard]
    if shard in stage.faults:
        details["fault"] = stage.faults[shard].to_dict()
    if shard < len(stage.stores):
        details["store"] = stage.stores[shard]
    return details


def _state(stage: StageBoard, shard: int) -> str:
    return STATES[stage.states[shard]]
