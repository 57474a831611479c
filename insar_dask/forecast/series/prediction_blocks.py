"""Contexts of points at given origins, for a trained network, and its outputs as forecasts of the points again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from insar_dask.forecast.bfloat16 import in_bfloat16
from insar_dask.forecast.gpu_networks import computing
from insar_dask.forecast.groups import Groups, cut_groups
from insar_dask.forecast.series.framing import Framing, Scale, frame
from insar_dask.forecast.series.gathering import gathered, stock_of
from insar_dask.forecast.series.point_source import Points, Source
from insar_dask.forecast.series.windows import Batch, tensors

__all__ = ["PredictionBlock", "series_contexts"]

Float32 = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]

BLOCK = 65_536
"""Points held in memory at a time."""

GROUPS_THERE = 2048
"""Groups that a network sees at a time on a GPU, at least: of fewer it is done before the next ones are asked for."""


@dataclass(frozen=True, eq=False)
class PredictionBlock:
    """Some consecutive points of a source, at some origins."""

    framing: Framing
    points: Points
    days: Index
    scale: Scale
    groups: Groups
    origins: Index
    start: int
    """Number of the first point in the source."""
    batch: int
    """Groups that the network sees at a time."""

    @property
    def stop(self) -> int:
        """Number after that of the last point."""
        return self.start + len(self.points.values)

    def batches(self) -> Iterator[tuple[Batch, Scale]]:
        """Windows, every group at the first origin, then at the next; and what their values were scaled by, (B, L)."""
        for origin in self.origins:
            for first in range(0, len(self.groups.members), self.batch):
                members = self.groups.members[first : first + self.batch]
                at = np.full(len(members), origin)
                arrays, by = frame(self.framing, self.points, self.days, self.scale, members, at, targets=False)
                yield tensors(arrays), by

    def forecast(self, model: Callable[[Batch], torch.Tensor], device: str = "cpu", *, bf16: bool = False) -> Float32:
        """Forecasts (o, n, h) [mm] of a network at each origin; NaN where a point has no value in its context.

        Parameters
        ----------
        model : callable
            From a batch to its outputs (B, L, h), in the batch's scaled units; a module should be in ``eval`` mode.
        device : str
            Where the model is. On a GPU windows are cut there too, at least `GROUPS_THERE` groups at a time.
        bf16 : bool
            Multiply matrices in bfloat16 where that is faster, see `insar_dask.forecast.bfloat16`.
        """
        if torch.device(device).type != "cpu":
            return self.forecast_there(model, torch.device(device), bf16=bf16)
        outputs: list[Float32] = []
        with torch.inference_mode():
            for batch, by in self.batches():
                there = {name: tensor.to(device) for name, tensor in batch.items()}
                with in_bfloat16("cpu", bf16):
                    scaled = model(there).float().cpu().numpy()
                known = batch["given"].any(-1).numpy()
                outputs.append(np.where(known[..., None], scaled * by.scale[..., None] + by.shift[..., None], np.nan))
        n_origins, n_groups = len(self.origins), len(self.groups.members)
        seats = np.concatenate(outputs).reshape(n_origins, n_groups, self.framing.length, self.framing.horizon)
        return np.stack([self.groups.scatter(one.astype(np.float32)) for one in seats])

    def forecast_there(
        self,
        model: Callable[[Batch], torch.Tensor],
        device: torch.device,
        *,
        bf16: bool = False,
        at_once: int | None = None,
    ) -> Float32:
        """The same on a device that series are sent to once, and forecasts fetched from once.

        ``at_once``: groups that the network sees at a time; default: `GROUPS_THERE`, or the batch where that is larger.
        """
        with computing(device):
            said = self.said_there(model, device, at_once or max(self.batch, GROUPS_THERE), bf16=bf16)
            return np.asarray(said.cpu().numpy())

    def said_there(
        self, model: Callable[[Batch], torch.Tensor], device: torch.device, at_once: int, *, bf16: bool = False
    ) -> torch.Tensor:
        """The same, still there."""
        stock = stock_of(self.framing, self.points, self.days, self.scale)
        stock = {name: tensor.to(device) for name, tensor in stock.items()}
        members, n_points = torch.from_numpy(self.groups.members).to(device), len(self.points.values)
        # seats without a point write to a row of their own, the last, as their number -1 has it
        out = torch.full((len(self.origins), n_points + 1, self.framing.horizon), torch.nan, device=device)
        for row, origin in zip(out, self.origins.tolist(), strict=True):
            for some in torch.split(members, at_once):
                at = torch.full_like(some[:, 0], origin)
                batch, shift, scale = gathered(self.framing, stock, some, at, targets=False)
                with in_bfloat16(device, bf16):
                    said = model(batch)
                said = said.float() * scale[..., None] + shift[..., None]
                known = batch["given"].any(-1, keepdim=True)
                row[some.flatten()] = said.masked_fill(~known, torch.nan).flatten(0, 1)
        return out[:, :n_points]

    def targets(self) -> Float32:
        """Values (o, n, h) [mm] that came; NaN where none did, or the record ends before."""
        columns = self.origins[:, None] + np.arange(self.framing.horizon)
        inside = columns < len(self.days)
        values = self.points.values[:, np.minimum(columns, len(self.days) - 1)]
        return np.where(inside[:, None, :], values.transpose(1, 0, 2), np.float32(np.nan))


def series_contexts(
    source: Source,
    framing: Framing,
    origins: Sequence[int] | Index,
    *,
    batch: int = 128,
    offset: int = 0,
    block: int = BLOCK,
) -> Iterator[PredictionBlock]:
    """Blocks of all points of a source with their contexts at some origins.

    Parameters
    ----------
    source : Source
        Series of the same kind and spacing as those of the training; other points and dates may be.
    framing : Framing
        Of the training.
    origins : sequence of int
        Column of the first date asked for; the number of dates stands for the first date after the record.
    batch : int
        Groups that the network sees at a time.
    offset : int
        Shift of the cuts between groups; forecasts at several offsets may be averaged.
    block : int
        Points held in memory at a time, rounded to what the source reads at once.

    Raises
    ------
    CubeError
        When the dates are spaced otherwise than those of the training.
    TooShortError
        When an origin has no whole context.

    Examples
    --------
    >>> for block in series_contexts(source, framing, origins=[n_dates]):  # doctest: +SKIP
    ...     forecasts[:, block.start : block.stop] = block.forecast(model)
    """
    at = np.asarray(origins, np.int64)
    framing.check(source, at)
    step = max(block // source.block, 1) * source.block
    for start in range(0, source.n_points, step):
        points = framing.known(source, start, min(start + step, source.n_points))
        groups = cut_groups(points.places, framing.length, framing.reach, points.patterns, offset)
        scale = framing.scale_of(points.values, source.days)
        yield PredictionBlock(framing, points, source.days, scale, groups, at, start, batch)
