"""The Transformer of 2017 along time: each point alone, one token a step, zeros where the targets will be."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from insar_dask.forecast.models.blocks import Batch, check_steps

__all__ = ["Transformer"]


class Transformer(nn.Module):
    """Post-norm encoder and decoder of a point's own steps; all leads in one pass, so nothing is causal.

    Parameters
    ----------
    context, horizon : int
        Context steps k and target steps h.
    time_features : int
        Calendar features of a step, dx.
    width, hidden, heads, layers : int
        Features of a token, of the feed-forward, heads, and layers of encoder and of decoder.
    dropout : float
        Share dropped, everywhere.

    Notes
    -----
    512 / 2048 / 8 / 3 + 3 as in the publication that it rivals (doi:10.3390/rs16111891), 22.1 million parameters.
    Vaswani et al. (2017), arXiv:1706.03762.
    """

    positions: Tensor

    def __init__(
        self,
        context: int = 24,
        horizon: int = 6,
        time_features: int = 3,
        width: int = 512,
        hidden: int = 2048,
        heads: int = 8,
        layers: int = 3,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.steps = context, horizon
        self.embed = nn.Linear(2 + time_features, width)
        self.drop = nn.Dropout(dropout)
        self.core = nn.Transformer(width, heads, layers, layers, hidden, dropout, batch_first=True)
        self.head = nn.Linear(width, 1)
        self.register_buffer("positions", waves(context + horizon, width), persistent=False)

    def forward(self, batch: Batch) -> Tensor:
        """Forecast (B, L, h) in the batch's scaled units; 0 where no point is."""
        check_steps(batch, *self.steps)
        given = batch["given"]  # (B, L, k)
        steps = given.shape[2]
        values = batch["values"].masked_fill(~given, 0.0)
        ahead = values.new_zeros(*given.shape[:2], batch["target_time"].shape[1])  # (B, L, h)
        source = self.tokens(values, given, batch["context_time"]) + self.positions[:steps]
        target = self.tokens(ahead, ahead, batch["target_time"]) + self.positions[steps:]
        decoded = self.core(self.drop(source), self.drop(target))  # (B·L, h, width)
        out: Tensor = self.head(decoded).view(ahead.shape)
        return out.masked_fill(~batch["present"][..., None], 0.0)

    def tokens(self, values: Tensor, given: Tensor, times: Tensor) -> Tensor:
        """Tokens (B·L, T, width) of values and given (B, L, T) at times (B, T, dx)."""
        calendar = times[:, None].expand(-1, values.shape[1], -1, -1)
        embedded: Tensor = self.embed(torch.cat([values[..., None], given[..., None].to(values), calendar], dim=-1))
        return embedded.flatten(0, 1)


def waves(steps: int, width: int) -> Tensor:
    """Sines and cosines of the step's number (steps, width): periods from 2π to 10,000 · 2π steps."""
    angle = torch.arange(steps)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width]
