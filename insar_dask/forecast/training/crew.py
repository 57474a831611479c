"""The ranks of one attempt: seated on workers, listened to, watched, and dismissed."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from insar_dask.forecast.training.attempt import Assignment, Kind, Outcome
from insar_dask.forecast.training.roll_call import RESOURCE, RollCall, Seat
from insar_dask.forecast.training.supervisor import supervise

if TYPE_CHECKING:
    from distributed import Future

__all__ = ["Crew"]

TICK_SECONDS = 0.1
ROLL_CALL_SECONDS = 0.5
PRIORITY = 100
WAITING_SECONDS = 5.0
ENDING_SECONDS = 5.0
SILENT_SCHEDULER_SECONDS = 10.0

KINDS: tuple[Kind, ...] = get_args(Kind)
GRACE_SECONDS: dict[Kind, float] = {"stalled": 0.5, "peer": 2.0, "dropped": 2.0}
"""How long to wait for a likelier cause: the rank that ends first is not always the one at fault."""


class Crew:
    """One rank a seat, from the first submission until the last has ended.

    Parameters
    ----------
    roll_call : RollCall
        Of the cluster.
    draft : Assignment
        Of all ranks, but for the rank and where to meet.
    seats : sequence of Seat
        By rank.
    words : queue.Queue
        Where the supervisors' events arrive.
    tell : callable
        Gets what rank 0 tells.
    """

    def __init__(
        self,
        roll_call: RollCall,
        draft: Assignment,
        seats: Sequence[Seat],
        words: queue.Queue[dict[str, Any]],
        tell: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self.client, self.roll_call = roll_call.client, roll_call
        self.draft, self.seats, self.words, self.tell = draft, seats, words, tell
        self.futures: dict[int, Future[None]] = {}
        self.present: set[int] = set()
        self.outcomes: dict[int, Outcome] = {}
        self.failed_at = 0.0
        self.saved = -1
        """Step of the last checkpoint of this attempt."""
        self.looked = self.answered = self.began = time.monotonic()
        self.waited = False

    def work(self) -> Outcome:
        """Train to the end, or to the first failure, of which the likeliest cause is returned.

        Raises
        ------
        OSError
            When the scheduler is gone.
        """
        try:
            self._submit(0, None)
            while True:
                self._hear(TICK_SECONDS)
                self._look()
                verdict = self._verdict()
                if verdict is not None:
                    return verdict
        finally:
            self._dismiss()

    def _submit(self, rank: int, store: tuple[str, int] | None) -> None:
        seat = self.seats[rank]
        self.futures[rank] = self.client.submit(
            supervise,
            replace(self.draft, rank=rank, store=store),
            key=f"rank-{rank}-{self.draft.token}",
            workers=[seat.address],
            allow_other_workers=False,
            pure=False,
            retries=0,
            priority=PRIORITY,
            resources={RESOURCE: 1} if seat.reserved else None,
        )

    def _hear(self, seconds: float) -> None:
        try:
            word = self.words.get(timeout=seconds)
            while True:
                if word["attempt"] == self.draft.attempt:
                    self._take(word)
                word = self.words.get_nowait()
        except queue.Empty:
            pass

    def _take(self, word: Mapping[str, Any]) -> None:
        what, rank = word["what"], word["rank"]
        if what == "started":
            self.present.add(rank)
        elif what == "running":
            seat = self.seats[rank]
            self._say("rank", rank=rank, pid=word["pid"], worker=seat.address, host=seat.host)
            if rank == 0:
                host, port = word["store"]
                for other in range(1, len(self.seats)):
                    self._submit(other, (host, port))
        elif what == "ended":
            self.present.discard(rank)
            self._note(Outcome(**word["outcome"]))
        elif what == "tell":
            told = word["told"]
            if told["kind"] == "checkpoint":
                self.saved = told["step"]
            self.tell(told)

    def _note(self, outcome: Outcome) -> None:
        self.outcomes.setdefault(outcome.rank, outcome)
        if outcome.kind != "done" and not self.failed_at:
            self.failed_at = time.monotonic()

    def _look(self) -> None:
        """Whether workers, scheduler and tasks are still there."""
        now = time.monotonic()
        if now - self.looked < ROLL_CALL_SECONDS:
            return
        self.looked = now
        try:
            seats = {seat.identity: seat for seat in self.roll_call.seats()}
            self.answered = now
        except OSError:
            if now - self.answered > SILENT_SCHEDULER_SECONDS:
                raise
            return
        for rank, seat in enumerate(self.seats):
            if rank not in self.outcomes:
                self._look_at(rank, seats.get(seat.identity))
        self._complain_of_waiting(now)

    def _look_at(self, rank: int, found: Seat | None) -> None:
        seat, patience = self.seats[rank], self.draft.limits.silence
        if found is None:
            self._note(Outcome(rank, seat.address, seat.host, "lost", "its Dask worker is gone"))
            self.present.discard(rank)
        elif found.silent > patience:
            text = f"its Dask worker has been silent for {found.silent:.1f} s, and was sent away"
            self._note(Outcome(rank, seat.address, seat.host, "lost", text))
            self.present.discard(rank)
            self.roll_call.evict(found)
        elif rank in self.futures and self.futures[rank].status not in ("pending", "finished"):
            self._note(Outcome(rank, seat.address, seat.host, "refused", self._why(self.futures[rank])))

    def _why(self, future: Future[None]) -> str:
        """What kept a supervisor from working at all."""
        if future.status != "error":
            return f"its task was {future.status}: was the cluster restarted?"
        error = future.exception(timeout=ENDING_SECONDS)
        return f"its task failed, is insar_dask the same on the worker and here? {type(error).__name__}: {error}"

    def _complain_of_waiting(self, now: float) -> None:
        waiting = [rank for rank in self.futures if rank not in self.present and rank not in self.outcomes]
        if waiting and not self.waited and now - self.began > WAITING_SECONDS:
            self.waited = True
            where = ", ".join(f"rank {rank} for {self.seats[rank].address}" for rank in waiting)
            self._say("note", text=f"waiting until idle: {where}")

    def _say(self, kind: str, **more: Any) -> None:
        self.tell({"kind": kind, "step": max(self.saved, 0), "time": round(time.time(), 3), **more})

    def _verdict(self) -> Outcome | None:
        """The likeliest cause of failure once it is clear; any outcome when all are done; else None."""
        failures = [outcome for outcome in self.outcomes.values() if outcome.kind != "done"]
        if failures:
            cause = min(failures, key=lambda outcome: KINDS.index(outcome.kind))
            waited = time.monotonic() - self.failed_at
            return cause if waited >= GRACE_SECONDS.get(cause.kind, 0.0) else None
        return self.outcomes[0] if len(self.outcomes) == len(self.seats) else None

    def _dismiss(self) -> None:
        """Have all ranks killed, and wait until they are: the next attempt wants their cores."""
        for future in self.futures.values():
            future.release()
        deadline = time.monotonic() + ENDING_SECONDS
        while self.present and self.client.status == "running" and time.monotonic() < deadline:
            self._hear(TICK_SECONDS)
