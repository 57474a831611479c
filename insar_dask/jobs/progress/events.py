"""What happens to chunk jobs, told as it happens: the dashboard, the history and the metrics are made of nothing else.

An event is plain values, so that it travels as JSON: to the Dask scheduler, whose page shows it, and into the store,
where it outlives both.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypedDict

__all__ = ["TOPIC", "Event", "Failure", "Kind", "Told", "failure", "silence"]

TOPIC = "insar"
"""Under which events reach the scheduler: ``client.log_event(TOPIC, ...)``, ``worker.log_event(TOPIC, ...)``."""

LONGEST_TRACEBACK = 8_000
"""Characters kept of a traceback, from its end: 100,000 failures of one cause are 0.8 GB of them otherwise."""

LONGEST_ERROR = 400

Kind = Literal["stage", "running", "done", "failed", "retried", "blamed", "skipped", "ended", "loss"]
"""What happened.

``stage``    a stage begins; ``extra`` has ``n_shards``, ``skipped`` (shards that are done, as [first, last + 1] pairs),
             ``points`` (of a shard, and of the last one), ``targets``, and where known ``boxes`` (west, south, east
             and north of each shard, as `insar_dask.jobs.progress.stage_board.packed_boxes` packs them); of a campaign
             ``stores``, addresses of the stores that its shards are
``running``  a worker begins a shard
``done``     a shard has its receipts
``failed``   a shard is given up
``retried``  a shard goes back to the queue; its worker died, or it was lost or written over
``blamed``   a shard has killed too many workers
``skipped``  a shard turned out to be done already
``ended``    a stage has ended, or the run where ``stage`` is empty; ``error`` says why where it failed
``loss``     a model trains; ``extra`` has ``step`` and ``loss``, and may have ``validation``, ``rank`` and ``model``
"""


@dataclass(slots=True)
class Event:
    """Something that happened to a stage, or to one of its shards; to be left as it is told.

    It is not frozen, for the scheduler makes two of them a job, and one that is frozen takes seven times as long.

    Attributes
    ----------
    kind : str
        See `Kind`.
    stage : str
        Stage, as its progress bar and its report name it; empty where the event is the whole run's.
    shard : int or None
        None where the event is the whole stage's.
    run : str
        Which run of the stage: what its task keys bear.
    points, bytes : int
        Of the shard, as its receipts have them.
    seconds : float
        How long the worker took.
    worker : str
        Address, or name of the host.
    error : str
        First line of what went wrong.
    traceback : str
    at : float
        Seconds since 1970 by the clock of whoever tells.
    extra : mapping
        JSON-able.
    """

    kind: Kind
    stage: str = ""
    shard: int | None = None
    run: str = ""
    points: int = 0
    bytes: int = 0
    seconds: float = 0.0
    worker: str = ""
    error: str = ""
    traceback: str = ""
    at: float = field(default_factory=time.time)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; what is empty is left out.

        >>> Event("done", "site/raw", 3, points=1000, at=1.0).to_dict()
        {'kind': 'done', 'stage': 'site/raw', 'shard': 3, 'points': 1000, 'at': 1.0}
        """
        values = ((one.name, getattr(self, one.name)) for one in fields(self))
        return {name: value for name, value in values if value or (name == "shard" and value is not None)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Event:
        """The event that ``to_dict`` made plain; TypeError where it is none."""
        return cls(**values)


Told = Callable[[Event], None]
"""Where events go. It never raises on account of what it does with them: a run does not fail because nobody listens."""


class Failure(TypedDict):
    """What an event says of an error."""

    error: str
    traceback: str


def silence(event: Event) -> None:
    """Tell nobody."""


def failure(error: BaseException) -> Failure:
    r"""First line and traceback of an error, as an event takes them.

    >>> failure(ValueError("no dates\nin the file"))["error"]
    'ValueError: no dates'
    """
    first = (str(error).splitlines() or [""])[0][:LONGEST_ERROR]
    text = "".join(traceback.format_exception(error))[-LONGEST_TRACEBACK:]
    return {"error": f"{type(error).__name__}: {first}" if first else type(error).__name__, "traceback": text}
