"""Parts that the two Spacetimeformers share: attention over a point's own tokens and over its whole group.

Tokens are kept as (B, L, T, D): B groups, L points, T tokens of a point, D features. Then *local* attention is a view
(B·L, T, D) and *global* attention a view (B, L·T, D), and neither copies anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Batch", "Decoder", "Dropout", "Encoder", "Presence", "check_steps", "presence", "waited_for"]

Batch = Mapping[str, Tensor]

WAITED_FOR = frozenset({"cpu"})
"""Types of devices whose results may be looked at on the way. Work for any other is put in a queue: whoever asks it for
a number stands still until the queue is empty, and neither a recorded graph nor a compiler can ask."""


def waited_for(tensor: Tensor) -> bool:
    """Whether a tensor's numbers may be looked at, see `WAITED_FOR`."""
    return tensor.device.type in WAITED_FOR


def check_steps(batch: Batch, context: int, horizon: int) -> None:
    """Refuse a batch of other steps than a network was built for.

    Raises
    ------
    ValueError
        When its context or its targets have more steps or fewer.
    """
    came = batch["given"].shape[2], batch["target_time"].shape[1]
    if came != (context, horizon):
        raise ValueError(
            f"the network was built for {context} context and {horizon} target steps, and a batch of {came[0]} and "
            f"{came[1]} came; build it with context={came[0]} and horizon={came[1]}"
        )


class Presence(NamedTuple):
    """Which tokens of (B, L, T, D) belong to points that are there; both None where all do."""

    keys: Tensor | None
    """(B, 1, 1, L·T) bool, what global attention may look at."""
    rows: Tensor | None
    """The tokens of present points among the B·L·T: (n,) int64, or of a device that is not waited for, which cannot
    tell how many there are, (B·L·T,) bool."""


def presence(present: Tensor, steps: int) -> Presence:
    """Masks of points (B, L) bool for ``steps`` tokens a point.

    A group without any point attends to itself, since a softmax over nothing is NaN; nobody reads its output.
    """
    looked_at = waited_for(present)
    if looked_at and bool(present.all()):
        return Presence(None, None)
    tokens = present.repeat_interleave(steps, dim=1)  # (B, L·T)
    keys = tokens | ~present.any(dim=1, keepdim=True)
    rows = tokens.flatten()
    return Presence(keys[:, None, None, :], rows.nonzero().squeeze(1) if looked_at else rows)


class Dropout(nn.Module):
    """Dropout whose rate is the nearest multiple of 1/256 and whose mask is one random byte an element.

    The mask costs a quarter of that of `torch.nn.functional.dropout`, which draws a Bernoulli variable an element on
    one thread (4 against 15 ms for 2.5 million).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.threshold = round(256 * rate)

    def forward(self, x: Tensor) -> Tensor:
        """``x``, a share of it zero and the rest as much larger, in training; else ``x`` itself."""
        if not self.training or self.threshold == 0:
            return x
        if not waited_for(x):
            return functional.dropout(x, self.threshold / 256)  # there one kernel draws, drops and scales
        draws = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device)
        draws.random_(-(2**63), None)
        keep = torch.empty_like(x, requires_grad=False)
        # Written as numbers at once: a tensor of bool costs ten times as much to make and to convert (17, 190 µs)
        torch.ge(draws.view(torch.uint8)[: x.numel()].view(x.shape), self.threshold, out=keep)
        return x * keep.mul_(256 / (256 - self.threshold))


class TokenBatchNorm(nn.Module):
    """Batch normalisation of each feature over the tokens of present points."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor, rows: Tensor | None) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])  # 2-D, contiguous: a seventh of the cost of normalising (B, D, T)
        if rows is None:
            out: Tensor = self.norm(flat)
            return out.view(x.shape)
        if rows.dtype == torch.bool:
            return self.masked(flat, rows[:, None]).view(x.shape)
        if not len(rows):
            return x
        return torch.zeros_like(flat).index_copy(0, rows, self.norm(flat[rows])).view(x.shape)

    def masked(self, flat: Tensor, rows: Tensor) -> Tensor:
        """The same of tokens (n, D) by a mask (n, 1), without knowing how many there are; elsewhere anything finite.

        Moments of all tokens, the absent ones being 0, tell those of the present ones by their share: two passes over
        the tokens in place of nine.
        """
        norm = self.norm
        if not self.training:
            out: Tensor = norm(flat.float().masked_fill(~rows, 0.0))
            return out
        buffers = norm.running_mean, norm.running_var, norm.num_batches_tracked
        middle, usual, batches = (cast("Tensor", buffer) for buffer in buffers)
        # about the running mean: the squares of values far from 0 would leave few digits to the variance
        kept = (flat.float() - middle).masked_fill(~rows, 0.0)
        count = rows.sum()
        often = len(rows) / count.clamp(min=1)
        spread, centre = torch.var_mean(kept, 0, correction=0)
        mean = centre * often
        variance = ((spread + centre.square()) * often - mean.square()).clamp(min=0)
        some = count > 0  # nothing is learned of nothing
        share, unbiased = (norm.momentum or 0.0) * some, variance * (count / (count - 1).clamp(min=1))
        middle.add_(mean.detach() * share)
        usual.lerp_(unbiased.detach(), share)
        batches.add_(some)
        scale = norm.weight * (variance + norm.eps).rsqrt()
        return torch.addcmul(norm.bias - mean * scale, kept, scale)


class TokenLayerNorm(nn.Module):
    """Layer normalisation: each token by itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, rows: Tensor | None) -> Tensor:
        out: Tensor = self.norm(x)
        return out


NORMS: dict[str, type[nn.Module]] = {"batch": TokenBatchNorm, "layer": TokenLayerNorm}


SHORT = {torch.float32: 32, torch.bfloat16: 128}
"""Most keys for which a CPU is faster by explicit products. In bfloat16 the gradient of the fused kernel is slow: a
block of 64 x 64 x 64 tokens takes 42 ms with it and 11 ms without, one of 1024 x 4 x 4 takes 19 and 8 ms; in float32
one of 256 x 24 x 24 takes 21 and 17 ms."""

SHORT_THERE = 8
"""The same of a GPU, whose fused kernels work on 64 to 128 queries and keys however few there are. Reckoned, not
measured: a point's own four tokens would keep it busier than all other work of a step."""

MOST_THERE = 65_535
"""Most sequences that such a kernel takes at a time: as many blocks as a GPU starts along its second dimension."""


def attend(query: Tensor, key: Tensor, value: Tensor, keys: Tensor | None) -> Tensor:
    """softmax(Q K' / √dh) V of queries (N, H, S, dh), keys and values (N, H, M, dh), where ``keys`` allows it."""
    short = SHORT.get(key.dtype, 0) if waited_for(key) else SHORT_THERE
    if key.shape[2] > short:
        if len(query) > MOST_THERE and not waited_for(query):
            parts = [torch.split(x, MOST_THERE) for x in (query, key, value)]
            masks = [None] * len(parts[0]) if keys is None else torch.split(keys, MOST_THERE)
            return torch.cat([attend(q, k, v, mask) for q, k, v, mask in zip(*parts, masks, strict=True)])
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=keys)
    if key.shape[2] == 1:
        return value.expand(query.shape)  # all the weight is on the one there is
    # Contiguous first: the product would copy the transposed key element by element.
    query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)  # (N, H, S, M)
    if keys is not None:
        scores = scores.masked_fill(~keys, -torch.inf)
    mixed: Tensor = scores.softmax(-1) @ value
    return mixed


class SelfAttention(nn.Module):
    """softmax(Q K' / √dh) V over the tokens of each sequence (N, S, D); query, key and value in one product."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width
        self.query_key_value = nn.Linear(width, 3 * heads * head_width)
        self.out = nn.Linear(heads * head_width, width)

    def forward(self, x: Tensor, keys: Tensor | None = None) -> Tensor:
        packed = self.query_key_value(x).unflatten(2, (3, self.heads, self.head_width))  # (N, S, 3, H, dh)
        # unbind, not packed[:, :, i]: the gradient of an index fills the whole tensor with zeros, 17 % of a step
        query, key, value = (part.transpose(1, 2) for part in packed.unbind(2))  # (N, H, S, dh) each
        mixed = attend(query, key, value, keys)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))  # (N, S, D)
        return out


class CrossAttention(nn.Module):
    """The same with queries from one sequence (N, S, D) and keys and values from another (N, M, D)."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width
        self.query = nn.Linear(width, heads * head_width)
        self.key_value = nn.Linear(width, 2 * heads * head_width)
        self.out = nn.Linear(heads * head_width, width)

    def forward(self, x: Tensor, memory: Tensor, keys: Tensor | None = None) -> Tensor:
        query = self.query(x).unflatten(2, (self.heads, self.head_width)).transpose(1, 2)  # (N, H, S, dh)
        packed = self.key_value(memory).unflatten(2, (2, self.heads, self.head_width))  # (N, M, 2, H, dh)
        key, value = (part.transpose(1, 2) for part in packed.unbind(2))  # (N, H, M, dh) each
        mixed = attend(query, key, value, keys)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))  # (N, S, D)
        return out


class FeedForward(nn.Module):
    """W2 · drop(gelu(W1 · x)), dropped out again."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.widen, self.narrow = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.drop(self.narrow(self.drop(functional.gelu(self.widen(x)))))
        return out


class EncoderLayer(nn.Module):
    """Pre-norm: local self-attention, global self-attention, feed-forward."""

    def __init__(self, width: int, hidden: int, heads: int, head_width: int, dropout: float, norm: str) -> None:
        super().__init__()
        self.norms = nn.ModuleList(NORMS[norm](width) for _ in range(3))
        self.local_self = SelfAttention(width, heads, head_width)
        self.global_self = SelfAttention(width, heads, head_width)
        self.feed_forward = FeedForward(width, hidden, dropout)

    def forward(self, x: Tensor, here: Presence) -> Tensor:
        local, group = (0, 1), (1, 2)  # dimensions of (B, L, T, D) that become one
        x = x + self.local_self(self.norms[0](x, here.rows).flatten(*local)).view(x.shape)
        x = x + self.global_self(self.norms[1](x, here.rows).flatten(*group), here.keys).view(x.shape)
        x = x + self.feed_forward(self.norms[2](x, here.rows))
        return x


class DecoderLayer(nn.Module):
    """Pre-norm: local and global self-attention, local and global cross-attention, feed-forward."""

    def __init__(self, width: int, hidden: int, heads: int, head_width: int, dropout: float, norm: str) -> None:
        super().__init__()
        self.norms = nn.ModuleList(NORMS[norm](width) for _ in range(5))
        self.local_self = SelfAttention(width, heads, head_width)
        self.global_self = SelfAttention(width, heads, head_width)
        self.local_cross = CrossAttention(width, heads, head_width)
        self.global_cross = CrossAttention(width, heads, head_width)
        self.feed_forward = FeedForward(width, hidden, dropout)

    def forward(self, x: Tensor, memory: Tensor, here: Presence, there: Presence) -> Tensor:
        local, group = (0, 1), (1, 2)
        x = x + self.local_self(self.norms[0](x, here.rows).flatten(*local)).view(x.shape)
        x = x + self.global_self(self.norms[1](x, here.rows).flatten(*group), here.keys).view(x.shape)
        own, all_tokens = memory.flatten(*local), memory.flatten(*group)
        x = x + self.local_cross(self.norms[2](x, here.rows).flatten(*local), own).view(x.shape)
        x = x + self.global_cross(self.norms[3](x, here.rows).flatten(*group), all_tokens, there.keys).view(x.shape)
        x = x + self.feed_forward(self.norms[4](x, here.rows))
        return x


class Encoder(nn.Module):
    """Layers, then a last norm: (B, L, T, D) to the same."""

    def __init__(
        self, layers: int, width: int, hidden: int, heads: int, head_width: int, dropout: float, norm: str
    ) -> None:
        super().__init__()
        sizes = width, hidden, heads, head_width, dropout, norm
        self.layers = nn.ModuleList(EncoderLayer(*sizes) for _ in range(layers))
        self.norm = NORMS[norm](width)

    def forward(self, x: Tensor, here: Presence) -> Tensor:
        """Tokens after all layers."""
        for layer in self.layers:
            x = layer(x, here)
        out: Tensor = self.norm(x, here.rows)
        return out


class Decoder(nn.Module):
    """Layers, then a last norm; every layer reads the encoder's output (B, L, S, D) as it is."""

    def __init__(
        self, layers: int, width: int, hidden: int, heads: int, head_width: int, dropout: float, norm: str
    ) -> None:
        super().__init__()
        sizes = width, hidden, heads, head_width, dropout, norm
        self.layers = nn.ModuleList(DecoderLayer(*sizes) for _ in range(layers))
        self.norm = NORMS[norm](width)

    def forward(self, x: Tensor, memory: Tensor, here: Presence, there: Presence) -> Tensor:
        """Tokens ``x`` after all layers; ``here`` masks them, ``there`` the memory."""
        for layer in self.layers:
            x = layer(x, memory, here, there)
        out: Tensor = self.norm(x, here.rows)
        return out
