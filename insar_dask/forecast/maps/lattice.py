"""Tiles as a point cube and back: every cell is a point, every tile a block of its own.

So all that is there for points serves maps: origins, audit, intervals, cards. Cells count as 100 m apart whatever their
size, since that is how far points are from the neighbours that forecasters look at, and tiles lie in squares of their
own, which the Hilbert curve fills one after the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError, describe
from insar_dask.readers.point_order import hilbert_order
from insar_dask.tiling.cell_points import PLACE, to_tiles
from insar_dask.tiling.checking import check_held, check_tiles, extents

__all__ = ["NEXT", "PARTS", "as_points", "as_tiles", "cells_across", "cells_at", "flattened", "is_tiled", "part_of"]

Float64 = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

NEXT = 100.0
"""Metres that neighbouring cells count as apart."""

PARTS = 4
"""Of a tile's side, which count as places of their own where it is asked how sure an error is."""

A_ROW = 1024
"""Tiles side by side."""

TILES = "tiles"
"""Attribute of such a point cube: the extents of the tiles by name."""


def is_tiled(cube: xr.Dataset) -> bool:
    """Whether a data set is a tile cube."""
    return isinstance(cube, xr.Dataset) and "tile" in cube.dims


def as_points(tiles: xr.Dataset) -> xr.Dataset:
    """Point cube of a tile cube, lazy, one chunk a tile; cells without a point are NaN throughout.

    Parameters
    ----------
    tiles : xr.Dataset
        Over ``(tile, time, y, x)``, maps as high as wide.

    Raises
    ------
    CubeError
        When a variable is missing, or maps are not square.
    """
    check_tiles(tiles)
    n_tiles, side = tiles.sizes["tile"], tiles.sizes["y"]
    if side != tiles.sizes["x"]:
        raise CubeError(f"maps have {side} rows and {tiles.sizes['x']} columns; wanted squares")
    number, row, col = (part.ravel() for part in np.indices((n_tiles, side, side)))
    easting, northing = _placed(number, row, col, side)
    names = tiles["tile"].values.astype(str)
    ids = np.array([f"{tile}_r{r}_c{c}" for tile, r, c in zip(names[number], row, col, strict=True)])
    order = hilbert_order(easting, northing, ids.astype(np.bytes_), np.arange(ids.size))
    point = {"easting": easting, "northing": northing, "point_id": ids}
    point |= dict(zip(PLACE, (names[number], row, col), strict=True))
    return xr.Dataset(
        {"displacement": (("point", "time"), _series(tiles, order), describe("displacement"))},
        coords={
            "time": tiles["time"],
            "crs": tiles["crs"],
            **{name: ("point", values[order]) for name, values in point.items()},
        },
        attrs={name: value for name, value in tiles.attrs.items() if name != "cell"} | {TILES: extents(tiles)},
    )


def flattened(cube: xr.Dataset) -> xr.Dataset:
    """Point cube of a tile cube, each tile of which must hold a point somewhere; any other as it is."""
    if not is_tiled(cube):
        return cube
    points = as_points(cube)
    check_held(cube)
    return points


def cells_across(points: xr.Dataset) -> int:
    """Cells of a side of the maps that `as_points` made points of; 0 where the points are no cells."""
    return int(points["row"].max()) + 1 if TILES in points.attrs else 0


def as_tiles(made: xr.Dataset, tiles: xr.Dataset) -> xr.Dataset:
    """What was made of the points of `as_points`, over the tiles again: ``point`` becomes ``tile``, ``y`` and ``x``."""
    attrs = {name: value for name, value in made.attrs.items() if name != TILES}
    return to_tiles(made, tiles).assign_attrs(attrs)


def cells_at(places: Float64, side: int) -> tuple[Index, Index]:
    """Row and column of cells by their places (n, 2) on the lattice of maps ``side`` cells high and wide."""
    from_west, from_south = (places.T % _pitch(side)) // NEXT
    return (side - 1 - from_south).astype(np.int64), from_west.astype(np.int64)


def part_of(row: Index, col: Index, side: int) -> Index:
    """Number, below ``PARTS**2``, of the part of a tile that cells lie in."""
    return row * PARTS // side * PARTS + col * PARTS // side


def _placed(number: Index, row: Index, col: Index, side: int) -> tuple[Float64, Float64]:
    """Easting and northing of cells: tiles in rows of `A_ROW`, in squares that the Hilbert curve is made of."""
    pitch = _pitch(side)
    return number % A_ROW * pitch + NEXT * col, number // A_ROW * pitch + NEXT * (side - 1 - row)


def _pitch(side: int) -> float:
    return float(2 ** int(np.ceil(np.log2(NEXT * side))))


def _series(tiles: xr.Dataset, order: Index) -> Any:
    """Series (point, time) along the curve, read tile by tile when they are asked for."""
    import dask.array as da
    from dask.delayed import delayed

    n_dates, cells = tiles.sizes["time"], tiles.sizes["y"] * tiles.sizes["x"]
    blocks = []
    for start in range(0, order.size, cells):
        tile, within = order[start] // cells, order[start : start + cells] % cells
        one = tiles[["displacement", "mask"]].isel(tile=int(tile))
        blocks.append(da.from_delayed(delayed(_block)(one, within), (cells, n_dates), np.float32))
    return da.concatenate(blocks)


def _block(tile: xr.Dataset, within: Index) -> npt.NDArray[np.float32]:
    maps, mask = (tile[name].transpose("y", "x", "time").values for name in ("displacement", "mask"))
    series = np.where(mask, maps, np.float32(np.nan)).reshape(-1, maps.shape[2])
    return np.ascontiguousarray(series[within], np.float32)
