"""AdamW by torch's fused kernel alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

__all__ = ["AdamW", "QueuedAdamW"]


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101), a rate given with each step.

    The same kernel as ``torch.optim.AdamW(fused=True)``, whose constructor also imports torch's compiler: 1.4 of the
    2.8 CPU seconds that a rank took to start, and a restart is waited for.

    Parameters
    ----------
    parameters : sequence of torch.Tensor
        What to learn, all on one device.
    weight_decay : float
    betas : (float, float)
        Decay of the averages of gradients and of their squares.
    eps : float
    """

    def __init__(
        self,
        parameters: Sequence[torch.Tensor],
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.parameters, self.weight_decay, self.betas, self.eps = list(parameters), weight_decay, betas, eps
        self.means = [torch.zeros_like(p) for p in self.parameters]
        self.squares = [torch.zeros_like(p) for p in self.parameters]
        self.count = 0

    def forget_gradients(self) -> None:
        """Before a backward pass."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move all parameters that have a gradient."""
        self.count += 1
        gradients = {n: parameter.grad for n, parameter in enumerate(self.parameters) if parameter.grad is not None}
        if not gradients:
            return
        count = torch.tensor(float(self.count), device=self.parameters[0].device)
        self._move(gradients, rate, count)

    def _move(self, gradients: Mapping[int, torch.Tensor], rate: float, count: torch.Tensor, **more: Any) -> None:
        """One step of the parameters that have a gradient, by their numbers."""
        torch._fused_adamw_(
            [self.parameters[n] for n in gradients],
            list(gradients.values()),
            [self.means[n] for n in gradients],
            [self.squares[n] for n in gradients],
            [],
            [count] * len(gradients),
            lr=rate,
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=self.weight_decay,
            eps=self.eps,
            amsgrad=False,
            maximize=False,
            **more,
        )

    def state(self) -> dict[str, Any]:
        """Tensors on the CPU and numbers, for a checkpoint."""
        means, squares = ([tensor.cpu() for tensor in kept] for kept in (self.means, self.squares))
        return {"count": self.count, "means": means, "squares": squares}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave, of parameters of the same shapes."""
        self.count = state["count"]
        for mine, theirs in ((self.means, state["means"]), (self.squares, state["squares"])):
            for tensor, saved in zip(mine, theirs, strict=True):
                tensor.copy_(saved)


class QueuedAdamW(AdamW):
    """The same on a device that is not waited for: it counts the steps itself, and whether one is taken it decides."""

    @property
    def count(self) -> int:
        """Steps taken, once all work before is done."""
        return int(self.taken)

    @count.setter
    def count(self, count: int) -> None:
        self.taken = torch.tensor(float(count), device=self.parameters[0].device)

    @torch.no_grad()
    def follow(
        self, gradients: Sequence[torch.Tensor | None], rate: float, divisor: torch.Tensor, idle: torch.Tensor
    ) -> None:
        """Move the parameters down their gradients over ``divisor``, or where ``idle`` leave all as it is.

        Both are numbers on the device, and the gradients are divided in the kernel that reads them.
        """
        self.taken += ~idle
        there = {n: gradient for n, gradient in enumerate(gradients) if gradient is not None}
        if there:
            self._move(there, rate, self.taken, grad_scale=divisor, found_inf=idle.float())
