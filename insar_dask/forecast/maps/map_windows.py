"""Batches of map windows: a pure function of the step, so that a training goes on where it was killed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from insar_dask.forecast.bfloat16 import in_bfloat16
from insar_dask.forecast.maps.framing import Frame, frames_of
from insar_dask.forecast.maps.map_material import Material
from insar_dask.forecast.training.feeding import Pick, Tick, batch_bytes
from insar_dask.forecast.training.job import Batch

__all__ = ["MapWindows"]

Float32 = npt.NDArray[np.float32]
Sample = tuple[int, int]

READ = "values", "target_time"
LEARNED = *READ, "targets", "scored"


class MapWindows:
    """Windows of some tiles, every one of them once an epoch.

    Parameters
    ----------
    material : Material
    tiles : sequence of int
        Numbers of the tiles that are learned from.
    batch : int
        Windows in the batch of a step.
    seed : int
        Of the order in which windows come.
    """

    def __init__(self, material: Material, tiles: Sequence[int], batch: int = 8, seed: int = 0) -> None:
        self.material, self.size, self.seed = material, batch, seed
        self.frames = frames_of(material, tiles)
        self.samples = _pairs(tiles, material.origins("train"))
        self.checked = _pairs(tiles, material.origins("validation"))

    @property
    def epoch(self) -> int:
        """Steps in which every window has come about once."""
        return max(len(self.samples) // self.size, 1)

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """Share of a rank in the windows of a step; those that a last short batch would hold come in other epochs.

        Raises
        ------
        ValueError
            When there are more ranks than windows in a batch.
        """
        return self.windows([self.samples[at] for at in self._taken(step, rank, world)])

    def stock_bytes(self) -> int:
        """Bytes of all windows on the device that picks batches of them."""
        return len(self.samples) * batch_bytes(self.windows(self.samples[:1]))

    def pick(self, step: int, rank: int, world: int) -> Pick:
        """What makes up the batch of a step on the device that picks it."""
        return Pick(0, self._stock, {"taken": torch.from_numpy(self._taken(step, rank, world))}, _picked)

    def validation(self, rank: int, world: int) -> Iterator[Batch]:
        """Share of a rank in the windows of all validation origins, as many batches on each rank."""
        share = max(self.size // world, 1)
        for start in range(0, len(self.checked), share * world):
            mine = self.checked[start + rank * share : start + (rank + 1) * share]
            # a rank without a window of its own takes one that does not count
            yield self.windows(mine or self.checked[:1], counted=bool(mine))

    def _taken(self, step: int, rank: int, world: int) -> npt.NDArray[np.int64]:
        """Which windows a rank has of a step."""
        size = min(self.size, len(self.samples))
        if world > size:
            larger = "a larger batch, or " if size < len(self.samples) else ""
            raise ValueError(f"{world} ranks share batches of {size} windows: take {larger}fewer ranks")
        epoch, within = divmod(step, self.epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.samples))
        return order[within * self.size : (within + 1) * self.size][rank::world]

    def _stock(self, tick: Tick) -> Batch:
        """All windows: what a window is scaled by takes longer to find than a GPU takes to learn from it."""
        first = self.windows(self.samples[:1])
        stock = {name: tensor.new_empty(len(self.samples), *tensor.shape[1:]) for name, tensor in first.items()}
        for at, sample in enumerate(self.samples):
            for name, tensor in self.windows([sample]).items():
                stock[name][at] = tensor[0]
            tick()
        return stock

    def windows(self, samples: Sequence[Sample], *, counted: bool = True) -> Batch:
        """Batch of these tiles and origins; not ``counted``, nothing of it is scored."""
        batch = _stacked([self.frames.frame(*sample) for sample in samples], LEARNED)
        return batch if counted else batch | {"scored": torch.zeros_like(batch["scored"])}

    @torch.no_grad()
    def predict(
        self, model: torch.nn.Module, tile: int, origins: Sequence[int], *, device: str = "cpu", bf16: bool = False
    ) -> Float32:
        """Forecasts (o, h, Y, X) [mm] of a tile at some origins."""
        model.eval()
        out = []
        for origin in origins:  # one at a time: its bits depend on no other
            frame = self.frames.frame(tile, int(origin))
            batch = {name: tensor.to(device) for name, tensor in _stacked([frame], READ).items()}
            with in_bfloat16(device, bf16):
                said = model(batch)[0].float().cpu().numpy()
            out.append(frame.millimetres(said))
        return np.stack(out)


def _picked(stock: Batch, taken: Batch) -> Batch:
    return {name: tensor[taken["taken"]] for name, tensor in stock.items()}


def _pairs(tiles: Sequence[int], origins: npt.NDArray[np.int64]) -> list[Sample]:
    return [(int(tile), int(origin)) for tile in tiles for origin in origins]


def _stacked(frames: Sequence[Frame], names: Sequence[str]) -> Batch:
    return {name: torch.from_numpy(np.stack([getattr(frame, name) for frame in frames])) for name in names}
