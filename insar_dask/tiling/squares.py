"""The square of a tile: where it lies, its pixels and its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.settings import whole
from insar_dask.tiles import SIDE, TILE_NAME, Tile

__all__ = ["Square", "cell_numbers", "tile_name"]

Float64 = npt.NDArray[np.float64]

SAME_LENGTH = 1e-9

ROUNDING = 1e-6
"""Of a cell."""


@dataclass(frozen=True)
class Square:
    """A north-up square of ``cells`` x ``cells`` cells, each the mean of as many ``pixels``; metres.

    >>> Square.egms("E32N34", pixels=256, cells=64).cell
    1562.5
    """

    west: float
    south: float
    side: float
    pixels: int
    cells: int

    def __post_init__(self) -> None:
        """Check that cells are made of whole pixels."""
        pixels, cells = whole("pixels", self.pixels, of="pixels a side"), whole("cells", self.cells, of="cells a side")
        if pixels % cells:
            raise ValueError(
                f"{pixels} pixels a side do not make {cells} cells of whole pixels: give a multiple of {cells}"
            )

    @classmethod
    def egms(cls, tile: str, pixels: int, cells: int) -> Square:
        """That of a tile of EGMS Level 3, by its name."""
        west, south, _, _ = Tile.named(tile).extent
        return cls(west, south, SIDE, pixels, cells)

    @classmethod
    def of(cls, cube: xr.Dataset, tile: str, pixels: int, cells: int, extent: Sequence[float] | None) -> Square:
        """The one wanted: ``extent``, else an EGMS tile's own, else the square about the middle of all points.

        Raises
        ------
        CubeError
            When ``extent`` is no square, or no point lies in it.
        """
        if extent is not None:
            square = cls._of_extent(extent, pixels, cells)
        elif cube.attrs.get("product") == "L3" and TILE_NAME.fullmatch(tile):
            square = cls.egms(tile, pixels, cells)
        else:
            square = cls._about(cube, pixels, cells)
        easting, northing = cube["easting"].values, cube["northing"].values
        if not (square.cell_of(easting, northing) >= 0).any():
            bounds = ", ".join(f"{v:.0f}" for v in (easting.min(), northing.min(), easting.max(), northing.max()))
            raise CubeError(
                f"tile {tile}: none of {easting.size:,} points lies in {square.extent} (west, south, east, north; m); "
                f"they cover ({bounds}): give extent=(west, south, east, north) in the cube's own CRS, "
                f"or on the command line --extent {tile}=W,S,E,N, or leave the tile out"
            )
        return square

    @classmethod
    def _of_extent(cls, extent: Sequence[float], pixels: int, cells: int) -> Square:
        west, south, east, north = (float(edge) for edge in extent)
        width, height = east - west, north - south
        if not (width > 0 and abs(width - height) <= SAME_LENGTH * width):
            raise CubeError(
                f"extent={tuple(extent)} is {width:g} m wide and {height:g} m high; wanted a square as "
                "(west, south, east, north)"
            )
        return cls(west, south, width, pixels, cells)

    @classmethod
    def _about(cls, cube: xr.Dataset, pixels: int, cells: int) -> Square:
        low, high = (np.array([f(cube[name].values) for name in ("easting", "northing")]) for f in (np.min, np.max))
        side = float((high - low).max())
        west, south = ((low + high - side) / 2).tolist()
        return cls(west, south, side or 1.0, pixels, cells)

    @property
    def cell(self) -> float:
        """Side of a cell [m]."""
        return self.side / self.cells

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """West, south, east, north [m]."""
        return self.west, self.south, self.west + self.side, self.south + self.side

    def easting(self, n: int) -> Float64:
        """Centres of ``n`` columns, from west to east."""
        return np.asarray(self.west + (np.arange(n) + 0.5) * (self.side / n))

    def northing(self, n: int) -> Float64:
        """Centres of ``n`` rows, from north to south."""
        return np.asarray(self.south + self.side - (np.arange(n) + 0.5) * (self.side / n))

    def centres(self) -> Float64:
        """(pixels², 2) centres of all pixels, row by row from the north-west."""
        easting, northing = np.meshgrid(self.easting(self.pixels), self.northing(self.pixels))
        return np.stack([easting.ravel(), northing.ravel()], axis=1)

    def groups(self) -> npt.NDArray[np.int32]:
        """(pixels²,) cell of each pixel."""
        at = np.arange(self.pixels, dtype=np.int32) // (self.pixels // self.cells)
        return np.asarray((at[:, None] * self.cells + at).ravel(), np.int32)

    def cell_of(self, easting: npt.ArrayLike, northing: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """Cell of each place, row by row from the north-west; -1 outside. Its west and north edges are its own."""
        x = (np.asarray(easting, np.float64) - self.west) / self.cell
        y = (self.south + self.side - np.asarray(northing, np.float64)) / self.cell
        column, row = cell_numbers(x, self.cells), cell_numbers(y, self.cells)
        return np.where((column >= 0) & (row >= 0), row * self.cells + column, -1).astype(np.int32)


def cell_numbers(distance: Float64, n: int) -> npt.NDArray[np.int64]:
    """Number of the cell, of ``n`` in a row, so many cells' lengths from where they begin; -1 before and after them.

    The outermost edges belong to the cells: a square about all points has points on them, but for rounding.
    """
    inside = (distance >= -ROUNDING) & (distance <= n + ROUNDING)
    return np.where(inside, np.clip(np.floor(np.where(inside, distance, 0)), 0, n - 1), -1).astype(np.int64)


def tile_name(cube: xr.Dataset) -> str:
    """Name of the tile that a cube is: that of an EGMS tile, else its source's without the ending."""
    attrs: dict[str, Any] = cube.attrs
    stem = Path(str(attrs.get("source") or attrs.get("product") or "tile").split()[0]).stem
    named = TILE_NAME.search(stem) if attrs.get("product") == "L3" else None
    return str(attrs.get("tile") or (named[0] if named else stem))
