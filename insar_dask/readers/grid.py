"""Pixels of a raster: where they lie, and the way back from points to rows and columns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError

__all__ = ["PixelGrid", "grid_variable", "same_grid", "to_grid"]

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

SAME_PLACE = 1e-3  # of a pixel

BLOCK_BYTES = 1 << 25
"""Bytes of the blocks of rows that a lazy cube is scattered in."""


@dataclass(frozen=True)
class PixelGrid:
    """Rows and columns, and where they lie.

    ``x_first`` and ``y_first`` are the centre of the first pixel, ``x_step`` and ``y_step`` the way to the next column
    and row, all in ``crs_wkt``. In radar geometry the steps are not finite and there is no CRS: only a look-up table
    says where a pixel lies.
    """

    rows: int
    columns: int
    x_first: float = math.nan
    x_step: float = math.nan
    y_first: float = math.nan
    y_step: float = math.nan
    crs_wkt: str = ""

    @property
    def on_map(self) -> bool:
        """Whether rows and columns are places on a map; false in radar geometry."""
        return bool(self.crs_wkt)

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the raster, (x, y)."""
        return (
            self.x_first + self.x_step * (self.columns - 1) / 2,
            self.y_first + self.y_step * (self.rows - 1) / 2,
        )

    def x(self, column: npt.ArrayLike) -> Floats:
        """Centre of columns."""
        return np.asarray(self.x_first + self.x_step * np.asarray(column, np.float64))

    def y(self, row: npt.ArrayLike) -> Floats:
        """Centre of rows."""
        return np.asarray(self.y_first + self.y_step * np.asarray(row, np.float64))

    def attributes(self) -> dict[str, Any]:
        """As attributes of the scalar coordinate ``grid`` of a cube; `of` reads them back."""
        return {k: v for k, v in asdict(self).items() if v == v and v != ""}

    @classmethod
    def of(cls, cube: xr.Dataset) -> PixelGrid:
        """The grid that a cube's points are pixels of; raises CubeError when they are not."""
        if "grid" not in cube.variables or not {"row", "col"} <= set(cube.variables):
            raise CubeError("the points are no pixels of a grid ('row', 'col' and 'grid' are missing): read a raster")
        return cls(**{name: cube["grid"].attrs[name] for name in cls.__annotations__ if name in cube["grid"].attrs})


def same_grid(one: PixelGrid, other: PixelGrid, first: str, second: str, cure: str) -> None:
    """Raise CubeError when two rasters do not share size, CRS and place to a thousandth of a pixel, saying how."""
    if (one.rows, one.columns) != (other.rows, other.columns):
        sizes = f"{other.rows} x {other.columns} pixels, {first} {one.rows} x {one.columns}"
        raise CubeError(f"{second} has {sizes}: {cure}")
    if not (one.on_map and other.on_map):
        return
    if one.crs_wkt != other.crs_wkt:
        from pyproj import CRS

        here, there = CRS.from_wkt(one.crs_wkt), CRS.from_wkt(other.crs_wkt)
        if here != there:
            raise CubeError(f"{second} is in {there.name}, {first} in {here.name}: {cure}")
    for axis in ("x", "y"):
        step = getattr(one, f"{axis}_step")
        shift = abs(getattr(other, f"{axis}_first") - getattr(one, f"{axis}_first")) / abs(step)
        stretch = abs(getattr(other, f"{axis}_step") / step - 1) * max(one.rows, one.columns)
        if max(shift, stretch) > SAME_PLACE:
            raise CubeError(
                f"{second} lies {shift:.3g} pixels off {first} in {axis}, {stretch:.3g} more at its end: {cure}"
            )


def to_grid(cube: xr.Dataset) -> xr.Dataset:
    """Put the points of a raster back where their pixels were.

    Parameters
    ----------
    cube : xr.Dataset
        Anything over ``point`` that keeps ``row``, ``col`` and ``grid`` as the readers of rasters give them: a cube,
        motion parameters, labels; all points or some; lazy or in memory.

    Returns
    -------
    xr.Dataset
        Variables over ``(y, x)`` or ``(y, x, ...)``, bit for bit those of the points; other pixels are NaN (empty where
        a variable is text). Integers become floats wide enough for them. ``y`` and ``x`` are the centres of the pixels
        in the raster's own CRS, which ``crs`` has (in radar geometry they are row and column, and there is no ``crs``).

    Raises
    ------
    CubeError
        When the points are no pixels of a grid, or two of them are the same pixel.
    """
    grid = PixelGrid.of(cube)
    pixels = np.asarray(cube["row"].values, np.int64) * grid.columns + np.asarray(cube["col"].values, np.int64)
    order = np.argsort(pixels, kind="stable")
    pixels = pixels[order]
    if (again := np.flatnonzero(pixels[1:] == pixels[:-1])).size:
        row, column = divmod(int(pixels[again[0]]), grid.columns)
        raise CubeError(f"two points are the pixel in row {row}, column {column}: select one cube's points only")
    placed = {
        str(name): _placed(variable, order, pixels, grid)
        for name, variable in cube.variables.items()
        if name not in ("row", "col", "crs", "grid", *cube.dims)
    }
    coords = {str(dim): cube.variables[dim] for dim in cube.dims if dim in cube.variables and dim != "point"}
    coords |= {name: placed.pop(str(name)) for name in map(str, cube.coords) if name in placed}
    return xr.Dataset(placed, coords={**coords, **_axes(grid)}, attrs=cube.attrs)


def _axes(grid: PixelGrid) -> dict[str, xr.Variable]:
    rows, columns = np.arange(grid.rows), np.arange(grid.columns)
    if not grid.on_map:
        return {"y": xr.Variable("y", rows), "x": xr.Variable("x", columns)}
    from pyproj import CRS

    crs = CRS.from_wkt(grid.crs_wkt)
    north, east = ("latitude", "longitude") if crs.is_geographic else ("northing", "easting")
    units = ("degrees_north", "degrees_east") if crs.is_geographic else ("m", "m")
    return {
        "y": xr.Variable("y", grid.y(rows), {"long_name": f"{north} of the pixel", "units": units[0]}),
        "x": xr.Variable("x", grid.x(columns), {"long_name": f"{east} of the pixel", "units": units[1]}),
        "crs": xr.Variable((), np.int32(0), {"crs_wkt": grid.crs_wkt}),
    }


def _placed(variable: xr.Variable, order: Whole, pixels: Whole, grid: PixelGrid) -> xr.Variable:
    """A variable over the raster, its point axis, wherever it is, becoming ``(y, x)`` in front."""
    if "point" not in variable.dims:
        return variable
    others = tuple(dim for dim in variable.dims if dim != "point")
    ordered = variable.transpose("point", *others).isel(point=order)
    empty, dtype = _empty(variable.dtype)
    if hasattr(ordered.data, "dask"):
        values = _lazily(ordered.data, pixels, grid, empty, dtype)
    else:
        values = _scattered(ordered.values, pixels, (grid.rows, grid.columns), empty, dtype)
    return xr.Variable(("y", "x", *others), values, variable.attrs)


def _empty(dtype: np.dtype[Any]) -> tuple[Any, np.dtype[Any]]:
    """What a pixel without a point holds, and the dtype that holds it and every value."""
    if dtype.kind in "SUTO":
        return ("" if dtype.kind != "S" else b""), dtype
    if dtype.kind in "mM":
        return np.array("NaT", dtype), dtype
    return np.nan, np.promote_types(dtype, np.float32)


def _scattered(
    values: npt.NDArray[Any], pixels: Whole, shape: tuple[int, int], empty: Any, dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    raster = np.full((shape[0] * shape[1], *values.shape[1:]), empty, dtype)
    raster[pixels] = values
    return raster.reshape(*shape, *values.shape[1:])


def _lazily(values: Any, pixels: Whole, grid: PixelGrid, empty: Any, dtype: np.dtype[Any]) -> Any:
    """Blocks of rows, each from its own points alone."""
    import dask.array as da

    bytes_per_row = grid.columns * math.prod(values.shape[1:]) * dtype.itemsize
    step = max(BLOCK_BYTES // max(bytes_per_row, 1), 1)
    blocks = []
    for first in range(0, grid.rows, step):
        n_rows = min(step, grid.rows - first)
        start, stop = np.searchsorted(pixels, (first * grid.columns, (first + n_rows) * grid.columns)).tolist()
        shape = (n_rows, grid.columns, *values.shape[1:])
        if start == stop:
            blocks.append(da.full(shape, empty, dtype, chunks=shape))
            continue
        part = values[start:stop].rechunk(-1)
        inside = pixels[start:stop] - first * grid.columns
        block = da.map_blocks(
            _scattered, part, inside, shape[:2], empty, dtype, dtype=dtype, new_axis=[1], chunks=shape,
        )  # fmt: skip
        blocks.append(block)
    return da.concatenate(blocks, axis=0)


def grid_variable(grid: PixelGrid) -> tuple[tuple[()], np.int32, Mapping[str, Any]]:
    """The scalar coordinate ``grid``, which goes wherever the points go."""
    return (), np.int32(0), grid.attributes()
