"""The raster that points were pixels of: what is computed from them goes back cell for cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.readers.grid import PixelGrid
from insar_dask.report.gridding import MOST_CELLS

__all__ = ["OwnCells", "own_cells"]

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class OwnCells:
    """Cells of a source's raster, the first row in the north and the first column in the west, one point each at most.

    ``west`` and ``north`` are the outer edges in ``crs_wkt``, ``width`` and ``height`` a cell's sides; ``index`` has
    the flat cell of each point, (n,).
    """

    west: float
    north: float
    width: float
    height: float
    rows: int
    columns: int
    crs_wkt: str
    index: Whole

    def place(self, values: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """(rows, columns) float32: each point's value, NaN where there is no point."""
        cells = np.full(self.rows * self.columns, np.nan, np.float32)
        cells[self.index] = np.asarray(values)
        return cells.reshape(self.rows, self.columns)

    def count(self) -> npt.NDArray[np.float32]:
        """(rows, columns) float32: 1 where there is a point, else 0."""
        return np.nan_to_num(self.place(np.ones(self.index.size, np.float32)))


def own_cells(data: xr.Dataset) -> OwnCells | None:
    """The raster that points come from, whole; None where they come from none, or from one in radar geometry.

    Of a raster of more than `MOST_CELLS` it is the part that holds the points.

    Raises
    ------
    CubeError
        When two points are the same pixel, or the points lie too far apart.
    """
    if not {"row", "col", "grid"} <= set(data.variables):
        return None
    grid = PixelGrid.of(data)
    if not grid.on_map:
        return None
    row, column = (np.asarray(data[name].values, np.int64) for name in ("row", "col"))
    if grid.y_step > 0:  # a NetCDF often begins in the south
        row = grid.rows - 1 - row
    if grid.x_step < 0:
        column = grid.columns - 1 - column
    top, left, rows, columns = _window(grid, row, column)
    index = (row - top) * columns + (column - left)
    _check_once(index, data)
    width, height = abs(grid.x_step), abs(grid.y_step)
    west = min(grid.x_first, float(grid.x(grid.columns - 1))) - width / 2 + left * width
    north = max(grid.y_first, float(grid.y(grid.rows - 1))) + height / 2 - top * height
    return OwnCells(west, north, width, height, rows, columns, grid.crs_wkt, index)


def _window(grid: PixelGrid, row: Whole, column: Whole) -> tuple[int, int, int, int]:
    if grid.rows * grid.columns <= MOST_CELLS:
        return 0, 0, grid.rows, grid.columns
    top, left, rows, columns = int(row.min()), int(column.min()), int(np.ptp(row)) + 1, int(np.ptp(column)) + 1
    if rows * columns > MOST_CELLS:
        raise CubeError(
            f"the points span {columns:,} x {rows:,} pixels of their raster, more than {MOST_CELLS:,}: pass "
            "resolution= in metres, or select an area"
        )
    return top, left, rows, columns


def _check_once(index: Whole, data: Any) -> None:
    order = np.argsort(index, kind="stable")
    if (again := np.flatnonzero(np.diff(index[order]) == 0)).size:
        at = order[again[0] + 1]
        raise CubeError(
            f"two points are the pixel in row {int(data['row'][at])}, column {int(data['col'][at])}: "
            "select one cube's points only"
        )
