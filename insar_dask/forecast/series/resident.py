"""The points that a training holds in memory at a time, with what they are scaled and drawn by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.forecast.groups import ABSENT, Groups, cut_groups
from insar_dask.forecast.series.framing import Framing, Scale
from insar_dask.forecast.series.point_source import Points, Source, joined
from insar_dask.forecast.series.sampling import draw, kinds_of_groups, kinds_of_points, spread, weights

__all__ = ["Blocks", "Resident"]

Index = npt.NDArray[np.int64]

NEIGHBOURHOODS = 16
"""Blocks that the points of a validation come from."""


@dataclass(frozen=True, eq=False)
class Resident:
    """Points in memory, those that training can learn from."""

    points: Points
    days: Index
    scale: Scale
    kinds: Index
    """(n,) kind of motion, see `insar_dask.forecast.series.sampling`."""
    numbers: Index
    """(n,) of the points in the source."""
    left_out: int = 0
    """Points that have no value in the training block."""

    @classmethod
    def joined(cls, parts: Sequence[Resident]) -> Self:
        """Points of several in one."""
        scale = Scale(*(np.concatenate([getattr(part.scale, name) for part in parts]) for name in ("shift", "scale")))
        points = joined([part.points for part in parts])
        kinds, numbers = (np.concatenate([getattr(part, name) for part in parts]) for name in ("kinds", "numbers"))
        return cls(points, parts[0].days, scale, kinds, numbers, sum(part.left_out for part in parts))

    @property
    def blank(self) -> bool:
        """Whether no point has a value."""
        return bool(np.isnan(self.points.values).all())

    def take(self, chosen: Index) -> Resident:
        """Some of the points."""
        scale = Scale(self.scale.shift[chosen], self.scale.scale[chosen])
        kinds, numbers = self.kinds[chosen], self.numbers[chosen]
        return Resident(self.points.take(chosen), self.days, scale, kinds, numbers, self.left_out)

    def groups(self, framing: Framing, offset: int = 0) -> Groups:
        """The points in groups of neighbours."""
        return cut_groups(self.points.places, framing.length, framing.reach, self.points.patterns, offset)

    def drawn(self, groups: Groups, size: int, evenness: float, rng: np.random.Generator) -> Index:
        """Members (size, L) of groups drawn by their kinds."""
        shares = weights(kinds_of_groups(self.kinds, groups.members), evenness)
        return np.asarray(groups.members[draw(shares, size, rng)])


@dataclass(frozen=True, eq=False)
class Blocks:
    """The blocks of a source that hold a pattern, or all of them, and the walk that training takes through them."""

    source: Source
    numbers: Index
    """(m,) of the blocks; 8 bytes a block is all that grows with the source."""
    n_points: int
    """Points of the pattern in them."""
    pattern: int | None = None
    """The only pattern whose points are taken, if any."""

    @classmethod
    def of(cls, source: Source, pattern: int | None = None) -> Blocks:
        """All blocks of a source, or those with a point of one pattern.

        Raises
        ------
        CubeError
            When there is no such point.
        """
        if source.n_points == 0:
            raise CubeError("there is no point to learn from")
        n_blocks = -(-source.n_points // source.block)
        if pattern is None:
            return cls(source, np.arange(n_blocks), source.n_points)
        counts = np.array([_count(source, number, pattern) for number in range(n_blocks)])
        if not counts.any():
            raise CubeError(f"no point has pattern {pattern}: train on another, or on all with pattern=None")
        return cls(source, np.flatnonzero(counts), int(counts.sum()), pattern)

    def walk(self, start: int, count: int) -> Index:
        """Blocks number ``start`` to ``start + count - 1`` of an endless walk that is spread over the whole source."""
        return np.asarray(self.numbers[spread(np.arange(start, start + count), len(self.numbers))])

    def per_round(self, resident: int) -> int:
        """Blocks that together hold about ``resident`` points of the pattern; at least one."""
        mean = self.n_points / len(self.numbers)
        return int(np.clip(round(resident / mean), 1, len(self.numbers)))

    def load(self, framing: Framing, numbers: Iterable[int]) -> Resident:
        """Points of some blocks, in the order of storage, that have a value in the training block.

        Where no point has, one without values stands for them all: a window of it has nothing given and nothing scored.
        """
        source, pattern = self.source, self.pattern
        train = framing.trained_on(source.days)
        parts: list[Points] = []
        runs: list[Index] = []
        left_out = 0
        for number in sorted(numbers):
            start, stop = _range(source, number)
            points = framing.known(source, start, stop)
            able = np.isfinite(points.values[:, train]).any(axis=1)
            wanted = np.ones(stop - start, bool) if pattern is None else np.equal(points.patterns, pattern)
            chosen = np.flatnonzero(able & wanted)
            parts.append(points if len(chosen) == stop - start else points.take(chosen))
            runs.append(chosen + start)
            left_out += int((wanted & ~able).sum())
        points, which = joined(parts), np.concatenate(runs)
        if not len(which):
            points = Points(np.full((1, len(train)), np.nan, np.float32), np.zeros((1, 2)), np.full(1, -1, np.int16))
            which = np.full(1, -1)
        kinds = kinds_of_points(points.values[:, train], source.days[train], points.patterns)
        return Resident(points, source.days, framing.scale_of(points.values, source.days), kinds, which, left_out)

    def neighbourhoods(self, framing: Framing, n_points: int) -> tuple[Resident, Index]:
        """About ``n_points`` points in groups from several blocks, further ones where these have too few; members."""
        wanted = -(-n_points // framing.length)
        share = -(-wanted // min(NEIGHBOURHOODS, len(self.numbers)))
        parts: list[Resident] = []
        members: list[Index] = []
        for number in self.walk(0, len(self.numbers)):
            block = self.load(framing, [int(number)])
            if block.blank:
                continue
            groups = block.groups(framing).members
            taken = groups[np.unique(np.linspace(0, len(groups) - 1, min(share, len(groups))).round().astype(int))]
            kept, seats = np.unique(taken[taken != ABSENT], return_inverse=True)
            numbered = np.full(taken.shape, ABSENT)
            numbered[taken != ABSENT] = seats + sum(len(part.numbers) for part in parts)
            parts.append(block.take(kept))
            members.append(numbered)
            if sum(map(len, members)) >= wanted:
                break
        return Resident.joined(parts), np.concatenate(members)[:wanted]


def _range(source: Source, number: int) -> tuple[int, int]:
    start = int(number) * source.block
    return start, min(start + source.block, source.n_points)


def _count(source: Source, number: int, pattern: int) -> int:
    return int((source.patterns(*_range(source, number)) == pattern).sum())
