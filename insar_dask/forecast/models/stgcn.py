"""MM-STGCN: gated convolutions along time, and graph convolutions over the grid of cells."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from insar_dask.forecast.models.blocks import Batch, Dropout
from insar_dask.forecast.models.frames import check_maps

__all__ = ["MMSTGCN", "GridConvolution"]


class MMSTGCN(nn.Module):
    """Spatio-temporal graph convolutions, a node for each cell, an edge to each of the four neighbours.

    Two blocks of (time, graph, time), then a convolution over what is left of time and two linear maps to all leads.

    Parameters
    ----------
    context, horizon : int
        Maps in and maps out; the blocks take 4 (kernel - 1) steps from the context.
    channels : int
        Maps of a step.
    side : int
        Cells of a map's side.
    width, narrow, last : int
        Features after a convolution along time, after one over the graph, and before the head.
    kernel : int
        Steps of a convolution along time.
    order : int
        Terms of the Chebyshev polynomial: cells up to ``order - 1`` away are heard.
    dropout : float
        Share dropped after each block; the nearest multiple of 1/256.
    zero_start : bool
        Start at a forecast of exactly 0.

    Notes
    -----
    A rival of MM-STT, whose publication gives no sizes; these are those of Yu et al. (2018),
    doi:10.24963/ijcai.2018/505: 64-16-64, 3 steps, 3 terms. 2.19 million parameters, of which 2.1 million are those of
    norms over all cells and features: they know places by heart.
    """

    def __init__(
        self,
        context: int = 10,
        horizon: int = 10,
        channels: int = 6,
        side: int = 64,
        width: int = 64,
        narrow: int = 16,
        last: int = 128,
        kernel: int = 3,
        order: int = 3,
        dropout: float = 0.1,
        zero_start: bool = False,
    ) -> None:
        super().__init__()
        self.sizes = context, horizon, channels, side
        left = context - 4 * (kernel - 1)
        if left < 1:
            raise ValueError(
                f"{context} context steps are too few: four convolutions of {kernel} steps take "
                f"{4 * (kernel - 1)} and at least 1 must be left; take context={4 * (kernel - 1) + 1} or more"
            )
        self.blocks = nn.ModuleList(
            Block(entering, width, narrow, kernel, order, side, dropout) for entering in (channels, width)
        )
        self.last = TimeConvolution(width, last, left)
        self.norm = nn.LayerNorm((side, side, last))
        self.mix = nn.Linear(last, last)
        self.drop = Dropout(dropout)
        self.head = nn.Linear(last, horizon)
        if zero_start:
            for zero in self.head.parameters():
                nn.init.zeros_(zero)

    def forward(self, batch: Batch) -> Tensor:
        """Forecast (B, T_out, Y, X) in the batch's scaled units."""
        check_maps(batch, *self.sizes)
        x = batch["values"].permute(0, 1, 3, 4, 2)  # (B, T_in, Y, X, C): features last, for products and norms
        for block in self.blocks:
            x = block(x)
        x = self.norm(self.last(x)[:, 0])  # (B, Y, X, last)
        out: Tensor = self.head(self.drop(functional.relu(self.mix(x))))  # (B, Y, X, T_out)
        return out.permute(0, 3, 1, 2).contiguous()


class Block(nn.Module):
    """Time, graph, time; then a norm over all cells and features of a step."""

    def __init__(
        self, channels: int, width: int, narrow: int, kernel: int, order: int, side: int, dropout: float
    ) -> None:
        super().__init__()
        self.before = TimeConvolution(channels, width, kernel)
        self.across = GridConvolution(width, narrow, order)
        self.after = TimeConvolution(narrow, width, kernel)
        self.norm = nn.LayerNorm((side, side, width))
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.across(self.before(x)))
        out: Tensor = self.drop(self.norm(self.after(x)))
        return out


class TimeConvolution(nn.Module):
    """Gated convolution (B, T, Y, X, C) to (B, T - kernel + 1, Y, X, width): (P + its last input) · sigmoid(Q)."""

    def __init__(self, channels: int, width: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.both = nn.Linear(kernel * channels, 2 * width)
        self.fit = Fit(channels, width)

    def forward(self, x: Tensor) -> Tensor:
        steps = x.shape[1] - self.kernel + 1
        shifted = torch.cat([x[:, n : n + steps] for n in range(self.kernel)], dim=-1)
        value, gate = self.both(shifted).chunk(2, dim=-1)
        out: Tensor = (value + self.fit(x[:, self.kernel - 1 :])) * gate.sigmoid()
        return out


class Fit(nn.Module):
    """As many features as wanted: fewer by a linear map, more by zeros."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.more = width - channels
        self.fewer = nn.Linear(channels, width) if self.more < 0 else None

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = functional.pad(x, (0, self.more)) if self.fewer is None else self.fewer(x)
        return out


class GridConvolution(nn.Module):
    """Chebyshev polynomial of the grid graph's Laplacian, (..., Y, X, C) to (..., Y, X, width), added to its input.

    A grid graph has two colours, so its normalised Laplacian L = I - D^-½ A D^-½ has the largest eigenvalue 2, and the
    scaled one is 2 L / 2 - I = -D^-½ A D^-½: of each cell, minus the sum over its four neighbours n of x_n / √(d d_n).
    That is a stencil, and no matrix of 4096 x 4096 is made. Defferrard et al. (2016), arXiv:1606.09375.
    """

    def __init__(self, channels: int, width: int, order: int) -> None:
        super().__init__()
        self.fit, self.order = Fit(channels, width), order
        self.terms = nn.Linear(order * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Sum of the polynomial's terms, each by its own matrix, and of the input."""
        x = self.fit(x)
        scale = root_degrees(x)
        terms = [x]
        if self.order > 1:
            terms.append(scaled_laplacian(x, scale))
        for _ in range(2, self.order):
            terms.append(2 * scaled_laplacian(terms[-1], scale) - terms[-2])
        out: Tensor = self.terms(torch.cat(terms, dim=-1)) + x
        return out


def scaled_laplacian(x: Tensor, scale: Tensor) -> Tensor:
    """-D^-½ A D^-½ x of a grid (..., Y, X, C); ``scale`` (Y, X, 1) is D^-½."""
    y = x * scale
    total = functional.pad(y[..., 1:, :, :], (0, 0, 0, 0, 0, 1)) + functional.pad(y[..., :-1, :, :], (0, 0, 0, 0, 1, 0))
    total = total + functional.pad(y[..., 1:, :], (0, 0, 0, 1)) + functional.pad(y[..., :-1, :], (0, 0, 1, 0))
    return total * -scale


def root_degrees(x: Tensor) -> Tensor:
    """D^-½ (Y, X, 1) of a grid (..., Y, X, C): four neighbours, one fewer at each edge; a single cell has none."""
    along = []
    for cells in x.shape[-3:-1]:
        count = x.new_full((cells,), 2.0)
        count[0] -= 1
        count[-1] -= 1
        along.append(count)
    degree = along[0][:, None] + along[1]
    return degree.clamp(min=1).rsqrt()[..., None]
