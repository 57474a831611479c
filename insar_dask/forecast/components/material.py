"""Points that networks of components learn from: some of each pattern, taken apart once for all of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.forecast.components.history import PARTS, blocks_of, first_unknown, take_apart
from insar_dask.forecast.components.patterns import RUN, Patterns, learn_patterns
from insar_dask.forecast.components.settings import Settings
from insar_dask.forecast.published.sample import stratified_runs
from insar_dask.forecast.series.grid_points import GridPoints
from insar_dask.forecast.series.point_source import ArrayPoints, Points, Source
from insar_dask.forecast.timetable import Plan

__all__ = ["Material", "survey"]

Float32 = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]

TOGETHER = 64
"""Points drawn in one run, so that neighbours stay together."""


@dataclass(frozen=True, eq=False)
class Material:
    """Components of some points at all dates before the first validation origin."""

    days: Index
    """(K,) dates of the grid, from 1970-01-01."""
    fitted: int
    """Dates, the first ones, that parameters were fitted to."""
    parts: dict[str, Float32]
    """(n, K) each [mm]; missing where the displacement is."""
    places: npt.NDArray[np.float64]
    """(n, 2) easting and northing [m]."""
    patterns: npt.NDArray[np.int16]
    """(n,)."""

    def source(self, component: str) -> ArrayPoints:
        """One of the components as a source of windows."""
        seen = {
            "sees_future": int(self.days[self.fitted - 1] - self.days[0]),
            "sees_future_after_fit": 0,
            "fitted_until": str(np.datetime64(int(self.days[self.fitted - 1]), "D")),
        }
        points = Points(self.parts[component], self.places, self.patterns)
        return ArrayPoints(points, self.days, np.ones(len(self.days), bool), attrs=seen)

    def digest(self, component: str) -> str:
        """Hash of what a network of a component learns from: the same where the others were not read."""
        arrays = self.days, np.array(self.fitted), self.parts[component], self.places, self.patterns
        return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()

    def write(self, path: Path) -> None:
        """Keep it as a file, for processes that train together."""
        rest = {"days": self.days, "fitted": np.array(self.fitted), "places": self.places, "patterns": self.patterns}
        np.savez(path, allow_pickle=False, **self.parts, **rest)

    @classmethod
    def read(cls, path: Path, component: str) -> Self:
        """Read what `write` wrote, with one of the components."""
        with np.load(path, allow_pickle=False) as kept:
            parts = {component: kept[component]}
            return cls(kept["days"], int(kept["fitted"]), parts, kept["places"], kept["patterns"])


def survey(source: Source, plan: Plan, settings: Settings) -> tuple[Material, Patterns]:
    """Choose points of every pattern and take them apart; the patterns that some of these points have.

    Raises
    ------
    CubeError
        When no series has two years to be taken apart and a value after them.
    TooShortError
        When there are too few dates.
    """
    split, until, shape = blocks_of(plan), first_unknown(plan), settings.shape
    known = split.validation.stop
    grid = GridPoints(source, plan.starts[0], plan.every)
    patterns = learn_patterns(source, until, shape.patterns, shape.length, settings.training.seed)
    labels = _labels(source, grid, patterns, until, split.train.stop, known)
    if len(labels) <= shape.points:
        chosen = np.flatnonzero(labels >= 0)
    else:
        run = min(TOGETHER, shape.points)
        chosen = stratified_runs(labels, shape.points // run * run, run, settings.training.seed)
        chosen = chosen[labels[chosen] >= 0]
    taken = ArrayPoints.taken(grid, chosen).points if chosen.size else grid.read(0, 0)
    parts = take_apart(taken.values[:, :known], split.train.stop, plan.every)
    able = np.flatnonzero(np.isfinite(parts[0]).any(axis=1))
    if not able.size:
        raise CubeError(
            f"none of {source.n_points} series can be taken apart: wanted two years of dates before "
            f"{np.datetime64(until, 'D')}, and a date between then and "
            f"{np.datetime64(plan.date(plan.validation[0]), 'D')}"
        )
    found, mine = np.unique(labels[chosen[able]], return_inverse=True)
    series = {name: np.ascontiguousarray(part[able]) for name, part in zip(PARTS, parts, strict=True)}
    material = Material(grid.days[:known], split.train.stop, series, taken.places[able], mine.astype(np.int16))
    return material, patterns.kept(found.astype(np.int64))


def _labels(
    source: Source, grid: GridPoints, patterns: Patterns, until: int, fitted: int, known: int
) -> npt.NDArray[np.int16]:
    """Pattern of each point, -1 where it has no value to learn from or none to check on."""
    labels = np.full(source.n_points, -1, np.int16)
    days = np.flatnonzero(source.observed & (source.days < until))
    for start in range(0, source.n_points, RUN):
        where = slice(start, min(start + RUN, source.n_points))
        raw = source.read(where.start, where.stop).values
        met = np.isfinite(grid.cut(raw)[:, :known])
        able = met[:, :fitted].any(axis=1) & met[:, fitted:].any(axis=1)
        labels[where] = np.where(able, patterns.label(raw[:, days], source.days[days]), -1)
    return labels
