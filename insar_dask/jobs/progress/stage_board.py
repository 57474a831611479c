"""Where the jobs of one stage stand: a byte a shard, so that 100,000 of them are changed and counted in no time."""

from __future__ import annotations

import base64
import zlib
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.jobs.progress.events import Event
from insar_dask.jobs.progress.pace import Course, Pace

__all__ = ["STATES", "Fault", "Speed", "StageBoard", "packed_boxes", "ranges", "unpacked_boxes"]

STATES = "waiting", "running", "done", "failed", "retried", "skipped"
"""A shard is in one of these; ``retried`` waits again, ``skipped`` was done before the stage began."""

WAITING, RUNNING, DONE, FAILED, RETRIED, SKIPPED = range(len(STATES))

MOST_FAULTS = 500
"""Errors that are kept with their traceback; of all others there is the count."""


@dataclass
class Fault:
    """What went wrong with a shard, last, and how often."""

    shard: int
    kind: str
    error: str
    traceback: str
    worker: str
    at: float
    times: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return dict(vars(self))


@dataclass(frozen=True)
class Speed:
    """Jobs, points and bytes a second, and the seconds that are left where that can be said."""

    jobs: float
    points: float
    bytes: float
    left: float | None


@dataclass
class StageBoard:
    """Jobs of one stage."""

    name: str
    n_shards: int
    began: float
    targets: tuple[str, ...] = ()
    points_of: tuple[int, int] = (0, 0)
    """Of a shard, and of the last one."""
    boxes: npt.NDArray[np.float64] | None = None
    """West, south, east and north of each shard (n_shards, 4), NaN where not known."""
    stores: tuple[str, ...] = ()
    """Of a campaign, each of whose shards is a store with runs of its own: their addresses."""
    ended: float | None = None
    error: str = ""
    points: int = 0
    bytes: int = 0
    busy: float = 0.0
    """Seconds of work of all shards together."""
    retries: int = 0
    states: bytearray = field(default_factory=bytearray)
    seconds: array[float] = field(default_factory=lambda: array("f"))
    running: dict[int, tuple[float, str]] = field(default_factory=dict)
    """Shard -> since when, and where."""
    faults: dict[int, Fault] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    course: Course = field(default_factory=lambda: Course(0.0))

    @classmethod
    def of(cls, event: Event) -> StageBoard:
        """The board that an event of kind ``stage`` begins."""
        extra = event.extra
        size = int(extra.get("n_shards", 0))
        board = cls(event.stage, size, event.at, tuple(extra.get("targets", ())), tuple(extra.get("points", (0, 0))))
        board.states = bytearray(size)
        board.seconds = array("f", bytes(4 * size))
        board.course = Course(event.at)
        for first, stop in extra.get("skipped", ()):
            board.states[first:stop] = bytes([SKIPPED]) * (stop - first)
        if extra.get("boxes"):
            board.boxes = unpacked_boxes(extra["boxes"], size)
        board.stores = tuple(extra.get("stores", ()))
        return board

    def reach(self, shard: int) -> None:
        """Make room for a shard: how many there are is not always known before the first is done."""
        if shard >= self.n_shards:
            more = shard + 1 - self.n_shards
            self.states.extend(bytes(more))
            self.seconds.extend([0.0] * more)
            self.n_shards = shard + 1

    def run(self, shard: int, at: float, worker: str) -> None:
        """A worker has begun a shard; news that come late do not undo what is done."""
        self.reach(shard)
        if self.states[shard] in (WAITING, RETRIED):
            self.states[shard] = RUNNING
            self.running[shard] = at, worker

    def finish(self, shard: int, event: Event) -> bool:
        """A shard has its receipts; whether that is news."""
        self.reach(shard)
        self.running.pop(shard, None)
        if self.states[shard] in (DONE, SKIPPED):
            return False
        self.states[shard] = DONE
        self.seconds[shard] = event.seconds
        self.points += event.points
        self.bytes += event.bytes
        self.busy += event.seconds
        self.pace.add(event.at, event.points, event.bytes)
        self.course.add(event.at, event.points, event.bytes)
        return True

    def skip(self, shard: int) -> None:
        """A shard turned out to be done."""
        self.reach(shard)
        self.running.pop(shard, None)
        if self.states[shard] != DONE:
            self.states[shard] = SKIPPED

    def fail(self, shard: int, event: Event) -> None:
        """A shard is given up."""
        self.reach(shard)
        self.running.pop(shard, None)
        self.states[shard] = FAILED
        self._note(shard, event)

    def retry(self, shard: int, event: Event) -> None:
        """A shard goes back to the queue."""
        self.reach(shard)
        self.running.pop(shard, None)
        self.states[shard] = RETRIED
        self.retries += 1
        self._note(shard, event)

    def end(self, event: Event) -> None:
        """The stage has ended; what still ran does so no longer."""
        self.ended, self.error = event.at, event.error
        for shard in self.running:
            self.states[shard] = WAITING
        self.running.clear()

    def counts(self) -> dict[str, int]:
        """Shards by state."""
        return {name: self.states.count(code) for code, name in enumerate(STATES)}

    def speed(self, now: float) -> Speed:
        """How fast a stage goes, or went where it has ended, and when it will have."""
        counts = self.counts()
        if self.ended is not None:
            elapsed = max(self.ended - self.began, 1e-3)
            return Speed(counts["done"] / elapsed, self.points / elapsed, self.bytes / elapsed, None)
        left = self.n_shards - counts["done"] - counts["skipped"] - counts["failed"]
        jobs, points, size = self.pace.rates(self.began, now)
        return Speed(jobs, points, size, left / jobs if jobs and left else None)

    def median(self) -> float:
        """Median seconds of the shards that were made; 0 where there is none yet."""
        seconds = np.frombuffer(self.seconds, np.float32)
        made = seconds[np.frombuffer(self.states, np.uint8) == DONE]
        return float(np.median(made)) if made.size else 0.0

    def _note(self, shard: int, event: Event) -> None:
        before = self.faults.get(shard)
        if before is None and len(self.faults) >= MOST_FAULTS:
            if event.kind == "retried":
                return
            spare = next((one for one, fault in self.faults.items() if fault.kind == "retried"), None)
            if spare is None:
                return
            del self.faults[spare]
        times = 1 if before is None else before.times + (event.kind != "failed")
        self.faults[shard] = Fault(shard, event.kind, event.error, event.traceback, event.worker, event.at, times)

    # --- as it is kept ------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain values: 100,000 shards are 0.4 MB of them."""
        plain = {name: getattr(self, name) for name in PLAIN}
        return {
            **plain,
            "states": _packed(bytes(self.states)),
            "seconds": _packed(self.seconds.tobytes()),
            "boxes": None if self.boxes is None else packed_boxes(self.boxes),
            "stores": list(self.stores),
            "running": [[shard, at, worker] for shard, (at, worker) in self.running.items()],
            "faults": [fault.to_dict() for fault in self.faults.values()],
            "course": self.course.to_dict(),
            "pace": list(self.pace.ends),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StageBoard:
        """The board that ``to_dict`` made plain."""
        board = cls(**{name: values[name] for name in PLAIN})
        board.targets, board.points_of = tuple(board.targets), (board.points_of[0], board.points_of[1])
        board.states = bytearray(_unpacked(values["states"], board.n_shards))
        board.seconds = array("f", _unpacked(values["seconds"], 4 * board.n_shards))
        if values["boxes"] is not None:
            board.boxes = unpacked_boxes(values["boxes"], board.n_shards)
        board.stores = tuple(values.get("stores", ()))
        board.running = {shard: (at, worker) for shard, at, worker in values["running"]}
        board.faults = {one["shard"]: Fault(**one) for one in values["faults"]}
        board.course = Course.from_dict(values["course"])
        board.pace.ends.extend((at, points, size) for at, points, size in values["pace"])
        return board


PLAIN = "name", "n_shards", "began", "targets", "points_of", "ended", "error", "points", "bytes", "busy", "retries"


def _packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 6)).decode()


def _unpacked(text: str, size: int) -> bytes:
    """Bytes of a known number; ValueError where there are others, however small the text."""
    machine = zlib.decompressobj()
    try:
        data = machine.decompress(base64.b64decode(text, validate=True), size + 1)
    except zlib.error as error:
        raise ValueError(f"the history is damaged: {error}") from error
    if len(data) != size:
        raise ValueError(f"the history is damaged: wanted {size} bytes of a stage, found others")
    return data


def packed_boxes(boxes: npt.NDArray[np.floating]) -> str:
    """Boxes (n_shards, 4) as a short text, to half a metre or so."""
    return _packed(boxes.astype("<f4").tobytes())


def unpacked_boxes(text: str, n_shards: int) -> npt.NDArray[np.float64]:
    """The boxes that ``packed_boxes`` made a text of."""
    return np.frombuffer(_unpacked(text, 16 * n_shards), "<f4").reshape(-1, 4).astype(np.float64)


def ranges(shards: Iterable[int]) -> list[list[int]]:
    """Shards as [first, last + 1] pairs.

    >>> ranges([0, 1, 2, 7])
    [[0, 3], [7, 8]]
    """
    found: list[list[int]] = []
    for shard in sorted(shards):
        if found and found[-1][1] == shard:
            found[-1][1] += 1
        else:
            found.append([shard, shard + 1])
    return found
