"""Run many tasks with a bounded number in flight, on a Dask client or on threads of this process."""

from __future__ import annotations

import heapq
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from insar_dask.crew import stop_if_told
from insar_dask.jobs.flights.lookout import PATIENCE, Limits
from insar_dask.jobs.flights.retries import MOST_TRIES, is_transient, pause
from insar_dask.jobs.progress.events import Event, Told, failure, silence
from insar_dask.machine import one_blas_thread

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Again", "Attempt", "in_flight"]

IN_FLIGHT_PER_THREAD = 2
TICK_SECONDS = 0.25

SHARE_AT_ONCE = 16
"""Of what may be in flight, the part that is begun together: each thread has a second job, so a sixteenth that is
lacking keeps nobody waiting, and to submit 25 jobs together costs a third of what they cost one by one."""

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Attempt:
    """A shard's task, this time."""

    shard: int
    task: tuple[Any, ...]
    number: int = 1
    failures: int = 0
    alone: bool = False
    begun: float = 0.0
    """When it was given to where it runs, by a steady clock."""


@dataclass(frozen=True)
class Again:
    """Instead of a result: the attempt came to nothing, and it was not its own doing."""

    why: str
    worker: str = ""


class Lane(Protocol):
    """Where attempts run."""

    run: str

    def room(self) -> int:
        """Most attempts in flight."""

    def start(self, attempts: Sequence[Attempt]) -> None:
        """Begin some attempts; one that is to be alone comes alone."""

    def ended(self, seconds: float) -> list[tuple[Attempt, Any]]:
        """Attempts that have come to an end, each with its result, its error or `Again`; waits so long for a first."""

    def wants_alone(self, shard: int) -> bool:
        """Whether a shard must have the lane for itself."""

    def look(self) -> None:
        """See to the workers; called several times a second."""

    def close(self) -> None:
        """Let go of all that is in flight."""


def in_flight(
    function: Callable[..., Any],
    tasks: Iterable[tuple[Any, ...]],
    client: Client | None,
    threads: int,
    label: str,
    tick: Callable[[], None] = lambda: None,
    *,
    stage: str = "",
    told: Told = silence,
    limits: Limits = PATIENCE,
) -> Iterator[tuple[int, Any]]:
    """Run ``function(*task)`` for all tasks; yields what came of them as they end.

    Whatever a worker's end takes along runs again. A task that kills its workers runs alone in the end, after all
    others, and is given up as `insar_dask.jobs.flights.blame` says. Errors that may pass are met with further tries,
    each after a pause.

    Parameters
    ----------
    function : callable
    tasks : iterable of tuple
        Arguments; the third is the shard.
    client : distributed.Client or None
        Where tasks run; without one they run here on ``threads`` threads.
    threads : int
    label : str
        Begins the tasks' names.
    tick : callable
        Called several times a second in between.
    stage : str
        What events call it; the label unless said.
    told : callable
        Is told what happens.
    limits : Limits
        How long to wait for a cluster.

    Yields
    ------
    (int, Any)
        Shard, and its result or the exception; `insar_dask.jobs.flights.blame.BlamedError` of a task that killed its
        workers.

    Raises
    ------
    ClusterError
        When the cluster is gone.
    """
    lane: Lane
    stage = stage or label
    if client is None:
        lane = _Threads(function, threads, label, stage, told)
    else:
        from insar_dask.jobs.flights.dask_flight import Workers

        lane = Workers(function, client, label, stage, limits)
    try:
        yield from _Flight(lane, iter(tasks), stage, told).results(tick)
    finally:
        lane.close()


@dataclass
class _Flight:
    """Attempts in flight, those that wait for their time, and those that wait to be alone."""

    lane: Lane
    waiting: Iterator[tuple[Any, ...]]
    stage: str
    told: Told
    running: set[Attempt] = field(default_factory=set)
    later: list[tuple[float, int, Attempt]] = field(default_factory=list)
    suspects: deque[Attempt] = field(default_factory=deque)

    def results(self, tick: Callable[[], None]) -> Iterator[tuple[int, Any]]:
        while self._fill():
            tick()
            stop_if_told()
            self.lane.look()
            over = []
            for attempt, outcome in self.lane.ended(TICK_SECONDS):
                self.running.remove(attempt)
                if not self._goes_on(attempt, outcome):
                    over.append((attempt.shard, outcome))
            if over:  # whoever takes them may take their time
                self._fill()
            yield from over

    def _fill(self) -> bool:
        """Start what can be started, some together where many are; returns whether anything is left to wait for."""
        room = self.lane.room()
        if not self.running or room - len(self.running) >= max(room // SHARE_AT_ONCE, 1):
            self._start(room)
        if self.running or self.later or self.suspects:
            return True
        following = next(self.waiting, None)
        if following is not None:  # no room at all
            heapq.heappush(self.later, (0.0, following[2], Attempt(following[2], following)))
        return following is not None

    def _start(self, room: int) -> None:
        begun: list[Attempt] = []
        # what is to be alone comes when nothing runs, so it is the only one that does
        while len(self.running) < room and not any(attempt.alone for attempt in islice(self.running, 1)):
            attempt = self._next()
            if attempt is None:
                break
            self.running.add(attempt)
            begun.append(attempt)
        if begun:
            self.lane.start(begun)

    def _next(self) -> Attempt | None:
        while self.later and self.later[0][0] <= time.monotonic():
            attempt = heapq.heappop(self.later)[2]
            if not self.lane.wants_alone(attempt.shard):
                return attempt
            attempt.alone = True
            self.suspects.append(attempt)
        task = next(self.waiting, None)
        if task is not None:
            return Attempt(task[2], task)
        if self.suspects and not self.running and not self.later:
            return self.suspects.popleft()
        return None

    def _goes_on(self, attempt: Attempt, outcome: Any) -> bool:
        """Put an attempt that came to nothing back into the queue; returns whether it was one."""
        if isinstance(outcome, Again):
            self._retry(attempt, 0.0, outcome.why, worker=outcome.worker)
            return True
        if isinstance(outcome, BaseException) and is_transient(outcome):
            attempt.failures += 1
            if attempt.failures < MOST_TRIES:
                wait = pause(attempt.failures)
                self._retry(attempt, wait, f"{failure(outcome)['error']}; again in {wait:g} s")
                return True
        return False

    def _retry(self, attempt: Attempt, wait: float, why: str, worker: str = "") -> None:
        log.warning("%s, shard %d: %s%s", self.stage, attempt.shard, why, f" ({worker})" if worker else "")
        extra = {"attempt": attempt.number, "pause": wait}
        self.told(Event("retried", self.stage, attempt.shard, run=self.lane.run, worker=worker, error=why, extra=extra))
        following = Attempt(attempt.shard, attempt.task, attempt.number + 1, attempt.failures)
        heapq.heappush(self.later, (time.monotonic() + wait, attempt.shard, following))


class _Threads:
    """Threads of this process; nothing dies here alone."""

    def __init__(self, function: Callable[..., Any], threads: int, label: str, stage: str, told: Told) -> None:
        self._function, self._threads, self._stage, self._told = function, threads, stage, told
        self.run = f"{time.time_ns():x}"
        self._futures: dict[Future[Any], Attempt] = {}
        self._stack = ExitStack()
        # held here too, for tasks that do not see to it themselves
        self._stack.enter_context(one_blas_thread())
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=label)
        self._stack.callback(self._pool.shutdown, cancel_futures=True)

    def room(self) -> int:
        return self._threads * IN_FLIGHT_PER_THREAD

    def start(self, attempts: Sequence[Attempt]) -> None:
        self._futures.update((self._pool.submit(self._work, attempt), attempt) for attempt in attempts)

    def ended(self, seconds: float) -> list[tuple[Attempt, Any]]:
        if not self._futures:  # all that is left waits for its time
            time.sleep(seconds)
            return []
        over = wait_for(self._futures, seconds, FIRST_COMPLETED).done
        return [(self._futures.pop(future), _outcome(future)) for future in over]

    def wants_alone(self, shard: int) -> bool:
        return False

    def look(self) -> None:
        pass

    def close(self) -> None:
        self._stack.close()

    def _work(self, attempt: Attempt) -> Any:
        self._told(Event("running", self._stage, attempt.shard, run=self.run))
        return self._function(*attempt.task)


def _outcome(future: Future[Any]) -> Any:
    error = future.exception()
    return future.result() if error is None else error
