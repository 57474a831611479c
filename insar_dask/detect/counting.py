"""Tables of areas: how many, how large, how fast; and how they grew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.detect.areas import Areas
from insar_dask.detect.vintages import Match, match_areas
from insar_dask.readers.crs import crs_of
from insar_dask.settings import positive

__all__ = ["Change", "Growth", "Inventory", "growth", "inventory", "told"]

RATES = (0.0, 5.0, 10.0, 15.0, 20.0, 30.0, np.inf)
SIZES = (0.0, 1e4, 3e4, 1e5, 3e5, 1e6, np.inf)
SEASONS = (0.0, 5.0, 10.0, 15.0, 20.0, np.inf)


class Inventory(NamedTuple):
    """Statistics of areas, in the form of the published inventory (doi:10.3390/rs16111891)."""

    n_areas: int
    area_km2: float
    over_10: int
    """Areas with a mean rate beyond 10 mm/yr, either way."""
    over_20: int
    rates: list[tuple[float, float, int]]
    """From, to [mm/yr], number."""
    sizes: list[tuple[float, float, int]]
    """From, to [m2], number."""
    seasons: list[tuple[float, float, int]]
    """From, to [mm], number; empty where no season is known."""


class Change(NamedTuple):
    """One area before and after."""

    area_id: str
    before_m2: float
    after_m2: float
    error_m2: float
    """Of the difference, the outlines being known to half a cell."""
    rate_before: float
    rate_after: float

    @property
    def difference_m2(self) -> float:
        """After less before."""
        return self.after_m2 - self.before_m2

    @property
    def percent(self) -> float:
        """Growth in per cent of what it was."""
        return 100 * self.difference_m2 / self.before_m2

    @property
    def said(self) -> str:
        """Such as ``+49.3 %``, or that it is less than its error."""
        return f"{self.percent:+.1f} %" if abs(self.difference_m2) >= self.error_m2 else "not distinguishable"


class Growth(NamedTuple):
    """What became of areas from one vintage to the next."""

    changes: list[Change]
    count_before: int
    count_after: int
    before_km2: float
    after_km2: float
    error_km2: float
    new: int
    ended: int
    merged: int
    split: int

    @property
    def difference_km2(self) -> float:
        """After less before."""
        return self.after_km2 - self.before_km2

    @property
    def said(self) -> str:
        """In one line."""
        sure = abs(self.difference_km2) >= self.error_km2
        area = f"{self.difference_km2:+.2f} ± {self.error_km2:.2f} km²" if sure else "area: not distinguishable"
        return (
            f"{area}, {self.count_after - self.count_before:+d} areas ({self.new} new, {self.ended} ended, "
            f"{self.merged} merged, {self.split} split off)"
        )


def inventory(areas: Areas) -> Inventory:
    """Count areas, their size, rates and seasons.

    Parameters
    ----------
    areas : Areas
        With ``velocity_mean``, as `insar_dask.detect.finding.find_areas` or `judge_areas` give them.

    Raises
    ------
    CubeError
        When their rates are not known, or they lie in degrees.
    """
    if "velocity_mean" not in areas.columns:
        raise CubeError("the areas have no rates: use judge_areas(outlines, maps)")
    rate, size = np.abs(areas["velocity_mean"].astype(np.float64)), _sizes(areas)
    season = areas["seasonality_mm"].astype(np.float64) if "seasonality_mm" in areas.columns else np.empty(0)
    return Inventory(
        len(areas),
        float(size.sum() / 1e6),
        int((rate > 10).sum()),
        int((rate > 20).sum()),
        _histogram(rate, RATES),
        _histogram(size, SIZES),
        _histogram(season, SEASONS) if season.size else [],
    )


def told(areas: Areas) -> str:
    """How many areas there are, how large and how fast, in a line."""
    if not len(areas):
        return "no area moves by more than the rule asks for"
    counted = inventory(areas)
    return (
        f"{counted.n_areas} areas, {counted.area_km2:.3f} km2; {counted.over_10} move by more than 10 mm/yr, "
        f"{counted.over_20} by more than 20"
    )


def growth(old: Areas, new: Areas, *, outline_error: float | None = None, match: Match | None = None) -> Growth:
    """What became of areas, one by one and together, with its error.

    Parameters
    ----------
    old, new : Areas
        Two vintages, or two sets of outlines that somebody drew.
    outline_error : float, optional
        How far off an outline may lie [m]; default: half a cell of the grid that the areas were found on. The error of
        an area is its perimeter times that; those of two outlines, and of all areas, are taken as independent.
    match : Match, optional
        What `match_areas` found.

    Raises
    ------
    CubeError
        When the error is not known, or outlines lie in degrees; what `match_areas` raises.
    """
    match = match or match_areas(old, new)
    errors = [_errors(areas, outline_error) for areas in (old, new)]
    sizes, rates = [_sizes(areas) for areas in (old, new)], [_rates(areas) for areas in (old, new)]
    names = old.columns.get("area_id", np.arange(len(old)))
    changes = [
        Change(
            str(names[a]), float(sizes[0][a]), float(sizes[1][b]), float(np.hypot(errors[0][a], errors[1][b])),
            float(rates[0][a]), float(rates[1][b]),
        )
        for a, b in match.pairs
    ]  # fmt: skip
    error = float(np.sqrt((errors[0] ** 2).sum() + (errors[1] ** 2).sum()))
    before, after = (float(size.sum()) / 1e6 for size in sizes)
    counts = len(match.new), len(match.ended), len(match.merged), len(match.split)
    return Growth(changes, len(old), len(new), before, after, error / 1e6, *counts)


def _errors(areas: Areas, outline_error: float | None) -> npt.NDArray[np.float64]:
    if outline_error is None:
        if "cell" not in areas.attrs:
            raise CubeError("how far off these outlines may lie is not known: give outline_error= in metres")
        outline_error = float(areas.attrs["cell"]) / 2
    positive("outline_error", outline_error, zero=True, of="metres")
    return np.array([outline.length for outline in areas.geometry], np.float64) * outline_error


def _sizes(areas: Areas) -> npt.NDArray[np.float64]:
    crs = crs_of(areas.crs_wkt, "crs_wkt")
    if not all(axis.unit_name == "metre" for axis in crs.axis_info[:2]):
        raise CubeError(
            f"the outlines lie in {crs.name}, which counts in {crs.axis_info[0].unit_name}s, and areas take metres: "
            "read them with read_areas(path, crs=...), such as crs=3035"
        )
    return np.array([outline.area for outline in areas.geometry], np.float64)


def _rates(areas: Areas) -> npt.NDArray[np.float64]:
    """Of the vintage's own window where they are known, else of the whole record."""
    unknown = np.full(len(areas), np.nan)
    return np.asarray(areas.columns.get("rate", areas.columns.get("velocity_mean", unknown)), np.float64)


def _histogram(values: npt.NDArray[np.float64], edges: Sequence[float]) -> list[tuple[float, float, int]]:
    counts, _ = np.histogram(values[np.isfinite(values)], edges)
    return [(float(a), float(b), int(n)) for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)]
