"""Windows of one component of the published system: what its networks read, and their answers in millimetres."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from insar_dask.forecast.bfloat16 import in_bfloat16
from insar_dask.forecast.groups import Groups, cut_groups
from insar_dask.forecast.published.protocols import Material
from insar_dask.forecast.published.scaling import days_of, framing, scaling
from insar_dask.forecast.series.framing import Scale, frame
from insar_dask.forecast.series.point_source import Points
from insar_dask.forecast.training.job import Batch

__all__ = ["ComponentWindows"]

Float32 = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]

NAMES = "values", "given", "present", "context_time", "target_time", "targets", "scored"
"""What of a window the networks of the publication read and are trained to."""

CHECKED = 128
"""Windows of groups that the validation loss is taken over, at most, so that looking costs a tenth of training."""

AT_ONCE = 32
"""Groups forecast at a time."""


class ComponentWindows:
    """Windows of a component of some points, in groups of neighbours of one pattern.

    As published, each series is standardised by its own mean and deviation over the whole record, which tells where it
    will end. Honest: the trend counts from the last value given, and all series of a pattern are divided by one number
    from the training block.

    Parameters
    ----------
    material : Material
    component : {"trend", "season", "residual"}
    pattern : int or None
        Points of this pattern alone; None for all.
    batch : int
        Groups in the batch of a step.
    seed : int
        Of the order in which windows are drawn.
    """

    def __init__(
        self, material: Material, component: str, pattern: int | None = None, batch: int = 16, seed: int = 0
    ) -> None:
        self.material, self.component, self.size, self.seed = material, component, batch, seed
        mine = np.ones(len(material.patterns), bool) if pattern is None else material.patterns == pattern
        self.rows = np.flatnonzero(mine)
        self.framing, self.days = framing(material, component), days_of(material)
        values = np.where(material.observed, material.series(component)[self.rows], np.float32(np.nan))
        self.points = Points(values, material.places[self.rows], material.patterns[self.rows].astype(np.int16))
        self.groups: Groups = cut_groups(
            self.points.places, self.framing.length, self.framing.reach, material.patterns[self.rows]
        )
        self.scale = Scale(*scaling(material, component, self.rows))

    @property
    def n_points(self) -> int:
        """Points of these windows."""
        return len(self.rows)

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """Share of a rank in the windows of a step, drawn at random from the training block."""
        rng = np.random.default_rng([self.seed, step])
        groups = rng.integers(0, len(self.groups.members), self.size)
        origins = rng.choice(self.material.origins("train"), self.size)
        mine = slice(rank, None, world)
        return self.windows(groups[mine], origins[mine])

    def validation(self, rank: int, world: int) -> Iterator[Batch]:
        """Share of a rank in at most `CHECKED` windows, spread evenly over groups and origins of validation."""
        origins = self.material.scored("validation")
        every = len(self.groups.members) * len(origins)
        taken = np.unique(np.linspace(0, every - 1, min(CHECKED, every)).round().astype(np.int64))
        # neighbouring numbers are neighbouring groups: dealing them out keeps every origin among what is taken
        groups, origin = taken % len(self.groups.members), origins[taken // len(self.groups.members)]
        share = self.size // world
        for start in range(0, len(taken), share * world):
            mine = slice(start + rank * share, start + (rank + 1) * share)
            yield self.windows(groups[mine], origin[mine], fill=share)

    def windows(self, groups: Index, origins: Index, fill: int = 0) -> Batch:
        """Batch of these groups, each at its origin; empty groups are added up to ``fill``."""
        arrays, _ = self._framed(groups, origins)
        lacking = max(fill - len(groups), 0)
        return {name: torch.from_numpy(_padded(arrays[name], lacking)) for name in NAMES}

    @torch.no_grad()
    def predict(self, model: torch.nn.Module, origin: int, *, device: str = "cpu", bf16: bool = False) -> Float32:
        """Forecast (n, h) [mm] of these points at an origin."""
        model.eval()
        everyone = np.arange(len(self.groups.members))
        parts = np.array_split(everyone, -(-len(everyone) // AT_ONCE))
        return self.groups.scatter(
            np.concatenate([self._forecast(model, some, origin, device, bf16) for some in parts])
        )

    def _forecast(self, model: torch.nn.Module, groups: Index, origin: int, device: str, bf16: bool) -> Float32:
        arrays, by = self._framed(groups, np.full(len(groups), origin))
        batch = {name: torch.from_numpy(arrays[name]).to(device) for name in NAMES}
        with in_bfloat16(device, bf16):
            said = model(batch).float().cpu().numpy()
        return np.asarray(said * by.scale[..., None] + by.shift[..., None], np.float32)

    def _framed(self, groups: Index, origins: Index) -> tuple[dict[str, npt.NDArray[Any]], Scale]:
        return frame(self.framing, self.points, self.days, self.scale, self.groups.members[groups], origins)


def _padded(array: npt.NDArray[np.generic], lacking: int) -> npt.NDArray[np.generic]:
    """The array with ``lacking`` rows of zeros behind it."""
    return np.ascontiguousarray(np.pad(array, [(0, lacking)] + [(0, 0)] * (array.ndim - 1)))
