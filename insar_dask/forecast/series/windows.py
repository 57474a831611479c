"""Windows of series to train a network on: the same for any number of ranks, in memory that the record does not fill.

Training goes in rounds. A round holds some blocks of points in memory, spread over the whole source, cuts them into
groups at an offset of its own, and draws windows from them, a group at an origin each: by default as many as there are
groups, so that a round shows about every group once. Groups are drawn by their kind of motion, as ``evenness`` asks,
and origins uniformly. Which blocks, groups and origins these are follows from the number of the step and the seed
alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from insar_dask.cube import CubeError
from insar_dask.forecast.groups import ABSENT
from insar_dask.forecast.series.framing import Framing, frame
from insar_dask.forecast.series.gathering import gathered, stock_bytes, stock_of
from insar_dask.forecast.series.point_source import Source
from insar_dask.forecast.series.resident import Blocks, Resident
from insar_dask.forecast.series.splits import Split
from insar_dask.forecast.training.feeding import Pick, Tick

__all__ = ["SeriesWindows", "tensors"]

Batch = dict[str, torch.Tensor]
Index = npt.NDArray[np.int64]

RESIDENT = 65_536
"""Points in memory at a time: 43 MB of series of 166 dates. At 16 groups of 8 a step they last 512 steps."""

MANY_EMPTY = 0.25
"""Share of empty seats, which cost as much as taken ones, that is worth a word."""

VALIDATION_POINTS = 1024


@dataclass(frozen=True, eq=False)
class _Round:
    """Windows of a round in the order of its steps."""

    number: int
    resident: Resident
    members: Index
    """(S, L)."""
    origins: Index
    """(S,)."""


class SeriesWindows:
    """Windows of a source's series, for training and validation.

    Parameters
    ----------
    source : Source
        Series in memory, of a lazy cube or of a Zarr group, see `insar_dask.forecast.series.point_source`.
    split : Split
        Training windows lie within its training block.
    context, horizon : int
        Dates given and asked for.
    length : int
        Points of a group.
    reach : float
        Longest step [m] from one point of a group to the next.
    calendar : {"paper", "waves"}
        What is told of dates, see `insar_dask.forecast.series.calendar_features`.
    scaling : {"point", "global", "last", "window"}
        See `insar_dask.forecast.series.framing.Framing`.
    batch : int
        Groups of a step, over all ranks.
    stride : int
        Dates between two training windows.
    reach_back : bool
        Whether contexts of validation windows may begin before the validation block.
    pattern : int, optional
        Take points of this pattern only.
    evenness : float
        1 draws kinds of motion as they occur, 0 all alike; see `insar_dask.forecast.series.sampling`.
    resident : int
        Points to hold in memory at a time.
    visits : float
        Windows drawn of a group, on average, before the next points are read: more where a step takes less time than
        reading, as on a GPU that a slow disk feeds.
    validation_points : int
        Points that every check looks at, at each validation origin.
    n_patterns : int, optional
        Patterns that the network tells apart; default: those seen in the first round.
    only_observed : bool
        Whether dates without an acquisition count as missing.
    seed : int
    leaks : bool
        Take series that have seen the future, as published protocols do.
    framing : Framing, optional
        What an earlier training learned of scale and patterns; default: learned from the first round's points.

    Attributes
    ----------
    framing : Framing
        How windows are cut and scaled; belongs to the trained model.
    remarks : list of str
        What a user should know of: short patterns, points without values.

    Raises
    ------
    TooShortError
        When no window fits into a block.
    CubeError
        When dates are uneven, no point has a value in the training block, or the series have seen the future.
    """

    def __init__(
        self,
        source: Source,
        split: Split,
        *,
        context: int = 24,
        horizon: int = 6,
        length: int = 8,
        reach: float = 1000.0,
        calendar: str = "paper",
        scaling: str = "point",
        batch: int = 16,
        stride: int = 1,
        reach_back: bool = False,
        pattern: int | None = None,
        evenness: float = 0.5,
        resident: int = RESIDENT,
        visits: float = 1.0,
        validation_points: int = VALIDATION_POINTS,
        n_patterns: int | None = None,
        only_observed: bool = True,
        seed: int = 0,
        leaks: bool = False,
        framing: Framing | None = None,
    ) -> None:
        for name, count in (("batch", batch), ("resident", resident), ("validation_points", validation_points)):
            if count < 1:
                raise ValueError(f"{name} is {count}; wanted at least 1")
        if not leaks:
            _check_blind(source, split)
        self.source, self.pattern, self.evenness, self.seed = source, pattern, evenness, seed
        self.batch_size, self.validation_points = batch, validation_points
        self.origins = split.train.origins(context, horizon, stride)
        self.validation_origins = split.validation.origins(context, horizon, reach_back=reach_back)
        self.blocks = Blocks.of(source, pattern)
        self.per_round = self.blocks.per_round(resident)
        # of the number of points alone, not of what is valid among them: a step's round must follow from its number
        held = self.blocks.n_points * self.per_round / len(self.blocks.numbers)
        self.steps_per_round = max(round(visits * held / (length * batch)), 1)
        settings = {
            "context": context,
            "horizon": horizon,
            "length": length,
            "reach": reach,
            "calendar": calendar,
            "scaling": scaling,
            "only_observed": only_observed,
        }
        made = Framing.of(source, split.train, **settings)
        self.framing = self._learn(made, n_patterns) if framing is None else made.like(framing)
        self._round: _Round | None = None
        self._validation: tuple[Resident, Index] | None = None

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        """Share of a rank in the windows of a step.

        The windows are dealt out in turn; where ``world`` does not divide them, the last share is filled up with absent
        groups, so that all ranks have equally many.
        """
        drawn, where = self._round_of(step)
        return self._share(drawn.resident, drawn.members[where], drawn.origins[where], rank, world)

    def stock_bytes(self) -> int:
        """Bytes of the points of a round on the device that gathers windows of them."""
        return stock_bytes(self.per_round * self.source.block, len(self.source.days))

    def pick(self, step: int, rank: int, world: int) -> Pick:
        """What makes up the batch of a step on the device that gathers it."""
        drawn, where = self._round_of(step)
        members, origins = self._dealt(drawn.members[where], drawn.origins[where], rank, world)
        resident = drawn.resident

        def stock(_: Tick) -> Batch:
            return stock_of(self.framing, resident.points, resident.days, resident.scale)

        def gather(stock: Batch, taken: Batch) -> Batch:
            return gathered(self.framing, stock, taken["members"], taken["origins"])[0]

        # all rounds have the same points where all fit
        key = drawn.number if self.per_round < len(self.blocks.numbers) else 0
        return Pick(key, stock, tensors({"members": members, "origins": origins}), gather)

    def validation(self, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Share of a rank in all validation windows: each group at each origin, always the same ones."""
        if self._validation is None:
            self._validation = self.blocks.neighbourhoods(self.framing, self.validation_points)
        resident, members = self._validation
        every = np.repeat(members, len(self.validation_origins), axis=0)
        origins = np.tile(self.validation_origins, len(members))
        for start in range(0, len(every), self.batch_size):
            where = slice(start, start + self.batch_size)
            yield self._share(resident, every[where], origins[where], rank, world)

    @property
    def remarks(self) -> list[str]:
        """What a user should know of the points that are learned from, as far as the first round holds them."""
        resident, length = self._drawn(0).resident, self.framing.length
        groups = resident.groups(self.framing)
        told = []
        if self.per_round == len(self.blocks.numbers):
            labels, counts = np.unique(resident.points.patterns, return_counts=True)
            told += [
                f"pattern {label} has {count} points, fewer than the {length} of a group: its groups are padded"
                for label, count in zip(labels.tolist(), counts.tolist(), strict=True)
                if count < length
            ]
        if (empty := 1 - float(groups.present.mean())) > MANY_EMPTY:
            told.append(
                f"{empty:.0%} of the seats in groups of {length} are empty, since points of one pattern lie more than "
                f"{self.framing.reach:g} m apart: shorter groups or a longer reach would train faster"
            )
        if resident.left_out:
            told.append(f"{resident.left_out} points have no value in the training block and are left out")
        return told

    def _learn(self, framing: Framing, n_patterns: int | None) -> Framing:
        """Add what all points of the first round together tell: their scale, and the number of patterns."""
        first = self.blocks.load(framing, self.blocks.walk(0, self.per_round))
        known = first.points.values[:, framing.trained_on(first.days)]
        if not np.isfinite(known).any():
            raise CubeError(
                f"none of {self.blocks.n_points} points has a value in the training block: check the dates of the split"
            )
        return framing.learned(known, int(first.points.patterns.max()) + 1 if n_patterns is None else n_patterns)

    def _round_of(self, step: int) -> tuple[_Round, slice]:
        """The round of a step, and which of its windows are the step's."""
        number, at = divmod(step, self.steps_per_round)
        return self._drawn(number), slice(at * self.batch_size, (at + 1) * self.batch_size)

    def _drawn(self, number: int) -> _Round:
        if self._round is None or self._round.number != number:
            resident = self._resident(number)
            self._round = None  # what is left behind need not be held while the next is drawn
            rng = np.random.default_rng([self.seed, number])
            groups = resident.groups(self.framing, offset=int(rng.integers(self.framing.length)))
            size = self.steps_per_round * self.batch_size
            members = resident.drawn(groups, size, self.evenness, rng)
            self._round = _Round(number, resident, members, rng.choice(self.origins, size))
        return self._round

    def _resident(self, number: int) -> Resident:
        """Points of a round; those of the last one where all fit into memory."""
        if self._round is not None and self.per_round == len(self.blocks.numbers):
            return self._round.resident
        self._round = None
        walk = self.blocks.walk(number * self.per_round, self.per_round)
        return self.blocks.load(self.framing, walk)

    def _share(self, resident: Resident, members: Index, origins: Index, rank: int, world: int) -> Batch:
        mine, at = self._dealt(members, origins, rank, world)
        arrays, _ = frame(self.framing, resident.points, resident.days, resident.scale, mine, at)
        return tensors(arrays)

    def _dealt(self, members: Index, origins: Index, rank: int, world: int) -> tuple[Index, Index]:
        """Windows of a rank, in turn, filled up with absent groups."""
        if not 0 <= rank < world:
            raise ValueError(f"rank is {rank} of {world}; wanted 0 to {world - 1}")
        n_each = -(-self.batch_size // world)
        mine, at = members[rank::world], origins[rank::world]
        lacking = n_each - len(mine)
        mine = np.concatenate([mine, np.full((lacking, self.framing.length), ABSENT)])
        return mine, np.concatenate([at, np.full(lacking, self.origins[0])])


def _check_blind(source: Source, split: Split) -> None:
    """Refuse series that have seen the future, but for what was fitted within the training block."""
    seen = int(source.attrs.get("sees_future", 0))
    if fitted := source.attrs.get("fitted_until"):
        until = np.datetime64(str(fitted), "D").astype(np.int64)
        seen = int(source.attrs["sees_future_after_fit"]) if until <= source.days[split.train.stop - 1] else seen
    if seen:
        days = "the whole series" if seen < 0 else f"{seen} days of the future"
        raise CubeError(
            f"the values of these series have seen {days} (attrs['sees_future'] = {source.attrs['sees_future']}): take "
            "the raw series, on a grid by insar_dask.forecast.series.grid_points where its dates are uneven; "
            "leaks=True takes these and every score of it is too good"
        )


def tensors(arrays: dict[str, npt.NDArray[Any]]) -> Batch:
    """Arrays as tensors that share their memory."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
