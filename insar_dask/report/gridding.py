"""Points to square cells: the one aggregation behind the maps and the rasters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.spacing import grid_step

__all__ = ["Grid", "display_grid", "fit_grid", "round_length"]

Float64 = npt.NDArray[np.float64]

MOST_CELLS = 50_000_000
"""A mean takes 28 bytes a cell: 1.4 GB at most. At 100 m it is a square of 700 km, at 10 m one of 70 km."""


@dataclass(frozen=True, eq=False)
class Grid:
    """North-up square cells, edges on multiples of ``offset + k * cell``, and the cell of each point."""

    west: float
    north: float
    cell: float
    rows: int
    columns: int
    index: npt.NDArray[np.int64]
    """(n,) flat cell of each point, row-major from the north-west."""

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """West, east, south, north [m]."""
        return (self.west, self.west + self.columns * self.cell, self.north - self.rows * self.cell, self.north)

    def count(self, values: npt.ArrayLike | None = None) -> npt.NDArray[np.int32]:
        """(rows, columns) number of points, or of points whose value is finite."""
        index = self.index if values is None else self.index[np.isfinite(np.asarray(values))]
        return np.bincount(index, minlength=self.rows * self.columns).reshape(self.rows, self.columns).astype(np.int32)

    def mean(self, values: npt.ArrayLike) -> Float64:
        """(rows, columns) mean of the finite values of each cell, NaN where there are none."""
        array = np.asarray(values, dtype=np.float64)
        good = np.isfinite(array)
        sums = np.bincount(self.index[good], weights=array[good], minlength=self.rows * self.columns)
        counts = np.bincount(self.index[good], minlength=self.rows * self.columns)
        means = np.full(sums.shape, np.nan)
        np.divide(sums, counts, out=means, where=counts > 0)
        return means.reshape(self.rows, self.columns)

    def most_frequent(self, labels: npt.ArrayLike, n_labels: int) -> npt.NDArray[np.int64]:
        """(rows, columns) label from 0 to ``n_labels`` - 1 that most points of a cell have; -1 where none has one.

        The lowest of several wins; negative labels do not count.
        """
        array = np.asarray(labels).astype(np.int64)
        mine = array >= 0
        size = self.rows * self.columns
        best, most = np.zeros(size, np.int64), np.full(size, -1, np.int64)
        for label in range(n_labels):  # one count of cells at a time: a table of all labels would be n times as large
            counts = np.bincount(self.index[mine & (array == label)], minlength=size)
            most[counts > best] = label
            np.maximum(best, counts, out=best)
        return most.reshape(self.rows, self.columns)


def round_length(length: float) -> float:
    """Largest of 1, 2, 5 x 10^k that is at most ``length``.

    >>> [round_length(x) for x in (1.0, 19.9, 730.0)]
    [1.0, 10.0, 500.0]
    """
    power = 10.0 ** math.floor(math.log10(length) + 1e-12)
    return max(step for step in (1, 2, 5) if step * power <= length * (1 + 1e-12)) * power


def fit_grid(easting: Float64, northing: Float64, cell: float, *, centred: bool = False) -> Grid:
    """Grid of ``cell`` metres that holds all points.

    Parameters
    ----------
    easting, northing : (n,) float64 [m]
    cell : float
        Side of a cell [m].
    centred : bool
        Put the points in the middle of their cells (a regular product); else edges are multiples of ``cell``, so that
        rasters of neighbouring scenes line up.

    Raises
    ------
    CubeError
        If there would be more than `MOST_CELLS` cells: of points far apart, nearly all of them empty.
    """
    shift_x, shift_y = (easting.min() - cell / 2, northing.min() - cell / 2) if centred else (0.0, 0.0)
    column = np.floor((easting - shift_x) / cell + 1e-9).astype(np.int64)
    row = np.floor((northing - shift_y) / cell + 1e-9).astype(np.int64)
    columns, rows = int(np.ptp(column)) + 1, int(np.ptp(row)) + 1
    if rows * columns > MOST_CELLS:
        fitting = round_length(2.5 * cell * math.sqrt(rows * columns / MOST_CELLS))
        raise CubeError(
            f"cells of {cell:g} m make a raster of {columns:,} x {rows:,} = {rows * columns:,} cells, more than "
            f"{MOST_CELLS:,}: take resolution={fitting:g} or more, or select an area"
        )
    index = (row.max() - row) * columns + (column - column.min())
    west, north = shift_x + column.min() * cell, shift_y + (row.max() + 1) * cell
    return Grid(float(west), float(north), float(cell), rows, columns, index)


def display_grid(
    easting: Float64, northing: Float64, shown: npt.NDArray[np.bool_] | None = None, *, pixels: int = 460
) -> Grid:
    """Grid to look at: the product's own cells, or cells that suit the number of points, or of those that are shown.

    Scattered points get about twice the square root of their number of cells on the longer side, so that a few show as
    squares, not as dust, and never more than ``pixels`` or so, which a screen would only thin again.
    """
    native = grid_step(np.stack([easting, northing], axis=1))
    span = max(float(np.ptp(easting)), float(np.ptp(northing)), 1.0)
    if native is not None and span / native <= pixels:
        return fit_grid(easting, northing, native, centred=True)
    n_points = easting.size if shown is None else int(shown.sum())
    wanted = min(max(2 * math.sqrt(n_points), 100.0), pixels)
    return fit_grid(easting, northing, max(_nearest_round(span / wanted), 1.0))


def _nearest_round(length: float) -> float:
    below = round_length(length)
    above = round_length(below * 2.5)
    return below if length**2 <= below * above else above
