"""A variable over time, y and x of a CF NetCDF file as a stack on one grid; decoded by Xarray, windows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from pyproj import CRS
from pyproj.exceptions import CRSError

from insar_dask.cube import CubeError
from insar_dask.readers.crs import crs_of
from insar_dask.readers.declared import sorted_days
from insar_dask.readers.grid import PixelGrid
from insar_dask.readers.hdf5_source import open_hdf5
from insar_dask.readers.pixels import Piece, Pieces, Tile, tiles
from insar_dask.readers.source_files import SourceFiles

__all__ = ["NetCdfFile", "NetCdfStack", "is_netcdf", "look_into", "plane_of"]

CLASSIC, HDF5 = b"CDF", b"\x89HDF"
SUFFIXES = (".nc", ".nc4", ".cdf", ".netcdf")
X_NAMES = ("x", "lon", "longitude", "easting", "projection_x_coordinate")
Y_NAMES = ("y", "lat", "latitude", "northing", "projection_y_coordinate")
BROKEN = (OSError, ValueError, TypeError, KeyError, IndexError, RuntimeError, AttributeError, MemoryError)
"""What h5netcdf and SciPy raise over bytes that are no NetCDF."""

FILLS = ("_FillValue", "missing_value")
PACKING = (*FILLS, "scale_factor", "add_offset", "_Unsigned")
"""Attributes by which Xarray decodes values."""

EVEN = 0.01
"""Most that a spacing may differ from the mean one, as a share of it: coordinates are often float32."""


@dataclass(frozen=True)
class NetCdfFile:
    """What a NetCDF file says before its values are read; ``dims`` are those of time, y and x, ``order`` the dates'."""

    path: Path
    variable: str
    dims: tuple[str, str, str]
    grid: PixelGrid
    times: npt.NDArray[np.datetime64]
    order: npt.NDArray[np.intp]
    units: str | None
    stored: np.dtype[Any]
    packing: Mapping[str, Any]
    chunk: tuple[int, int] | None
    tags: Mapping[str, Any]

    @property
    def declares_nodata(self) -> bool:
        """Whether the file says which value stands for none."""
        return any(key in self.packing for key in FILLS)

    def decoded(self, nodata: float | None) -> float | None:
        """What a stored value becomes when Xarray unpacks it; raises CubeError where it cannot be stored."""
        if nodata is None:
            return None
        raw = np.array(nodata).astype(self.stored)
        if self.stored.kind in "iu" and raw != nodata and "_Unsigned" not in self.packing:
            raise CubeError(
                f"{self.path.name}: {self.variable!r} is stored as {self.stored}, which is never {nodata:g}: pass "
                "nodata= as it is stored, before scale and offset"
            )
        packing = {key: value for key, value in self.packing.items() if key not in FILLS}
        unpacked = xr.conventions.decode_cf_variable(self.variable, xr.Variable((), raw, packing))
        return float(unpacked.values)


@dataclass(frozen=True)
class NetCdfStack:
    """The variable of a file; ``places`` has where each date of the file goes."""

    file: NetCdfFile
    grid: PixelGrid
    times: npt.NDArray[np.datetime64]
    places: npt.NDArray[np.intp]
    factor: float
    nodata: float | None
    tile: Tile
    files: SourceFiles

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.file.path.name

    @property
    def identity(self) -> str:
        """Changes whenever the values might."""
        return f"{self.files.checksum} {self.factor!r} {self.nodata!r} {self.file.variable} {self.places.tolist()}"

    @contextmanager
    def pieces(self) -> Iterator[Pieces]:
        """Hold the file open; a window comes in one piece."""
        with self.files.unchanged(), _opened(self.file.path) as data:
            variable = data[self.file.variable].transpose(*self.file.dims)

            def read(rows: slice, columns: slice) -> Iterator[Piece]:
                raw = variable[:, rows, columns].values
                values = (raw.astype(np.float64) * self.factor).astype(np.float32)
                if self.nodata is not None:
                    values[raw == self.nodata] = np.nan
                yield self.places, values

            yield read


def is_netcdf(path: Path) -> bool:
    """Whether a file is NetCDF by its first bytes, or would be by its name."""
    if not path.is_file():
        return path.suffix.lower() in SUFFIXES
    with path.open("rb") as file:
        begin = file.read(4)
    return begin.startswith((CLASSIC, HDF5)) or path.suffix.lower() in SUFFIXES


def look_into(path: Path, variable: str | None = None, source_crs: Any = None) -> NetCdfFile:
    """Find the variable over time, y and x, and what the file says of it.

    Raises
    ------
    FileNotFoundError, CubeError
        No such file; no NetCDF; no such variable, or several; no dates; uneven coordinates; no CRS.
    """
    with _opened(path) as data:
        name = _variable(data, variable, path.name)
        values = data[name]
        dims = _time(data, values, path.name), _axis(data, values, "Y", path.name), _axis(data, values, "X", path.name)
        days = data[dims[0]].values.astype("datetime64[D]")
        times, order = sorted_days(days, [f"date {place}" for place in range(days.size)], path.name)
        grid = _grid(data, values, dims[1], dims[2], source_crs, path.name)
        encoding = values.encoding
        sizes = dict(zip(values.dims, encoding.get("chunksizes") or (), strict=False))
        chunk = (int(sizes[dims[1]]), int(sizes[dims[2]])) if sizes else None
        packing = {key: encoding[key] for key in PACKING if key in encoding}
        stored = np.dtype(encoding.get("dtype", values.dtype))
        tags = {**data.attrs, **values.attrs}
        units = values.attrs.get("units")
    return NetCdfFile(path, name, dims, grid, times, order, units, stored, packing, chunk, tags)


def plane_of(file: NetCdfFile, variable: str, flat: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """A variable over y and x at some pixels, (n,), read tile by tile."""
    with _opened(file.path) as data:
        if variable not in data or set(data[variable].dims) != set(file.dims[1:]):
            raise CubeError(
                f"{file.path.name} has no variable {variable!r} over {file.dims[1:]}, only {list(data)[:12]}"
            )
        plane, values = data[variable].transpose(*file.dims[1:]), np.empty(flat.size, np.float32)
        for rows, columns in tiles(file.grid, Tile.of(file.grid, 8)):
            start, stop = np.searchsorted(flat, (rows.start * file.grid.columns, rows.stop * file.grid.columns))
            if start < stop:
                block = plane[rows, columns].values.ravel()
                values[start:stop] = block[flat[start:stop] - rows.start * file.grid.columns]
    return values


@contextmanager
def _opened(path: Path) -> Iterator[xr.Dataset]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    with path.open("rb") as file:
        begin = file.read(4)
    if begin[:4] == HDF5:
        with open_hdf5(path):  # says what is wrong with it
            pass
    elif begin[:3] != CLASSIC:
        raise CubeError(f"{path.name} is no NetCDF file (it begins with {begin!r}): copy it again")
    try:
        opened = xr.open_dataset(path, engine="h5netcdf" if begin[:4] == HDF5 else "scipy", cache=False)
    except ImportError as error:
        raise ImportError(f"reading {path.name} needs h5netcdf: pip install 'insar-dask[geo]'") from error
    except BROKEN as error:
        raise CubeError(f"{path.name} is damaged, or no NetCDF ({error}): copy it again") from None
    with opened:
        try:
            yield opened
        except (OSError, RuntimeError) as error:
            raise CubeError(f"{path.name} is damaged or cut off ({error}): copy it again") from None


def _variable(data: xr.Dataset, wanted: str | None, name: str) -> str:
    if wanted is not None:
        if wanted not in data or data[wanted].ndim != 3:
            raise CubeError(f"{name} has no variable {wanted!r} of 3 dimensions, it has {list(map(str, data))[:12]}")
        return wanted
    found = [str(key) for key in data if data[key].ndim == 3]
    if len(found) != 1:
        raise CubeError(f"{name} has {len(found)} variables of 3 dimensions, {found[:8]}: pass variable=")
    return found[0]


def _time(data: xr.Dataset, values: xr.DataArray, name: str) -> str:
    for dim in map(str, values.dims):
        if dim in data.coords and data[dim].dtype.kind == "M":
            return dim
    raise CubeError(f"{name}: {values.name!r} over {values.dims} has no time axis with dates of the standard calendar")


def _axis(data: xr.Dataset, values: xr.DataArray, axis: str, name: str) -> str:
    known = X_NAMES if axis == "X" else Y_NAMES
    for dim in map(str, values.dims):
        said = data[dim].attrs if dim in data.coords else {}
        if dim.lower() in known or said.get("axis") == axis or said.get("standard_name") in known:
            if dim not in data.coords:
                raise CubeError(f"{name}: dimension {dim!r} has no coordinates: where do its pixels lie?")
            return dim
    raise CubeError(
        f"{name}: {values.name!r} over {values.dims} has no {axis.lower()} axis: name it one of {known[:4]}"
    )


def _grid(data: xr.Dataset, values: xr.DataArray, y: str, x: str, source_crs: Any, name: str) -> PixelGrid:
    (y_first, y_step), (x_first, x_step) = (_even(data[dim].values, dim, name) for dim in (y, x))
    crs = _crs(data, values, x, source_crs, name)
    return PixelGrid(data.sizes[y], data.sizes[x], x_first, x_step, y_first, y_step, crs.to_wkt())


def _even(coordinates: npt.NDArray[Any], dim: str, name: str) -> tuple[float, float]:
    """First coordinate and step, by the ends: single coordinates may be rounded."""
    if coordinates.size < 2:
        raise CubeError(f"{name}: {dim!r} has {coordinates.size} coordinates, wanted at least 2 to know the spacing")
    places = coordinates.astype(np.float64)
    step = (places[-1] - places[0]) / (places.size - 1)
    off = np.abs(places - (places[0] + step * np.arange(places.size))).max()
    if not np.isfinite(off) or step == 0 or off > EVEN * abs(step):
        raise CubeError(
            f"{name}: {dim!r} is not evenly spaced ({off:.3g} off at a step of {step:.6g}): resample it first"
        )
    return float(places[0]), float(step)


def _crs(data: xr.Dataset, values: xr.DataArray, x: str, source_crs: Any, name: str) -> CRS:
    mapping = values.attrs.get("grid_mapping") or values.encoding.get("grid_mapping")
    if mapping in data.variables:
        said = data[mapping].attrs
        wkt = said.get("crs_wkt") or said.get("spatial_ref")
        try:
            return CRS.from_user_input(wkt) if wkt else CRS.from_cf(said)
        except (CRSError, KeyError) as error:
            if source_crs is None:
                raise CubeError(
                    f"{name}: its grid mapping {mapping!r} tells no CRS ({error}): pass source_crs=, such as "
                    "source_crs='EPSG:32633'"
                ) from None
    if source_crs is not None:
        return crs_of(source_crs, "source_crs")
    if str(data[x].attrs.get("units", "")).startswith("degree"):
        return CRS.from_epsg(4326)
    raise CubeError(f"{name} has no grid mapping: pass source_crs=, such as source_crs='EPSG:32633'")
