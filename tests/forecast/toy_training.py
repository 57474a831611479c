"""A tiny training on synthetic windows, which ranks can be made to stumble over."""

import time
from collections.abc import Iterator
from typing import Any

import torch

from insar_dask.forecast.training.job import Batch, Job, Training

L, K, H = 4, 6, 2


class Toy(torch.nn.Module):
    """Dropout and a batch norm, since both keep something between steps; ``plain`` has neither."""

    def __init__(self, width: int, plain: bool = False) -> None:
        super().__init__()
        self.enter = torch.nn.Linear(K, width)
        self.norm = torch.nn.Identity() if plain else torch.nn.BatchNorm1d(width)
        self.drop = torch.nn.Dropout(0.0 if plain else 0.2)
        self.leave = torch.nn.Linear(width, H)

    def forward(self, batch: Batch) -> torch.Tensor:
        x = self.enter(batch["values"]).flatten(0, 1)  # (B L, width)
        return self.leave(self.drop(torch.relu(self.norm(x)))).view(-1, L, H)


class ToyWindows:
    """Noisy lines, of which ranks hold unequally many scored values.

    A batch takes ``pause`` seconds; from a step of a rank on, ``fail`` raises its text.
    """

    def __init__(self, groups: int, seed: int, pause: float = 0.0, fail: dict[str, Any] | None = None) -> None:
        self.groups, self.seed, self.pause, self.fail = groups, seed, pause, fail or {}

    def batch(self, step: int, rank: int, world: int) -> Batch:
        time.sleep(self.pause)
        if self.fail and rank == self.fail["rank"] and step >= self.fail["step"]:
            raise ZeroDivisionError(self.fail["text"])
        return self._drawn(step, rank, world)

    def validation(self, rank: int, world: int) -> Iterator[Batch]:
        for number in range(2):
            yield self._drawn(-1 - number, rank, world)

    def _drawn(self, number: int, rank: int, world: int) -> Batch:
        generator = torch.Generator().manual_seed(1000 * self.seed + number + 500)
        slope = torch.randn(self.groups, L, 1, generator=generator)
        series = slope * torch.arange(-K, H) / K + 0.1 * torch.randn(self.groups, L, K + H, generator=generator)
        scored = torch.rand(self.groups, L, H, generator=generator) < 0.7
        whole = {"values": series[..., :K], "targets": series[..., K:], "scored": scored}
        return {name: tensor[rank::world] for name, tensor in whole.items()}


def job(
    width: int = 8,
    pause: float = 0.0,
    fail: dict[str, Any] | None = None,
    identity: str = "",
    plain: bool = False,
    **training: Any,
) -> Job:
    """Builder of the tests, with weights that depend on nothing but the seed."""
    settings = Training(**{"max_steps": 12, "warmup": 3, "check_every": 4, "checkpoint_every": 2, **training})
    torch.manual_seed(settings.seed)
    return Job(Toy(width, plain), ToyWindows(settings.batch, settings.seed, pause, fail), settings, identity)
