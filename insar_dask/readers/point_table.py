"""A product file in memory: values as stored, and the order in which its points leave.

Values stay in file order and in the dtype of the store; only one block of points at a time is gathered into Hilbert
order and decoded to float32. So the float32 cube, twice the size of the int16 one, never exists whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import LONG_NAMES_AND_UNITS, describe
from insar_dask.outline import Outline, Part, coded
from insar_dask.readers.egms_attributes import describe_column
from insar_dask.tenths import decode_tenths

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Gathering", "PointTable"]

POINTS_PER_CHUNK = 65_536


@dataclass(frozen=True)
class Gathering:
    """Some rows of ``values``, (rows, time), gathered only when they are sliced."""

    values: npt.NDArray[Any]
    rows: npt.NDArray[np.integer[Any]]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dates."""
        return self.rows.size, self.values.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        return self.values.dtype

    def __getitem__(self, where: tuple[slice, ...]) -> npt.NDArray[Any]:
        """Values of a range of rows and of dates."""
        return np.take(self.values, self.rows[where[0]], axis=0)[:, where[1]]

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(np.take(self.values, self.rows, axis=0), dtype)


@dataclass(frozen=True)
class PointTable:
    """Points of one product file.

    Parameters
    ----------
    values : ndarray, (rows, time), int16 or float32
        Displacement in file order: tenths of a millimetre with ``NODATA`` for missing, or millimetres with NaN.
    order : ndarray of integers, (point,)
        Row of each point, in Hilbert order. Rows that no point refers to were rejected or not asked for.
    columns : dict of ndarray, (rows,)
        The other columns in file order, ``point_id`` as bytes.
    times : ndarray of datetime64[ns], (time,)
        Dates of the values.
    attrs : dict
        Attributes of the cube.
    crs_wkt : str
        CRS of easting and northing.
    encoding : dict
        How a store must write ``displacement`` so that nothing is lost.
    n_rejected : int
        Rows of the file that were not understood.
    """

    values: npt.NDArray[Any]
    order: npt.NDArray[np.integer[Any]]
    columns: dict[str, npt.NDArray[Any]]
    times: npt.NDArray[np.datetime64]
    attrs: dict[str, Any]
    crs_wkt: str
    encoding: dict[str, Any]
    n_rejected: int

    @property
    def n_points(self) -> int:
        """Number of points."""
        return int(self.order.size)

    def stored(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Values of points ``start:stop`` as a store keeps them, (point, time) int16 or float32."""
        return np.take(self.values, self.order[start:stop], axis=0)

    def shard(self, start: int, stop: int) -> dict[str, Any]:
        """What a store writes of points ``start:stop``: the columns by name, and ``displacement`` still to gather."""
        rows = self.order[start:stop]
        columns = {name: column[rows] for name, column in self.columns.items()}
        return {**columns, "displacement": Gathering(self.values, rows)}

    def displacement(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Displacement of points ``start:stop`` in mm, (point, time), NaN where missing."""
        values = self.stored(start, stop)
        return decode_tenths(values) if values.dtype == np.int16 else values

    def coordinates(self, start: int, stop: int) -> dict[str, npt.NDArray[Any]]:
        """Columns of points ``start:stop``, each (point,); ``point_id`` as text."""
        rows = self.order[start:stop]
        found = {name: column[rows] for name, column in self.columns.items()}
        return {name: c.astype(str) if c.dtype.kind == "S" else c for name, c in found.items()}

    def block(self, start: int, stop: int) -> xr.Dataset:
        """Points ``start:stop`` of the cube, held by NumPy."""
        return self._assemble(self.displacement(start, stop), start, stop)

    def cube(self) -> xr.Dataset:
        """All points; displacement is decoded block by block when computed."""
        return self._assemble(self._lazy(), 0, self.n_points)

    def _lazy(self) -> Any:
        import dask.array as da
        from dask.delayed import delayed

        n, n_times = self.n_points, self.times.size
        table = delayed(replace(self, columns={}), pure=False)  # so that these can go when the table does
        blocks = [
            da.from_delayed(
                delayed(PointTable.displacement)(table, start, min(start + POINTS_PER_CHUNK, n)),
                shape=(min(start + POINTS_PER_CHUNK, n) - start, n_times),
                dtype=np.float32,
            )
            for start in range(0, n, POINTS_PER_CHUNK)
        ]
        return da.concatenate(blocks, axis=0)

    def outline(self) -> Outline:
        """The cube without its points: what a store is laid out after."""
        data, coords = self._parts(np.empty((0, self.times.size), np.float32), 0, 0)
        parts = {name: part if "point" in part.dims else coded(part) for name, part in {**data, **coords}.items()}
        return Outline(parts, self.attrs, frozenset(coords))

    def _assemble(self, displacement: Any, start: int, stop: int) -> xr.Dataset:
        import xarray as xr

        def variables(parts: dict[str, Part]) -> dict[str, Any]:
            # unchecked: to ask whether these are Dask's, Xarray would import it: 0.25 s, 20 MB
            return {
                name: xr.Variable(part.dims, part.values, part.attrs, part.encoding, fastpath=True)
                for name, part in parts.items()
            }

        data, coords = self._parts(displacement, start, stop)
        return xr.Dataset(variables(data), coords=variables(coords), attrs=dict(self.attrs))

    def _parts(self, displacement: Any, start: int, stop: int) -> tuple[dict[str, Part], dict[str, Part]]:
        """Data variables of points ``start:stop`` of the cube, and its coordinates."""
        coords = {
            name: Part(("point",), column, describe(name) if name in LONG_NAMES_AND_UNITS else describe_column(name))
            for name, column in self.coordinates(start, stop).items()
        }
        coords["time"] = Part(("time",), self.times, {})
        coords["crs"] = Part((), np.array(0, np.int32), {"crs_wkt": self.crs_wkt, "epsg": 3035})
        attrs = {**describe("displacement"), "grid_mapping": "crs"}
        data = {
            "displacement": Part(("point", "time"), displacement, attrs, self.encoding),
            "observed": Part(("time",), np.ones(self.times.size, bool), describe("observed")),
        }
        return data, coords
