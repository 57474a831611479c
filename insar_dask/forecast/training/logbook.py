"""What a training says while it runs: to whoever listens, and to a file in its folder."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from insar_dask.forecast.training.job import Trained, Training

if TYPE_CHECKING:
    from insar_dask.forecast.training.learning_rate import LearningRate

__all__ = ["PROGRESS", "Logbook", "append"]

PROGRESS = "progress.jsonl"
TELL_SECONDS = 0.5
SMOOTHING_SECONDS = 10.0


class Logbook:
    """Tells of steps about twice a second, of everything else at once; every mapping has ``kind`` and ``step``.

    ============== ====================================================================================================
    ``begin``      ``of`` (most steps), ``world``
    ``step``       ``of``, ``loss``, ``rate``, ``samples_per_s`` (groups), ``eta_s``
    ``check``      ``training`` and ``validation`` loss, ``rate``, ``best``, ``best_step``
    ``checkpoint`` ``file``
    ``note``       ``text``
    ``rank``       ``rank``, ``pid``, ``worker``, ``host``: where a rank runs; to listeners only
    ``restart``    ``text`` (why), ``attempt``: several ranks begin again
    ``end``        ``best``, ``best_step``, ``still_falling``
    ============== ====================================================================================================

    Parameters
    ----------
    folder : Path
        Gets ``progress.jsonl``, one mapping a line.
    tell : callable
        Gets each mapping.
    training : Training
    active : bool
        Say anything at all: one rank of many does.
    """

    def __init__(
        self, folder: Path, tell: Callable[[Mapping[str, Any]], None], training: Training, *, active: bool
    ) -> None:
        self.folder, self.listener, self.training, self.active = folder, tell, training, active
        self.told = 0.0
        self.pace = 0.0
        self.marked = (0.0, 0)
        self.at = 0

    def begin(self, step: int, world: int) -> None:
        """Training starts, or goes on, at a step."""
        self.at = step
        self.marked = (time.monotonic(), step)
        wanted, taken = self.training.warmup, self.training.warmup_steps
        if taken < wanted:
            self.note(f"warm-up shortened from {wanted} to {taken} steps, half of max_steps")
        self._say("begin", of=self.training.max_steps, world=world)

    @property
    def due(self) -> bool:
        """Whether it is time to tell of a step: nobody need know the loss of others."""
        return self.active and time.monotonic() - self.told >= TELL_SECONDS

    def step(self, step: int, loss: float, rate: float) -> None:
        """A step is done."""
        self.at = step
        now = time.monotonic()
        self.told = now
        self._measure(now, step)
        left = self.training.max_steps - step
        self._say(
            "step",
            of=self.training.max_steps,
            loss=loss,
            rate=rate,
            samples_per_s=round(self.training.batch * self.pace, 2),
            eta_s=round(left / self.pace, 1) if self.pace else None,
        )

    def check(self, latest: Mapping[str, float], rate: LearningRate) -> None:
        """The validation loss was looked at."""
        self.at = int(latest["step"])
        rest = {name: value for name, value in latest.items() if name != "step"}
        self._say("check", of=self.training.max_steps, **rest, best=rate.best, best_step=rate.best_step)

    def saved(self, step: int, path: Path) -> None:
        """A checkpoint is on the disk."""
        self.at = step
        self._say("checkpoint", file=path.name)

    def note(self, text: str) -> None:
        """Something that a person should know."""
        self._say("note", text=text)

    def end(self, trained: Trained) -> None:
        """Training is over."""
        self.at = trained.steps
        self._say("end", best=trained.best_loss, best_step=trained.best_step, still_falling=trained.still_falling)

    def _measure(self, now: float, step: int) -> None:
        """Steps a second, forgetting what is longer ago than some ten seconds."""
        began, first = self.marked
        if now <= began or step <= first:
            return
        pace = (step - first) / (now - began)
        weight = 1.0 if not self.pace else min((now - began) / SMOOTHING_SECONDS, 1.0)
        self.pace += weight * (pace - self.pace)
        self.marked = (now, step)

    def _say(self, kind: str, **more: Any) -> None:
        if not self.active:
            return
        said = {"kind": kind, "step": self.at, "time": round(time.time(), 3), **more}
        append(self.folder, said)
        self.listener(said)


def append(folder: Path, said: Mapping[str, Any]) -> None:
    """Add a line to the folder's ``progress.jsonl``, on a line of its own whatever a kill left half written."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / PROGRESS).open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                file.write(b"\n")
        file.write(json.dumps(said).encode() + b"\n")
