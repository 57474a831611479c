"""Cells as points, and points back in their cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError, describe
from insar_dask.tiling.checking import check_placed, check_tiles, same_crs
from insar_dask.tiling.squares import cell_numbers

__all__ = ["PLACE", "sample_tiles", "tile_points", "to_tiles"]

Whole = npt.NDArray[np.int64]

PLACE = ("tile", "row", "col")
"""Coordinates of a cell that is a point."""

NOT_OF_POINTS = ("pixels", "sources")


def tile_points(tiles: xr.Dataset) -> xr.Dataset:
    """Cells that hold measured points as a point cube: whatever works on points works on maps.

    Parameters
    ----------
    tiles : xr.Dataset
        Tile cube; in memory or lazy. Of a lazy one the mask is read here.

    Returns
    -------
    xr.Dataset
        Point cube of the cells whose ``mask`` is true at any date, tile by tile and row by row: ``displacement`` NaN
        where the mask is false; ``point_id`` such as ``E32N34_r12_c40``, ``easting`` and ``northing`` of the cell's
        centre, and ``tile``, ``row``, ``col``, by which `to_tiles` finds the way back.

    Raises
    ------
    CubeError
        When the data set is no tile cube, or no cell of it holds a point.
    """
    check_tiles(tiles)
    tile, row, col = np.nonzero(tiles["mask"].any("time").values)
    if tile.size == 0:
        raise CubeError("the mask is false in every cell of every tile: there is no cell with a measured point")
    names, digits = tiles["tile"].values.astype(str), len(str(max(tiles.sizes["y"], tiles.sizes["x"]) - 1))
    ids = [f"{names[k]}_r{i:0{digits}d}_c{j:0{digits}d}" for k, i, j in zip(tile, row, col, strict=True)]
    coords = {
        "time": tiles["time"].variable,
        "point_id": ("point", ids, describe("point_id")),
        "easting": ("point", tiles["easting"].values[tile, col], describe("easting")),
        "northing": ("point", tiles["northing"].values[tile, row], describe("northing")),
        "tile": ("point", names[tile], {"long_name": "tile of the cell"}),
        "row": ("point", row, {"long_name": "row of the cell in its tile, from the north"}),
        "col": ("point", col, {"long_name": "column of the cell in its tile, from the west"}),
        "crs": tiles["crs"].variable,
    }
    measured = tiles["displacement"].where(tiles["mask"])
    series = [measured.isel(tile=k).variable for k in range(tiles.sizes["tile"])]
    cells = [row[tile == k] * tiles.sizes["x"] + col[tile == k] for k in range(len(series))]
    picked = [_picked(one, at) for one, at in zip(series, cells, strict=True) if at.size]
    others = {name: tiles[name] for name in tiles.data_vars if tiles[name].dims == ("tile", "y", "x")}
    coords |= {str(name): ("point", map_.values[tile, row, col], map_.attrs) for name, map_ in others.items()}
    joined = _whole_series(xr.concat([xr.DataArray(one) for one in picked], "point").variable)
    joined.attrs = describe("displacement")
    attrs = {name: value for name, value in tiles.attrs.items() if name not in NOT_OF_POINTS}
    return xr.Dataset({"displacement": joined}, coords, attrs)


def to_tiles(points: xr.Dataset, tiles: xr.Dataset) -> xr.Dataset:
    """Put what was made of `tile_points` back where the cells were.

    Parameters
    ----------
    points : xr.Dataset
        Anything over ``point`` that keeps ``tile``, ``row`` and ``col``: a cube, motion parameters, forecasts, scores;
        all points or some.
    tiles : xr.Dataset
        The tile cube.

    Returns
    -------
    xr.Dataset
        Variables over ``(tile, ..., y, x)``, in memory; NaN in cells without a point, empty where a variable is text.
        Whole numbers and truths become floats wide enough for them; names of points go, and coordinates that no point
        has, such as the dates of a forecast, stay.

    Raises
    ------
    CubeError
        When the points are no cells, are of another tile cube, or two are the same cell.
    """
    check_tiles(tiles)
    at = _cells_of(points, tiles)
    shape = tiles.sizes["tile"], tiles.sizes["y"], tiles.sizes["x"]
    of_cells = ("easting", "northing", "crs", "point_id", *PLACE)
    placed = {
        str(name): _placed(variable, at, shape)
        for name, variable in points.variables.items()
        if name not in of_cells and ("point" in variable.dims or name in points.data_vars)
    }
    kept = [name for name in points.coords if "point" not in points[name].dims]
    coords = {str(name): points[name].variable for name in kept}
    coords |= {name: tiles[name].variable for name in ("tile", "easting", "northing", "crs")}
    return xr.Dataset(placed, coords, points.attrs)


def sample_tiles(tiles: xr.Dataset, points: xr.Dataset) -> xr.Dataset:
    """Values of maps at the places of points: of the cell that each lies in.

    Parameters
    ----------
    tiles : xr.Dataset
        Tile cube, its forecast, or whatever else was made of it over ``(tile, ..., y, x)``; in memory or lazy.
    points : xr.Dataset
        Anything over ``point`` with ``easting``, ``northing`` and ``crs``.

    Returns
    -------
    xr.Dataset
        Variables of the tiles over ``(point, ...)``, with the points' coordinates and ``tile``, ``row``, ``col`` of the
        cell; values are NaN and ``mask`` is false where a point lies in no tile, and ``row`` and ``col`` are -1.

    Raises
    ------
    CubeError
        When there are no maps, where their cells lie is not said, or the CRS differ.
    """
    check_placed(tiles)
    if not same_crs(tiles, points):
        raise CubeError("points and tiles are in different CRS: give points in the CRS of the tiles")
    tile, row, col = _cell_at(tiles, points["easting"].values, points["northing"].values)
    inside = xr.DataArray(tile >= 0, dims="point")
    where = {
        name: xr.DataArray(np.maximum(at, 0), dims="point")
        for name, at in zip(("tile", "y", "x"), (tile, row, col), strict=True)
    }
    maps = tiles[[name for name in tiles.data_vars if {"tile", "y", "x"} <= set(tiles[name].dims)]]
    picked = maps.drop_vars(["tile", "easting", "northing"]).isel(where)
    values = {
        str(name): _whole_series((array & inside if array.dtype == bool else array.where(inside)).variable)
        for name, array in picked.items()
    }
    names = np.where(tile >= 0, tiles["tile"].values.astype(str)[np.maximum(tile, 0)], "")
    kept = [name for name in points.coords if points[name].dims in (("point",), ()) and name not in values]
    coords: dict[str, Any] = {str(name): points[name].variable for name in kept}
    coords |= {"tile": ("point", names), "row": ("point", row), "col": ("point", col)}
    steps = [name for name, of in maps.coords.items() if of.dims and not set(of.dims) & {"tile", "y", "x"}]
    coords |= {str(name): maps[name].variable for name in steps}
    return xr.Dataset(values, coords, tiles.attrs)


def _picked(maps: xr.Variable, at: Whole) -> xr.Variable:
    """Series of some cells out of maps over (time, y, x)."""
    flat = maps.data.reshape(maps.shape[0], -1)[:, at]
    return xr.Variable(("point", "time"), flat.T)


def _whole_series(values: xr.Variable) -> xr.Variable:
    """With points first, and, of lazy values, all dates of a point in one chunk, as a point cube has them."""
    values = values.transpose("point", ...)
    return values.chunk(time=-1) if values.chunks is not None and "time" in values.dims else values


def _cells_of(points: xr.Dataset, tiles: xr.Dataset) -> Whole:
    """Cell of each point, counted through all tiles."""
    if not set(PLACE) <= set(points.variables):
        raise CubeError(f"the points are no cells ({PLACE} are missing): make them with insar_dask.tile_points(tiles)")
    known = {str(name): k for k, name in enumerate(tiles["tile"].values)}
    names = points["tile"].values.astype(str)
    if strange := sorted(set(names) - set(known)):
        raise CubeError(
            f"tile {strange[0]} of the points is none of the tiles {list(known)}: give the tiles they are of"
        )
    n_rows, n_columns = tiles.sizes["y"], tiles.sizes["x"]
    tile, row, col = (np.array([known[name] for name in names], np.int64), *(points[p].values for p in ("row", "col")))
    if row.size and (row.max() >= n_rows or col.max() >= n_columns or min(row.min(), col.min()) < 0):
        raise CubeError(
            f"points lie in rows up to {row.max()} and columns up to {col.max()}, the tiles have {n_rows} x "
            f"{n_columns} cells: give the tiles they are of"
        )
    at = np.asarray((tile * n_rows + row) * n_columns + col, np.int64)
    values, counts = np.unique(at, return_counts=True)
    if (counts > 1).any():
        where, col_ = divmod(int(values[counts > 1][0]), n_columns)
        name = list(known)[where // n_rows]
        raise CubeError(f"two points are row {where % n_rows}, column {col_} of tile {name}: keep one of each cell")
    return at


def _placed(variable: xr.Variable, at: Whole, shape: tuple[int, int, int]) -> xr.Variable:
    if "point" not in variable.dims:
        return variable
    others = tuple(dim for dim in variable.dims if dim != "point")
    values = variable.transpose("point", *others).values
    text = values.dtype.kind in "SUTO"
    empty = np.zeros((), values.dtype) if text else np.nan
    maps = np.full(
        (np.prod(shape), *values.shape[1:]), empty, values.dtype if text else np.promote_types(values.dtype, "f4")
    )
    maps[at] = values
    placed = xr.Variable(("tile", "y", "x", *others), maps.reshape(*shape, *values.shape[1:]), variable.attrs)
    return placed.transpose("tile", *others, "y", "x")


def _side(tiles: xr.Dataset) -> float:
    """Of a cell, in the unit of the coordinates."""
    if tiles.sizes["x"] > 1:
        return float(tiles["easting"][0, 1] - tiles["easting"][0, 0])
    if "cell" in tiles.attrs:
        return float(tiles.attrs["cell"])
    raise CubeError("one column of cells does not say how wide they are: give attrs['cell']")


def _cell_at(tiles: xr.Dataset, easting: Any, northing: Any) -> tuple[Whole, Whole, Whole]:
    """Tile, row and column of the cell at each place; -1 where there is none."""
    tile, row, col = (np.full(len(easting), -1, np.int64) for _ in range(3))
    side = _side(tiles)
    for k in range(tiles.sizes["tile"]):
        y = cell_numbers((float(tiles["northing"][k, 0]) - northing) / side + 0.5, tiles.sizes["y"])
        x = cell_numbers((easting - float(tiles["easting"][k, 0])) / side + 0.5, tiles.sizes["x"])
        inside = (tile < 0) & (x >= 0) & (y >= 0)
        tile[inside], row[inside], col[inside] = k, y[inside], x[inside]
    return tile, row, col
