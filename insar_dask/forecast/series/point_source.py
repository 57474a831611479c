"""Where the series that a network learns from lie: in memory, in a lazy cube, or in a store; read a run at a time.

Each source names its points by their number in the order of storage and reads any run of them, so that what is held in
memory is what was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError

__all__ = ["BLOCK", "ArrayPoints", "CubePoints", "Points", "Source", "joined", "no_patterns"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Days = npt.NDArray[np.int64]
Patterns = npt.NDArray[np.int16]

UNKNOWN = -1
"""Pattern of a point that has none."""

BLOCK = 1024
"""Points read at a time, wherever they lie, so that windows do not depend on it: a stored chunk holds as many series of
int16, or fewer, and is one request of an object store; of a chunk of 2,048 short series half is read for nothing."""


@dataclass(frozen=True, eq=False)
class Points:
    """Consecutive points of a source."""

    values: Float32
    """(n, T) series [mm]; missing is NaN."""
    places: Float64
    """(n, 2) easting and northing [m]."""
    patterns: Patterns
    """(n,) pattern of motion, `UNKNOWN` where there is none."""

    def take(self, chosen: npt.NDArray[Any]) -> Points:
        """Some of the points, by number or by a mask."""
        return Points(self.values[chosen], self.places[chosen], self.patterns[chosen])


def joined(parts: Sequence[Points]) -> Points:
    """Runs of points one after the other."""
    if len(parts) == 1:
        return parts[0]
    return Points(*(np.concatenate([getattr(part, name) for part in parts]) for name in Points.__annotations__))


class Source(Protocol):
    """Series on common dates, read by runs of points."""

    @property
    def n_points(self) -> int:
        """Number of points."""

    @property
    def days(self) -> Days:
        """Dates (T,) in days from 1970-01-01."""

    @property
    def observed(self) -> npt.NDArray[np.bool_]:
        """Whether each date (T,) is one of a real acquisition."""

    @property
    def block(self) -> int:
        """Points to read at a time: fewer cost as much."""

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Attributes of the cube, which say what its values have seen."""

    def read(self, start: int, stop: int) -> Points:
        """Points ``start`` to ``stop - 1``."""

    def patterns(self, start: int, stop: int) -> Patterns:
        """Patterns of these points alone."""


@dataclass(frozen=True, eq=False)
class ArrayPoints:
    """Points in memory: a source, and what is made of some points of another."""

    points: Points
    days: Days
    observed: npt.NDArray[np.bool_]
    block: int = BLOCK
    attrs: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        values: Float32,
        places: Float64,
        times: npt.ArrayLike,
        patterns: npt.ArrayLike | None = None,
        observed: npt.ArrayLike | None = None,
    ) -> ArrayPoints:
        """Source of plain arrays.

        Parameters
        ----------
        values : (n, T) array of float32
            Series [mm]; missing is NaN.
        places : (n, 2) array
            Easting and northing [m].
        times : (T,) array of datetime64
        patterns : (n,) array of int, optional
        observed : (T,) array of bool, optional
        """
        days = np.asarray(times, "datetime64[D]").astype(np.int64)
        if values.ndim != 2 or values.shape[1] != len(days) or len(places) != len(values):
            raise CubeError(f"{np.shape(values)} values and {np.shape(places)} places do not match {len(days)} dates")
        labels = np.full(len(values), UNKNOWN) if patterns is None else np.asarray(patterns)
        real = np.ones(len(days), bool) if observed is None else np.asarray(observed, bool)
        points = Points(np.asarray(values, np.float32), np.asarray(places, np.float64), labels.astype(np.int16))
        return cls(points, days, real)

    @classmethod
    def taken(cls, source: Source, chosen: npt.NDArray[np.int64]) -> ArrayPoints:
        """Points of a source by their numbers, increasing; the blocks that hold one are read, one at a time."""
        parts = []
        for start in np.unique(chosen // source.block) * source.block:
            stop = min(int(start) + source.block, source.n_points)
            inside = chosen[(chosen >= start) & (chosen < stop)]
            parts.append(source.read(int(start), stop).take(inside - start))
        if not parts:
            raise CubeError("no point was chosen")
        return cls(joined(parts), source.days, source.observed, attrs=source.attrs)

    @property
    def n_points(self) -> int:
        """Number of points."""
        return len(self.points.values)

    def read(self, start: int, stop: int) -> Points:
        """Points ``start`` to ``stop - 1``."""
        return Points(self.points.values[start:stop], self.points.places[start:stop], self.patterns(start, stop))

    def patterns(self, start: int, stop: int) -> Patterns:
        """Patterns of these points alone."""
        return self.points.patterns[start:stop]


@dataclass(frozen=True, eq=False)
class CubePoints:
    """A series variable of a point cube, in memory or lazy; its points in Hilbert order, as a store has them.

    Of a lazy cube whole Dask chunks are read, shards of up to 65,536 points, of which the last one is held:
    `insar_dask.forecast.series.stored_points.StoredPoints` reads and holds less.
    """

    cube: xr.Dataset
    variable: str = "displacement"
    """Variable over ``(point, time)`` [mm], such as ``"displacement"``, ``"trend"``, ``"season"``, ``"residual"``."""
    label: str | None = "cluster"
    """Variable over ``point`` with the patterns, if the cube has it."""

    block = BLOCK

    def __post_init__(self) -> None:
        """Refuse what is no series over points."""
        series = self.cube.get(self.variable)
        if series is None or series.dims != ("point", "time"):
            raise CubeError(
                f"wanted {self.variable!r} over ('point', 'time'); the cube has {sorted(map(str, self.cube.data_vars))}"
            )

    @property
    def n_points(self) -> int:
        """Number of points."""
        return self.cube.sizes["point"]

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Attributes of the cube."""
        return {str(name): value for name, value in self.cube.attrs.items()}

    @cached_property
    def days(self) -> Days:
        """Dates (T,) in days from 1970-01-01."""
        return self.cube["time"].values.astype("datetime64[D]").astype(np.int64)

    @cached_property
    def observed(self) -> npt.NDArray[np.bool_]:
        """Whether each date (T,) is one of a real acquisition."""
        return _observed(self.cube, len(self.days))

    def read(self, start: int, stop: int) -> Points:
        """Points ``start`` to ``stop - 1``."""
        first, part = self._loaded(start, stop)
        part = part.isel(point=slice(start - first, stop - first))
        places = np.stack([part["easting"].values, part["northing"].values], axis=1)
        labels = part[self.label].values.astype(np.int16) if self._labelled else no_patterns(stop - start)
        return Points(np.asarray(part[self.variable].values, np.float32), places, labels)

    def patterns(self, start: int, stop: int) -> Patterns:
        """Patterns of these points alone."""
        if not self._labelled:
            return no_patterns(stop - start)
        return np.asarray(self.cube[self.label].isel(point=slice(start, stop)).values, np.int16)

    def _loaded(self, start: int, stop: int) -> tuple[int, xr.Dataset]:
        """The chunks that hold some points, in memory, and the number of their first point."""
        held = self._held.get("chunks")
        if held is None or not held[0] <= start <= stop <= held[0] + held[1].sizes["point"]:
            self._held.clear()
            names = [self.variable, "easting", "northing", *([self.label] if self._labelled else [])]
            first, last = self._whole_chunks(start, stop)
            held = first, self.cube[names].isel(point=slice(first, last)).load()
            self._held["chunks"] = held
        return held

    def _whole_chunks(self, start: int, stop: int) -> tuple[int, int]:
        """First point and end of the chunks that hold some points; of a cube in memory just these."""
        lengths: tuple[int, ...] = self.cube[self.variable].chunksizes.get("point", ())
        if not lengths:
            return start, stop
        ends = np.cumsum((0, *lengths))
        first = int(np.searchsorted(ends, start, side="right")) - 1
        return int(ends[first]), int(ends[np.searchsorted(ends, stop)])

    @cached_property
    def _held(self) -> dict[str, tuple[int, xr.Dataset]]:
        return {}

    @property
    def _labelled(self) -> bool:
        return self.label is not None and self.label in self.cube.variables


def _observed(cube: xr.Dataset, n_dates: int) -> npt.NDArray[np.bool_]:
    if "observed" not in cube:
        return np.ones(n_dates, bool)
    return np.asarray(cube["observed"].values, bool)


def no_patterns(n_points: int) -> Patterns:
    """`UNKNOWN` for every point."""
    return np.full(n_points, UNKNOWN, np.int16)
