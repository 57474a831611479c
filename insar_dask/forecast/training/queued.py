"""The same steps on a device that is not waited for: nothing of a step is looked at before somebody asks."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable

import torch

from insar_dask.forecast.training.adamw import QueuedAdamW
from insar_dask.forecast.training.descent import Descent, step_seed
from insar_dask.forecast.training.job import Batch, Job
from insar_dask.forecast.training.recording import Recorder
from insar_dask.forecast.training.together import Ranks

__all__ = ["QueuedDescent"]

NONE = -1
"""Step at which the loss ceased to be a number, while there is none."""


class QueuedDescent(Descent):
    """Steps whose losses are added up where they are computed.

    A step puts its kernels into the device's queue and returns: asking after each of them whether the loss is a number
    would leave the device idle for as long as the next one takes to be put together. `recent`, `loss` and `settle` wait
    for all of them, and raise the `TrainingError` of the first loss that was none; what is written to a checkpoint was
    asked for before, so that no weights are kept that such a step has spoilt.

    Clipping, division by the number of scored values and the step itself are one kernel, and a batch without a scored
    value is passed over there. The sums are those of `Descent` but for the order of their last products.

    Parameters
    ----------
    ways : collection of str
        ``"graphs"``: record the kernels of forward and backward pass once for each shape of batch, and then start them
        all by one call. ``"compiled"``: by way of torch's compiler.
    """

    optimiser: QueuedAdamW

    def __init__(self, job: Job, ranks: Ranks, device: torch.device, ways: Collection[str] = ()) -> None:
        self._sum = torch.zeros((), dtype=torch.float64, device=device)
        self._last = torch.zeros((), device=device)
        self._faulty = torch.full((), NONE, device=device)
        self._count = 0
        super().__init__(job, ranks, device)
        self._compiled = torch.compile(self.model, fullgraph=True, dynamic=False) if "compiled" in ways else self.model
        self._recorder = Recorder() if "graphs" in ways else None

    @property
    def recent(self) -> tuple[float, int]:
        """Sum and number, once all steps are done."""
        self.settle()
        return float(self._sum), self._count

    @recent.setter
    def recent(self, recent: tuple[float, int]) -> None:
        self._sum.fill_(recent[0])
        self._count = recent[1]

    @property
    def loss(self) -> float:
        """Of the last step, once it is done."""
        self.settle()
        return float(self._last)

    @loss.setter
    def loss(self, loss: float) -> None:
        self._last.fill_(loss)

    def step(self, batch: Batch, step: int, rate: float) -> None:
        """Put a step into the queue."""
        torch.manual_seed(step_seed(self.training.seed, step, self.ranks.rank))
        self.model.train()
        work = self.gradients
        sums, gradients = work(batch) if self._recorder is None else self._recorder.run(work, batch)
        there = [gradient for gradient in gradients if gradient is not None]
        if self.ranks.world > 1:
            self.share(there, sums)
        total, scored = sums.unbind()
        count = scored.clamp(min=1)
        norm = torch.nn.utils.get_total_norm(there) / count
        share = (self.training.clip / (norm + 1e-6)).clamp(max=1.0)  # as `clip_grad_norm_` has it
        self.optimiser.follow(gradients, rate, count / share, scored == 0)
        self._note((total / count).masked_fill(scored == 0, 0.0), step)

    def judge(self, batches: Iterable[Batch], pulse: Callable[[], None]) -> tuple[float, float]:
        """As `Descent.judge`, looked at once, in the end."""
        self.settle()
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        for batch in batches:
            sums += torch.stack(self.loss_of(batch))
            pulse()
        summed, count = sums.tolist()
        return summed, count

    def said(self, batch: Batch) -> torch.Tensor:
        """What the model says of a batch; in training, as it was compiled."""
        out: torch.Tensor = (self._compiled if self.model.training else self.model)(batch)
        return out

    def settle(self) -> None:
        """Wait for all steps.

        Raises
        ------
        TrainingError
            When the loss of one was no number.
        PeerLostError
            When another rank is gone.
        """
        step = self.ranks.seen(self._faulty)
        if step != NONE:
            self.finite(math.nan, step)

    def _note(self, mean: torch.Tensor, step: int) -> None:
        self._sum += mean
        self._last.copy_(mean)
        first = (self._faulty == NONE) & ~mean.isfinite()
        self._faulty.masked_fill_(first, step)
        self._count += 1

    def _optimiser(self) -> QueuedAdamW:
        return QueuedAdamW(self.learned, self.training.weight_decay)
