"""EGMS's catalogue: the grid of Level 3 tiles, and which products a folder holds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

from insar_dask.cube import CubeError
from insar_dask.readers.bucket_file import SourceFile
from insar_dask.readers.egms_names import EgmsName, parse_name

__all__ = [
    "SIDE",
    "TILE_NAME",
    "CatalogueEntry",
    "Tile",
    "catalogue",
    "catalogue_table",
    "extent_of_product",
    "tiles_over",
]

SIDE = 100_000.0
"""Side of a Level 3 tile [m]; its name has its lower left corner in units of it, in EPSG:3035."""

TILE_NAME = re.compile(r"E(\d+)N(\d+)")

DIRECTIONS = {
    "north": (0, 1), "north-east": (1, 1), "east": (1, 0), "south-east": (1, -1),
    "south": (0, -1), "south-west": (-1, -1), "west": (-1, 0), "north-west": (-1, 1),
}  # fmt: skip
"""Steps to a neighbour, clockwise."""


@dataclass(frozen=True, order=True)
class Tile:
    """A square of EGMS Level 3, 100 km a side in EPSG:3035.

    Parameters
    ----------
    east, north : int
        Its lower left corner, in 100 km.

    Examples
    --------
    >>> Tile.named("E32N34").extent
    (3200000.0, 3400000.0, 3300000.0, 3500000.0)
    >>> Tile.named("E32N34").neighbours()["north"].name
    'E32N35'
    """

    east: int
    north: int

    @classmethod
    def named(cls, name: str) -> Tile:
        """The tile of a name such as ``E32N34``.

        Raises
        ------
        CubeError
            When it is none.
        """
        found = TILE_NAME.fullmatch(name)
        if found is None:
            raise CubeError(f"{name!r} is no tile of EGMS Level 3; wanted a name such as E32N34")
        return cls(int(found[1]), int(found[2]))

    @property
    def name(self) -> str:
        """As EGMS writes it."""
        return f"E{self.east:02d}N{self.north:02d}"

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """West, south, east, north [m], in EPSG:3035."""
        west, south = self.east * SIDE, self.north * SIDE
        return west, south, west + SIDE, south + SIDE

    def neighbours(self) -> dict[str, Tile]:
        """The tiles beside it, by where they lie; on the grid's western and southern edge there are fewer than eight.

        Whether EGMS has products of them is another question: at sea there are none.
        """
        near = {name: (self.east + right, self.north + up) for name, (right, up) in DIRECTIONS.items()}
        return {name: Tile(*place) for name, place in near.items() if min(place) >= 0}


@dataclass(frozen=True)
class CatalogueEntry:
    """A product file, as its name has it."""

    path: SourceFile
    name: EgmsName
    size: int
    """Bytes of the file."""

    @property
    def tile(self) -> Tile | None:
        """Of Level 3; a burst of Level 2 has a place of its own, which its file alone says."""
        return Tile.named(self.name.tile) if self.name.tile else None

    @property
    def place(self) -> str:
        """Tile, or track, burst and swath: ``E32N34``, ``022_0845_IW2``."""
        return self.name.tile or f"{self.name.track}_{self.name.burst}_{self.name.swath}"

    @property
    def release(self) -> str:
        """Such as ``2020-2024 v1``; the first two releases do not say theirs."""
        if self.name.period is None:
            return "unnamed"
        first, last = self.name.period
        return f"{first}-{last} v{self.name.version}"


def tiles_over(extent: tuple[float, float, float, float]) -> list[Tile]:
    """Tiles that share area with a box (west, south, east, north) [m] of EPSG:3035, from the south-west, row by row.

    Raises
    ------
    CubeError
        When the box has no area, or lies west or south of the grid's origin.

    Examples
    --------
    >>> [tile.name for tile in tiles_over((3_250_000, 3_400_000, 3_350_000, 3_450_000))]
    ['E32N34', 'E33N34']
    """
    west, south, east, north = extent
    if not (west < east and south < north and west >= 0 and south >= 0):
        raise CubeError(f"{extent} is no box (west, south, east, north) of EPSG:3035 in metres")
    columns, rows = (range(floor(low / SIDE), ceil(high / SIDE)) for low, high in ((west, east), (south, north)))
    return [Tile(column, row) for row in rows for column in columns]


def extent_of_product(product: str) -> tuple[float, float, float, float] | None:
    """West, south, east and north [m] of the tile that a product of Level 3 is named after; None of any other.

    >>> extent_of_product("EGMS_L3_E32N34_100km_U_2020_2024_1")
    (3200000.0, 3400000.0, 3300000.0, 3500000.0)
    """
    name = parse_name(product)
    return Tile.named(name.tile).extent if name is not None and name.tile else None


def catalogue(sources: str | Path | Iterable[str | Path]) -> list[CatalogueEntry]:
    """The EGMS products behind files, folders and globs, by place, component and release; no file is opened.

    Raises
    ------
    FileNotFoundError
        As `insar_dask.find_egms`.
    CubeError
        When one file is there twice, or has no EGMS name.
    """
    from insar_dask.readers.egms import find_egms  # with Numba, which whoever asks for a tile alone does not need

    entries: dict[str, CatalogueEntry] = {}
    for path in find_egms(sources):
        name = parse_name(path)
        if name is None:
            raise CubeError(f"{path} has no EGMS name: a catalogue is made of names; rename it as it was delivered")
        if path.stem in entries:
            raise CubeError(f"{path} and {entries[path.stem].path} would be one product: name only one of them")
        entries[path.stem] = CatalogueEntry(path, name, path.stat().st_size)
    return sorted(entries.values(), key=lambda e: (e.name.product, e.place, e.name.component, e.release))


def catalogue_table(entries: Iterable[CatalogueEntry]) -> str:
    """A line a place: its products, megabytes, and of a tile its corner and how many neighbours are there too."""
    by_place: dict[str, list[CatalogueEntry]] = {}
    for entry in entries:
        by_place.setdefault(entry.place, []).append(entry)
    there = {entry.tile for found in by_place.values() for entry in found}
    lines = [f"{'place':<14}{'products':<34}{'MB':>9}{'west, south km':>17}{'neighbours':>12}"]
    for place, found in by_place.items():
        made = ", ".join(f"{e.name.component} {e.release}" for e in found)
        line, tile = f"{place:<14}{made:<34}{sum(e.size for e in found) / 1e6:>9,.1f}", found[0].tile
        if tile is not None:
            corner = f"{tile.east * SIDE / 1e3:,.0f}, {tile.north * SIDE / 1e3:,.0f}"
            line += f"{corner:>17}{len(there.intersection(tile.neighbours().values())):>12}"
        lines.append(line)
    files = sum(map(len, by_place.values()))
    lines.append(f"{files} products of {len(by_place)} places")
    return "\n".join(lines)
