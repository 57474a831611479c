"""Pixels of a raster to a point cube, whose values are read shard by shard when they are asked for.

A shard is a compact neighbourhood, so its pixels lie in a few tiles of the raster: nothing ever holds more than one
tile and one shard of values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import LONG_NAMES_AND_UNITS, CubeError, describe
from insar_dask.readers.grid import PixelGrid, grid_variable
from insar_dask.readers.pixels import Kept, PixelStack
from insar_dask.readers.point_order import hilbert_order
from insar_dask.readers.projection import Places, wanted_places
from insar_dask.shards import ShardPlan

__all__ = ["Pixels", "choose", "count_pixels", "cube_of_pixels", "gather", "lazy_values", "points_of_pixels"]

Float32 = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int64]

COLUMNS: dict[str, tuple[str, str]] = {
    "row": ("row of the pixel in the raster, the first being 0", "1"),
    "col": ("column of the pixel in the raster, the first being 0", "1"),
    "azimuth_angle": ("angle from north, anti-clockwise, of the direction to the satellite", "degree"),
    "mintpy_velocity": ("mean velocity, as published", "mm yr-1"),
    "mintpy_velocity_std": ("standard error of the mean velocity, as published", "mm yr-1"),
}


@dataclass(frozen=True, eq=False)
class Pixels:
    """Pixels that become points, in the order of the raster, with what else is known of them, (n,) each."""

    flat: Whole
    places: Places
    columns: Mapping[str, npt.NDArray[Any]]


def points_of_pixels(grid: PixelGrid, pixels: Pixels) -> tuple[npt.NDArray[np.intp], dict[str, Any]]:
    """Hilbert order of some pixels, and their coordinates in it."""
    names = _names(pixels.flat, grid)
    order = hilbert_order(pixels.places.easting, pixels.places.northing, names, np.arange(pixels.flat.size))
    flat = pixels.flat[order]
    coords: dict[str, Any] = {
        "point_id": ("point", names[order].astype(str), describe("point_id")),
        "easting": ("point", pixels.places.easting[order], describe("easting")),
        "northing": ("point", pixels.places.northing[order], describe("northing")),
        "row": ("point", (flat // grid.columns).astype(np.int32), _describe("row")),
        "col": ("point", (flat % grid.columns).astype(np.int32), _describe("col")),
        "crs": ((), np.int32(0), _crs_attributes(pixels.places)),
        "grid": grid_variable(grid),
    }
    for name, column in {**pixels.places.degrees, **pixels.columns}.items():
        coords[name] = ("point", column[order], _describe(name))
    return order, coords


def cube_of_pixels(
    stack: PixelStack, pixels: Pixels, attrs: Mapping[str, Any], encoding: Mapping[str, Any]
) -> xr.Dataset:
    """Point cube of some pixels in Hilbert order; one Dask chunk a shard, read when it is computed."""
    order, coords = points_of_pixels(stack.grid, pixels)
    values = lazy_values(stack, pixels.flat[order])
    cube = xr.Dataset(
        {
            "displacement": (("point", "time"), values, {**describe("displacement"), "grid_mapping": "crs"}),
            "observed": ("time", np.ones(stack.times.size, bool), describe("observed")),
        },
        coords={**coords, "time": ("time", stack.times)},
        attrs=dict(attrs),
    )
    cube["displacement"].encoding = dict(encoding)
    return cube


def choose(pixels: Pixels, name: str, area: Any, area_crs: Any, min_coherence: float | None) -> Pixels:
    """Pixels inside an area and of at least a coherence; raises CubeError when none is left, or none is known."""
    places = pixels.places
    if min_coherence is not None and "coherence" not in pixels.columns:
        raise CubeError(f"{name} comes without coherence: pass coherence=, or leave min_coherence out")
    wanted = wanted_places(places, pixels.columns.get("coherence"), name, area, area_crs, min_coherence)
    if wanted.all():  # a copy takes 40 bytes a pixel, and more with other columns
        return pixels
    degrees = {key: column[wanted] for key, column in places.degrees.items()}
    kept = Places(places.easting[wanted], places.northing[wanted], places.crs, degrees)
    return Pixels(pixels.flat[wanted], kept, {key: column[wanted] for key, column in pixels.columns.items()})


def gather(stack: PixelStack, flat: Whole) -> Float32:
    """Displacement of some pixels, (pixels, time): read tile by tile, of each tile only the window that they span."""
    grid, tile = stack.grid, stack.tile
    row, column = np.divmod(flat, grid.columns)
    values = np.empty((flat.size, stack.times.size), np.float32)
    number = row // tile.rows * (-(-grid.columns // tile.columns)) + column // tile.columns
    order = np.argsort(number, kind="stable")
    cuts = np.flatnonzero(np.diff(number[order])) + 1
    with stack.pieces() as pieces:
        for chosen in np.split(order, cuts):
            top, left = int(row[chosen].min()), int(column[chosen].min())
            window = slice(top, int(row[chosen].max()) + 1), slice(left, int(column[chosen].max()) + 1)
            for dates, piece in pieces(*window):
                values[np.ix_(chosen, dates)] = piece[:, row[chosen] - top, column[chosen] - left].T
    return values


def lazy_values(stack: PixelStack, flat: Whole) -> Any:
    """A Dask array whose name follows from the files and the pixels, so that a killed `save` can go on."""
    import dask.array as da
    from dask.base import tokenize
    from dask.delayed import delayed

    n_times = stack.times.size
    shard = ShardPlan.of(flat.size, n_times).shard
    token = tokenize(stack.identity, stack.times, flat)
    held = delayed(stack, name=f"stack-{token}", traverse=False)
    blocks = []
    for number, start in enumerate(range(0, flat.size, shard)):
        part = flat[start : start + shard]
        block = delayed(gather, pure=True)(held, part, dask_key_name=f"pixels-{token}-{number}")
        blocks.append(da.from_delayed(block, (part.size, n_times), np.float32, name=f"displacement-{token}-{number}"))
    return da.concatenate(blocks, axis=0)


def _names(flat: Whole, grid: PixelGrid) -> npt.NDArray[np.bytes_]:
    """Identifiers such as ``R012C345``, as wide as the raster needs."""
    row, column = np.divmod(flat, grid.columns)
    deep, wide = len(str(grid.rows - 1)), len(str(grid.columns - 1))
    text = np.empty((flat.size, 2 + deep + wide), np.uint8)
    text[:, 0], text[:, 1 + deep] = ord("R"), ord("C")
    for k in range(deep):
        text[:, 1 + k] = row // 10 ** (deep - 1 - k) % 10 + ord("0")
    for k in range(wide):
        text[:, 2 + deep + k] = column // 10 ** (wide - 1 - k) % 10 + ord("0")
    return text.view(f"S{text.shape[1]}").ravel()


def _crs_attributes(places: Places) -> dict[str, Any]:
    epsg = places.crs.to_epsg()
    return {"crs_wkt": places.crs.to_wkt()} | ({"epsg": epsg} if epsg else {})


def _describe(name: str) -> dict[str, str]:
    if name in LONG_NAMES_AND_UNITS:
        return describe(name)
    long_name, units = COLUMNS[name]
    return {"long_name": long_name, "units": units}


def count_pixels(stack: PixelStack, kept: Kept, pixels: Pixels) -> dict[str, Any]:
    """Attributes that say where every pixel of the raster went."""
    return {
        "n_pixels": stack.grid.rows * stack.grid.columns,
        "n_empty": kept.n_empty,
        "n_rejected": len(kept.rejected),
        "n_left_out": kept.pixels.size - pixels.flat.size,
    }
