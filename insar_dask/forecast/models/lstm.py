"""Long short-term memory: each point alone, all leads from the last state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from insar_dask.forecast.models.blocks import Batch, check_steps

__all__ = ["LSTM"]


class LSTM(nn.Module):
    """Three layers of 256 units over a point's context; a linear head from the last state to all leads.

    Parameters
    ----------
    context, horizon : int
        Context steps k and target steps h.
    time_features : int
        Calendar features of a step, dx.
    width, layers : int
        Units of a layer, and layers.

    Notes
    -----
    The publication that it rivals (doi:10.3390/rs16111891) gives 3 x 256 and no more. A step is
    [value; given; calendar]; 1.32 million parameters.
    Hochreiter and Schmidhuber (1997), doi:10.1162/neco.1997.9.8.1735.
    """

    def __init__(
        self, context: int = 24, horizon: int = 6, time_features: int = 3, width: int = 256, layers: int = 3
    ) -> None:
        super().__init__()
        self.steps = context, horizon
        self.cells = nn.LSTM(2 + time_features, width, layers, batch_first=True)
        self.head = nn.Linear(width, horizon)

    def forward(self, batch: Batch) -> Tensor:
        """Forecast (B, L, h) in the batch's scaled units; 0 where no point is."""
        check_steps(batch, *self.steps)
        given = batch["given"]  # (B, L, k)
        values = batch["values"].masked_fill(~given, 0.0)
        times = batch["context_time"][:, None].expand(-1, given.shape[1], -1, -1)  # (B, L, k, dx)
        steps = torch.cat([values[..., None], given[..., None].to(values), times], dim=-1).flatten(0, 1)
        states, _ = self.cells(steps)  # (B·L, k, width)
        out: Tensor = self.head(states[:, -1]).unflatten(0, given.shape[:2])  # (B, L, h)
        return out.masked_fill(~batch["present"][..., None], 0.0)
