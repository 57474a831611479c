"""The training loop: one process, or one rank of many; killed at any step, it goes on as if nothing had happened."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import huber_loss

from insar_dask.forecast.training import checkpoint
from insar_dask.forecast.training.adamw import AdamW
from insar_dask.forecast.training.hold import HeldError, held
from insar_dask.forecast.training.job import Batch, Job, Trained, Training, Windows
from insar_dask.forecast.training.learning_rate import LearningRate
from insar_dask.forecast.training.logbook import Logbook
from insar_dask.forecast.training.together import Ranks, running_statistics

__all__ = ["Batch", "HeldError", "Job", "Trained", "Training", "TrainingError", "Windows", "restored", "train"]

Tell = Callable[[Mapping[str, Any]], None]

VERSION = 1
"""Of a checkpoint's layout."""

COLUMNS = ("step", "training", "validation", "rate")


class TrainingError(ValueError):
    """Training cannot go on: the loss is no number, or there is nothing to learn from or to check against."""


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
        Where to train, such as ``"cuda:0"``.
    tell : callable
        Gets the mappings that go to ``progress.jsonl`` too, on rank 0 alone: see
        `insar_dask.forecast.training.logbook`.
    pulse : callable
        Called after each step and each validation batch, on every rank: a sign of life.
    hold : bool
        Keep other trainings out of the folder; False where whoever started this rank does.

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
    loop = _Loop(job, Path(folder), Ranks(rank, world), torch.device(device), tell, pulse)
    with held(loop.folder, loop.logbook.note) if hold and rank == 0 else nullcontext():
        loop.resume()
        while not loop.finished:
            loop.step()
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
        self, job: Job, folder: Path, ranks: Ranks, device: torch.device, tell: Tell, pulse: Callable[[], None]
    ) -> None:
        self.job, self.training, self.windows = job, job.training, job.windows
        self.folder, self.ranks, self.device, self.pulse = folder, ranks, device, pulse
        self.model = job.model.to(device)
        self.learned = [p for p in self.model.parameters() if p.requires_grad]
        self.optimiser = AdamW(self.learned, self.training.weight_decay)
        self.rate = LearningRate(self.training)
        self.history: dict[str, list[float]] = {name: [] for name in COLUMNS}
        self.done = 0
        self.recent = (0.0, 0)
        self.best: dict[str, torch.Tensor] | None = None
        self.logbook = Logbook(folder, tell, self.training, active=ranks.rank == 0)

    @property
    def finished(self) -> bool:
        return self.done >= self.training.max_steps or self.rate.exhausted

    def step(self) -> None:
        training, step = self.training, self.done
        loss = self._descend(step)
        self.done = step + 1
        self.recent = (self.recent[0] + loss, self.recent[1] + 1)
        last = self.done == training.max_steps
        if last or self.done % training.check_every == 0:
            self._check()
        if last or self.finished or self.done % training.checkpoint_every == 0:
            self._save()
        self.logbook.step(self.done, loss, self.rate.at(step))
        self.pulse()

    def _descend(self, step: int) -> float:
        """One step down the gradient of the mean over all scored values of all ranks."""
        torch.manual_seed(_seed(self.training.seed, step, self.ranks.rank))
        self.model.train()
        self.optimiser.forget_gradients()
        summed, count = self._loss(self.windows.batch(step, self.ranks.rank, self.ranks.world))
        summed.backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in self.learned if p.grad is not None]
        statistics = running_statistics(self.model)
        sums = torch.stack([summed.detach(), count.to(summed.dtype)])
        self.ranks.add_up([*gradients, *statistics, sums])
        for kept in statistics:
            kept /= self.ranks.world
        total, scored = sums.tolist()
        if scored == 0:
            return 0.0  # a batch of nothing but gaps teaches nothing, and its gradient is zero
        mean = total / scored
        if not math.isfinite(mean):
            raise TrainingError(
                f"the training loss at step {step} is {mean}: lower rate (now {self.training.rate:g}) or clip "
                f"({self.training.clip:g}), or look for values that are not finite among the windows"
            )
        torch._foreach_div_(gradients, scored)
        torch.nn.utils.clip_grad_norm_(self.learned, self.training.clip)
        self.optimiser.step(self.rate.at(step))
        return float(mean)

    def _loss(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum of the losses of a batch and how many values it is over, both on the device."""
        batch = {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.training.bf16):
            predicted = self.model(batch)
        scored = batch["scored"]
        error = torch.where(scored, predicted.float() - batch["targets"], 0.0)
        if self.training.loss == "huber":
            return huber_loss(error, torch.zeros_like(error), reduction="sum"), scored.sum()
        return error.square().sum(), scored.sum()

    @torch.no_grad()
    def _check(self) -> None:
        """Look at the validation loss; take down the best weights, lower the rate or lose patience."""
        self.model.eval()
        summed, count = 0.0, 0.0
        for batch in self.windows.validation(self.ranks.rank, self.ranks.world):
            part, scored = self._loss(batch)
            summed, count = summed + float(part), count + float(scored)
            self.pulse()
        summed, count = self.ranks.total([summed, count], self.device)
        if count == 0:
            raise TrainingError("no value of the validation windows is scored: give training more dates or points")
        loss = summed / count
        if not math.isfinite(loss):
            raise TrainingError(f"the validation loss after step {self.done} is {loss}: lower the rate")
        rate = self.rate.at(self.done - 1)
        if self.rate.note(loss, self.done):
            self.best = _copied(self.model.state_dict())
        values = (self.done, self.recent[0] / max(self.recent[1], 1), loss, rate)
        for name, value in zip(COLUMNS, values, strict=True):
            self.history[name].append(value)
        self.recent = (0.0, 0)
        self.logbook.check({name: column[-1] for name, column in self.history.items()}, self.rate)

    def _save(self) -> None:
        if self.ranks.rank != 0:
            return
        state = {
            "version": VERSION,
            "identity": self.job.identity,
            "training": self.training.fixed(),
            "world": self.ranks.world,
            # sampler and random numbers are functions of these two
            "step": self.done,
            "seed": self.training.seed,
            "model": self.model.state_dict(),
            "best": self.best,
            "optimiser": self.optimiser.state(),
            "rate": self.rate.state(),
            "history": self.history,
            "recent": self.recent,
        }
        path = checkpoint.save(self.folder, self.done, state)
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
        if found is not None:
            self._take(found)
        self.logbook.begin(self.done, self.ranks.world)

    def _take(self, found: checkpoint.Checkpoint) -> None:
        state, path = found.state, found.path
        _check_same(path, state, self.job)
        checkpoint.check_shapes(path, state["model"], self.model)
        self.model.load_state_dict(state["model"])
        self.optimiser.load(state["optimiser"])
        self.rate.load(state["rate"])
        self.history = {name: list(values) for name, values in state["history"].items()}
        self.done, self.recent, self.best = state["step"], tuple(state["recent"]), state["best"]
        if state["world"] != self.ranks.world:
            self.logbook.note(
                f"{path.name} was made by {state['world']} ranks, going on with {self.ranks.world}: "
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


def _seed(*parts: int) -> int:
    """64 bits from seed, step and rank, no two steps alike: neighbouring seeds of one generator are correlated."""
    packed = ",".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "big", signed=True)


def _check_device(device: str) -> None:
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device is {device!r}, and torch {torch.__version__} finds no GPU here; take device='cpu'")
    found = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if device not in (*found, "cuda"):
        raise ValueError(f"device is {device!r}; wanted {' or '.join(map(repr, found))}, which is what there is here")
