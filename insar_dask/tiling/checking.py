"""What a tile cube is, and which tiles belong into one: checked at the door."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from insar_dask.cube import CubeError

__all__ = [
    "check_alike",
    "check_held",
    "check_placed",
    "check_tiles",
    "extents",
    "join_tiles",
    "same_crs",
    "shared_ground",
]

Extent = tuple[float, float, float, float]

DIMS = ("tile", "time", "y", "x")
MAPPED = {"tile", "y", "x"}
ALIKE = ("component", "positive", "release", "reference", "reference_date", "track", "pass")
"""What displacements of one cube share."""

SAME_SIZE = 1e-9

TOUCHING = 1e-6
"""Tiles may overlap by this share of a cell: corners are sums of rounded numbers."""


def check_tiles(tiles: xr.Dataset) -> xr.Dataset:
    """Return a tile cube unchanged; raise `CubeError` where it is none.

    Only metadata and axes are looked at: nothing is computed.
    """
    if not isinstance(tiles, xr.Dataset):
        raise CubeError(f"wanted a tile cube, got {type(tiles).__name__}: make one with insar_dask.rasterise(cube)")
    for name in ("displacement", "mask"):
        if name not in tiles or tiles[name].dims != DIMS:
            came = tiles[name].dims if name in tiles else f"no {name!r}"
            raise CubeError(f"wanted {name!r} over {DIMS}, came {came}: make tiles with insar_dask.rasterise(cube)")
    check_placed(tiles)
    return tiles


def check_placed(maps: xr.Dataset) -> None:
    """Raise `CubeError` where there are no maps, or nobody could say where their cells lie."""
    if not isinstance(maps, xr.Dataset):
        raise CubeError(f"wanted a data set of maps, got {type(maps).__name__}: give a tile cube or its forecast")
    if not any(set(maps[name].dims) >= MAPPED for name in maps.data_vars):
        raise CubeError(f"no variable is over tile, y and x, but {tuple(maps.dims)}: give a tile cube or its forecast")
    for name in ("tile", "easting", "northing", "crs"):
        if name not in maps.variables:
            raise CubeError(f"the tiles have no {name!r}: keep the coordinates that insar_dask.rasterise gave them")


def check_held(tiles: xr.Dataset) -> None:
    """Raise `CubeError` where no cell of a tile ever holds a point, so that nothing can be learned, forecast or scored.

    Of a lazy cube the masks are read.
    """
    held = tiles["mask"].any(("time", "y", "x")).values
    if held.all():
        return
    names = tiles["tile"].values.astype(str)[~held].tolist()
    cure = f"leave such tiles out with .drop_sel(tile={names})" if held.any() else "rasterise tiles that have points"
    raise CubeError(f"no cell of {', '.join(names)} holds a point at any of {tiles.sizes['time']} dates (mask): {cure}")


def join_tiles(tiles: Iterable[xr.Dataset]) -> xr.Dataset:
    """One tile cube of several, in order of their names.

    Parameters
    ----------
    tiles : iterable of xr.Dataset
        Tile cubes as `insar_dask.rasterise` makes them; of the provider's maps those are kept that all have.

    Raises
    ------
    CubeError
        When tiles have the same name, overlap, or differ in size, CRS, dates, component or release.
    """
    whole = [check_tiles(cube) for cube in tiles]
    single = [cube.isel(tile=[k]) for cube in whole for k in range(cube.sizes["tile"])]
    if not single:
        raise CubeError("there is no tile to join")
    named: dict[str, xr.Dataset] = {}
    for cube in single:
        name = str(cube["tile"].values[0])
        if name in named:
            raise CubeError(f"two tiles are called {name}: leave one out, or rasterise it with another tile=")
        named[name] = cube
    named = dict(sorted(named.items()))
    check_alike(named, {name: extent for cube in named.values() for name, extent in extents(cube).items()})
    common = [str(name) for name in single[0].data_vars if all(name in cube for cube in single)]
    parts = [cube[common].drop_vars("crs") for cube in named.values()]
    joined = xr.concat(parts, "tile", data_vars="minimal", coords="minimal", compat="override", join="exact")
    sources = [source for cube in named.values() for source in cube.attrs.get("sources", [])]
    n_later = sum(cube.attrs.get("n_begin_later", 0) for cube in whole)
    joined = joined.assign_coords(crs=single[0]["crs"].variable).assign_attrs(sources=sources)
    return joined.assign_attrs(n_begin_later=n_later) if n_later else joined


def extents(tiles: xr.Dataset) -> dict[str, Extent]:
    """West, south, east, north [m] of each tile of a tile cube."""
    half = float(tiles.attrs["cell"]) / 2
    found = {}
    for k, name in enumerate(tiles["tile"].values.astype(str).tolist()):
        east, north = tiles["easting"].values[k], tiles["northing"].values[k]
        found[name] = (float(east[0]) - half, float(north[-1]) - half, float(east[-1]) + half, float(north[0]) + half)
    return found


def shared_ground(tiles: xr.Dataset, learned: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """Whether something that learned from tiles of these extents [m] has seen the ground of each tile of a cube.

    Returns
    -------
    dict
        Tile -> ``"learned from"``, ``"shares ground with TILE, learned from"`` or ``"never learned from"``.
    """
    told = {}
    for name, (west, south, east, north) in extents(tiles).items():
        overlaps = {
            other: min(min(east, e) - max(west, w), min(north, n) - max(south, s))
            for other, (w, s, e, n) in learned.items()
        }
        shared = [other for other, wide in overlaps.items() if wide > TOUCHING * (east - west)]
        others = f"shares ground with {', '.join(shared)}, learned from" if shared else "never learned from"
        told[name] = "learned from" if name in shared else others
    return told


def check_alike(tiles: Mapping[str, xr.Dataset], extents: Mapping[str, tuple[float, float, float, float]]) -> None:
    """Raise `CubeError` unless cubes can be the tiles of one tile cube.

    Parameters
    ----------
    tiles : mapping
        Tile -> anything with the ``time``, ``crs`` and attributes of its displacement.
    extents : mapping
        Tile -> west, south, east, north [m].
    """
    (first, one), *others = tiles.items()
    for name, other in others:
        if not same_crs(one, other):
            raise CubeError(
                f"tile {name} is in {_crs(other)}, tile {first} in {_crs(one)}: put tiles of one CRS into one tile cube"
            )
        for attribute in ALIKE:
            mine, theirs = one.attrs.get(attribute), other.attrs.get(attribute)
            if mine != theirs:
                raise CubeError(
                    f"{attribute} of tile {name} is {theirs!r}, of tile {first} {mine!r}: put only tiles of the same "
                    f"{attribute} into one tile cube"
                )
        _check_dates(first, one["time"].values, name, other["time"].values)
    sides = {name: extent[2] - extent[0] for name, extent in extents.items()}
    for name, side in sides.items():
        if abs(side / sides[first] - 1) > SAME_SIZE:
            raise CubeError(
                f"tile {name} is {side:,.1f} m wide, tile {first} {sides[first]:,.1f} m; cells of one tile cube are of "
                "one size: give each tile an extent of the same size"
            )
    for (name, a), (other_name, b) in itertools.combinations(extents.items(), 2):
        wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        if min(wide, high) > TOUCHING * (a[2] - a[0]):
            raise CubeError(
                f"tiles {name} and {other_name} overlap by {wide:,.0f} x {high:,.0f} m, so that the same ground would "
                "be there twice: leave one out, or give each its own extent"
            )


def same_crs(one: xr.Dataset, other: xr.Dataset) -> bool:
    """Whether two data sets are in the same CRS, in whatever words."""
    here, there = (str(data["crs"].attrs["crs_wkt"]) for data in (one, other))
    if here == there:
        return True
    from pyproj import CRS

    return bool(CRS.from_wkt(here) == CRS.from_wkt(there))


def _crs(data: xr.Dataset) -> str:
    from pyproj import CRS

    return str(CRS.from_wkt(str(data["crs"].attrs["crs_wkt"])).name)


def _check_dates(first: str, here: Any, name: str, there: Any) -> None:
    if here.shape == there.shape and (here == there).all():
        return
    lacking, extra = np.setdiff1d(here, there), np.setdiff1d(there, here)
    told = [f"lacks {_days(lacking)}"] if lacking.size else []
    told += [f"has {_days(extra)} besides"] if extra.size else []
    raise CubeError(
        f"tile {name} {' and '.join(told)}, compared with tile {first}: tiles of one cube share their dates; read "
        "products of one release, or bring each to regular dates with insar_dask.regularise(cube, every=...)"
    )


def _days(dates: Any) -> str:
    days = dates.astype("datetime64[D]").astype(str)
    return f"{days[0]}" if len(days) == 1 else f"{len(days)} dates, such as {days[0]},"
