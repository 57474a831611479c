"""Values of points to means of cells, block by block: one sparse product, and others where points are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.sparse import csr_array

from insar_dask.tiling.squares import Square
from insar_dask.tiling.surface import Mixture, Surface
from insar_kernels.barycentric import add_weighted, mark_cells

__all__ = ["Mixer"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
Blocks = Callable[[], Iterator[tuple[slice, Float32]]]

GATHERED_BYTES = 1 << 27
"""Values held at once while dates with missing values are mapped."""

BLOCK_POINTS = 65_536


class Mixer:
    """Maps values of points, whose triangles are found once, onto the cells of a square.

    Points at one place, of which a real burst has 46 among 11,590, count there as the mean of those that have a value.

    Parameters
    ----------
    points : (n, 2) float64 [m]
    square : Square
    """

    def __init__(self, points: Float64, square: Square) -> None:
        places, self._place_of = _distinct(points)
        self._surface = Surface(places, square.centres())
        self._cells, self._groups = square.cell_of(*points.T), square.groups()
        self._n_cells = square.cells**2
        self._matrix = self._means(self._surface.mixture, np.ones(len(points), bool))

    def series(self, displacement: xr.DataArray, scheduler: str | None = None) -> tuple[Float64, Bool]:
        """Means (cells, T) of values over (point, time), and where cells have any; lazy ones are read by their chunks.

        They are read once, and again where values are missing that count: as often as those dates take blocks of
        `GATHERED_BYTES`.
        """
        blocks = partial(_blocks, displacement, scheduler)
        sums = np.zeros((self._n_cells, displacement.sizes["time"]))
        mask = np.zeros(sums.shape, bool)
        for where, values in blocks():
            _add(sums, self._matrix[:, where], values)
            mark_cells(mask, self._cells[where], values)
        gappy = np.flatnonzero(np.isnan(sums).any(axis=0))
        at_once = max(GATHERED_BYTES // (4 * len(self._cells)), 1)
        for first in range(0, gappy.size, at_once):
            dates = gappy[first : first + at_once]
            gathered = np.empty((len(self._cells), dates.size), np.float32)
            for where, values in blocks():
                gathered[where] = values[:, dates]
            sums[:, dates] = self._with_gaps(gathered)
        return sums, mask

    def once(self, values: Float32) -> Float64:
        """Means (cells,) of one value a point."""
        sums, column = np.zeros((self._n_cells, 1)), np.ascontiguousarray(values, np.float32)[:, None]
        _add(sums, self._matrix, column)
        return (self._with_gaps(column) if np.isnan(sums).any() else sums)[:, 0]

    def _with_gaps(self, values: Float32) -> Float64:
        """Means of dates at which points are missing: dates that lack the same points share their triangles."""
        missing = np.isnan(values)
        patterns: dict[bytes, list[int]] = {}
        for date in range(values.shape[1]):
            patterns.setdefault(np.packbits(missing[:, date]).tobytes(), []).append(date)
        means = np.full((self._n_cells, values.shape[1]), np.nan)
        for dates in patterns.values():
            there = ~missing[:, dates[0]]
            if there.any():
                empty = np.bincount(self._place_of, there) == 0
                part = np.zeros((self._n_cells, len(dates)))
                matrix = self._means(self._surface.without(empty), there)
                _add(part, matrix, np.ascontiguousarray(values[:, dates]))
                means[:, dates] = part
        return means

    def _means(self, mixture: Mixture, there: Bool) -> csr_array:
        """Shares of the points that are there in each cell, (cells, n); those at one place have equal ones."""
        counts = np.bincount(self._place_of, there)
        matrix = mixture.means(self._groups, counts.size)
        if counts.size < there.size:
            points = np.flatnonzero(there)
            places = self._place_of[points]
            matrix = matrix @ csr_array((1 / counts[places], (places, points)), (counts.size, there.size))
            matrix.sort_indices()
        return matrix


def _distinct(points: Float64) -> tuple[Float64, npt.NDArray[np.int64]]:
    """Places, each once, and the place of each point; as they come where no two are the same."""
    order = np.lexsort(points.T)
    first = np.ones(len(points), bool)
    first[1:] = (points[order[1:]] != points[order[:-1]]).any(axis=1)
    if first.all():
        return points, np.arange(len(points))
    place_of = np.empty(len(points), np.int64)
    place_of[order] = np.cumsum(first) - 1
    return points[order[first]], place_of


def _add(sums: Float64, matrix: csr_array, values: Float32) -> None:
    add_weighted(sums, matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data, values)


def _blocks(displacement: xr.DataArray, scheduler: str | None) -> Iterator[tuple[slice, Float32]]:
    """The values, some points at a time; a lazy array by its own chunks."""
    n_points = displacement.sizes["point"]
    chunks = displacement.chunksizes.get("point") or (BLOCK_POINTS,) * -(-n_points // BLOCK_POINTS)
    start = 0
    for chunk in chunks:
        where = slice(start, min(start + chunk, n_points))
        yield where, np.ascontiguousarray(displacement.variable[where].compute(scheduler=scheduler).values)
        start = where.stop
