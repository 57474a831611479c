"""MM-STT: patches of all context maps as one sequence, whose tokens are read out as the maps to come."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from insar_dask.forecast.models.blocks import Batch, Dropout, FeedForward
from insar_dask.forecast.models.frames import check_maps, check_patches, joined, patches
from insar_dask.forecast.models.long_attention import LongCrossAttention, LongSelfAttention
from insar_dask.settings import known

__all__ = ["MMSTT"]


class MMSTT(nn.Module):
    """Multi-modal spatio-temporal transformer over patches of displacement, motion and calendar maps.

    Parameters
    ----------
    context, horizon : int
        Maps in and maps out.
    channels : int
        Maps of a step: displacement, velocity, acceleration, seasonality, sine and cosine of the day of year.
    side : int
        Cells of a map's side; a multiple of ``patch``.
    patch : int
        Cells of a patch's side.
    width, hidden, heads, layers : int
        Features of a token and of the feed-forward, heads, layers.
    dropout : float
        Share dropped of tokens and of what a layer adds to them; the nearest multiple of 1/256.
    head : {"reuse", "queries"}
        ``"reuse"``, as published: the tokens of the first ``horizon`` context maps are read out as the maps to come,
        which therefore cannot be more than the context, and whose dates the network is not told. ``"queries"``: for
        each map to come the tokens of a context map, a learned frame and its day of year look at the whole context.
    query_layers : int
        Layers of that looking; each is an attention and a feed-forward.
    zero_start : bool
        Start at a forecast of exactly 0: for learning what to add to a baseline.

    Notes
    -----
    13.0 million parameters, 14.0 with queries. The publication gives neither patch nor sizes, nor a last norm; 8, 256,
    1024, 8 and 16 are a choice, and without the norm the sum over 16 pre-norm layers would be read as it is. Its head
    maps a token to C·P·P numbers, which a convolution of 1 x 1 takes together to P·P; both are linear, so their product
    is formed first: a sixth of the outputs, and the same forecast and gradient (`MMSTT.read_out`).
    Xiong et al. (2020), arXiv:2002.04745 (norms before); Dosovitskiy et al. (2021), arXiv:2010.11929 (patches).
    """

    def __init__(
        self,
        context: int = 10,
        horizon: int = 10,
        channels: int = 6,
        side: int = 64,
        patch: int = 8,
        width: int = 256,
        hidden: int = 1024,
        heads: int = 8,
        layers: int = 16,
        dropout: float = 0.1,
        head: str = "reuse",
        query_layers: int = 1,
        zero_start: bool = False,
    ) -> None:
        super().__init__()
        known("head", head, ("reuse", "queries"))
        if head == "reuse" and horizon > context:
            raise ValueError(
                f"the tokens of {context} context maps cannot be read out as {horizon} maps; take horizon={context} or "
                'fewer, or head="queries"'
            )
        self.sizes, self.patch = (context, horizon, channels, side), patch
        self.cells = check_patches(side, patch) ** 2
        self.embed = nn.Linear(channels * patch**2, width)
        self.position = nn.Parameter(0.02 * torch.randn(context * self.cells, width))
        self.drop = Dropout(dropout)
        self.layers = nn.ModuleList(Layer(width, hidden, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        asked = head == "queries"
        frames = horizon, self.cells, width
        self.queries = Queries(frames, query_layers, hidden, heads, dropout) if asked else None
        self.head = nn.Linear(width, channels * patch**2)
        self.fusion = nn.Linear(channels, 1)  # of each cell, as a convolution of 1 x 1 is
        if zero_start:
            for zero in (self.head.weight, self.head.bias, self.fusion.bias):
                nn.init.zeros_(zero)

    def forward(self, batch: Batch) -> Tensor:
        """Forecast (B, T_out, Y, X) in the batch's scaled units."""
        check_maps(batch, *self.sizes)
        horizon = self.sizes[1]
        tokens = self.embed(patches(batch["values"], self.patch).flatten(1, 2))  # (B, N, D), map after map
        tokens = self.drop(tokens + self.position)
        for layer in self.layers:
            tokens = layer(tokens)
        tokens = self.norm(tokens)
        reused = tokens[:, : horizon * self.cells]
        ahead = reused if self.queries is None else self.queries(tokens, batch["target_time"])
        out = self.read_out(ahead)  # (B, M, P·P)
        return joined(out.view(len(out), horizon, self.cells, -1), self.patch)

    def read_out(self, tokens: Tensor) -> Tensor:
        """Patches (B, M, P·P) of tokens (B, M, D): head and fusion in one product."""
        fusion = self.fusion.weight.view(-1, 1, 1)  # (C, 1, 1)
        weight = (fusion * self.head.weight.view(len(fusion), self.patch**2, -1)).sum(0)  # (P·P, D)
        bias = (fusion[..., 0] * self.head.bias.view(len(fusion), -1)).sum(0) + self.fusion.bias  # (P·P,)
        return functional.linear(tokens, weight, bias)


class Layer(nn.Module):
    """Pre-norm: self-attention over all tokens, feed-forward."""

    def __init__(self, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attention = LongSelfAttention(width, heads)
        self.feed_forward = FeedForward(width, hidden, dropout)
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop(self.attention(self.norms[0](x)))
        x = x + self.feed_forward(self.norms[1](x))
        return x


class Queries(nn.Module):
    """Tokens (B, M, D) of the maps to come, from those of the context (B, N, D) and target dates (B, T_out, 2).

    A map to come starts at the tokens of a context map, the last for the last, which hold their places: tokens that
    know place, lead and date alone learned nothing in 400 steps on moving fields (error 0.96 of that of no change, with
    all layers for them too), these as much as the published head (0.48). Between one another they need not look, since
    all of them look at the same context.
    """

    def __init__(self, frames: tuple[int, int, int], layers: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        width = frames[-1]
        self.frames = nn.Parameter(0.02 * torch.randn(frames))  # (T_out, n·n, D)
        self.dates = nn.Linear(2, width)
        self.layers = nn.ModuleList(QueryLayer(width, hidden, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, memory: Tensor, times: Tensor) -> Tensor:
        horizon, cells, width = self.frames.shape
        seen = memory.view(len(memory), -1, cells, width)  # (B, T_in, n·n, D)
        seen = seen[:, -horizon:]
        start = torch.cat([seen, seen[:, -1:].expand(-1, horizon - seen.shape[1], -1, -1)], dim=1)
        tokens = (start + self.frames + self.dates(times)[:, :, None]).flatten(1, 2)  # (B, M, D)
        for layer in self.layers:
            tokens = layer(tokens, memory)
        out: Tensor = self.norm(tokens)
        return out


class QueryLayer(nn.Module):
    """Pre-norm: attention to the context, feed-forward."""

    def __init__(self, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attention = LongCrossAttention(width, heads)
        self.feed_forward = FeedForward(width, hidden, dropout)
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        x = x + self.drop(self.attention(self.norms[0](x), memory))
        x = x + self.feed_forward(self.norms[1](x))
        return x
