"""Training windows of the honest protocol: pieces of neighbouring points at origins before the first validation origin.

A round draws a few (piece, origin) pairs from the whole source, cuts the points of each into groups, shuffles the
groups and serves several batches. Every piece is as likely as any other, and so is every origin: no kind of motion is
sought out. Each pair has its groups cut at an offset of its own, so that a point has other company each time. What a
round draws follows from its number and the seed alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import DAYS_PER_YEAR
from insar_dask.forecast.correction.footing import Footing
from insar_dask.forecast.correction.inputs import PointInputs, group_inputs, n_signed, point_inputs
from insar_dask.forecast.groups import cut_groups
from insar_dask.forecast.registry import Forecaster
from insar_dask.forecast.series.point_source import Source
from insar_dask.forecast.tallies import windows_of
from insar_dask.forecast.timetable import Origin, Plan, TooShortError
from insar_dask.forecast.windows import HonestWindows

if TYPE_CHECKING:
    import torch

__all__ = ["PIECE", "OriginWindows", "Shape", "inner_origins", "pieces", "training_origins"]

Arrays = dict[str, npt.NDArray[Any]]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

PIECE = 1024
"""Consecutive points that are seen together, in training and in use: groups and neighbourhoods end with them."""

CHECKED = 0.25
"""Share of the training origins, the last ones, that the training is checked on."""

PAIRS = 8
"""Pieces of a round, each at an origin of its own: 8,192 point-windows, among which a batch is shuffled."""

CHECKED_PIECES = 4
"""Pieces that the training is checked on, spread over the source."""


@dataclass(frozen=True)
class Shape:
    """How inputs are cut.

    Parameters
    ----------
    length : int
        Points of a group, L.
    context : int
        Steps of the recent past, k.
    reach : float
        Longest step [m] from one point of a group to the next.
    patterns : int
        Number of patterns; also the label that says unknown.
    """

    length: int = 16
    context: int = 24
    reach: float = 1000.0
    patterns: int = 8


class OriginWindows:
    """Batches for `insar_dask.forecast.training.train.train`.

    Parameters
    ----------
    source : Source
        Where the series lie.
    plan : Plan
    members : sequence of Forecaster
        Fitted before the first validation origin.
    footing : Footing
    shape : Shape
    batch : int
        Groups of a batch, over all ranks.
    shard : int
        Points of a block that is forecast by itself: pieces do not cross from one into the next.
    seed : int
    """

    def __init__(
        self,
        source: Source,
        plan: Plan,
        members: Sequence[Forecaster],
        footing: Footing,
        shape: Shape,
        *,
        batch: int,
        shard: int,
        seed: int = 0,
    ) -> None:
        self.source, self.plan, self.members, self.footing, self.shape = source, plan, members, footing, shape
        self.groups_a_batch, self.seed = batch, seed
        self.pieces = pieces(source.n_points, shard)
        self.origins, self.checked = inner_origins(plan)
        self.signed = n_signed(len(members), plan.horizon)
        self._round: tuple[int, Arrays] = (-1, {})
        self._checks: list[Arrays] | None = None

    def batch(self, step: int, rank: int, world: int) -> dict[str, torch.Tensor]:
        """Groups ``rank``, ``rank + world``, ... of the batch of a step."""
        per_round = max(PAIRS * PIECE // (self.shape.length * self.groups_a_batch), 1)
        number, within = divmod(step, per_round)
        if self._round[0] != number:
            self._round = number, self._drawn(number, per_round * self.groups_a_batch)
        chosen = slice(within * self.groups_a_batch + rank, (within + 1) * self.groups_a_batch, world)
        return _tensors({name: array[chosen] for name, array in self._round[1].items()})

    def validation(self, rank: int, world: int) -> Iterator[dict[str, torch.Tensor]]:
        """Groups of the last origins before the first validation origin, over the source."""
        if self._checks is None:
            chosen = np.linspace(0, len(self.pieces) - 1, min(CHECKED_PIECES, len(self.pieces))).round().astype(int)
            parts = [self.grouped(self.pieces[at], origin) for at in chosen for origin in self.checked]
            self._checks = list(_batches(_joined(parts), self.groups_a_batch * 4, world))
        for arrays in self._checks:
            yield _tensors({name: array[rank::world] for name, array in arrays.items()})

    def grouped(self, piece: slice, origin: Origin, offset: int = 0) -> Arrays:
        """Inputs and targets of the groups of a piece at an origin."""
        return self._cut(*self._seen(piece, origin), offset)

    def _seen(self, piece: slice, origin: Origin) -> tuple[Float64, PointInputs, Float32]:
        """Places, inputs and targets of the points of a piece at an origin: what takes the time."""
        windows = self.windows(piece)
        context = windows.context(origin)
        inputs = point_inputs(context, self.members, self.footing, self.shape.context)
        return context.located, inputs, windows.targets(origin)

    def _cut(self, places: Float64, inputs: PointInputs, targets: Float32, offset: int) -> Arrays:
        groups = cut_groups(places, self.shape.length, self.shape.reach, offset=offset)
        arrays = group_inputs(inputs, groups, self.shape.patterns)
        errors = groups.gather((targets - inputs.mean) / np.float32(self.footing.scale))
        scored = np.isfinite(errors) & arrays["present"][..., None]
        return {**arrays, "targets": np.where(scored, errors, np.float32(0)), "scored": scored}

    def windows(self, piece: slice) -> HonestWindows:
        """Honest windows over the points of a piece."""
        points = self.source.read(piece.start, piece.stop)
        return windows_of(points.values, self.plan, "honest", points.places)

    def _drawn(self, number: int, n_groups: int) -> Arrays:
        """Groups of a round, shuffled; a small cube has few pieces, which are drawn again and again."""
        random = np.random.Generator(np.random.Philox(key=[self.seed, number]))
        parts, count = list[Arrays](), 0
        seen = cache(lambda piece, origin: self._seen(self.pieces[piece], self.origins[origin]))
        while count < n_groups:
            drawn = int(random.integers(len(self.pieces))), int(random.integers(len(self.origins)))
            parts.append(self._cut(*seen(*drawn), int(random.integers(self.shape.length))))
            count += len(parts[-1]["present"])
        joined = _joined(parts)
        order = random.permutation(len(joined["present"]))[:n_groups]
        return self._turned({name: array[order] for name, array in joined.items()}, random)

    def _turned(self, arrays: Arrays, random: np.random.Generator) -> Arrays:
        """Half of the groups upside down: ground that sinks teaches what ground that rises does.

        It also keeps the network from learning the common error of a date, whose sign it cannot know.
        """
        sign = np.where(random.random(len(arrays["present"])) < 0.5, np.float32(-1), np.float32(1))[:, None, None]
        known = arrays["known"].copy()
        known[..., : self.signed] *= sign
        turned = {name: arrays[name] * sign for name in ("values", "baseline", "targets")}
        return {**arrays, **turned, "known": known}


def pieces(n_points: int, shard: int) -> list[slice]:
    """Runs of at most `PIECE` points, none across the border of a shard.

    >>> pieces(2500, 2048)
    [slice(0, 1024, None), slice(1024, 2048, None), slice(2048, 2500, None)]
    """
    return [
        slice(at, min(at + PIECE, start + shard, n_points))
        for start in range(0, n_points, shard)
        for at in range(start, min(start + shard, n_points), PIECE)
    ]


def training_origins(plan: Plan) -> list[Origin]:
    """Origins a year or more after the first date, all of whose targets lie before the first validation origin.

    Raises
    ------
    TooShortError
        When there are fewer than four.
    """
    last = plan.validation[0].step - plan.horizon
    first = max(plan.context, round(DAYS_PER_YEAR / plan.every))
    origins = [Origin(0, step) for step in range(first, last + 1)]
    if len(origins) < 4:
        raise TooShortError(
            f"{max(len(origins), 0)} training origins lie between step {first} and the first validation "
            f"origin, step {plan.validation[0].step} less a horizon of {plan.horizon}; a network needs 4: take a "
            "longer record, a shorter horizon, or leave the network out"
        )
    return origins


def inner_origins(plan: Plan) -> tuple[list[Origin], list[Origin]]:
    """Training origins, and later ones to check the training on; targets of the former are not among the latter's.

    Where the record is too short for that, as many origins are given up between both as leave half of them to train.
    """
    origins = training_origins(plan)
    n_checked = max(round(CHECKED * len(origins)), 1)
    kept = max(len(origins) - n_checked - plan.horizon + 1, len(origins) // 2 - n_checked, 1)
    return origins[:kept], origins[len(origins) - n_checked :: max(n_checked // 3, 1)]


def _joined(parts: Sequence[Arrays]) -> Arrays:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _batches(arrays: Arrays, size: int, world: int) -> Iterator[Arrays]:
    """Batches of ``size`` groups, the last one filled with absent groups so that each rank has as many."""
    n_groups = len(arrays["present"])
    size = -(-size // world) * world
    for start in range(0, n_groups, size):
        part = {name: array[start : start + size] for name, array in arrays.items()}
        lacking = -len(part["present"]) % world
        yield {name: _filled(array, lacking) for name, array in part.items()}


def _filled(array: npt.NDArray[Any], lacking: int) -> npt.NDArray[Any]:
    return np.concatenate([array, np.zeros((lacking, *array.shape[1:]), array.dtype)]) if lacking else array


def _tensors(arrays: Arrays) -> dict[str, torch.Tensor]:
    import torch

    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
