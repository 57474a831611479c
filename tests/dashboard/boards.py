"""Runs that never were, told event by event."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from insar_dask.jobs.progress.board import Board
from insar_dask.jobs.progress.events import Event
from insar_dask.jobs.progress.stage_board import packed_boxes

STAGE = "site/products"
TRACE = "Traceback (most recent call last):\n  File 'task.py', line 1\nCubeError: </script><b>shard 7</b>"


def stage(n_shards: int, *, at: float = 100.0, name: str = STAGE, boxes: bool = False, skipped: int = 0) -> Event:
    extra = {"n_shards": n_shards, "points": [1000, 10], "targets": [name]}
    where = {"boxes": packed_boxes(squares(n_shards))} if boxes else {}
    return Event("stage", name, at=at, extra={**extra, "skipped": [[0, skipped]] if skipped else [], **where})


def done(shard: int, *, at: float, seconds: float = 2.0, name: str = STAGE, worker: str = "tcp://a:1") -> Event:
    return Event("done", name, shard, points=1000, bytes=4000, seconds=seconds, worker=worker, at=at)


def running(shard: int, *, at: float, name: str = STAGE) -> Event:
    return Event("running", name, shard, worker="tcp://b:1", at=at)


def failed(shard: int, *, at: float) -> Event:
    error = "CubeError: </script><b>shard 7</b>"
    return Event("failed", STAGE, shard, error=error, traceback=TRACE, worker="tcp://b:1", at=at)


def retried(shard: int, *, at: float) -> Event:
    return Event("retried", STAGE, shard, error="its worker died", worker="tcp://b:1", at=at)


def board_of(events: Iterable[Event]) -> Board:
    board = Board("0001-aa", "/data/site.zarr")
    for event in events:
        board.take(event)
    return board


def busy_board(n_shards: int = 40) -> Board:
    """Of 40 jobs 5 were done before, 20 are done (one at its second try), 1 failed, 2 run, 1 waits again."""
    events = [stage(n_shards, boxes=True, skipped=5), retried(6, at=101.0)]
    events += [done(shard, at=101.0 + shard) for shard in range(5, 26) if shard != 7]
    events += [failed(7, at=120.0), running(26, at=110.0), running(27, at=129.0), retried(28, at=129.5)]
    loss = {"model": "lstm", "step": 10, "of": 40, "loss": 0.5}
    events += [Event("loss", "training", at=130.0, extra=loss)]
    events += [Event("loss", "training", at=130.0, extra={**loss, "step": 20, "loss": 0.25, "validation": 0.375})]
    return board_of(events)


def squares(n: int) -> npt.NDArray[np.float64]:
    """Boxes of 100 m, ten in a row."""
    west, south = 4.6e6 + 100.0 * (np.arange(n) % 10), 2.0e6 + 100.0 * (np.arange(n) // 10)
    return np.stack([west, south, west + 100, south + 100], axis=1)
