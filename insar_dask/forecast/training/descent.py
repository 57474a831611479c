"""Steps down the gradient of a job's loss; the loss of each is known before the next one begins."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable

import torch
from torch.nn.functional import huber_loss

from insar_dask.forecast.bfloat16 import in_bfloat16, is_quick
from insar_dask.forecast.training.adamw import AdamW
from insar_dask.forecast.training.job import Batch, Job
from insar_dask.forecast.training.together import Ranks, running_statistics

__all__ = ["Descent", "TrainingError", "step_seed"]

Gradients = list[torch.Tensor | None]


class TrainingError(ValueError):
    """Training cannot go on: the loss is no number, or there is nothing to learn from or to check against."""


class Descent:
    """A job's model and optimiser, and what its steps have come to.

    Parameters
    ----------
    job : Job
        Its model is moved to the device, and trained there in place.
    ranks : Ranks
        Whose sums the steps follow.
    device : torch.device

    Attributes
    ----------
    recent : (float, int)
        Sum of the mean losses of the steps since this was last set to 0, and their number.
    loss : float
        Mean loss of the last step.
    bf16 : bool
        Whether matrices are multiplied in bfloat16, by all ranks or by none.
    """

    optimiser: AdamW

    def __init__(self, job: Job, ranks: Ranks, device: torch.device) -> None:
        self.training, self.ranks, self.device = job.training, ranks, device
        self.bf16 = job.training.bf16 and is_quick(device.type)
        self.model = job.model.to(device)
        self.learned = [p for p in self.model.parameters() if p.requires_grad]
        self.optimiser = self._optimiser()
        self.recent: tuple[float, int] = (0.0, 0)
        self.loss = 0.0

    def step(self, batch: Batch, step: int, rate: float) -> None:
        """Follow the gradient of the mean over all scored values of all ranks.

        Raises
        ------
        TrainingError
            When the loss is not finite.
        """
        self.loss = self._followed(batch, step, rate)
        self.recent = (self.recent[0] + self.loss, self.recent[1] + 1)

    def judge(self, batches: Iterable[Batch], pulse: Callable[[], None]) -> tuple[float, float]:
        """Sum of the losses of validation batches, and how many values it is over; ``pulse`` after each of them."""
        summed, count = 0.0, 0.0
        for batch in batches:
            part, scored = self.loss_of(batch)
            summed, count = summed + float(part), count + float(scored)
            pulse()
        return summed, count

    def settle(self) -> None:
        """Wait for all steps that were asked for: here they are done."""

    def loss_of(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum of the losses of a batch and how many values it is over, both on the device."""
        with in_bfloat16(self.device, self.bf16):
            predicted = self.said(batch)
        scored = batch["scored"]
        error = torch.where(scored, predicted.float() - batch["targets"], 0.0)
        if self.training.loss == "huber":
            return huber_loss(error, torch.zeros_like(error), reduction="sum"), scored.sum()
        return error.square().sum(), scored.sum()

    def said(self, batch: Batch) -> torch.Tensor:
        """What the model says of a batch."""
        out: torch.Tensor = self.model(batch)
        return out

    def gradients(self, batch: Batch) -> tuple[torch.Tensor, Gradients]:
        """The two sums of `loss_of`, (2,) float32, and the gradients of the first, in the order of what is learned."""
        self.optimiser.forget_gradients()
        summed, count = self.loss_of(batch)
        summed.backward()  # type: ignore[no-untyped-call]
        return torch.stack([summed.detach(), count.to(summed.dtype)]), [p.grad for p in self.learned]

    def share(self, gradients: Iterable[torch.Tensor], sums: torch.Tensor) -> None:
        """Add up gradients and sums over all ranks, and take the mean of the model's running statistics."""
        statistics = running_statistics(self.model)
        self.ranks.add_up([*gradients, *statistics, sums])
        for kept in statistics:
            kept /= self.ranks.world

    def finite(self, mean: float, step: int) -> float:
        """The loss of a step, if it is a number."""
        if not math.isfinite(mean):
            raise TrainingError(
                f"the training loss at step {step} is {mean}: lower rate (now {self.training.rate:g}) or clip "
                f"({self.training.clip:g}), or look for values that are not finite among the windows"
            )
        return mean

    def _optimiser(self) -> AdamW:
        return AdamW(self.learned, self.training.weight_decay)

    def _followed(self, batch: Batch, step: int, rate: float) -> float:
        torch.manual_seed(step_seed(self.training.seed, step, self.ranks.rank))
        self.model.train()
        sums, _ = self.gradients(batch)
        if self.ranks.world > 1:  # what was in no use here may be elsewhere: all ranks send messages of one length
            for parameter in self.learned:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in self.learned if parameter.grad is not None]
        self.share(gradients, sums)
        total, scored = sums.tolist()
        if scored == 0:
            return 0.0  # a batch of nothing but gaps teaches nothing, and its gradient is zero
        mean = self.finite(total / scored, step)
        torch._foreach_div_(gradients, scored)
        torch.nn.utils.clip_grad_norm_(self.learned, self.training.clip)
        self.optimiser.step(rate)
        return mean


def step_seed(*parts: int) -> int:
    """64 bits from seed, step and rank, no two steps alike: neighbouring seeds of one generator are correlated."""
    packed = ",".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "big", signed=True)
