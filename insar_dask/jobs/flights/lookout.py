"""Watch over a Dask cluster's workers while chunk jobs run there: no job waits for ever, and who waits is told why."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["PATIENCE", "ClusterError", "Limits", "Lookout", "ask"]

ANSWER_SECONDS = 15.0
TELL_SECONDS = 60.0
ENDED = "closed", "failed"

SHARED_SECONDS = 1.0
"""For which flights of a client, of which a campaign has 32, share what the scheduler said of its workers: of a hundred
it says 150 KB."""

_SAID: WeakKeyDictionary[Client, tuple[float, Mapping[str, Mapping[str, Any]]]] = WeakKeyDictionary()

log = logging.getLogger(__name__)


class ClusterError(RuntimeError):
    """The cluster cannot go on: no scheduler, or no worker that works."""


@dataclass(frozen=True)
class Limits:
    """How long to wait for a cluster, in seconds.

    Attributes
    ----------
    silent : float
        For a worker's sign of life, before it is taken for lost and its shards go elsewhere. Workers give one every
        half second to ten, by a thread that waits while C code holds the interpreter's lock. Dask itself waits 300 s.
    paused : float
        Before shards that wait at a paused worker go elsewhere: Dask leaves them there. It pauses a worker that holds
        80 % of its memory.
    all_paused : float
        For one of the workers, where all are paused.
    no_worker : float
        For a first worker or another one: batch systems have queues.
    no_answer : float
        For the scheduler.
    look : float
        Between two looks at the workers.
    """

    silent: float = 60.0
    paused: float = 30.0
    all_paused: float = 600.0
    no_worker: float = 3600.0
    no_answer: float = 300.0
    look: float = 5.0


PATIENCE = Limits()
"""What holds unless a caller says otherwise."""


@dataclass
class Lookout:
    """What is known of the workers; `look` is to be called often, and looks every few seconds.

    Parameters
    ----------
    client : distributed.Client
    limits : Limits
    """

    client: Client
    limits: Limits = PATIENCE
    workers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look for the first time."""
        self._signs: dict[str, float] = {}
        self._waits: dict[tuple[str, str], float] = {}  # address, or "" for the cluster; which limit -> seconds
        self._last = time.monotonic()
        self._told = 0.0
        self._look(0.0)

    @property
    def threads(self) -> int:
        """Threads of the workers that take work; 0 while the scheduler cannot be reached."""
        return sum(worker["nthreads"] for worker in self._running().values()) if self._reachable() else 0

    def look(self, *, afresh: bool = False) -> bool:
        """Look if it is time to; returns whether it was. To be called while anything waits for a worker.

        Parameters
        ----------
        afresh : bool
            Take no answer that another flight of the client got: a worker that just started is not in it.

        Raises
        ------
        ClusterError
            When the scheduler is gone, or there was no worker for longer than the limits say.
        """
        if self.client.status == "closed":
            raise ClusterError(
                "the scheduler is gone, or the link to it; start it, and run again: the shards that are done stay done"
            )
        now = time.monotonic()
        # a machine that slept, or a caller that took its time, has not waited for anybody
        passed = min(now - self._last, 2 * self.limits.look)
        if passed < self.limits.look or not self._reachable():
            return False
        self._last = now
        self._look(passed, afresh)
        self._check(passed)
        return True

    def paused(self) -> list[str]:
        """Workers that were paused for longer than the limit."""
        return [address for address in self.workers if self._waited(address, "paused")]

    def progress(self) -> None:
        """Something has ended: the cluster works."""
        self._forget("")

    def _look(self, passed: float, afresh: bool = False) -> None:
        try:
            self.workers = self._workers(afresh)
        except (OSError, TimeoutError):
            if self._wait("", "no_answer", passed + ANSWER_SECONDS):
                raise ClusterError(
                    f"the scheduler at {_address(self.client)} has not answered for {self.limits.no_answer:g} s; "
                    "look whether it is stopped or out of memory, and run again"
                ) from None
            return
        self._forget("", "no_answer")
        for address, worker in self.workers.items():
            self._attend(address, worker, passed)
        for gone in set(self._signs) - set(self.workers):
            self._signs.pop(gone)
            self._forget(gone)
        self._replace()

    def _workers(self, afresh: bool) -> Mapping[str, Mapping[str, Any]]:
        """As the scheduler has them now, or had them shortly after this looked the last time."""
        at, workers = _SAID.get(self.client, (0.0, {}))
        if afresh or time.monotonic() - at > min(SHARED_SECONDS, self.limits.look / 2):
            workers = ask(self.client, "identity")["workers"]
            _SAID[self.client] = time.monotonic(), workers
        return workers

    def _replace(self) -> None:
        """Have a cluster of this client's own start workers in place of those that it has given up.

        A worker that ends by itself, is not back 15 s after its death, or that the scheduler had forgotten when it
        reported, takes its nanny along, and Dask leaves it at that. It forgets such a nanny only after those 15 s: with
        lives of 7 s, a run spent two thirds of its time on waiting for that.
        """
        cluster: Any = self.client.cluster
        if getattr(cluster, "_adaptive", None) is not None:
            return
        wanted = getattr(cluster, "worker_spec", {})
        there = getattr(cluster, "workers", wanted)
        if there is wanted:
            return
        for name in [name for name, worker in list(there.items()) if worker.status.name in ENDED]:
            there.pop(name, None)
        if len(wanted) > len(there):
            gone = len(wanted) - len(there)
            log.warning("%d of %d workers have gone for good: others are started", gone, len(wanted))
            cluster.scale(len(wanted))

    def _attend(self, address: str, worker: Mapping[str, Any], passed: float) -> None:
        """Count how long a worker has been silent or paused, and end what is silent for too long."""
        silent, paused = self._signs.get(address) == worker["last_seen"], worker["status"] == "paused"
        self._signs[address] = worker["last_seen"]
        if not paused:
            self._forget(address, "paused")
        elif (address, "paused") not in self._waits:
            log.warning("worker %s is paused, at 80 %% of its memory: it takes no work until it holds less", address)
        if paused:
            self._wait(address, "paused", passed)
        if not silent:
            self._forget(address, "silent")
        elif self._wait(address, "silent", passed):
            limit = self.limits.silent
            log.warning("worker %s has given no sign of life for %g s: its shards go elsewhere", address, limit)
            with suppress(OSError, TimeoutError):  # the next look tries again
                ask(self.client, "unregister", address=address, stimulus_id=f"insar-dask-silent-{time.time()}")

    def _check(self, passed: float) -> None:
        """Tell that nothing works, and give up after the limit."""
        if self._running():
            self._forget("", "all_paused", "no_worker")
            return
        limit = "all_paused" if self.workers else "no_worker"
        what = (
            f"all workers are paused, at 80 % of their memory: {', '.join(sorted(self.workers)[:5])}"
            if self.workers
            else f"there is no worker at {_address(self.client)}"
        )
        cure = "give workers more memory, or take smaller shards" if self.workers else "start workers"
        if self._wait("", limit, passed):
            raise ClusterError(f"{what}, for {getattr(self.limits, limit):g} s; {cure}, and run again")
        if time.monotonic() - self._told > TELL_SECONDS:
            self._told = time.monotonic()
            log.warning("%s; waiting up to %g s", what, getattr(self.limits, limit))

    def _running(self) -> dict[str, Mapping[str, Any]]:
        return {address: worker for address, worker in self.workers.items() if worker["status"] == "running"}

    def _reachable(self) -> bool:
        return bool(self.client.status == "running")

    def _wait(self, who: str, limit: str, passed: float) -> bool:
        """Count on; returns whether the limit is passed."""
        self._waits[who, limit] = self._waits.get((who, limit), 0.0) + passed
        return self._waited(who, limit)

    def _waited(self, who: str, limit: str) -> bool:
        return bool(self._waits.get((who, limit), 0.0) > getattr(self.limits, limit))

    def _forget(self, who: str, *limits: str) -> None:
        for key in [key for key in self._waits if key[0] == who and (not limits or key[1] in limits)]:
            del self._waits[key]


def ask(client: Client, what: str, **arguments: Any) -> Any:
    """Ask the scheduler by one of its own handlers; TimeoutError when it does not answer, OSError when it is gone."""
    scheduler = client.scheduler
    if scheduler is None:
        raise ConnectionError("the client is closed")
    return client.sync(getattr(scheduler, what), callback_timeout=ANSWER_SECONDS, **arguments)


def _address(client: Client) -> str:
    return str(client.scheduler.address) if client.scheduler is not None else "the scheduler"
