"""Rolling origins: what may be known at each of them, cut from a block of a cube as plain arrays.

Rule: at an origin every number that a forecaster sees is a function of observations dated before the origin.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

import insar_kernels
from insar_dask.cube import CubeError
from insar_dask.forecast.timetable import Origin, Plan

__all__ = ["Context", "HonestWindows", "PublishedWindows"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

PUBLISHED_WINDOW = 11
PUBLISHED_ORDER = 2


@dataclass(frozen=True, eq=False)
class Context:
    """What a forecaster may see of a block of points at one origin, and the dates it is asked for.

    Years are counted from the cube's first date, 365 days each, so that they do not depend on the origin.
    """

    values: Float32
    """(n, T) raw displacement [mm] at every real date before the origin; missing is NaN."""
    years: Float64
    """(T,) real dates of the history, strictly increasing."""
    grid_values: Float32
    """(n, G) the same on the regular grid up to the origin; NaN where the grid met no acquisition."""
    grid_years: Float64
    """(G,) dates of the grid, evenly spaced, the last one before the origin."""
    target_years: Float64
    """(h,) dates asked for: the grid continued from the origin on, one lead a step."""
    fitted: Context | None = None
    """What was known at the first of several origins, before which parameters are fitted; one object for all of them.
    None where the origin stands alone, as the one beyond the record does."""
    places: Float64 | None = None
    """(n, 2) easting and northing [m] of the points, for forecasters that look at neighbours; None where not given."""
    first_day: int = 0
    """Day, from 1970-01-01, that years are counted from."""
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)
    """What several forecasters read of one context, computed once: the fit that they share."""

    @property
    def step(self) -> float:
        """Spacing of the grid in years."""
        return float(self.grid_years[1] - self.grid_years[0])

    @property
    def located(self) -> Float64:
        """Places (n, 2) [m] of the points; a CubeError where they were not given."""
        if self.places is None:
            raise CubeError("the points of this context have no places: give HonestWindows their easting and northing")
        return self.places

    def before(self, step: int, horizon: int) -> Context:
        """The same at an earlier origin, step ``step`` of the grid, asked for ``horizon`` dates."""
        dates = int(np.searchsorted(self.years, self.grid_years[step]))
        return replace(
            self,
            values=self.values[:, :dates],
            years=self.years[:dates],
            grid_values=self.grid_values[:, :step],
            grid_years=self.grid_years[:step],
            target_years=self.grid_years[step : step + horizon],
            fitted=None,
            memo={},
        )

    def part(self, start: int, stop: int) -> Context:
        """The same of points ``start`` to ``stop - 1``."""
        places = None if self.places is None else self.places[start:stop]
        return replace(
            self,
            values=self.values[start:stop],
            grid_values=self.grid_values[start:stop],
            places=places,
            fitted=None if self.fitted is None else self.fitted.part(start, stop),
            memo={},
        )


class HonestWindows:
    """A block's raw series, cut at origins.

    Parameters
    ----------
    values : (n, T) array of float32
        Displacement [mm] at all dates of the cube; missing is NaN.
    plan : Plan
        Gives the dates and the grids.
    places : (n, 2) array, optional
        Easting and northing [m] of the points.
    """

    def __init__(self, values: Float32, plan: Plan, places: Float64 | None = None) -> None:
        self.plan = plan
        self.places = places
        self.days = plan.real_days
        self.values = values if plan.all_real else values[:, plan.real_columns]
        self._grids: dict[int, Float32] = {}

    def context(self, origin: Origin, fitted: Context | None = None) -> Context:
        """What is known at an origin, beside what was known at the one before which parameters are fitted."""
        plan = self.plan
        before = int(np.searchsorted(self.days, plan.date(origin)))
        grid_days = plan.grid_days(origin.grid, origin.step + plan.horizon)
        years = plan.years(grid_days)
        return Context(
            values=self.values[:, :before],
            years=plan.years(self.days[:before]),
            grid_values=self.grid(origin.grid)[:, : origin.step],
            grid_years=years[: origin.step],
            target_years=years[origin.step :],
            fitted=fitted,
            places=self.places,
            first_day=plan.days[0],
        )

    def targets(self, origin: Origin) -> Float32:
        """Raw values (n, h) at the dates asked for; NaN where no acquisition was made."""
        grid = self.grid(origin.grid)
        return grid[:, origin.step : origin.step + self.plan.horizon]

    def grid(self, which: int) -> Float32:
        """Series on a grid (n, G): gathered, never interpolated."""
        if which not in self._grids:
            days = self.plan.grid_days(which)
            at = np.minimum(np.searchsorted(self.days, days), len(self.days) - 1)
            met = self.days[at] == days
            gathered = self.values[:, at]
            gathered[:, ~met] = np.nan
            self._grids[which] = gathered
        return self._grids[which]


class PublishedWindows(HonestWindows):
    """The same origins on series filled and smoothed as a whole, as often published: they LEAK the future.

    Gaps are filled on the line between past and future, then Savitzky-Golay (11, 2) runs over the whole series; the
    targets are smoothed values, also at dates without an acquisition.
    """

    def context(self, origin: Origin, fitted: Context | None = None) -> Context:
        """What the leaking protocol takes for known at an origin."""
        honest = super().context(origin, fitted)
        return replace(honest, values=honest.grid_values, years=honest.grid_years)

    def grid(self, which: int) -> Float32:
        """Series filled and smoothed over their whole length (n, G)."""
        if which not in self._grids:
            days = self.plan.grid_days(which).astype(np.float64)
            filled = insar_kernels.regularise(self.values, self.days.astype(np.float64), days)
            self._grids[which] = insar_kernels.savgol(filled, PUBLISHED_WINDOW, PUBLISHED_ORDER)
        return self._grids[which]
