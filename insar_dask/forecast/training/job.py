"""What a training is: its settings, its model and windows, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from insar_dask.settings import known, positive, share, whole

if TYPE_CHECKING:
    import torch

__all__ = ["Batch", "Job", "PeerLostError", "Trained", "Training", "Windows"]

Batch = dict[str, "torch.Tensor"]
"""Tensors by name; ``targets`` (B, L, h) float32 and ``scored`` (B, L, h) bool are what the loss is made of."""

MAY_CHANGE = ("max_steps", "check_every", "checkpoint_every", "stop_patience")
"""Settings that a training may be continued under with other values: they move no weight by themselves."""


class PeerLostError(RuntimeError):
    """Another rank is gone or does not answer; the fault lies there, not here."""


class Windows(Protocol):
    """Where batches come from: a pure function of the step, so that nothing but the step need be remembered."""

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """Share of one of ``world`` ranks in the batch of a step, which is the same for any number of ranks."""

    def validation(self, rank: int, world: int) -> Iterator[Batch]:
        """Share of one rank in the validation windows, as many batches on each rank."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How to train; all counts are steps, all rates those of AdamW.

    Warm-up and peak are those of the published Spacetimeformer (Wang et al. 2024, doi:10.3390/rs16111891, as far as it
    says), the clip and the shortened warm-up ours.
    """

    max_steps: int = 1000
    batch: int = 16
    """Groups in the batch of a step, over all ranks."""
    rate: float = 5e-4
    first_rate: float = 1e-10
    warmup: int = 500
    """Steps from ``first_rate`` to ``rate``; at most half of ``max_steps``, else most of the training is warm-up."""
    weight_decay: float = 1e-3
    clip: float = 1.0
    """Largest norm of the gradient."""
    check_every: int = 50
    """Steps between two looks at the validation loss."""
    plateau_factor: float = 0.25
    plateau_patience: int = 3
    """Checks without a better validation loss after which the rate is multiplied by ``plateau_factor``."""
    stop_patience: int = 8
    """Such checks after which training stops: more than two plateaus, so that a lower rate has its chance."""
    loss: Literal["mse", "huber"] = "mse"
    """Huber's has its corner at 1, in the batch's scaled units."""
    bf16: bool = False
    """Multiply matrices in bfloat16 where that is faster, see `insar_dask.forecast.bfloat16`; weights, gradients and
    their sums stay float32."""
    seed: int = 0
    checkpoint_every: int = 50

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name in ("max_steps", "batch", "check_every", "plateau_patience", "stop_patience", "checkpoint_every"):
            whole(name, getattr(self, name))
        for name in ("warmup", "seed"):
            whole(name, getattr(self, name), 0)
        for name in ("rate", "first_rate", "clip"):
            positive(name, getattr(self, name))
        positive("weight_decay", self.weight_decay, zero=True)
        share("plateau_factor", self.plateau_factor, one=True)
        known("loss", self.loss, ("mse", "huber"))
        if not isinstance(self.bf16, bool):
            raise ValueError(f"bf16 is {self.bf16!r}; wanted True or False")

    @property
    def warmup_steps(self) -> int:
        """Steps of warm-up, shortened where there are few in all."""
        return min(self.warmup, self.max_steps // 2)

    def fixed(self) -> dict[str, Any]:
        """Settings that a checkpoint holds a training to."""
        return {name: value for name, value in asdict(self).items() if name not in MAY_CHANGE}


@dataclass(frozen=True)
class Job:
    """A model, what it learns from, and how."""

    model: torch.nn.Module
    """``model(batch) -> (B, L, h)`` in the batch's scaled units."""
    windows: Windows
    training: Training = field(default_factory=Training)
    identity: str = ""
    """What model and windows were made of, such as a hash: a checkpoint of another identity is refused."""


@dataclass(frozen=True)
class Trained:
    """What came of a training."""

    weights: Mapping[str, torch.Tensor]
    """State of the model at its least validation loss, on the CPU."""
    history: Mapping[str, list[float]]
    """By check: ``step``, ``training`` (mean loss since the last check), ``validation``, ``rate``."""
    best_step: int
    best_loss: float
    steps: int
    """Steps seen."""
    world: int
    """Ranks that took the last of them."""

    @property
    def still_falling(self) -> bool:
        """Whether more steps would have paid: the last fifth of the checks is more than 1 % below the fifth before.

        Fifths of at least two checks, since one alone is noise; of fewer than four, whether the last is the least.
        """
        losses = self.history["validation"]
        if len(losses) < 4:
            return losses[-1] == min(losses)
        n = max(len(losses) // 5, 2)
        return sum(losses[-n:]) < 0.99 * sum(losses[-2 * n : -n])
