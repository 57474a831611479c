"""What the scheduler knows of chunk jobs: events come in, pages and metrics look at the boards they make."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import SchedulerPlugin

from insar_dask.dashboard.handlers import routes
from insar_dask.dashboard.metrics import collect, let_go
from insar_dask.jobs.flights.attempt import BEGIN, client_of
from insar_dask.jobs.progress.batches import unpacked
from insar_dask.jobs.progress.board import Board
from insar_dask.jobs.progress.events import TOPIC, Event
from insar_dask.jobs.progress.stage_board import StageBoard

if TYPE_CHECKING:
    from distributed import Scheduler

__all__ = ["NAME", "JobsPlugin"]

NAME = "insar-dask-jobs"
ASKED = "insar_running"
"""What a driver asks the scheduler by, to hear which of its shards run."""

RUNS_KEPT = 8
"""Beside those that go on; of a campaign that is up to 32, and the campaign's own."""

MOST_RUNS = 64
TRAINING = "insar-training-"
"""Begins the topic that the ranks of a training tell their driver by."""

log = logging.getLogger(__name__)


class JobsPlugin(SchedulerPlugin):
    """Keeps a board a run, and serves them under ``/insar`` of the scheduler's web server."""

    name = NAME
    idempotent = True

    def __init__(self) -> None:
        self.boards: dict[str, Board] = {}
        self.drivers: dict[str, str] = {}
        """Run -> client that drives it."""
        self.left: dict[str, list[StageBoard]] = {}
        """Run -> its stages that ended as its driver left, which comes back where its link was cut for a while."""
        self.trainings = Board()
        """Models that train without an engine."""
        self.collector: Any = None
        self.scheduler: Any = None

    async def start(self, scheduler: Scheduler) -> None:
        """Open the pages."""
        self.scheduler = scheduler
        scheduler.http_application.add_handlers(r".*", routes(self))
        scheduler.handlers[ASKED] = self.running
        scheduler.handlers[BEGIN] = self.begin
        scheduler.set_metadata(keys=[NAME], value=True)  # by which a driver sees that the page is there
        self.collector = collect(self)

    async def close(self) -> None:
        """Give the metrics back: a process may start another scheduler."""
        let_go(self.collector)

    def log_event(self, topic: str, msg: Any) -> None:
        """Take what drivers, workers and trainings tell; all else passes by."""
        if topic == TOPIC:
            self._hear(msg)
        elif topic.startswith(TRAINING) and isinstance(msg, Mapping) and msg.get("what") == "tell":
            told = {**msg["told"], "model": topic[len(TRAINING) :][:8]}
            self.trainings.take(Event("loss", "training", extra=told))

    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        """A driver that leaves in the middle of a run is no longer waited for."""
        for run, driver in self.drivers.items():
            if driver == client and self.boards[run].ended is None:
                self._leave(run, self.boards[run])

    def _leave(self, run: str, board: Board) -> None:
        open_stages = [stage for stage in board.stages.values() if stage.ended is None]
        for stage in open_stages:
            stage.end(Event("ended", stage.name, error="the driver has left; run again to go on"))
        board.take(Event("ended", "", error="the driver has left" if open_stages else ""))
        self.left[run] = open_stages

    def _come_back(self, run: str, board: Board) -> None:
        for stage in self.left.pop(run, ()):
            stage.ended, stage.error = None, ""
            board.ended, board.error = None, ""

    def _hear(self, msg: Any) -> None:
        if not isinstance(msg, Mapping):
            return
        if "kind" in msg:
            self._hear_worker(Event.from_dict(msg))
            return
        board = self._board(str(msg["run"]), str(msg["store"]), str(msg["client"]))
        self._come_back(board.run, board)
        for event in unpacked(msg["events"]):
            board.take(event)

    def _hear_worker(self, event: Event, client: str | None = None) -> None:
        """Take that a job has begun into the run of a client that it is of: two may have stages of one name."""
        for run, board in reversed(self.boards.items()):
            stage = board.stages.get(event.stage)
            if stage is not None and stage.ended is None and client in (None, self.drivers[run]):
                board.take(event)
                return

    def _board(self, run: str, store: str, client: str) -> Board:
        if run not in self.boards:
            self._make_room()
            self.boards[run] = Board(run, store)
            self.drivers[run] = client
        return self.boards[run]

    def _make_room(self) -> None:
        """Let the oldest runs go: those that have ended first, then those between two stages, then all others."""
        over = [name for name, board in self.boards.items() if not board.goes_on]
        over.sort(key=lambda name: self.boards[name].ended is None)
        for name in over[: max(len(over) - RUNS_KEPT + 1, 0)]:
            self._forget(name)
        while len(self.boards) >= MOST_RUNS:
            self._forget(next(iter(self.boards)))

    def _forget(self, run: str) -> None:
        del self.boards[run], self.drivers[run]
        self.left.pop(run, None)

    def begin(self, keys: list[str], attempt: str, event: Mapping[str, Any]) -> dict[str, str | None]:
        """Leave the mark of an attempt and take that its shard runs, unless it has ``begun`` before, on which worker.

        `insar_dask.jobs.flights.attempt` says what for.
        """
        if self.scheduler.get_metadata(keys=keys[:2], default={}) is None:  # its driver has let go of the whole run
            return {"begun": str(event["worker"])}
        mark = self.scheduler.get_metadata(keys=keys, default=None)
        if mark is not None and mark["attempt"] == attempt:
            return {"begun": str(mark["worker"])}
        self.scheduler.set_metadata(keys=keys, value={"attempt": attempt, "worker": event["worker"]})
        try:
            self._hear_worker(Event.from_dict(event), client_of(keys))
        except Exception as error:  # of a worker with another version: its job is worth more than the page
            log.warning("the page does not show that a job has begun (%s: %s)", type(error).__name__, error)
        return {"begun": None}

    # --- what drivers and pages ask for -------------------------------------------------------------------------------

    def running(self, run: str) -> list[tuple[str, int, float, str]]:
        """Stage, shard, since when and where, of what runs of a run: workers tell the scheduler, not their driver."""
        board = self.boards.get(run, Board())
        return [
            (stage.name, shard, at, worker)
            for stage in board.stages.values()
            for shard, (at, worker) in stage.running.items()
        ]

    def board(self, run: str | None) -> Board:
        """A run's board; without a name a campaign's that goes on, or the last one's, or an empty one."""
        if run in self.boards:
            return self.boards[run or ""]
        campaigns = (board for board in reversed(self.boards.values()) if board.goes_on and board.leads)
        newest = next(campaigns, None) or next(reversed(self.boards.values()), None)
        if newest is None:
            return self.trainings
        if not newest.losses and self.trainings.losses:
            newest.losses, newest.training = self.trainings.losses, self.trainings.training
        return newest

    def run_of(self, store: str) -> str | None:
        """The last run of a store that is kept here."""
        return next((name for name, board in reversed(self.boards.items()) if board.store == store), None)

    def workers(self) -> list[dict[str, Any]]:
        """What the scheduler knows of its workers, in the order of their names."""
        rows = [_worker_row(state) for state in self.scheduler.workers.values()]
        return sorted(rows, key=lambda row: str(row["name"]))

    def runs(self) -> list[dict[str, Any]]:
        """Runs, the last one first."""
        return [
            {"run": board.run, "store": board.store, "began": board.began, "ended": board.ended, "error": board.error}
            for board in reversed(self.boards.values())
        ]


def _worker_row(state: Any) -> dict[str, Any]:
    metrics = state.metrics
    return {
        "address": state.address,
        "name": str(state.name),
        "host": state.host,
        "threads": state.nthreads,
        "assigned": len(state.processing),
        "memory": metrics.get("memory", 0),
        "limit": state.memory_limit,
        "cpu": metrics.get("cpu", 0.0),
        "silent": max(time.time() - state.last_seen, 0.0),
        "status": state.status.name,
    }
