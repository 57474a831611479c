"""The evidence card of each area: how large, how fast, how sure, which rules voted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.detect.areas import Areas, MapGrid, shapely_of
from insar_dask.detect.labelling import Cells
from insar_dask.detect.rules import Background, Rule, evidence_of
from insar_dask.detect.windows import HALO

__all__ = ["CORRELATION_AREA", "LIMITS", "cards_of", "median_of", "nearest_of"]

Float64 = npt.NDArray[np.float64]

LIMITS = (10, 15, 20)
"""Velocities [mm/yr] by which slumps are counted (doi:10.3390/rs16111891)."""

CORRELATION_AREA = 400.0**2
"""Errors of neighbours hang together over some 400 m [m2]: an area has so many independent ones as fit into it."""

FEWEST_HEIGHTS = 6
"""Cells with a height that a plane takes."""

LEVEL = 1e-6
"""Rise of a metre in a thousand kilometres: such ground falls no way."""

MEDIANS = {
    "seasonality": "seasonality_mm",
    "acceleration": "acceleration_mm_per_yr2",
    "coherence": "coherence",
    "rmse": "rmse_mm",
    "height": "height_m",
}


def cards_of(
    areas: Areas,
    maps: xr.Dataset,
    cells: Sequence[Cells],
    rule: Rule,
    background: Background | None = None,
    scene: MapGrid | None = None,
) -> Areas:
    """Areas with what the maps tell of their cells.

    Parameters
    ----------
    areas : Areas
    maps : xr.Dataset
        As of `insar_dask.detect.finding.find_areas`.
    cells : sequence of Cells
        Those of each area.
    rule : Rule
        Whose votes are told.
    background : Background, optional
        Without one no votes are told, as of outlines that somebody gave.
    scene : MapGrid, optional
        Cells of the whole scene, of which the maps are a window that goes `HALO` cells beyond the areas; the areas'
        cells are numbered so.

    Returns
    -------
    Areas
        With the columns ``area_m2``, ``perimeter_m``, ``easting_m``, ``northing_m`` (of the cell that lies most in the
        middle), ``row``, ``col`` (its), ``n_cells``, ``n_valid``, ``n_points``, ``density_per_km2``;
        ``velocity_mean``, ``_median``, ``_extreme`` and ``_std`` (of the mean: errors of neighbours hang together over
        400 m) [mm/yr]; ``share_over_10``, ``_15``, ``_20``; medians of what else the maps have: ``seasonality_mm``,
        ``phase_day``, ``acceleration_mm_per_yr2``, ``coherence``, ``rmse_mm``, ``height_m``; of a plane through the
        heights ``slope_deg`` and ``aspect_deg``, from north to east the way down; ``nearest_m``, the distance to the
        nearest other area; and ``votes``, each rule with the share of the cells that it has. What was not measured is
        NaN, and "".
    """
    window = MapGrid.of(maps)
    scene = scene or window
    top, left = scene.offset(window)
    local = [Cells(mine.row - top, mine.column - left) for mine in cells]
    of = zip(areas.geometry, cells, local, strict=True)
    rows = [_card(outline, maps, scene, mine, here) for outline, mine, here in of]
    names = list(rows[0]) if rows else list(_empty(maps, window))
    columns = {name: np.array([row[name] for row in rows]) for name in names}
    columns["nearest_m"] = nearest_of(areas.geometry)
    if background is not None:
        columns["votes"] = np.array([_votes(maps, mine, rule, background) for mine in local], dtype=object)
    return areas.with_columns(columns)


def _card(outline: Any, maps: xr.Dataset, grid: MapGrid, cells: Cells, local: Cells) -> dict[str, Any]:
    def of(name: str) -> Float64:
        return np.asarray(maps[name].values[local.row, local.column], np.float64)

    velocity = of("velocity")
    known = np.isfinite(velocity)
    n_points = int(of("n_points").sum()) if "n_points" in maps else int(known.sum())
    area, middle = float(outline.area), _middle(cells)
    card: dict[str, Any] = {
        "area_m2": area,
        "perimeter_m": float(outline.length),
        "easting_m": grid.west + (cells.column[middle] + 0.5) * grid.cell,
        "northing_m": grid.north - (cells.row[middle] + 0.5) * grid.cell,
        "row": int(cells.row[middle]),
        "col": int(cells.column[middle]),
        "n_cells": len(cells.row),
        "n_valid": int(known.sum()),
        "n_points": n_points,
        "density_per_km2": n_points / area * 1e6,
        **_velocity(velocity[known], of("velocity_std")[known] if "velocity_std" in maps else None, area),
    }
    for name, column in MEDIANS.items():
        if name in maps:
            card[column] = median_of(of(name))
    if "phase" in maps:
        card["phase_day"] = _mean_day(of("phase"))
    if "height" in maps:
        card |= _terrain(of("height"), cells, grid.cell)
    return card


def _terrain(height: Float64, cells: Cells, cell: float) -> dict[str, float]:
    """Steepness, and the way that a plane through the heights falls, from north to east [degree]."""
    known = np.isfinite(height)
    if known.sum() < FEWEST_HEIGHTS:
        return {"slope_deg": np.nan, "aspect_deg": np.nan}
    east, north = cells.column[known] * cell, -cells.row[known] * cell
    design = np.stack([np.ones(len(east)), east - east.mean(), north - north.mean()], axis=1)
    _, to_east, to_north = np.linalg.lstsq(design, height[known], rcond=None)[0]
    rise = float(np.hypot(to_east, to_north))
    return {
        "slope_deg": float(np.degrees(np.arctan(rise))),
        "aspect_deg": float(np.degrees(np.arctan2(-to_east, -to_north)) % 360) if rise > LEVEL else np.nan,
    }


def _velocity(velocity: Float64, std: Float64 | None, area: float) -> dict[str, Any]:
    extreme = velocity[np.argmax(np.abs(velocity))] if velocity.size else np.nan
    card = {
        "velocity_mean": float(velocity.mean()) if velocity.size else np.nan,
        "velocity_median": median_of(velocity),
        "velocity_extreme": float(extreme),
    }
    if std is not None:
        independent, known = min(max(area / CORRELATION_AREA, 1.0), max(velocity.size, 1)), std[np.isfinite(std)]
        card["velocity_std"] = float(np.sqrt(np.mean(known**2) / independent)) if known.size else np.nan
    return card | {
        f"share_over_{limit}": float((np.abs(velocity) > limit).mean()) if velocity.size else np.nan for limit in LIMITS
    }


def _empty(maps: xr.Dataset, grid: MapGrid) -> dict[str, Any]:
    """Names of the columns, of any one cell."""
    one = Cells(np.zeros(1, np.int64), np.zeros(1, np.int64))
    return _card(grid.outline(one), maps, grid, one, one)


def _middle(cells: Cells) -> int:
    """The cell nearest to the mean of all; the first of several."""
    row, column = cells.row.astype(float), cells.column.astype(float)
    return int(np.argmin((row - row.mean()) ** 2 + (column - column.mean()) ** 2))


def median_of(values: npt.NDArray[np.floating]) -> float:
    """Median of the valid values, NaN where there are none."""
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else float("nan")


def _mean_day(days: Float64) -> float:
    angle = 2 * np.pi * days[np.isfinite(days)] / 365
    if not angle.size:
        return float("nan")
    return float((np.arctan2(np.sin(angle).mean(), np.cos(angle).mean()) / (2 * np.pi) * 365 - 1) % 365 + 1)


def nearest_of(outlines: Sequence[Any]) -> Float64:
    """Distance of each outline to the nearest other [m]; NaN where there is no other."""
    if len(outlines) < 2:
        return np.full(len(outlines), np.nan)
    tree = shapely_of().STRtree(outlines)
    found, distance = tree.query_nearest(outlines, exclusive=True, all_matches=False, return_distance=True)
    nearest = np.full(len(outlines), np.nan)
    nearest[found[0]] = distance
    return nearest


def _votes(maps: xr.Dataset, cells: Cells, rule: Rule, background: Background) -> str:
    """Such as ``moving 1.00, seasonal 0.93``, of a window about the cells alone; nothing where none was measured."""
    if not np.isfinite(maps["velocity"].values[cells.row, cells.column]).any():
        return ""
    top, left = max(int(cells.row.min()) - HALO, 0), max(int(cells.column.min()) - HALO, 0)
    window = maps.isel(y=slice(top, int(cells.row.max()) + HALO + 1), x=slice(left, int(cells.column.max()) + HALO + 1))
    votes = evidence_of(window, rule, background).votes
    at = cells.row - top, cells.column - left
    return ", ".join(f"{name} {vote[at].mean():.2f}" for name, vote in votes.items())
