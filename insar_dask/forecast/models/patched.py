"""Spacetimeformer for whole maps: a token for six steps of a point, and points known by where they lie."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from insar_dask.forecast.models.blocks import Batch, Decoder, Dropout, Encoder, check_steps, presence

__all__ = ["PatchedSpacetimeformer"]

SCALES = 6
SHORTEST, LONGEST = 50.0, 2000.0
"""Wavelengths [m] of the features of a place: from a point's own spacing to the width of a group."""


class PatchedSpacetimeformer(nn.Module):
    """Correction of a linear forecast from a group of neighbours: the blocks of the published network, on patches.

    One token is ``patch`` steps of a point, so that a group of 16 points at 24 + 6 steps has 80 tokens and not 480.
    Points are known by their places in the group, by pattern and by history-only statics, never by an index: the
    forecast of a permuted group is the permuted forecast, and one set of weights serves all groups. A decoder's token
    holds the linear forecast, which attention can average over neighbours. The head starts at zero: before
    training, the corrected forecast is the linear one.

    Parameters
    ----------
    context, horizon : int
        Context steps k and target steps h; both are filled up to whole patches, the context at its old end.
    time_features : int
        Calendar features of a step, dx.
    known : int
        History-only statics of a point, C.
    patterns : int
        Deformation patterns; label ``patterns`` says unknown.
    patch : int
        Steps of a token.
    width, hidden, heads, head_width : int
        Features of a token and of the feed-forward, heads, features of a head.
    encoder_layers, decoder_layers : int
        Layers.
    dropout_embedding, dropout : float
        Share dropped of the embeddings, and of the feed-forward; the nearest multiple of 1/256.
    dropout_pattern : float
        Share of points whose pattern is called unknown in training, so that unknown means something.
    """

    def __init__(
        self,
        context: int = 24,
        horizon: int = 6,
        time_features: int = 5,
        known: int = 0,
        patterns: int = 8,
        patch: int = 6,
        width: int = 128,
        hidden: int = 512,
        heads: int = 4,
        head_width: int = 32,
        encoder_layers: int = 5,
        decoder_layers: int = 5,
        dropout_embedding: float = 0.1,
        dropout: float = 0.1,
        dropout_pattern: float = 0.2,
    ) -> None:
        super().__init__()
        self.steps, self.patch = (context, horizon), patch
        self.patterns, self.dropout_pattern = patterns, dropout_pattern
        sizes = width, hidden, heads, head_width, dropout, "layer"
        self.embed_context = PatchEmbedding(-(-context // patch), patch, 2, time_features, width)
        self.embed_target = PatchEmbedding(-(-horizon // patch), patch, 1, time_features, width)
        self.place = nn.Sequential(nn.Linear(4 * SCALES, width), nn.GELU(), nn.Linear(width, width))
        self.known = nn.Linear(known, width) if known else None
        self.pattern = nn.Embedding(patterns + 1, width)
        self.drop = Dropout(dropout_embedding)
        self.encoder = Encoder(encoder_layers, *sizes)
        self.decoder = Decoder(decoder_layers, *sizes)
        self.head = nn.Linear(width, patch)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, batch: Batch) -> Tensor:
        """Correction (B, L, h) of the baseline, in the batch's scaled units; 0 where no point is."""
        check_steps(batch, *self.steps)
        present = batch["present"]  # (B, L)
        given = batch["given"] & present[..., None]  # (B, L, k)
        values = batch["values"].masked_fill(~given, 0.0)
        baseline = batch["baseline"].masked_fill(~present[..., None], 0.0)  # (B, L, h)
        point = self.points(batch)[:, :, None]  # (B, L, 1, D)
        context = self.old_end(torch.stack([values, given.to(values)], dim=-1))  # (B, L, k', 2)
        ahead = self.far_end(baseline[..., None])  # (B, L, h', 1)
        source = self.embed_context(context, self.old_end(batch["context_time"])) + point
        target = self.embed_target(ahead, self.far_end(batch["target_time"])) + point
        there, here = presence(present, source.shape[2]), presence(present, target.shape[2])
        memory = self.encoder(self.drop(source), there)  # (B, L, k'/p, D)
        decoded = self.decoder(self.drop(target), memory, here, there)  # (B, L, h'/p, D)
        out: Tensor = self.head(decoded).flatten(2)[..., : baseline.shape[2]]  # (B, L, h)
        return out.masked_fill(~present[..., None], 0.0)

    def points(self, batch: Batch) -> Tensor:
        """What is known of each point whatever the step (B, L, D)."""
        absent = ~batch["present"][..., None]
        about: Tensor = self.place(fourier(batch["places"].masked_fill(absent, 0.0)))
        pattern = batch["pattern"]
        if self.training and self.dropout_pattern:
            hidden = torch.rand(pattern.shape, device=pattern.device) < self.dropout_pattern
            pattern = pattern.masked_fill(hidden, self.patterns)
        about = about + self.pattern(pattern)
        if self.known is not None:
            about = about + self.known(batch["known"].masked_fill(absent, 0.0))
        return about

    def old_end(self, steps: Tensor) -> Tensor:
        """Steps (..., k, n) filled with zeros before the first, to whole patches."""
        return functional.pad(steps, (0, 0, -steps.shape[-2] % self.patch, 0))

    def far_end(self, steps: Tensor) -> Tensor:
        """Steps (..., h, n) filled with zeros after the last, to whole patches."""
        return functional.pad(steps, (0, 0, 0, -steps.shape[-2] % self.patch))


class PatchEmbedding(nn.Module):
    """Tokens (B, L, T/p, D) of channels (B, L, T, n) at times (B, T, dx)."""

    def __init__(self, patches: int, patch: int, channels: int, time_features: int, width: int) -> None:
        super().__init__()
        self.patches = patches
        self.value = nn.Linear(patch * channels, width)
        self.time = nn.Linear(patch * time_features, width)
        self.position = nn.Parameter(torch.randn(patches, width) / math.sqrt(width))

    def forward(self, channels: Tensor, times: Tensor) -> Tensor:
        groups, points = channels.shape[:2]
        patch = self.time(times.reshape(groups, self.patches, -1)) + self.position  # (B, T/p, D)
        out: Tensor = self.value(channels.reshape(groups, points, self.patches, -1)) + patch[:, None]
        return out


def fourier(places: Tensor) -> Tensor:
    """Sines and cosines of places (..., 2) [m] at six wavelengths from 50 m to 2 km: (..., 24)."""
    steps = torch.arange(SCALES, dtype=places.dtype, device=places.device) / (SCALES - 1)
    wavelengths = SHORTEST * (LONGEST / SHORTEST) ** steps
    angle = (places[..., None] * (2 * math.pi / wavelengths)).flatten(-2)  # (..., 12)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)
