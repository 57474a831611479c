"""What driver, supervisors and ranks of one attempt at a training tell each other, as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from insar_dask.settings import positive

__all__ = ["TOKEN", "Assignment", "Kind", "Limits", "Outcome"]

TOKEN = "attempt"
"""File of the folder that says which attempt may train there; whoever finds another one there stops."""

Kind = Literal["done", "refused", "error", "lost", "killed", "frozen", "stalled", "peer", "dropped"]
"""How a rank ends: well; no use in another try; an exception that may pass; its worker gone; a signal; stopped, or
silent, for too long; another rank gone; nobody wants it any more. Of several ranks that fail, the first of this list is
the cause."""


@dataclass(frozen=True)
class Limits:
    """How long to wait [s] before something is taken for failed.

    ``stall`` starts to count when all ranks have met: imports alone took more than 5 s on a busy machine.
    """

    boot: float = 300.0
    """From the start of a rank's process until its model is built."""
    join: float = 600.0
    """From there until all ranks have met; longer than any task that may keep a worker busy."""
    stall: float = 120.0
    """Between two steps, or two batches of validation."""
    silence: float = 30.0
    """Without a heartbeat of a Dask worker, which sends two a second: for so long the link between it and the scheduler
    may be cut, or its process stand still, while ranks go on or wait for one another. Then it is sent away, and
    training goes on from the last checkpoint with another, though the link may come back. Dask itself gives a link up
    after ``distributed.comm.timeouts.tcp``, 30 s by default: to sit out longer cuts, raise both. A cut that keeps ranks
    apart and lets heartbeats pass is a matter of ``stall``; one between scheduler and driver may last 10 s."""
    replacement: float = 30.0
    """For another worker in the place of a lost one, before going on with fewer ranks."""
    folder: float = 5.0
    """For a file of the driver to be seen by a worker: network file systems remember for seconds what was not there."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name, seconds in asdict(self).items():
            positive(name, seconds, of="seconds")


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What one rank of one attempt is to do."""

    token: str
    topic: str
    attempt: int
    rank: int
    world: int
    builder: str
    params: Mapping[str, Any]
    folder: str
    device: str
    """``"cpu"`` or ``"cuda"``, of which each rank takes a GPU of its own."""
    threads: int
    store: tuple[str, int] | None
    """Where the ranks meet; rank 0 opens it."""
    limits: Limits = field(default_factory=Limits)
    restart: Mapping[str, Any] | None = None
    """Why there was another attempt before, for the folder's log."""

    def to_json(self, **more: Any) -> bytes:
        """One line."""
        return json.dumps({**asdict(self), **more}).encode() + b"\n"


@dataclass(frozen=True)
class Outcome:
    """How a rank ended."""

    rank: int
    worker: str
    host: str
    kind: Kind
    text: str = ""
    """What happened, on one line."""
    trace: str = ""
    """Traceback, or the last lines of the rank's log."""
