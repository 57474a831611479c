"""Where a run stands, made of its events: the page, the terminal, the metrics and the history all look at this."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from insar_dask.jobs.progress.events import Event
from insar_dask.jobs.progress.pace import thinned
from insar_dask.jobs.progress.stage_board import StageBoard

__all__ = ["Board", "Folded", "Hand"]

MOST_STAGES = 300
"""Stages that are kept one by one; of more, those that went well are added up."""

MOST_LOSSES = 600
"""Points of a loss curve; of twice as many every second one is dropped."""

VERSION = 1
"""Of a kept board's layout."""


@dataclass
class Hand:
    """What one worker did."""

    jobs: int = 0
    points: int = 0
    bytes: int = 0
    busy: float = 0.0
    failures: int = 0
    last: float = 0.0


@dataclass
class Folded:
    """Stages that went well, added up."""

    stages: int = 0
    shards: int = 0
    done: int = 0
    skipped: int = 0
    points: int = 0
    bytes: int = 0
    busy: float = 0.0
    retries: int = 0

    def add(self, stage: StageBoard) -> None:
        """One more."""
        counts = stage.counts()
        self.stages += 1
        self.shards += stage.n_shards
        self.done += counts["done"]
        self.skipped += counts["skipped"]
        self.points += stage.points
        self.bytes += stage.bytes
        self.busy += stage.busy
        self.retries += stage.retries


@dataclass
class Board:
    """Stages of a run in their order, its workers, and what its models lose."""

    run: str = ""
    store: str = ""
    began: float = 0.0
    last: float = 0.0
    ended: float | None = None
    error: str = ""
    stages: dict[str, StageBoard] = field(default_factory=dict)
    folded: Folded = field(default_factory=Folded)
    hands: dict[str, Hand] = field(default_factory=dict)
    losses: dict[str, list[list[float | None]]] = field(default_factory=dict)
    """Model -> rows of step, training loss, validation loss."""
    training: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Model -> the last that its training said."""

    def take(self, event: Event) -> None:
        """Change what an event says; one that does not fit in is passed over."""
        self.last = max(self.last, event.at)
        self.began = self.began or event.at
        kind = event.kind
        if kind == "stage":
            self.stages.pop(event.stage, None)  # begun anew, it comes last
            begun = StageBoard.of(event)
            self._share_boxes(begun)
            self.stages[event.stage] = begun
            self._fold()
            self.ended, self.error = None, ""
        elif kind == "loss":
            self._learn(event)
        elif kind == "ended" and not event.stage:
            self.ended, self.error = event.at, event.error
        elif (stage := self.stages.get(event.stage)) is not None:
            self._change(stage, event)

    def _change(self, stage: StageBoard, event: Event) -> None:
        kind, shard = event.kind, event.shard
        if kind == "ended":
            stage.end(event)
        elif shard is None or shard < 0:
            return
        elif kind == "done":
            self._finish(stage, shard, event)
        elif kind == "running":
            stage.run(shard, event.at, event.worker)
        elif kind == "skipped":
            stage.skip(shard)
        elif kind == "failed" or kind == "blamed":
            stage.fail(shard, event)
            self.hands.setdefault(event.worker, Hand()).failures += 1
        elif kind == "retried":
            stage.retry(shard, event)
            self.hands.setdefault(event.worker, Hand()).failures += 1

    def _finish(self, stage: StageBoard, shard: int, event: Event) -> None:
        # a receipt knows its host alone; the worker that was seen to begin the shard is more
        _, worker = stage.running.get(shard, (0.0, event.worker))
        if not stage.finish(shard, event):
            return
        hand = self.hands.setdefault(worker or event.worker, Hand())
        hand.jobs += 1
        hand.points += event.points
        hand.bytes += event.bytes
        hand.busy += event.seconds
        hand.last = event.at

    def _share_boxes(self, new: StageBoard) -> None:
        """Shards of one product lie where they lie in all its stages; the first of them cannot know yet."""
        product = new.name.rpartition("/")[0]
        for stage in self.stages.values():
            if stage.n_shards == new.n_shards and product and stage.name.rpartition("/")[0] == product:
                new.boxes = stage.boxes if new.boxes is None else new.boxes
                stage.boxes = new.boxes if stage.boxes is None else stage.boxes

    def _fold(self) -> None:
        if len(self.stages) > MOST_STAGES:
            well = (s for s in self.stages.values() if s.ended is not None and not s.error and not s.retries)
            if (oldest := next(well, None)) is not None:
                self.folded.add(self.stages.pop(oldest.name))

    def _learn(self, event: Event) -> None:
        said = event.extra
        name = str(said.get("model") or event.stage)
        self.training[name] = {**self.training.get(name, {}), **said, "at": event.at}
        loss, validation = _number(said.get("loss")), _number(said.get("validation"))
        if loss is None and validation is None:
            return
        rows = self.losses.setdefault(name, [])
        rows.append([float(said.get("step", len(rows))), loss, validation])
        if len(rows) >= 2 * MOST_LOSSES:
            checks = [row for row in rows if row[2] is not None]
            steps = [row for row in rows if row[2] is None]
            kept = thinned(checks, MOST_LOSSES // 2) + thinned(steps, MOST_LOSSES // 2)
            self.losses[name] = sorted(kept, key=lambda row: row[0] or 0.0)

    @property
    def goes_on(self) -> bool:
        """Whether a stage runs."""
        return any(stage.ended is None for stage in self.stages.values())

    @property
    def leads(self) -> bool:
        """Whether it is a campaign's, whose jobs are runs of their own."""
        return any(stage.stores for stage in self.stages.values())

    @property
    def current(self) -> StageBoard | None:
        """The stage that runs; where none does, the last one."""
        stages = list(self.stages.values())
        running = [stage for stage in stages if stage.ended is None]
        return next(reversed(running or stages), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, to be kept."""
        plain = {name: getattr(self, name) for name in PLAIN}
        return {
            "version": VERSION,
            **plain,
            "stages": [stage.to_dict() for stage in self.stages.values()],
            "folded": vars(self.folded),
            "hands": {name: vars(hand) for name, hand in self.hands.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Board:
        """The board that ``to_dict`` made plain; ValueError where it is of another version."""
        if values.get("version") != VERSION:
            raise ValueError(f"the history is of version {values.get('version')}, this engine reads {VERSION}")
        board = cls(**{name: values[name] for name in PLAIN})
        stages = (StageBoard.from_dict(one) for one in values["stages"])
        board.stages = {stage.name: stage for stage in stages}
        board.folded = Folded(**values["folded"])
        board.hands = {name: Hand(**one) for name, one in values["hands"].items()}
        return board


def _number(value: Any) -> float | None:
    """A loss; none where it is no number any more, which JSON has no word for."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


PLAIN = "run", "store", "began", "last", "ended", "error", "losses", "training"
