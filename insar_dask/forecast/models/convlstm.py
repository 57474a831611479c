"""ConvLSTM: an LSTM whose products are convolutions, so that every cell of a map hears its neighbours."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from insar_dask.forecast.models.blocks import Batch
from insar_dask.forecast.models.frames import check_maps
from insar_dask.settings import known

__all__ = ["ConvLSTM"]

State = tuple[Tensor, Tensor]


class ConvLSTM(nn.Module):
    """Two layers of 64 features over the context; all leads from the last state, or step by step from there.

    Parameters
    ----------
    context, horizon : int
        Maps in and maps out.
    channels : int
        Maps of a step.
    side : int
        Cells of a map's side.
    width, layers : int
        Features of a layer, and layers.
    kernel : int
        Cells along a convolution; odd.
    head : {"last", "forecaster"}
        ``"last"``: a convolution of 1 x 1 from the last state to all leads. ``"forecaster"``: as many layers more, that
        start at the states of the first and take a step for each lead, told its date; twice the work.
    zero_start : bool
        Start at a forecast of exactly 0.

    Notes
    -----
    A rival of MM-STT, whose publication gives no sizes; these are a choice, 0.46 million parameters. Shi et al. (2015),
    arXiv:1506.04214, without the gates' view of the cell ("peepholes"), as in most implementations. Input and state are
    convolved as one: convolving the inputs of all steps beforehand saves a tenth of a forecast, and costs a quarter
    more in training.
    """

    def __init__(
        self,
        context: int = 10,
        horizon: int = 10,
        channels: int = 6,
        side: int = 64,
        width: int = 64,
        layers: int = 2,
        kernel: int = 3,
        head: str = "last",
        zero_start: bool = False,
    ) -> None:
        super().__init__()
        known("head", head, ("last", "forecaster"))
        if kernel % 2 == 0:
            raise ValueError(f"kernel is {kernel}; wanted an odd number of cells, so that it has a middle")
        self.sizes = context, horizon, channels, side
        self.look = nn.ModuleList(Cell(width if n else channels, width, kernel) for n in range(layers))
        forecasts = head == "forecaster"
        self.ahead = nn.ModuleList(Cell(width if n else 2, width, kernel) for n in range(layers)) if forecasts else None
        self.head = nn.Conv2d(width, 1 if forecasts else horizon, 1)
        if zero_start:
            for zero in self.head.parameters():
                nn.init.zeros_(zero)

    def forward(self, batch: Batch) -> Tensor:
        """Forecast (B, T_out, Y, X) in the batch's scaled units."""
        check_maps(batch, *self.sizes)
        states: list[State | None] = [None] * len(self.look)
        for step in batch["values"].unbind(1):
            last, states = through(self.look, step.contiguous(memory_format=torch.channels_last), states)
        if self.ahead is None:
            out: Tensor = self.head(last)
            return out.contiguous()
        outs = []
        for date in batch["target_time"].unbind(1):  # (B, 2)
            last, states = through(self.ahead, date[..., None, None].expand(-1, -1, *last.shape[2:]), states)
            outs.append(self.head(last))
        return torch.cat(outs, dim=1)


def through(cells: nn.ModuleList, x: Tensor, states: list[State | None]) -> tuple[Tensor, list[State | None]]:
    """One step (B, C, Y, X) through a stack of cells: the last one's output and all states."""
    after: list[State | None] = []
    for cell, state in zip(cells, states, strict=True):
        x, memory = cell(x, state)
        after.append((x, memory))
    return x, after


class Cell(nn.Module):
    """One layer: gates of input and state by one convolution."""

    def __init__(self, channels: int, width: int, kernel: int) -> None:
        super().__init__()
        self.width = width
        self.gates = nn.Conv2d(channels + width, 4 * width, kernel, padding=kernel // 2)

    def forward(self, x: Tensor, state: State | None) -> State:
        """Output and memory (B, width, Y, X) after a step; no state is one of zeros."""
        if state is None:
            zeros = x.new_zeros(len(x), self.width, *x.shape[2:])
            state = zeros, zeros
        hidden, memory = state
        gates: Tensor = self.gates(torch.cat([x, hidden], dim=1))
        enter, forget, leave, new = gates.chunk(4, dim=1)
        memory = forget.sigmoid() * memory + enter.sigmoid() * new.tanh()
        return leave.sigmoid() * memory.tanh(), memory
