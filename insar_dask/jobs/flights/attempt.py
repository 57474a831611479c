"""What a worker does around a chunk job: leave a mark that it has begun, and begin it only once.

Dask runs a task again by itself when its worker dies, and counts the death against all tasks that the worker held,
those that had not begun too. So each attempt of a shard leaves a mark on the scheduler before the shard's own work
begins, and one that finds its own mark does nothing: the driver learns where it had begun, asks the scheduler what
became of that worker, and decides. Marks and questions are of Dask's public interface: no plugin, any scheduler. Where
the page of chunk jobs is open, its plugin looks, marks, and hears that the shard runs, in one round trip; else they are
two, and a message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from insar_dask.jobs.flights.told_to_go import say_before_going
from insar_dask.jobs.progress.events import TOPIC, Event
from insar_dask.machine import memory_used_again

__all__ = ["BEGIN", "MARKS", "Begun", "attempt", "client_of", "mark_keys"]

MARKS = "insar-dask-marks"
BEGIN = "insar_begin"
"""What the page's plugin is asked by."""

_UNKNOWING: set[str] = set()
"""Schedulers that do not know that question."""


@dataclass(frozen=True)
class Begun:
    """Instead of a result: this attempt had begun before, on a worker that is gone or has lost the result."""

    worker: str


def mark_keys(seats: str, seat: int) -> list[str]:
    """Where on the scheduler the mark of a seat lies."""
    return [MARKS, seats, f"{seat}"]


def client_of(keys: Sequence[str]) -> str:
    """The client whose driver has the seat that a mark is of.

    >>> client_of(mark_keys("Client-worker-1 0a1b", 7))
    'Client-worker-1'
    """
    return keys[1].rpartition(" ")[0]


def attempt(function: Callable[..., Any], stage: str, run: str, mark: list[str], task: tuple[Any, ...]) -> Any:
    """Run ``function(*task)`` on this worker, if this attempt has not begun before.

    Parameters
    ----------
    function : callable
    stage, run : str
        For the event that says that it runs.
    mark : list of str
        Where to leave the mark, as `mark_keys` has it.
    task : tuple
        Arguments of ``function``; the third is the shard.

    Returns
    -------
    Any
        What ``function`` returns, or `Begun`.
    """
    from distributed import get_worker

    worker = get_worker()
    say_before_going(worker)
    event = Event("running", stage, task[2], run=run, worker=worker.address)
    # answered before the work begins: what kills this process at once leaves its mark all the same
    before = _marked(worker, mark, repr(worker.get_current_task()), event.to_dict())
    if before is not None:
        return Begun(before)
    with memory_used_again():
        return function(*task)


def _marked(worker: Any, keys: list[str], name: str, event: Mapping[str, Any]) -> str | None:
    """Leave the mark of an attempt, unless it has one: then the worker where it had begun."""
    from distributed.utils import sync

    scheduler = worker.scheduler
    if scheduler.address not in _UNKNOWING:
        answer = sync(worker.loop, getattr(scheduler, BEGIN), keys=keys, attempt=name, event=event)
        if isinstance(answer, Mapping):
            begun: str | None = answer["begun"]
            return begun
        _UNKNOWING.add(scheduler.address)  # whoever does not know a question answers with nothing
    mark = sync(worker.loop, scheduler.get_metadata, keys=keys, default=None)
    if mark is not None and mark["attempt"] == name:
        return str(mark["worker"])
    sync(worker.loop, scheduler.set_metadata, keys=keys, value={"attempt": name, "worker": worker.address})
    worker.log_event(TOPIC, event)
    return None
