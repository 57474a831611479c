"""Spacetimeformer as published for InSAR: a token for every point and step of a group."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from insar_dask.forecast.models.blocks import Batch, Decoder, Dropout, Encoder, check_steps, presence

__all__ = ["Spacetimeformer"]


class Spacetimeformer(nn.Module):
    """Encoder and decoder with attention over a point's own steps and over all steps of all points of a group.

    Parameters
    ----------
    points : int
        Most points L of a group; each place in the group has its own embedding.
    context, horizon : int
        Context steps k and target steps h.
    time_features : int
        Calendar features of a step, dx.
    width, hidden, heads, head_width : int
        Features of a token D and of the feed-forward F, heads, features of a head.
    encoder_layers, decoder_layers : int
        Layers.
    dropout_embedding, dropout : float
        Share dropped of the embeddings, and of the feed-forward; the nearest multiple of 1/256.

    Notes
    -----
    Wang et al. (2024), doi:10.3390/rs16111891, gives k, h and 5 + 5 layers; what it leaves open is as in the one recipe
    with 5 + 5 layers of Grigsby et al. (2021), arXiv:2109.12218. 2.28 million parameters at L = 8.
    """

    def __init__(
        self,
        points: int = 8,
        context: int = 24,
        horizon: int = 6,
        time_features: int = 3,
        width: int = 100,
        hidden: int = 400,
        heads: int = 6,
        head_width: int = 20,
        encoder_layers: int = 5,
        decoder_layers: int = 5,
        dropout_embedding: float = 0.1,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.steps, self.points = (context, horizon), points
        sizes = width, hidden, heads, head_width, dropout, "batch"
        embedding = points, context + horizon, time_features, width, dropout_embedding
        self.embed_context, self.embed_target = Embedding(*embedding), Embedding(*embedding)
        self.encoder = Encoder(encoder_layers, *sizes)
        self.decoder = Decoder(decoder_layers, *sizes)
        self.head = nn.Linear(width, 1)

    def forward(self, batch: Batch) -> Tensor:
        """Forecast (B, L, h) in the batch's scaled units; 0 where no point is."""
        check_steps(batch, *self.steps)
        given, present = batch["given"], batch["present"]  # (B, L, k), (B, L)
        if present.shape[1] > self.points:
            raise ValueError(
                f"the network was built for groups of at most {self.points} points, and one of {present.shape[1]} "
                f"came; build it with points={present.shape[1]} or cut the groups shorter"
            )
        values = batch["values"].masked_fill(~given, 0.0)
        ahead = values.new_zeros(*present.shape, batch["target_time"].shape[1])  # (B, L, h) placeholders
        there, here = presence(present, given.shape[2]), presence(present, ahead.shape[2])
        memory = self.encoder(self.embed_context(values, given, batch["context_time"]), there)  # (B, L, k, D)
        unknown = self.embed_target(ahead, torch.zeros_like(ahead, dtype=torch.bool), batch["target_time"])
        out: Tensor = self.head(self.decoder(unknown, memory, here, there)).squeeze(-1)  # (B, L, h)
        return out.masked_fill(~present[..., None], 0.0)


class Embedding(nn.Module):
    """Tokens (B, L, T, D) of values: value and calendar, position in the window, given or not, point of the group."""

    def __init__(self, points: int, steps: int, time_features: int, width: int, dropout: float) -> None:
        super().__init__()
        self.calendar = Time2Vec(time_features)
        self.time = nn.Linear(time_features * self.calendar.terms, width)
        self.value = nn.Parameter(torch.empty(width).uniform_(-1, 1) / self.time.in_features**0.5)
        self.position = nn.Embedding(steps, width)
        self.given = nn.Embedding(2, width)
        self.point = nn.Embedding(points, width)
        self.drop = Dropout(dropout)

    def forward(self, values: Tensor, given: Tensor, times: Tensor) -> Tensor:
        points, steps = values.shape[1:]
        # What depends on the step alone is computed once a step, not once a token.
        step = self.time(self.calendar(times)) + self.position.weight[:steps]  # (B, T, D)
        token = values[..., None] * self.value + step[:, None] + self.given(given.long())  # (B, L, T, D)
        point = self.point.weight[:points, None].expand_as(token)
        out: Tensor = self.drop(token) + self.drop(point)
        return out


class Time2Vec(nn.Module):
    """One line and five sines of each calendar feature: (B, T, dx) to (B, T, 6 dx).

    Kazemi et al. (2019), arXiv:1907.05321.
    """

    terms = 6

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, self.terms))
        self.bias = nn.Parameter(torch.randn(features, self.terms))

    def forward(self, times: Tensor) -> Tensor:
        terms = times[..., None] * self.weight + self.bias  # (B, T, dx, 6)
        return torch.cat([terms[..., :1], terms[..., 1:].sin()], dim=-1).flatten(-2)
