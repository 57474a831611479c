"""What watching costs: a job's events on the scheduler and in the driver, and the page of 100,000 jobs.

Run as ``python tests/benchmarks/run.py dashboard``; about half a minute.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from zarr.storage import MemoryStore

from insar_dask.dashboard.kept import kept_state
from insar_dask.dashboard.page import dead_page, live_page
from insar_dask.dashboard.plugin import JobsPlugin
from insar_dask.dashboard.snapshot import places, snapshot
from insar_dask.jobs.progress.batches import packed
from insar_dask.jobs.progress.board import Board
from insar_dask.jobs.progress.events import TOPIC, Event
from insar_dask.jobs.progress.stage_board import packed_boxes
from insar_dask.jobs.receipts import Ledger
from tests.benchmarks.measure import RUNS, Row, gate, row, seconds, size

STAGE = "site/products"
BATCH = 1000
MEGABYTE = 1e6


def rows() -> list[Row]:
    n = size(100_000)
    told = events(n)
    return [scheduler_row(n, told), driver_row(n, told), *page_rows(n, told)]


def outset(n: int) -> Event:
    west, south = 4.6e6 + 900.0 * (np.arange(n) % 317), 2.0e6 + 900.0 * (np.arange(n) // 317)
    boxes = packed_boxes(np.stack([west, south, west + 900, south + 900], axis=1))
    extra = {"n_shards": n, "skipped": [], "points": [65536, 65536], "targets": [STAGE], "boxes": boxes}
    return Event("stage", STAGE, at=1.0, extra=extra)


def events(n: int) -> list[Event]:
    """Each job is seen to run and to be done, on one of 64 workers; each hundredth is retried."""
    told = []
    for shard in range(n):
        at, worker = 2.0 + shard / 100, f"tcp://10.0.0.{shard % 64}:40331"
        told.append(Event("running", STAGE, shard, worker=worker, at=at))
        if shard % 100 == 0:
            told.append(Event("retried", STAGE, shard, worker=worker, error="its worker died", at=at))
        told.append(Event("done", STAGE, shard, points=65536, bytes=20_000_000, seconds=3.1, worker="host", at=at + 3))
    return told


def scheduler_row(n: int, told: list[Event]) -> Row:
    """Events as they arrive: beginnings one by one from the workers, all else in batches from the driver."""
    beginnings = [event.to_dict() for event in told if event.kind == "running"]
    others = [event for event in told if event.kind != "running"]
    about = {"run": "1", "store": "/data/site.zarr", "client": "client"}
    batches = [{**about, "events": packed(others[at : at + BATCH])} for at in range(0, len(others), BATCH)]

    def hear() -> JobsPlugin:
        plugin = JobsPlugin()
        plugin.log_event(TOPIC, {**about, "events": packed([outset(n)])})
        for place, batch in enumerate(batches):
            for beginning in beginnings[place * BATCH : (place + 1) * BATCH]:
                plugin.log_event(TOPIC, beginning)
            plugin.log_event(TOPIC, batch)
        return plugin

    made = hear().board(None).stages[STAGE].counts()["done"]
    return timed(f"scheduler, a job of {n:,}: 2.01 events, 5 transitions", hear, n, [gate("jobs done", n - made, 0)])


def driver_row(n: int, told: list[Event]) -> Row:
    def tell() -> None:
        board = Board()
        board.take(outset(n))
        for event in told:
            board.take(event)
        for at in range(0, len(told), BATCH):
            packed(told[at : at + BATCH])

    return timed(f"driver, a job of {n:,}: board and batches", tell, n, [])


def page_rows(n: int, told: list[Event]) -> list[Row]:
    board = Board("1", "/data/site.zarr")
    board.take(outset(n))
    for event in told[: len(told) * 3 // 4]:
        board.take(event)
    alive = json.dumps(snapshot(board))
    where = json.dumps(places(board.stages[STAGE]))
    dead = dead_page(kept_state(board, Ledger(MemoryStore())))
    sizes = [
        gate("live page, state and map, MB", (len(live_page()) + len(alive) + len(where)) / MEGABYTE, 1),
        gate("page of a dead run, MB", len(dead) / MEGABYTE, 1),
    ]

    def kept() -> Any:
        return kept_state(board, Ledger(MemoryStore()))

    return [
        timed(f"state.json of {n:,} jobs", lambda: json.dumps(snapshot(board)), 1, sizes),
        timed(f"page of a dead run of {n:,} jobs", kept, 1, []),
        timed(f"history's state of {n:,} jobs", lambda: json.dumps(board.to_dict()), 1, []),
    ]


def timed(what: str, work: Callable[[], Any], jobs: int, gates: list[Any]) -> Row:
    work()
    times = [seconds(work) / jobs for _ in range(RUNS)]
    return row(what, times, gates=gates)
