"""Who is to blame when workers die: the chunk that ran, if it does so again and again, and never one that waited."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from insar_dask.jobs.flights.told_to_go import ACTION

__all__ = ["ALONE_AFTER", "BLAMED_AFTER", "Blame", "BlamedError", "Fate", "fate_of"]

ALONE_AFTER = 3
"""Deaths while running after which a chunk runs alone: until then it may have died of its neighbours."""

BLAMED_AFTER = 6
"""Deaths alone on a fresh worker. Where workers live three chunks on average, a chunk dies of that in 28 of 100 runs:
of its first three together one chunk in 46, of all nine one in 95,000."""

Fate = Literal["died", "out of memory", "ended", "waiting", "pre-empted", "cut off"]
"""What became of an attempt with its worker.

``died``        it ran, and the worker died
``out of memory``  it ran, and the worker's nanny ended that for its memory
``ended``       it had ended; the result was lost
``waiting``     it had not begun
``pre-empted``  the worker was told to go, in order or by a SIGTERM
``cut off``     the worker is there, or its end is not on record
"""


class BlamedError(RuntimeError):
    """A chunk has killed every worker it ran on; the others of its stage are done.

    Attributes
    ----------
    shard : int
    deaths : int
        Workers that died of it.
    workers : tuple of str
        Their addresses, in order.
    """

    def __init__(self, shard: int, workers: tuple[str, ...], alone: int) -> None:
        self.shard, self.workers, self.deaths, self.alone = shard, workers, len(workers), alone
        super().__init__(
            f"shard {shard} has killed {len(workers)} workers, {alone} of them with nothing else on them: "
            f"{', '.join(workers)}; look for the cause in the workers' own logs (memory, a crash of a library), "
            "then run again"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.shard, self.workers, self.alone)


@dataclass
class Blame:
    """Deaths by shard."""

    among_others: dict[int, list[str]] = field(default_factory=dict)
    alone: dict[int, list[str]] = field(default_factory=dict)

    def died(self, shard: int, worker: str) -> None:
        """Count a death of the worker that ran a shard; of a suspect one, alone."""
        (self.alone if self.is_suspect(shard) else self.among_others).setdefault(shard, []).append(worker)

    def is_suspect(self, shard: int) -> bool:
        """Whether a shard is to run alone."""
        return len(self.among_others.get(shard, ())) >= ALONE_AFTER

    def verdict(self, shard: int) -> BlamedError | None:
        """The error of a shard that is to blame."""
        alone = self.alone.get(shard, [])
        if len(alone) < BLAMED_AFTER:
            return None
        return BlamedError(shard, (*self.among_others[shard], *alone), len(alone))


def fate_of(
    key: object, worker_events: Iterable[tuple[float, Mapping[str, Any]]], memory_notes: Collection[float] = ()
) -> Fate:
    """What became of an attempt that had begun on a worker, by the scheduler's record of that worker.

    Parameters
    ----------
    key : hashable
        Of the attempt's task.
    worker_events : iterable of (float, mapping)
        As ``client.get_events(address)`` returns them. An address may have served several workers, one after another.
    memory_notes : collection of float
        When nannies noted that they end a worker at this address for its memory, by the scheduler's clock as the
        events: that is no order to go, though it comes by the same signal. It concerns the worker of that time alone.

    Returns
    -------
    Fate
    """
    for begun, end, events in _lives(worker_events):
        of_memory = any(begun <= noted < end for noted in memory_notes)
        in_order = False
        for event in events:
            if event.get("action") in ("closing-worker", ACTION):
                in_order = not of_memory
            elif event.get("action") == "remove-worker":
                running, lost = ({repr(k) for k in event[name]} for name in ("processing-tasks", "lost-computed-tasks"))
                if repr(key) in lost:
                    return "ended"
                if repr(key) in running and (in_order or event["expected"]):
                    return "pre-empted"
                if repr(key) in running:
                    return "out of memory" if of_memory else "died"
                in_order = False
    return "cut off"


def _lives(
    worker_events: Iterable[tuple[float, Mapping[str, Any]]],
) -> Iterator[tuple[float, float, list[Mapping[str, Any]]]]:
    """The workers that an address has served: when each was there, until the next one was, and what was told of it."""
    begun, events = -math.inf, list[Mapping[str, Any]]()
    for at, event in worker_events:
        if event.get("action") == "add-worker":
            yield begun, at, events
            begun, events = at, []
        events.append(event)
    yield begun, math.inf, events
