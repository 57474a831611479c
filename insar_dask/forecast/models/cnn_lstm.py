"""CNN-LSTM: a picture's features by convolutions, their course by an LSTM in each place, maps by convolutions again."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from insar_dask.forecast.models.blocks import Batch
from insar_dask.forecast.models.frames import check_maps

__all__ = ["CNNLSTM"]

COARSER = 4
"""Cells of a map along a place of the LSTM: two convolutions take every second cell."""


class CNNLSTM(nn.Module):
    """Convolutions of each context map, an LSTM along time in each place, transposed convolutions to all leads.

    Parameters
    ----------
    context, horizon : int
        Maps in and maps out.
    channels : int
        Maps of a step.
    side : int
        Cells of a map's side; a multiple of 4.
    first, features : int
        Features after the first convolution, and of a place: 4 x 4 cells, a quarter of the side each way.
    width : int
        Units of the LSTM, whose weights all places share.
    zero_start : bool
        Start at a forecast of exactly 0.

    Notes
    -----
    A rival of MM-STT, whose publication gives no sizes; these are a choice, 0.34 million parameters.
    Donahue et al. (2015), doi:10.1109/CVPR.2015.7298878 (convolutions, then LSTM).
    """

    def __init__(
        self,
        context: int = 10,
        horizon: int = 10,
        channels: int = 6,
        side: int = 64,
        first: int = 32,
        features: int = 64,
        width: int = 128,
        zero_start: bool = False,
    ) -> None:
        super().__init__()
        self.sizes, self.features = (context, horizon, channels, side), features
        if side % COARSER:
            raise ValueError(
                f"maps of {side} x {side} cells cannot be made {COARSER} times coarser; take a side that is a multiple "
                f"of {COARSER}"
            )
        self.look = nn.ModuleList(
            (
                nn.Conv2d(channels, first, 3, padding=1),
                nn.Conv2d(first, features, 3, stride=2, padding=1),
                nn.Conv2d(features, features, 3, stride=2, padding=1),
            )
        )
        self.cells = nn.LSTM(features, width, batch_first=True)
        self.ahead = nn.Linear(width, horizon * features)
        self.draw = nn.ModuleList(
            (
                nn.ConvTranspose2d(features, features, 4, stride=2, padding=1),
                nn.ConvTranspose2d(features, first, 4, stride=2, padding=1),
            )
        )
        self.head = nn.Conv2d(first, 1, 3, padding=1)
        if zero_start:
            for zero in self.head.parameters():
                nn.init.zeros_(zero)

    def forward(self, batch: Batch) -> Tensor:
        """Forecast (B, T_out, Y, X) in the batch's scaled units."""
        check_maps(batch, *self.sizes)
        context, horizon, _, side = self.sizes
        count, along = len(batch["values"]), side // COARSER
        seen = batch["values"].flatten(0, 1).contiguous(memory_format=torch.channels_last)  # (B·T_in, C, Y, X)
        for layer in self.look:
            seen = functional.relu(layer(seen))
        # (B·T_in, F, y, x) -> a series of features in each place: (B·y·x, T_in, F)
        series = seen.view(count, context, self.features, along**2).permute(0, 3, 1, 2).flatten(0, 1)
        states, _ = self.cells(series)
        ahead = functional.relu(self.ahead(states[:, -1]))  # (B·y·x, T_out·F)
        maps = ahead.view(count, along, along, horizon, self.features).permute(0, 3, 4, 1, 2)
        maps = maps.flatten(0, 1).contiguous(memory_format=torch.channels_last)  # (B·T_out, F, y, x)
        for layer in self.draw:
            maps = functional.relu(layer(maps))
        out: Tensor = self.head(maps)
        return out.reshape(count, horizon, side, side)
