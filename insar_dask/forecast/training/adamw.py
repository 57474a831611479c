"""AdamW by torch's fused kernel alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

__all__ = ["AdamW"]


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
        moved = list(gradients)
        if not moved:
            return
        count = torch.tensor(float(self.count), device=self.parameters[moved[0]].device)
        torch._fused_adamw_(
            [self.parameters[n] for n in moved],
            list(gradients.values()),
            [self.means[n] for n in moved],
            [self.squares[n] for n in moved],
            [],
            [count] * len(moved),
            lr=rate,
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=self.weight_decay,
            eps=self.eps,
            amsgrad=False,
            maximize=False,
        )

    def state(self) -> dict[str, Any]:
        """Tensors and numbers, for a checkpoint."""
        return {"count": self.count, "means": self.means, "squares": self.squares}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave, of parameters of the same shapes."""
        self.count = state["count"]
        for mine, theirs in ((self.means, state["means"]), (self.squares, state["squares"])):
            for tensor, saved in zip(mine, theirs, strict=True):
                tensor.copy_(saved)
