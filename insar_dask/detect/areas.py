"""Areas that were found, or given: outlines with a row of evidence each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.detect.labelling import Cells

__all__ = ["OURS", "Areas", "MapGrid", "recipe_hash", "shapely_of"]


def shapely_of() -> Any:
    """Shapely, or an ImportError that says how to have it."""
    try:
        import shapely
    except ImportError as error:
        raise ImportError("outlines of areas need shapely: pip install insar-dask[geo]") from error
    return shapely


@dataclass(frozen=True)
class MapGrid:
    """Square cells of maps: north-west corner, side [m], CRS."""

    west: float
    north: float
    cell: float
    rows: int
    columns: int
    crs_wkt: str

    @classmethod
    def of(cls, maps: xr.Dataset) -> MapGrid:
        """That of maps over (y, x) with the centres of cells as coordinates, rows from north to south.

        Raises
        ------
        CubeError
            When the maps are none, or have no CRS.
        """
        if not {"y", "x"} <= set(maps.coords) or "crs" not in maps.variables:
            raise CubeError("wanted maps over (y, x) with their coordinates and crs: make them with area_maps(motion)")
        x, y = maps["x"].values, maps["y"].values
        cell = float(maps.attrs.get("cell") or (x[1] - x[0] if len(x) > 1 else 0))
        even = np.allclose(np.diff(x), cell, rtol=1e-6) and np.allclose(np.diff(y), -cell, rtol=1e-6)
        if not (cell > 0 and even):
            raise CubeError(
                "the cells of the maps are no squares in rows from north to south: make them with area_maps(motion)"
            )
        wkt = str(maps["crs"].attrs.get("crs_wkt", ""))
        return cls(float(x[0]) - cell / 2, float(y[0]) + cell / 2, cell, len(y), len(x), wkt)

    def window(self, rows: slice, columns: slice) -> MapGrid:
        """Some of its cells."""
        n_rows, n_columns = rows.stop - rows.start, columns.stop - columns.start
        west, north = self.west + columns.start * self.cell, self.north - rows.start * self.cell
        return MapGrid(west, north, self.cell, n_rows, n_columns, self.crs_wkt)

    def offset(self, window: MapGrid) -> tuple[int, int]:
        """Row and column of a window's first cell."""
        return round((self.north - window.north) / self.cell), round((window.west - self.west) / self.cell)

    def outline(self, cells: Cells) -> Any:
        """The cells' own outline: a polygon, or several where cells meet at a corner only."""
        shapely = shapely_of()
        west, north = self.west + cells.column * self.cell, self.north - cells.row * self.cell
        boxes = shapely.box(west, north - self.cell, west + self.cell, north)
        return shapely.normalize(shapely.make_valid(shapely.union_all(boxes)))

    def inside(self, outline: Any) -> Cells:
        """Cells whose centres lie in an outline."""
        shapely = shapely_of()
        west, south, east, north = outline.bounds
        columns = np.arange(*self._between(west - self.west, east - self.west, self.columns))
        rows = np.arange(*self._between(self.north - north, self.north - south, self.rows))
        row, column = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
        x, y = self.west + (column + 0.5) * self.cell, self.north - (row + 0.5) * self.cell
        within = shapely.intersects_xy(outline, x, y)
        return Cells(row[within], column[within])

    def numbers(self, easting: npt.ArrayLike, northing: npt.ArrayLike) -> tuple[Any, Any]:
        """Row and column of places, which may lie outside; one on an edge lies to the north and east of it."""
        row = np.ceil((self.north - np.asarray(northing)) / self.cell).astype(np.int64) - 1
        return row, np.floor((np.asarray(easting) - self.west) / self.cell).astype(np.int64)

    def _between(self, low: float, high: float, n: int) -> tuple[int, int]:
        return max(int(np.floor(low / self.cell)), 0), min(int(np.ceil(high / self.cell)) + 1, n)


@dataclass(frozen=True)
class Areas:
    """Outlines and one row of evidence each.

    Parameters
    ----------
    geometry : sequence of shapely geometry
        Polygons in the CRS of ``crs_wkt``.
    columns : mapping
        Name -> (n,) array; the unit is in the name, as ``area_m2``.
    crs_wkt : str
    attrs : mapping
        What all share: source, rule, grid, reference, hash of the recipe.
    """

    geometry: Sequence[Any]
    columns: Mapping[str, npt.NDArray[Any]]
    crs_wkt: str
    attrs: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.geometry)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """A column."""
        return self.columns[name]

    def with_columns(self, columns: Mapping[str, npt.NDArray[Any]], **attrs: Any) -> Areas:
        """The same with more columns, or others."""
        return Areas(self.geometry, {**self.columns, **columns}, self.crs_wkt, {**self.attrs, **attrs})

    def part(self, which: npt.ArrayLike) -> Areas:
        """Some of them, by number or truth."""
        asked = np.asarray(which)
        chosen = np.arange(len(self))[asked] if asked.size else np.empty(0, np.int64)
        columns = {name: values[chosen] for name, values in self.columns.items()}
        return Areas([self.geometry[k] for k in chosen], columns, self.crs_wkt, self.attrs)


OURS = frozenset((
    "area_m2", "perimeter_m", "easting_m", "northing_m", "row", "col", "n_cells", "n_valid", "n_points",
    "density_per_km2", "velocity_mean", "velocity_median", "velocity_extreme", "velocity_std", "share_over_10",
    "share_over_15", "share_over_20", "seasonality_mm", "phase_day", "acceleration_mm_per_yr2", "coherence",
    "rmse_mm", "height_m", "slope_deg", "aspect_deg", "nearest_m", "votes", "cumulative_mm", "onset",
    "onset_first", "onset_last", "onset_p", "temporal", "spatial", "quality", "rate", "rate_std", "forecast_mm",
    "forecast_lower_mm", "forecast_upper_mm", "exceedance", "east_rate", "up_rate", "slope_rate", "first_seen",
    "event", "parents",
))  # fmt: skip
"""Columns that cards may have: one of such a name in somebody's own file is another thing."""


def recipe_hash(what: Mapping[str, Any]) -> str:
    """Ten characters that stand for a recipe.

    >>> recipe_hash({"rule": "paper"}) == recipe_hash({"rule": "paper"})
    True
    """
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:10]
