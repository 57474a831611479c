"""A source of uneven dates on even ones: values where a date meets an acquisition, none elsewhere, never filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.schedule import grid_start
from insar_dask.forecast.series.point_source import Days, Patterns, Points, Source

__all__ = ["GridPoints"]

Float32 = npt.NDArray[np.float32]

KNOWN = 0.6
"""Share of the record's time that the phase of the grid is chosen from: what is usually trained on."""


@dataclass(frozen=True, eq=False)
class GridPoints:
    """Points of another source on a regular grid of dates.

    A value between two acquisitions would have seen the later one; here it is missing, and the windows mask it.
    """

    source: Source
    start: int
    """First day of the grid, from 1970-01-01."""
    step: int
    """Days between its dates."""

    @classmethod
    def of(cls, source: Source, step: int, until: int | None = None) -> GridPoints:
        """The grid whose phase meets most acquisitions of the two years before day ``until``.

        The default is what three fifths of the record's time end at: the phase is learned too, and an L2b record loses
        half its acquisitions on the wrong one.
        """
        real = source.days[source.observed]
        end = int(real[0] + KNOWN * (real[-1] - real[0])) if until is None else until
        return cls(source, grid_start(real, step, end), step)

    @property
    def n_points(self) -> int:
        """Number of points."""
        return self.source.n_points

    @property
    def block(self) -> int:
        """Points to read at a time."""
        return self.source.block

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Attributes of the cube."""
        return self.source.attrs

    @cached_property
    def days(self) -> Days:
        """Dates (G,) of the grid, up to the last of the source."""
        return np.arange(self.start, int(self.source.days[-1]) + 1, self.step, dtype=np.int64)

    @cached_property
    def observed(self) -> npt.NDArray[np.bool_]:
        """Whether each date of the grid meets a real acquisition."""
        return np.asarray(self._met & self.source.observed[self._columns])

    def read(self, start: int, stop: int) -> Points:
        """Points ``start`` to ``stop - 1``."""
        points = self.source.read(start, stop)
        return Points(self.cut(points.values), points.places, points.patterns)

    def cut(self, values: Float32) -> Float32:
        """Values (n, G) at the dates of the grid, of series (n, T) at those of the source."""
        gathered = values[:, self._columns]
        gathered[:, ~self.observed] = np.nan
        return gathered

    def patterns(self, start: int, stop: int) -> Patterns:
        """Patterns of these points alone."""
        return self.source.patterns(start, stop)

    @cached_property
    def _columns(self) -> npt.NDArray[np.intp]:
        return np.minimum(np.searchsorted(self.source.days, self.days), len(self.source.days) - 1)

    @cached_property
    def _met(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.source.days[self._columns] == self.days)
