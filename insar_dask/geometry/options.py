"""How tracks are brought together: every choice with its default, once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from insar_dask.cube import CubeError
from insar_dask.days import given_day
from insar_dask.settings import known, positive
from insar_kernels.look_solution import ANCHORS
from insar_kernels.look_sums import HOW

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """What `insar_dask.geometry.series.east_up` is asked for; see there."""

    cell: float = 100.0
    every: str = "6D"
    how: str = "nearest"
    anchor: str = "model"
    max_distance: float = 90.0
    north: float | str | None = None
    sigma: str | None = None
    max_condition: float = 30.0
    min_angle: float = 10.0
    extent: tuple[float, float, float, float] | None = None
    one_track: str = "drop"
    start: str | None = None
    end: str | None = None

    def __post_init__(self) -> None:
        """Look at every choice."""
        positive("cell", self.cell, of="metres")
        positive("max_distance", self.max_distance, zero=True, of="days")
        positive("max_condition", self.max_condition)
        positive("min_angle", self.min_angle, zero=True, of="degrees")
        known("how", self.how, HOW)
        known("anchor", self.anchor, ANCHORS)
        known("one_track", self.one_track, ("drop", "nan"))
        if isinstance(self.north, float | int) and not isfinite(self.north):
            raise ValueError(f"north is {self.north}; wanted mm/yr, or the variable that has them")
        if self.days < 1:
            raise ValueError(f"every is {self.every!r}; wanted a whole number of days such as '6D'")
        if self.extent is not None and not (self.extent[0] < self.extent[2] and self.extent[1] < self.extent[3]):
            raise CubeError(f"extent={self.extent} holds nothing; wanted (west, south, east, north) in the cubes' CRS")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Options:
        """Those of a call or of a job.

        Raises
        ------
        TypeError
            For one that does not exist.
        """
        extent: Sequence[float] | None = options.get("extent")
        days = {name: str(given_day(day, name)) for name in ("start", "end") if (day := options.get(name)) is not None}
        return cls(**{**options, **days, "extent": None if extent is None else tuple(map(float, extent))})

    @property
    def days(self) -> int:
        """Days between two dates; 0 where ``every`` is no duration."""
        found = re.fullmatch(r"(\d+) ?D", self.every)
        return int(found[1]) if found else 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON and attributes hold it: what was not given is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}
