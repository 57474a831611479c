"""MintPy's files: the series as a stack of rasters, and rasters that go with it at some of its pixels.

Layout and signs are those of MintPy's documentation ("Data structure", "Attributes"): displacement in metres, angles in
degrees, the azimuth angle being that of the direction from the ground to the satellite, from north, anti-clockwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.readers.declared import millimetres
from insar_dask.readers.grid import PixelGrid, same_grid
from insar_dask.readers.hdf5_source import dataset, open_hdf5
from insar_dask.readers.mintpy_attributes import Attributes, grid_of, parse_dates
from insar_dask.readers.pixels import Piece, Pieces, Tile, tiles
from insar_dask.readers.source_files import SourceFiles

__all__ = ["MintPyStack", "geometry_at", "has_plane", "open_stack", "plane_at"]

Floats = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int64]

SERIES = "timeseries"


@dataclass(frozen=True)
class MintPyStack:
    """A series file as `insar_dask.readers.pixels` reads it; ``places`` has where each date of the file goes."""

    path: Path
    grid: PixelGrid
    times: npt.NDArray[np.datetime64]
    places: npt.NDArray[np.intp]
    to_mm: float
    nodata: float | None
    tile: Tile
    files: SourceFiles

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.path.name

    @property
    def identity(self) -> str:
        """Changes whenever the values might."""
        return f"{self.files.checksum} {self.to_mm!r} {self.nodata!r} {self.places.tolist()}"

    @contextmanager
    def pieces(self) -> Iterator[Pieces]:
        """Hold the file open; a window comes in one piece."""
        with self.files.unchanged(), open_hdf5(self.path) as file:
            values = dataset(file, SERIES, self.path, 3)

            def read(rows: slice, columns: slice) -> Iterator[Piece]:
                block = values[:, rows, columns]
                missing = None if self.nodata is None else block == self.nodata
                with np.errstate(over="ignore"):  # what is infinite then is rejected
                    block *= block.dtype.type(self.to_mm)  # in place: tiles of all threads are in memory at once
                if missing is not None:
                    block[missing] = np.nan
                yield self.places, block.astype(np.float32, copy=False)

            yield read


def open_stack(
    path: Path, *, units: str | None, nodata: float | None, source_crs: Any, may_be_radar: bool
) -> tuple[MintPyStack, Attributes]:
    """The series of a file, and what the file says of itself; raises CubeError when it is none, or incomplete."""
    content = SourceFiles.seen([path])
    with open_hdf5(path) as file:
        if SERIES not in file:
            kind = Attributes(path.name, file.attrs).text("FILE_TYPE")
            raise CubeError(
                f"{path.name} is no time series but {kind or 'unknown'} (datasets {sorted(file)[:6]}): pass "
                "timeseries.h5 or geo_timeseries.h5; velocity, coherence and geometry go with it as velocity=, ..."
            )
        values = dataset(file, SERIES, path, 3)
        attributes = Attributes(path.name, {**file.attrs, **values.attrs})
        times, order = parse_dates(dataset(file, "date", path, 1)[()], path.name)
        if len(times) != values.shape[0] or not all(values.shape):
            raise CubeError(f"{path.name}: {SERIES!r} has shape {values.shape} for {len(times)} dates: is it cut off?")
        if values.dtype.kind != "f":
            raise CubeError(f"{path.name}: {SERIES!r} is {values.dtype}, wanted floating point")
        grid = grid_of(attributes, values.shape[1:], source_crs)
        bytes_per_pixel, chunk = times.size * values.dtype.itemsize, values.chunks and values.chunks[1:]
    if not grid.on_map and not may_be_radar:
        raise CubeError(
            f"{path.name} is in radar geometry (it has no X_FIRST): geocode it with MintPy (geocode.py), or pass "
            "lookup='inputs/geometryRadar.h5', whose latitude and longitude say where its pixels lie"
        )
    tile = Tile.of(grid, bytes_per_pixel, chunk)
    nodata = attributes.number("NO_DATA_VALUE") if nodata is None else nodata
    # 0 at one date is a value, whatever the file says of fills
    fill = None if nodata == 0 else nodata
    stack = MintPyStack(
        path,
        grid,
        times,
        np.argsort(order),
        millimetres(units or attributes.text("UNIT"), path.name),
        fill,
        tile,
        content.hashed(),
    )
    return stack, attributes


def plane_at(path: Path, names: tuple[str, ...], grid: PixelGrid, flat: Whole, *, in_mm: bool = False) -> Floats:
    """Values of a raster at some pixels, (n,), read tile by tile."""
    with open_hdf5(path) as file:
        stored = dataset(file, next((name for name in names if name in file), names[0]), path, 2)
        attributes = Attributes(path.name, {**file.attrs, **stored.attrs})
        own = grid_of(attributes, stored.shape, otherwise=grid.crs_wkt)
        same_grid(grid, own, "the series", path.name, "pass the file that belongs to the series, or None for none")
        factor = millimetres(attributes.text("UNIT"), path.name) if in_mm else 1.0
        values = np.empty(flat.size, np.float32)
        for rows, columns in tiles(grid, replace(Tile.of(grid, stored.dtype.itemsize), columns=grid.columns)):
            start, stop = np.searchsorted(flat, (rows.start * grid.columns, rows.stop * grid.columns))
            if start < stop:
                block = stored[rows, columns].ravel()
                values[start:stop] = block[flat[start:stop] - rows.start * grid.columns] * factor
    return values


def has_plane(path: Path, name: str) -> bool:
    """Whether a file has a dataset."""
    with open_hdf5(path) as file:
        return name in file


def geometry_at(path: Path, grid: PixelGrid, flat: Whole) -> dict[str, Floats]:
    """Height, angles, and the unit vector from the ground to the satellite: (-sin i sin a, sin i cos a, cos i)."""
    with open_hdf5(path) as file:
        names = set(file)
    columns = {"height": plane_at(path, ("height",), grid, flat)} if "height" in names else {}
    if "incidenceAngle" not in names:
        return columns
    incidence = plane_at(path, ("incidenceAngle",), grid, flat).astype(np.float64)
    incidence[incidence == 0] = np.nan  # outside the swath
    if (least := np.nanmax(incidence, initial=0.0)) <= np.pi / 2 or least >= 90:
        raise CubeError(f"{path.name}: incidenceAngle reaches {least:.3g}, wanted degrees between 0 and 90")
    columns["incidence_angle"] = incidence.astype(np.float32)
    if "azimuthAngle" in names:
        azimuth = plane_at(path, ("azimuthAngle",), grid, flat).astype(np.float64)
        azimuth[np.isnan(incidence)] = np.nan
        i, a = np.radians(incidence), np.radians(azimuth)
        vector = {"los_east": -np.sin(i) * np.sin(a), "los_north": np.sin(i) * np.cos(a), "los_up": np.cos(i)}
        columns["azimuth_angle"] = azimuth.astype(np.float32)
        columns |= {name: part.astype(np.float32) for name, part in vector.items()}
    return columns
