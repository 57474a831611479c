"""The training loop: one process, or one rank of many; killed at any step, it goes on as if nothing had happened."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import torch

from insar_dask.forecast.bfloat16 import FLOAT32_INSTEAD
from insar_dask.forecast.training import checkpoint
from insar_dask.forecast.training.accelerator import prepared, room_on, ways_of
from insar_dask.forecast.training.descent import Descent, TrainingError
from insar_dask.forecast.training.feeding import Feed, QueuedFeed
from insar_dask.forecast.training.hold import HeldError, held
from insar_dask.forecast.training.job import Batch, Job, Trained, Training, Windows
from insar_dask.forecast.training.learning_rate import LearningRate
from insar_dask.forecast.training.logbook import Logbook
from insar_dask.forecast.training.queued import QueuedDescent
from insar_dask.forecast.training.together import Ranks

__all__ = ["Batch", "HeldError", "Job", "Trained", "Training", "TrainingError", "Windows", "restored", "train"]

Tell = Callable[[Mapping[str, Any]], None]

VERSION = 1
"""Of a checkpoint's layout."""

COLUMNS = ("step", "training", "validation", "rate")

SETTLED = 50
"""Steps after which a device is waited for, at the latest: all ranks stop together where a loss is no number."""

SAVED_SECONDS = 10.0
"""Between two checkpoints of such a device, at the least: there 50 steps may take less time than a checkpoint."""


def train(
    job: Job,
    folder: str | Path,
    *,
    rank: int = 0,
    world: int = 1,
    device: str = "cpu",
    tell: Tell = lambda _: None,
    pulse: Callable[[], None] = lambda: None,
    hold: bool = True,
    queued: bool | None = None,
) -> Trained:
    """Train a model, or go on where the folder's newest sound checkpoint stands.

    With several ranks the process group must be there already, see `insar_dask.forecast.training.ranks.train_on`. All
    ranks take the same decisions, since they see the same sums: the loss of a step is
    ``sum over scored of loss(prediction - target) / number of scored`` over all ranks. Random numbers (dropout) are
    drawn anew for each step and rank, so a run that was killed ends with the same bits as one that was not, at the same
    number of ranks.

    Parameters
    ----------
    job : Job
        Its model is trained in place, and holds the best weights in the end.
    folder : str or Path
        For checkpoints and ``progress.jsonl``; the same on every rank.
    rank, world : int
        This rank, and how many there are.
    device : str
        Where to train, such as ``"cuda:0"``. A checkpoint that one device wrote another goes on with.
    tell : callable
        Gets the mappings that go to ``progress.jsonl`` too, on rank 0 alone: see
        `insar_dask.forecast.training.logbook`.
    pulse : callable
        Called after each step and each validation batch, on every rank: a sign of life.
    hold : bool
        Keep other trainings out of the folder; False where whoever started this rank does.
    queued : bool, optional
        Put steps into the device's queue without waiting for their losses, and have batches there beforehand, see
        `insar_dask.forecast.training.queued`; default: on a GPU, which knows no other way, and where
        `insar_dask.forecast.training.accelerator.STEPS` may ask for more. Checkpoints are then at least 10 s apart.

    Returns
    -------
    Trained
        The same on every rank.

    Raises
    ------
    ValueError
        When there is no such rank, or no such device.
    CheckpointError
        When the folder holds no sound checkpoint, or one of another model, of other settings or of other data.
    TrainingError
        When the loss is not finite any more, or nothing is scored.
    PeerLostError
        When another rank is gone.
    HeldError
        When another training is at work in the folder.
    """
    if not 0 <= rank < world:
        raise ValueError(f"rank is {rank} of {world}; wanted 0 to {world - 1}")
    _check_device(device)
    place = torch.device("cuda", torch.cuda.current_device()) if device == "cuda" else torch.device(device)
    unwaited = place.type == "cuda" if queued is None else queued
    if place.type == "cuda" and not unwaited:
        raise ValueError(f"queued=False trains on a processor, and device is {device!r}; leave queued out")
    loop = _Loop(job, Path(folder), Ranks(rank, world), place, tell, pulse, unwaited)
    with held(loop.folder, loop.logbook.note) if hold and rank == 0 else nullcontext(), prepared(place):
        loop.resume()
        loop.go()
        return loop.result()


def restored(folder: str | Path) -> Trained:
    """What a training in this folder has come to, finished or not.

    Raises
    ------
    CheckpointError
        When there is no sound checkpoint.
    """
    found = checkpoint.load(Path(folder))
    if found is None:
        raise checkpoint.CheckpointError(f"{folder} holds no checkpoint: name the folder that a training was given")
    state = found.state
    rate = state["rate"]
    history = {name: list(values) for name, values in state["history"].items()}
    return Trained(
        state["best"] or state["model"], history, rate["best_step"], rate["best"], state["step"], state["world"]
    )


class _Loop:
    """State of a training between two steps."""

    def __init__(
        self,
        job: Job,
        folder: Path,
        ranks: Ranks,
        device: torch.device,
        tell: Tell,
        pulse: Callable[[], None],
        queued: bool,
    ) -> None:
        self.job, self.training = job, job.training
        self.folder, self.ranks, self.device, self.pulse, self.queued = folder, ranks, device, pulse, queued
        self.descent = QueuedDescent(job, ranks, device, ways_of(device)) if queued else Descent(job, ranks, device)
        self.model = self.descent.model
        self.rate = LearningRate(self.training)
        self.history: dict[str, list[float]] = {name: [] for name in COLUMNS}
        self.done = 0
        self.saved = -math.inf
        self.best: dict[str, torch.Tensor] | None = None
        self.logbook = Logbook(folder, tell, self.training, active=ranks.rank == 0)
        self.feed = Feed(job.windows, ranks)

    @property
    def finished(self) -> bool:
        return self.done >= self.training.max_steps or self.rate.exhausted

    def go(self) -> None:
        """All steps that are left."""
        if self.queued:
            room = room_on(self.device)
            self.feed = QueuedFeed(self.job.windows, self.ranks, self.device, room, self.pulse, self.logbook.note)
        try:
            while not self.finished:
                self.step()
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f"{self.device} has too little memory for step {self.done}: take a smaller batch (now "
                f"{self.training.batch} over {self.ranks.world} ranks), smaller sizes, or more ranks: {error}"
            ) from error
        finally:
            self.feed.close()

    def step(self) -> None:
        training, step = self.training, self.done
        rate = self.rate.at(step)
        self.descent.step(self.feed.batch(step), step, rate)
        self.done = step + 1
        last = self.done == training.max_steps
        if self.done % SETTLED == 0:
            self.descent.settle()
        if last or self.done % training.check_every == 0:
            self._check()
        if last or self.finished or (self.done % training.checkpoint_every == 0 and self._due()):
            self._save()
        self.logbook.at = self.done
        if self.logbook.due:
            self.logbook.step(self.done, self.descent.loss, self.rate.at(step))
        self.pulse()

    def _due(self) -> bool:
        return not self.queued or time.monotonic() - self.saved >= SAVED_SECONDS

    @torch.no_grad()
    def _check(self) -> None:
        """Look at the validation loss; take down the best weights, lower the rate or lose patience."""
        self.model.eval()
        summed, count = self.ranks.total(self.descent.judge(self.feed.validation(), self.pulse), self.device)
        if count == 0:
            raise TrainingError("no value of the validation windows is scored: give training more dates or points")
        loss = summed / count
        if not math.isfinite(loss):
            raise TrainingError(f"the validation loss after step {self.done} is {loss}: lower the rate")
        rate = self.rate.at(self.done - 1)
        if self.rate.note(loss, self.done):
            self.best = _copied(self.model.state_dict())
        recent = self.descent.recent
        values = (self.done, recent[0] / max(recent[1], 1), loss, rate)
        for name, value in zip(COLUMNS, values, strict=True):
            self.history[name].append(value)
        self.descent.recent = (0.0, 0)
        self.logbook.check({name: column[-1] for name, column in self.history.items()}, self.rate)

    def _save(self) -> None:
        self.descent.settle()
        if self.ranks.rank != 0:
            return
        state: dict[str, Any] = {
            "version": VERSION,
            "identity": self.job.identity,
            "training": self.training.fixed(),
            "world": self.ranks.world,
            # sampler and random numbers are functions of these two
            "step": self.done,
            "seed": self.training.seed,
            "model": self.model.state_dict(),
            "best": self.best,
            "optimiser": self.descent.optimiser.state(),
            "rate": self.rate.state(),
            "history": self.history,
            "recent": self.descent.recent,
            "bf16": self.descent.bf16,
        }
        if self.device.type != "cpu":
            state |= {"device": self.device.type, "model": _copied(state["model"])}
        path = checkpoint.save(self.folder, self.done, state)
        self.saved = time.monotonic()
        self.logbook.saved(self.done, path)

    def resume(self) -> None:
        """Take up the newest sound checkpoint, if any; all ranks the one that rank 0 chose."""
        found = None
        if self.ranks.rank == 0:
            found = checkpoint.load(self.folder, note=self.logbook.note)
        chosen = -1 if found is None else int(found.state["step"])
        (chosen_by_all,) = self.ranks.total([float(chosen) if self.ranks.rank == 0 else 0.0], self.device)
        if chosen_by_all >= 0 and found is None:
            found = checkpoint.load(self.folder, at=int(chosen_by_all))
        (able,) = self.ranks.total([float(self.descent.bf16)], self.device)
        self.descent.bf16 = able == self.ranks.world
        if found is not None:
            self._take(found)
        if self.training.bf16 and not self.descent.bf16:
            self.logbook.note(FLOAT32_INSTEAD)
        self.logbook.begin(self.done, self.ranks.world)

    def _take(self, found: checkpoint.Checkpoint) -> None:
        state, path = found.state, found.path
        _check_same(path, state, self.job)
        checkpoint.check_shapes(path, state["model"], self.model)
        self.model.load_state_dict(state["model"])
        self.descent.optimiser.load(state["optimiser"])
        self.rate.load(state["rate"])
        self.history = {name: list(values) for name, values in state["history"].items()}
        self.done, self.descent.recent, self.best = state["step"], tuple(state["recent"]), state["best"]
        if (device := state.get("device", "cpu")) != self.device.type:
            self.logbook.note(
                f"{path.name} was made on {device}, going on on {self.device.type}: sums are rounded otherwise"
            )
        if (bf16 := state.get("bf16", self.descent.bf16)) != self.descent.bf16:
            before, now = (["float32", "bfloat16"][one] for one in (bf16, self.descent.bf16))
            self.logbook.note(f"{path.name} was made in {before}, going on in {now}: products are rounded otherwise")
        if (world := state["world"]) != self.ranks.world:
            self.logbook.note(
                f"{path.name} was made by {world} rank{'s' if world > 1 else ''}, going on with {self.ranks.world}: "
                "sums are added in another order from here"
            )

    def result(self) -> Trained:
        """Put the best weights into the model and hand everything over."""
        best = self.best or _copied(self.model.state_dict())
        self.model.load_state_dict(best)
        rate = self.rate
        trained = Trained(best, self.history, rate.best_step, rate.best, self.done, self.ranks.world)
        self.logbook.end(trained)
        return trained


def _check_same(path: Path, state: Mapping[str, Any], job: Job) -> None:
    """A checkpoint of other settings or data is no beginning of this training."""
    cure = f"train into another folder, or delete {path.parent} to start anew"
    if state.get("version") != VERSION:
        raise checkpoint.CheckpointError(f"{path} has layout {state.get('version')}, this code {VERSION}; {cure}")
    if state["identity"] != job.identity:
        raise checkpoint.CheckpointError(
            f"{path} is of a model and data called {state['identity']!r}, these are {job.identity!r}; {cure}"
        )
    wanted = job.training.fixed()
    for name, value in state["training"].items():
        with suppress(KeyError):
            if wanted[name] != value:
                raise checkpoint.CheckpointError(
                    f"{path} was trained with {name}={value!r}, this training has {wanted[name]!r}; {cure}"
                )


def _copied(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}


def _check_device(device: str) -> None:
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device is {device!r}, and torch {torch.__version__} finds no GPU here; take device='cpu'")
    found = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if device not in (*found, "cuda"):
        raise ValueError(f"device is {device!r}; wanted {' or '.join(map(repr, found))}, which is what there is here")
