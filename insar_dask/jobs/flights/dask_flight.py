"""Chunk jobs on the workers of a Dask cluster: what becomes of them when a worker dies, goes, freezes or is cut off."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from insar_dask.jobs.flights.attempt import Begun, attempt, mark_keys
from insar_dask.jobs.flights.blame import ALONE_AFTER, Blame, fate_of
from insar_dask.jobs.flights.flight import IN_FLIGHT_PER_THREAD, Again, Attempt
from insar_dask.jobs.flights.fresh_worker import FreshWorkers
from insar_dask.jobs.flights.lookout import Limits, Lookout, ask
from insar_dask.jobs.flights.seats import Seats
from insar_dask.jobs.flights.told_to_go import MEMORY_TOPIC

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["Workers"]

GATHER_SECONDS = 10.0
"""For a result of 1 KB; its worker may be frozen, which the lookout finds out meanwhile."""

MOST_CANCELS = 5

MOST_AT_ONCE = 64
"""Attempts of one graph, so that it stays small whatever a task holds: Dask warns of 10 MB."""

LOOK_SECONDS = 0.01
MOST_LOOK_SECONDS = 0.25
LOOKS = 4
"""At what has ended, in the time that an attempt takes from its start: what has ended since is fetched together. Where
nobody knows yet how long that is, the time since anything began or ended. A callback of each future tells it at once,
and costs a coroutine and two changes of thread a job; to look at 400 takes 60 us."""

OVER = "finished", "error", "cancelled"
"""Of a future. One that is lost is computed again."""

SAID = {
    "ended": "it had ended, and its worker went with the result",
    "waiting": "its worker died before it had begun",
    "pre-empted": "its worker was told to go",
    "cut off": "its worker lost touch with it",
}


class Workers:
    """The workers of a cluster, as a lane.

    Parameters
    ----------
    function : callable
        Of the tasks.
    client : distributed.Client
    label, stage : str
        For the tasks' names, and for events.
    limits : Limits
    """

    def __init__(self, function: Callable[..., Any], client: Client, label: str, stage: str, limits: Limits) -> None:
        self.run = f"{time.time_ns():x}"
        self._function, self._client, self._label, self._stage = function, client, label, stage
        self._futures: dict[Attempt, tuple[Future[Any], int]] = {}
        self._moved: dict[Attempt, Any] = {}
        self._pins: dict[Attempt, str] = {}
        self._took = 0.0
        """Seconds that the last attempts took, about."""
        self._moved_on = time.monotonic()
        """When something began or ended last."""
        self._cancels: dict[int, int] = {}
        self._fresh = FreshWorkers(client)
        self._lookout = Lookout(client, limits)
        self.blame = Blame()
        self._seats = Seats.of(client)  # last: a lane that was never made is never closed

    def room(self) -> int:
        """Twice the threads of the workers that are there now."""
        return self._lookout.threads * IN_FLIGHT_PER_THREAD

    def start(self, attempts: Sequence[Attempt]) -> None:
        """Submit attempts together; one that is to be alone, on a fresh worker."""
        for first in range(0, len(attempts), MOST_AT_ONCE):
            self._submit(attempts[first : first + MOST_AT_ONCE])

    def ended(self, seconds: float) -> list[tuple[Attempt, Any]]:
        """What came of the attempts that have ended; waits so long for a first."""
        deadline = time.monotonic() + seconds
        while not (found := self._over()) and time.monotonic() < deadline:
            took = max(self._took, time.monotonic() - self._moved_on)
            time.sleep(min(max(took / LOOKS, LOOK_SECONDS), MOST_LOOK_SECONDS))
        return found

    def _over(self) -> list[tuple[Attempt, Any]]:
        found, self._moved = list(self._moved.items()), {}
        ended = [one for one, (future, _) in self._futures.items() if future.status in OVER]
        outcomes = self._outcomes(ended) if ended else []
        for one, _ in outcomes:
            self._took += (time.monotonic() - one.begun - self._took) / LOOKS
            future, seat = self._futures.pop(one)
            self._pins.pop(one, None)
            self._seats.give_back(seat)
            future.release()
        if outcomes:
            self._moved_on = time.monotonic()
            self._lookout.progress()
        return found + outcomes

    def wants_alone(self, shard: int) -> bool:
        """Whether a shard has had its deaths in company."""
        return self.blame.is_suspect(shard)

    def look(self) -> None:
        """Look after the workers, and move what waits at one that is paused."""
        if self._lookout.look(afresh=bool(self._pins)):
            for address in self._lookout.paused():
                self._move_from(address)
            for attempt_, address in list(self._pins.items()):
                if address not in self._lookout.workers:
                    self._free_from(attempt_, address)

    def close(self) -> None:
        """Let go of all attempts: Dask drops those that have not begun."""
        for future, _ in self._futures.values():
            with suppress(Exception):  # nothing to let go of where the client is closed
                future.release()
        self._seats.leave(self._client)

    def _submit(self, attempts: Sequence[Attempt]) -> None:
        """One message, and for the scheduler one graph: of 25 jobs it takes a third of what 25 graphs do."""
        fresh = self._fresh.one() if attempts[0].alone else []
        self._pins.update({attempts[0]: fresh[0]} if fresh else {})
        seats = [self._seats.take() for _ in attempts]
        futures = self._client.map(
            attempt,
            [self._function] * len(attempts),
            [self._stage] * len(attempts),
            [self.run] * len(attempts),
            [mark_keys(self._seats.name, seat) for seat in seats],
            [one.task for one in attempts],
            key=[self._key(one) for one in attempts],
            pure=False,
            workers=fresh or None,
            allow_other_workers=bool(fresh),
        )
        self._futures.update(zip(attempts, zip(futures, seats, strict=True), strict=True))
        self._moved_on = time.monotonic()
        for one in attempts:
            one.begun = self._moved_on

    def _key(self, attempt_: Attempt) -> tuple[Any, ...]:
        further = (attempt_.number,) if attempt_.number > 1 else ()
        return (f"{self._label}-{self.run}", attempt_.shard, *further)

    def _outcomes(self, ended: Sequence[Attempt]) -> list[tuple[Attempt, Any]]:
        """Of attempts that have ended; results are fetched together, as a round trip costs more than a receipt."""
        finished = [one for one in ended if self._futures[one][0].status == "finished"]
        results = dict(zip(finished, self._gathered(finished), strict=False))
        outcomes = []
        for one in ended:
            future, seat = self._futures[one]
            try:
                outcomes.append((one, self._outcome(one, future, seat, results)))
            except TimeoutError:  # the others come first the next time
                self._futures[one] = self._futures.pop(one)
                break
        return outcomes

    def _gathered(self, finished: Sequence[Attempt]) -> list[Any]:
        """Their results; none where one of them cannot be had, and whose it is its own answer tells."""
        if not finished:
            return []
        futures = [self._futures[one][0] for one in finished]
        try:
            found: list[Any] = self._client.sync(self._client._gather, futures, callback_timeout=GATHER_SECONDS)
        except Exception:
            return []
        return found

    def _outcome(self, one: Attempt, future: Future[Any], seat: int, results: Mapping[Attempt, Any]) -> Any:
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        if future.status == "cancelled":
            return self._cancelled(one)
        if future.status == "error":
            error = future.exception()
            return self._killed(one, seat) if isinstance(error, KilledWorker) else error
        try:
            result = results[one] if one in results else future.result(timeout=GATHER_SECONDS)
        except FutureCancelledError:  # it had ended, and the scheduler went while its result was asked for
            return self._cancelled(one)
        return self._lost(one, result.worker) if isinstance(result, Begun) else result

    def _cancelled(self, attempt_: Attempt) -> Any:
        """The link to the scheduler was cut for a while, the scheduler began anew, or somebody cancelled it."""
        cancels = self._cancels[attempt_.shard] = self._cancels.get(attempt_.shard, 0) + 1
        if cancels > MOST_CANCELS:
            return RuntimeError(
                f"it was cancelled {cancels} times: somebody else cancels what runs there, or the link to the "
                "scheduler is cut again and again; look at both, and run again: the shards that are done stay done"
            )
        return Again("it was cancelled, or the link to the scheduler was cut")

    def _killed(self, attempt_: Attempt, seat: int) -> Any:
        """Dask has given it up: it was at hand when workers died. Whether it ran says its mark."""
        try:
            mark = ask(self._client, "get_metadata", keys=mark_keys(self._seats.name, seat), default=None)
        except (OSError, TimeoutError):
            mark = None
        if mark is None or mark["attempt"] != repr(self._key(attempt_)):
            return Again(SAID["waiting"])
        return self._lost(attempt_, mark["worker"])

    def _lost(self, attempt_: Attempt, worker: str) -> Any:
        """It had begun on a worker that did not bring it to an end."""
        try:
            notes = [at for at, note in ask(self._client, "events", topic=MEMORY_TOPIC) if note.get("worker") == worker]
            fate = fate_of(self._key(attempt_), ask(self._client, "events", topic=worker), notes)
        except (OSError, TimeoutError):
            fate = "cut off"
        if fate not in ("died", "out of memory"):
            return Again(SAID[fate], worker)
        suspect = self.blame.is_suspect(attempt_.shard)
        self.blame.died(attempt_.shard, worker)
        blamed = self.blame.verdict(attempt_.shard)
        if blamed is not None:
            return blamed
        among, alone = (len(deaths.get(attempt_.shard, ())) for deaths in (self.blame.among_others, self.blame.alone))
        times = f"{alone} times alone" if suspect else f"{among} of {ALONE_AFTER} times before it must run alone"
        how = " at 95 % of its memory" if fate == "out of memory" else ""
        return Again(f"its worker died{how} while it ran, {times}", worker)

    def _move_from(self, address: str) -> None:
        """Take back what waits at a paused worker; what runs there may end."""
        try:
            held = {repr(key) for key in ask(self._client, "processing").get(address, ())}
        except (OSError, TimeoutError):
            return
        for attempt_, (_, seat) in list(self._futures.items()):
            name = repr(self._key(attempt_))
            if name in held and not self._has_begun(name, seat):
                self._take_back(attempt_, Again("its worker is paused, at 80 % of its memory", address))

    def _free_from(self, attempt_: Attempt, address: str) -> None:
        """Take back what was to run on a worker that is gone.

        Dask lets it go elsewhere, but where there was no other worker just then, it waits for ever: new ones take what
        wishes for none, or for them.
        """
        begun = self._has_begun(repr(self._key(attempt_)), self._futures[attempt_][1])
        self._take_back(attempt_, self._lost(attempt_, address) if begun else Again(SAID["waiting"], address))

    def _take_back(self, attempt_: Attempt, outcome: Any) -> None:
        """Its seat is not used again: should it begin after all, it disturbs nobody's mark."""
        future, _ = self._futures.pop(attempt_)
        self._pins.pop(attempt_, None)
        future.release()
        self._moved[attempt_] = outcome

    def _has_begun(self, name: str, seat: int) -> bool:
        try:
            mark = ask(self._client, "get_metadata", keys=mark_keys(self._seats.name, seat), default=None)
        except (OSError, TimeoutError):
            return True
        return mark is not None and mark["attempt"] == name
