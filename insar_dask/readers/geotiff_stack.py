"""Rasters of one date each, or the bands of one file, as a stack on one grid; rasterio is imported only here."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.readers.crs import crs_of
from insar_dask.readers.grid import PixelGrid, same_grid
from insar_dask.readers.pixels import Piece, Pieces, Tile, tiles
from insar_dask.readers.source_files import SourceFiles

__all__ = ["RASTERS", "GeoTiffStack", "RasterFile", "check_grids", "look_at", "raster_at", "with_parts"]

RASTERS = (".tif", ".tiff", ".vrt")
"""Endings of what is found in folders; a path may name whatever GDAL reads."""

OVERVIEWS = ".ovr"
SUBDATASET = re.compile(r'[A-Za-z0-9_]+:"?(.+?)"?:')
"""How GDAL names a variable of a file, such as NETCDF:"a.nc":phase."""

GDAL_CACHE = 32  # MB: by default GDAL takes 5 % of the machine's memory for blocks that are read once
ROTATED = 1e-9


@dataclass(frozen=True)
class RasterFile:
    """What a raster file says before it is read: one entry of ``descriptions`` and ``units`` a band."""

    path: Path
    grid: PixelGrid
    n_bands: int
    descriptions: tuple[str | None, ...]
    units: tuple[str | None, ...]
    declares_nodata: bool
    chunk: tuple[int, int]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class GeoTiffStack:
    """Bands of all dates; ``bands`` has file and band (from 1) of each, ``factor`` millimetres in its unit."""

    bands: tuple[tuple[Path, int], ...]
    grid: PixelGrid
    times: npt.NDArray[np.datetime64]
    factor: float
    nodata: float | None
    tile: Tile
    files: SourceFiles
    name: str

    @property
    def identity(self) -> str:
        """Changes whenever the values might."""
        return f"{self.files.checksum} {self.factor!r} {self.nodata!r} {self.bands}"

    @contextmanager
    def pieces(self) -> Iterator[Pieces]:
        """A window comes date by date; of several files only one is open at a time."""
        import rasterio

        with self.files.unchanged(), rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE):
            yield self._windows

    def _windows(self, rows: slice, columns: slice) -> Iterator[Piece]:
        for path in dict.fromkeys(path for path, _ in self.bands):
            with _opened(path) as file:
                for place, (own, band) in enumerate(self.bands):
                    if own == path:
                        plane = _window(file, band, rows, columns, self.nodata, self.factor)
                        yield np.array([place]), plane[None]


def with_parts(paths: Sequence[Path]) -> list[Path]:
    """Files, and all that GDAL reads for those that end as `RASTERS` do.

    What lies beside a raster (``.aux.xml``, ``.msk``) may scale or mask it, and a ``.vrt`` is made of others, however
    deep; what is read from a network or an archive (``/vsi...``) is no file here.
    """
    found, left = dict.fromkeys(paths), list(paths)
    while left:
        parts = [part for part in _parts(left.pop()) if part not in found]
        found.update(dict.fromkeys(parts))
        left += parts
    return list(found)


def _parts(path: Path) -> list[Path]:
    """Files behind a raster; of what is none, or cannot be read, nothing: whoever reads it says so."""
    if path.suffix.lower() not in RASTERS:
        return []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Dataset has no geotransform")
        try:
            with _opened(path) as file:
                names = [name for name in file.files if not name.endswith(OVERVIEWS)]
        except (CubeError, ImportError):
            return []
    inner = [found[1] for name in names if (found := SUBDATASET.match(name))]
    return [part for part in map(Path, [*names, *inner]) if part.is_file()]


def look_at(path: Path, source_crs: Any = None) -> RasterFile:
    """Open a raster and say what it is.

    Raises
    ------
    ImportError
        Without rasterio.
    FileNotFoundError, CubeError
        No such file; empty; no raster; turned; without a CRS.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise CubeError(f"{path.name} is empty (0 bytes): copy it again")
    with _placed(path) as file:
        place = file.transform
        if file.crs is None and source_crs is None:
            raise CubeError(f"{path.name} has no CRS: pass source_crs=, such as source_crs='EPSG:4326'")
        if max(abs(place.b), abs(place.d)) > ROTATED * abs(place.a):
            raise CubeError(f"{path.name} is turned against its CRS: warp it first (gdalwarp), and pass the result")
        crs = crs_of(source_crs if file.crs is None else file.crs.to_wkt(), "source_crs")
        grid = PixelGrid(
            file.height, file.width, place.c + place.a / 2, place.a, place.f + place.e / 2, place.e, crs.to_wkt()
        )
        return RasterFile(
            path, grid, file.count, tuple(file.descriptions), tuple(unit or None for unit in file.units),
            any("all_valid" not in {flag.name for flag in flags} for flags in file.mask_flag_enums),
            file.block_shapes[0], file.tags(),
        )  # fmt: skip


def check_grids(files: Sequence[RasterFile]) -> None:
    """Raise CubeError naming the first file whose size, place or CRS is not that of the first one, and how."""
    first = files[0]
    for file in files[1:]:
        same_grid(first.grid, file.grid, first.path.name, file.path.name, "bring all files to one grid (gdalwarp)")


def raster_at(path: Path, grid: PixelGrid, flat: npt.NDArray[np.int64], name: str) -> npt.NDArray[np.float32]:
    """First band of a raster at some pixels of a grid that it must share, (n,), read tile by tile."""
    file = look_at(path, grid.crs_wkt)
    same_grid(grid, file.grid, name, path.name, "bring it to the grid of the series (gdalwarp)")
    values = np.empty(flat.size, np.float32)
    with _opened(path) as opened:
        for rows, columns in tiles(grid, Tile.of(grid, 8)):
            start, stop = np.searchsorted(flat, (rows.start * grid.columns, rows.stop * grid.columns))
            if start < stop:
                block = _window(opened, 1, rows, columns, None, 1.0).ravel()
                values[start:stop] = block[flat[start:stop] - rows.start * grid.columns]
    return values


@contextmanager
def _placed(path: Path) -> Iterator[Any]:
    """As `_opened`, but a file that does not say where its pixels lie is an error, not a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Dataset has no geotransform")
        try:
            with _opened(path) as file:
                lost = file.transform.is_identity
                if not lost:
                    yield file
        except UserWarning:
            lost = True
    if lost:
        raise CubeError(f"{path.name} has no geotransform: georeference it first (gdal_translate)")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import rasterio
        from rasterio.errors import RasterioIOError
    except ImportError as error:
        raise ImportError(f"reading {path.name} needs rasterio: pip install 'insar-dask[geo]'") from error
    try:
        with rasterio.open(path) as file:
            yield file
    except RasterioIOError as error:
        raise CubeError(f"{path.name} is no raster, or is damaged or cut off ({error}): copy it again") from None


def _window(
    file: Any, band: int, rows: slice, columns: slice, nodata: float | None, factor: float
) -> npt.NDArray[np.float32]:
    """One band of a window in millimetres; what the file masks, or what equals ``nodata``, is NaN."""
    found = file.read(band, window=((rows.start, rows.stop), (columns.start, columns.stop)), masked=True)
    raw, missing = found.data, np.ma.getmaskarray(found)
    if nodata is not None:
        missing = missing | (raw == nodata)
    scale, offset = file.scales[band - 1], file.offsets[band - 1]
    with np.errstate(over="ignore", invalid="ignore"):  # what is infinite then is rejected
        values: npt.NDArray[np.float32] = ((raw.astype(np.float64) * scale + offset) * factor).astype(np.float32)
    values[missing] = np.nan
    return values
