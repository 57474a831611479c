"""Chunk jobs on the workers of a Dask cluster: what becomes of them when a worker dies, goes, freezes or is cut off."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

from insar_dask.jobs.attempt import Begun, attempt, mark_keys
from insar_dask.jobs.blame import ALONE_AFTER, Blame, fate_of
from insar_dask.jobs.flight import IN_FLIGHT_PER_THREAD, Again, Attempt
from insar_dask.jobs.lookout import Limits, Lookout, ask
from insar_dask.jobs.told_to_go import MEMORY_TOPIC

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["Workers"]

GATHER_SECONDS = 10.0
"""For a result of 1 KB; its worker may be frozen, which the lookout finds out meanwhile."""

RESTART_SECONDS = 60.0
MOST_CANCELS = 5

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
        self._results: dict[Attempt, Any] = {}
        self._ended: Callable[[Attempt], None] = lambda _: None
        self._seats, self._free = count(), list[int]()
        self._cancels: dict[int, int] = {}
        self._used: set[str] = set()
        self._lookout = Lookout(client, limits)
        self.blame = Blame()

    def room(self) -> int:
        """Twice the threads of the workers that are there now."""
        return self._lookout.threads * IN_FLIGHT_PER_THREAD

    def start(self, attempt_: Attempt, ended: Callable[[Attempt], None]) -> None:
        """Submit an attempt; one that is to be alone on a fresh worker."""
        self._ended = ended
        seat = self._free.pop() if self._free else next(self._seats)
        fresh = self._fresh_worker() if attempt_.alone else []
        self._pins.update({attempt_: fresh[0]} if fresh else {})
        future = self._client.submit(
            attempt,
            self._function,
            self._stage,
            self.run,
            seat,
            *attempt_.task,
            key=self._key(attempt_),
            pure=False,
            workers=fresh or None,
            allow_other_workers=bool(fresh),
        )
        self._futures[attempt_] = future, seat
        future.add_done_callback(lambda _: ended(attempt_))

    def outcome(self, attempt_: Attempt) -> Any:
        """What came of an attempt that has ended."""
        if attempt_ in self._moved:
            return self._moved.pop(attempt_)
        self._lookout.progress()
        future, seat = self._futures[attempt_]
        outcome = self._result(attempt_, future, seat)
        if outcome is None:
            future.add_done_callback(lambda _: self._ended(attempt_))
            return None
        del self._futures[attempt_]
        self._pins.pop(attempt_, None)
        self._free.append(seat)
        future.release()
        return outcome

    def wants_alone(self, shard: int) -> bool:
        """Whether a shard has had its deaths in company."""
        return self.blame.is_suspect(shard)

    def look(self) -> None:
        """Look after the workers, and move what waits at one that is paused."""
        if self._lookout.look():
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
        with suppress(Exception):
            ask(self._client, "set_metadata", keys=mark_keys(self.run, 0)[:2], value=None)

    def _key(self, attempt_: Attempt) -> tuple[Any, ...]:
        further = (attempt_.number,) if attempt_.number > 1 else ()
        return (f"{self._label}-{self.run}", attempt_.shard, *further)

    def _result(self, attempt_: Attempt, future: Future[Any], seat: int) -> Any:
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        if future.status == "cancelled":
            return self._cancelled(attempt_)
        if future.status == "error":
            error = future.exception()
            return self._killed(attempt_, seat) if isinstance(error, KilledWorker) else error
        if future.status != "finished":
            return None
        try:
            result = self._gathered(attempt_, future)
        except TimeoutError:
            return None
        except FutureCancelledError:  # it had ended, and the scheduler went while its result was asked for
            return self._cancelled(attempt_)
        return self._lost(attempt_, result.worker) if isinstance(result, Begun) else result

    def _gathered(self, attempt_: Attempt, future: Future[Any]) -> Any:
        """A result; all that have ended are fetched with it, as a round trip costs more than a receipt."""
        if attempt_ in self._results:
            return self._results.pop(attempt_)
        ended = {a: f for a, (f, _) in self._futures.items() if f.status == "finished" and a not in self._results}
        try:
            found = self._client.sync(self._client._gather, list(ended.values()), callback_timeout=GATHER_SECONDS)
        except Exception:  # of one of them, and whose it is this one's own answer tells
            return future.result(timeout=GATHER_SECONDS)
        self._results.update(zip(ended, found, strict=True))
        return self._results.pop(attempt_)

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
            mark = ask(self._client, "get_metadata", keys=mark_keys(self.run, seat), default=None)
        except (OSError, TimeoutError):
            mark = None
        if mark is None or mark["attempt"] != repr(self._key(attempt_)):
            return Again(SAID["waiting"])
        return self._lost(attempt_, mark["worker"])

    def _lost(self, attempt_: Attempt, worker: str) -> Any:
        """It had begun on a worker that did not bring it to an end."""
        of_memory = False
        try:
            noted = ask(self._client, "events", topic=MEMORY_TOPIC)
            of_memory = any(note.get("worker") == worker for _, note in noted)
            fate = fate_of(self._key(attempt_), ask(self._client, "events", topic=worker), of_memory=of_memory)
        except (OSError, TimeoutError):
            fate = "cut off"
        if fate != "died":
            return Again(SAID[fate], worker)
        suspect = self.blame.is_suspect(attempt_.shard)
        self.blame.died(attempt_.shard, worker)
        blamed = self.blame.verdict(attempt_.shard)
        if blamed is not None:
            return blamed
        among, alone = (len(deaths.get(attempt_.shard, ())) for deaths in (self.blame.among_others, self.blame.alone))
        times = f"{alone} times alone" if suspect else f"{among} of {ALONE_AFTER} times before it must run alone"
        how = " at 95 % of its memory" if of_memory else ""
        return Again(f"its worker died{how} while it ran, {times}", worker)

    def _fresh_worker(self) -> list[str]:
        """A worker that has run nothing yet, if there is a way to one; nothing else of ours is in flight."""
        with suppress(OSError, TimeoutError):
            workers = self._running()
            self._used |= set() if self._used else set(workers)
            chosen = sorted(set(workers) - self._used)[:1] or self._restarted(workers)
            self._used.update(chosen)
            return chosen
        return []

    def _restarted(self, workers: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """A worker in the place of one that nobody uses; without a nanny nobody would start it again."""
        busy = {a for what in ("processing", "has_what") for a, keys in ask(self._client, what).items() if keys}
        idle = [address for address in workers if address not in busy]
        nannied = [address for address in idle if workers[address]["nanny"]][-1:]
        if not nannied:
            return idle[-1:]
        how = {"timeout": RESTART_SECONDS, "wait_for_workers": False, "on_error": "return"}
        ask(self._client, "restart_workers", workers=nannied, stimulus_id=f"insar-dask-fresh-{time.time()}", **how)
        return self._newcomer(set(workers))

    def _running(self) -> dict[str, Mapping[str, Any]]:
        workers = ask(self._client, "identity")["workers"]
        return {address: worker for address, worker in workers.items() if worker["status"] == "running"}

    def _newcomer(self, before: set[str]) -> list[str]:
        """Wait for a worker that was not there."""
        deadline = time.monotonic() + RESTART_SECONDS
        while time.monotonic() < deadline:
            if new := sorted(set(self._running()) - before):
                return new[:1]
            time.sleep(0.2)
        return []

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
        self._ended(attempt_)

    def _has_begun(self, name: str, seat: int) -> bool:
        try:
            mark = ask(self._client, "get_metadata", keys=mark_keys(self.run, seat), default=None)
        except (OSError, TimeoutError):
            return True
        return mark is not None and mark["attempt"] == name
