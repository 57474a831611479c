"""Dates, grids and origins of one evaluation, as plain numbers that travel to every task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import DAYS_PER_YEAR, CubeError

__all__ = ["Days", "Origin", "Plan", "TooShortError"]

Days = npt.NDArray[np.int64]


class TooShortError(CubeError):
    """A record has too few dates to learn from, or to be scored on."""


@dataclass(frozen=True)
class Origin:
    """First date asked for: step ``step`` of grid ``grid``. Whatever happened on it or later is unknown."""

    grid: int
    step: int


@dataclass(frozen=True)
class Plan:
    """Dates, grids and origins of one evaluation; JSON-able, see `to_dict`. Made by `plan`.

    Days are counted from 1970-01-01. ``starts`` has the first day of each grid; grid 0 also serves validation.
    """

    days: tuple[int, ...]
    observed: tuple[bool, ...]
    every: int
    horizon: int
    context: int
    level: float
    stride: int
    train_start: int
    starts: tuple[int, ...]
    validation: tuple[Origin, ...]
    test: tuple[Origin, ...]
    future: Origin
    methods: tuple[str, ...]
    protocols: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """Rebuild what `to_dict` gave."""
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list | tuple) else value for key, value in data.items()
        }
        for stage in ("validation", "test"):
            fields[stage] = tuple(Origin(**origin) for origin in data[stage])
        return cls(**{**fields, "future": Origin(**data["future"])})

    @property
    def all_real(self) -> bool:
        """Whether every date of the cube is a real acquisition."""
        return all(self.observed)

    @cached_property
    def real_columns(self) -> npt.NDArray[np.intp]:
        """Columns of the cube that are real acquisitions."""
        return np.flatnonzero(self.observed)

    @cached_property
    def real_days(self) -> Days:
        """Days of the real acquisitions."""
        return np.asarray(self.days, np.int64)[self.real_columns]

    def grid_days(self, grid: int, steps: int | None = None) -> Days:
        """Days of a grid's first ``steps`` dates; default: up to the last date of the cube."""
        start = self.starts[grid]
        return np.arange(start, self.days[-1] + 1 if steps is None else start + steps * self.every, self.every)

    def date(self, origin: Origin) -> int:
        """Day of an origin."""
        return self.starts[origin.grid] + origin.step * self.every

    def target_days(self, origin: Origin) -> Days:
        """Days asked for at an origin, (h,)."""
        return self.date(origin) + self.every * np.arange(self.horizon)

    def years(self, days: Days) -> npt.NDArray[np.float64]:
        """Years of 365 days since the cube's first date."""
        return (np.asarray(days) - self.days[0]) / DAYS_PER_YEAR

    @property
    def leads(self) -> list[dict[str, int]]:
        """Each lead in steps and in days."""
        return [{"step": step, "days": step * self.every} for step in range(1, self.horizon + 1)]
