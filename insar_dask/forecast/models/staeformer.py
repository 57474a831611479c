"""MM-STAEformer: attention along time, then across space, of patches that have learned embeddings of their own."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from insar_dask.forecast.models.blocks import Batch, Dropout
from insar_dask.forecast.models.frames import check_maps, check_patches, joined, patches
from insar_dask.forecast.models.long_attention import LongSelfAttention

__all__ = ["MMSTAEformer"]


class MMSTAEformer(nn.Module):
    """Post-norm layers of attention among the steps of a patch, then among the patches of a step.

    Parameters
    ----------
    context, horizon : int
        Maps in and maps out.
    channels : int
        Maps of a step.
    side : int
        Cells of a map's side; a multiple of ``patch``.
    patch : int
        Cells of a patch's side.
    width, adaptive : int
        Features of a patch that come from its values, and those that are learned for each step and patch.
    hidden, heads : int
        Features of the feed-forward, and heads.
    layers : int
        Layers along time, and as many across space.
    dropout : float
        Share dropped of what a layer adds; the nearest multiple of 1/256.
    zero_start : bool
        Start at a forecast of exactly 0.

    Notes
    -----
    A rival of MM-STT, whose publication leaves out the embeddings of time of day and day of week and gives no sizes;
    these are a choice after Liu et al. (2023), doi:10.1145/3583780.3615160: 1.21 million parameters. A token for each
    of the 4096 cells would want 2.7 GB of scores a sample and layer, hence patches.
    """

    def __init__(
        self,
        context: int = 10,
        horizon: int = 10,
        channels: int = 6,
        side: int = 64,
        patch: int = 4,
        width: int = 48,
        adaptive: int = 80,
        hidden: int = 256,
        heads: int = 4,
        layers: int = 3,
        dropout: float = 0.1,
        zero_start: bool = False,
    ) -> None:
        super().__init__()
        self.sizes, self.patch = (context, horizon, channels, side), patch
        cells, whole = check_patches(side, patch) ** 2, width + adaptive
        self.embed = nn.Linear(channels * patch**2, width)
        self.adaptive = nn.Parameter(nn.init.xavier_uniform_(torch.empty(context, cells, adaptive)))
        self.along_time = nn.ModuleList(Layer(whole, hidden, heads, dropout) for _ in range(layers))
        self.across_space = nn.ModuleList(Layer(whole, hidden, heads, dropout) for _ in range(layers))
        self.head = nn.Linear(context * whole, horizon * patch**2)
        if zero_start:
            for zero in self.head.parameters():
                nn.init.zeros_(zero)

    def forward(self, batch: Batch) -> Tensor:
        """Forecast (B, T_out, Y, X) in the batch's scaled units."""
        check_maps(batch, *self.sizes)
        horizon = self.sizes[1]
        values = self.embed(patches(batch["values"], self.patch))  # (B, T, N, width)
        x = torch.cat([values, self.adaptive.to(values.dtype).expand(len(values), -1, -1, -1)], dim=-1)
        count, steps, cells, width = x.shape
        x = x.transpose(1, 2).reshape(count * cells, steps, width)
        for layer in self.along_time:
            x = layer(x)
        x = x.view(count, cells, steps, width).transpose(1, 2).reshape(count * steps, cells, width)
        for layer in self.across_space:
            x = layer(x)
        x = x.view(count, steps, cells, width).transpose(1, 2).reshape(count, cells, steps * width)
        out: Tensor = self.head(x)  # (B, N, T_out·P·P)
        return joined(out.view(count, cells, horizon, -1).transpose(1, 2), self.patch)


class Layer(nn.Module):
    """Post-norm: self-attention, feed-forward with ReLU; sequences (S, M, D)."""

    def __init__(self, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = LongSelfAttention(width, heads)
        self.widen, self.narrow = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norms[0](x + self.drop(self.attention(x)))
        x = self.norms[1](x + self.drop(self.narrow(functional.relu(self.widen(x)))))
        return x
