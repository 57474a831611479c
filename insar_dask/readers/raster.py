"""Stacks of displacement rasters, GeoTIFF or NetCDF, to point cubes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from pyproj import CRS

from insar_dask.cube import LONG_NAMES_AND_UNITS, CubeError
from insar_dask.readers.declared import describe_source, millimetres
from insar_dask.readers.geotiff_stack import (
    RASTERS,
    GeoTiffStack,
    RasterFile,
    check_grids,
    look_at,
    raster_at,
    with_parts,
)
from insar_dask.readers.netcdf_stack import NetCdfStack, is_netcdf, look_into, plane_of
from insar_dask.readers.pixel_points import Pixels, choose, count_pixels, cube_of_pixels
from insar_dask.readers.pixels import Tile, find_pixels
from insar_dask.readers.projection import project
from insar_dask.readers.raster_dates import DATE, DATE_FORMAT, dated_bands
from insar_dask.readers.source_files import SourceFiles

__all__ = ["raster_files", "read_raster"]

Whole = npt.NDArray[np.int64]
Plane = Callable[[Any, Whole], npt.NDArray[np.float32]]

COLUMNS = (
    "height", "height_ellipse", "coherence", "amplitude_dispersion", "incidence_angle", "track_angle", "los_east",
    "los_north", "los_up",
)  # fmt: skip


def read_raster(
    files: str | Path | Iterable[str | Path],
    *,
    dates: Sequence[Any] | None = None,
    pattern: str = DATE,
    date_format: str = DATE_FORMAT,
    variable: str | None = None,
    columns: Mapping[str, Any] | None = None,
    units: str | None = None,
    nodata: float | None = None,
    component: str | None = None,
    positive: str | None = None,
    reference_date: str | None = None,
    reference: str | None = None,
    release: str | None = None,
    track: str | None = None,
    orbit_direction: str | None = None,
    area: Any = None,
    area_crs: Any = None,
    min_coherence: float | None = None,
    crs: Any = None,
    source_crs: Any = None,
    max_rejected: float = 0.01,
    rejected: str | Path | None = None,
) -> xr.Dataset:
    """Read displacement rasters of several dates on one grid as a point cube in Hilbert order.

    The files are read once, tile by tile, to find the pixels that hold a series; displacement itself is read shard by
    shard when it is computed or saved, and a file that was written to in between is an error then.

    Parameters
    ----------
    files : path, folder, glob, or several paths
        GeoTIFFs (or what else GDAL reads) of one date each; one with a band a date; or one CF NetCDF file.
    dates : sequence of date-like, optional
        Dates of the files or bands, in the order given. Default: of files, by their names; of bands, by their
        descriptions; of NetCDF, its time axis.
    pattern, date_format : str
        Regular expression whose only group is the date in a file's name (or a band's description), which must match
        once, and the format of that date. Default: eight digits, YYYYMMDD.
    variable : str, optional
        Variable of a NetCDF file, where it has several over three dimensions.
    columns : mapping, optional
        What else is known of the points: name of the column (``coherence``, ``height``, ``los_east``, ...) to a raster
        of the same grid, or to a variable of the NetCDF file.
    units : {"m", "cm", "mm"}, optional
        Unit of a source that does not say it. What it says goes before.
    nodata : float, optional
        A value that stands for no data, as stored, beside those that the files declare and NaN. Where none is declared,
        a pixel that is 0 at every date has no data; where one is, it is a series of zeros.
    component, positive, reference_date, reference, release, track, orbit_direction : str, optional
        Attributes of the cube where tags of the first file (or attributes of the NetCDF) of the same names do not say
        them: component "los", "up" or "east"; for "los" also the sign, "towards the satellite" or "away from the
        satellite" (which is turned round), track and orbit. Default of ``release``: years of the first and last date.
    area, area_crs, min_coherence : optional
        As of `insar_dask.read_egms`, a box being in ``crs``; ``min_coherence`` needs the column ``coherence``.
    crs : CRS-like, optional
        Projected CRS [m] of the points. Default: that of the files, or for degrees the UTM zone of their centre;
        longitude and latitude are kept then.
    source_crs : CRS-like, optional
        CRS of files that do not say it.
    max_rejected : float
        Largest share of pixels with values that may hold nonsense: an infinite value, or one value at every date.
    rejected : str or Path, optional
        Where the place and reason of each such pixel go, if there are any.

    Returns
    -------
    xr.Dataset
        Point cube, (point, time) float32 mm, with ``row``, ``col`` and ``grid``, by which `insar_dask.to_grid` puts any
        result back on the raster.

    Raises
    ------
    ImportError
        Without rasterio, or h5netcdf (extra ``geo``).
    FileNotFoundError, CubeError
        No such file; no raster; a file whose grid or CRS differs; no date, two dates or a date twice; what neither the
        files nor the caller say; nothing left.
    OSError
        When the rejected pixels cannot be written.
    """
    paths = raster_files(files)
    given = {
        "component": component, "positive": positive, "reference_date": reference_date, "reference": reference,
        "release": release, "track": track, "orbit_direction": orbit_direction,
    }  # fmt: skip
    stack: GeoTiffStack | NetCdfStack
    if len(paths) == 1 and is_netcdf(paths[0]):
        stack, tags, declares, plane = _netcdf(paths[0], dates, variable, units, nodata, source_crs)
    else:
        stack, tags, declares, plane = _geotiffs(paths, dates, (pattern, date_format), units, nodata, source_crs)
    attrs, sign = describe_source(stack.name, stack.times, tags, given)
    stack = replace(stack, factor=stack.factor * sign)
    zero_is_missing = not declares and nodata is None
    quarantine = None if rejected is None else Path(rejected)
    kept = find_pixels(
        stack, zero_is_missing=zero_is_missing, max_rejected=max_rejected, may_be_tenths=True, quarantine=quarantine
    )
    pixels = _pixels(stack, kept.pixels, columns or {}, plane, crs)
    pixels = choose(pixels, stack.name, area, area_crs, min_coherence)
    attrs |= {"product": "raster", "source": paths[0].name, "n_files": len(paths)}
    attrs |= {"source_blake3": stack.files.checksum, "source_size": stack.files.size}
    attrs |= count_pixels(stack, kept, pixels)
    return cube_of_pixels(stack, pixels, attrs, {"dtype": "int16" if kept.tenths else "float32"})


def raster_files(files: str | Path | Iterable[str | Path]) -> list[Path]:
    """Files behind a path, folder or glob, by name; several paths stay in their order."""
    if not isinstance(files, str | Path):
        return [Path(file) for file in files] or _nothing("an empty list")
    path = Path(files)
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in RASTERS)
        return found or _nothing(f"no {' or '.join(RASTERS)} in folder {path}")
    if any(sign in str(files) for sign in "*?["):
        hits = sorted(Path(hit) for hit in glob(str(files)))  # noqa: PTH207 - Path.glob takes no absolute pattern
        return hits or _nothing(f"nothing matches {files}")
    return [path]


def _nothing(what: str) -> list[Path]:
    raise FileNotFoundError(f"no raster: {what}; wanted GeoTIFFs of one date each, or one NetCDF file")


def _netcdf(
    path: Path, dates: Any, variable: str | None, units: str | None, nodata: float | None, source_crs: Any
) -> tuple[NetCdfStack, Mapping[str, Any], bool, Plane]:
    if dates is not None:
        raise CubeError(f"{path.name} is NetCDF, whose time axis has the dates: leave dates= out")
    content = SourceFiles.seen([path])
    file = look_into(path, variable, source_crs)
    factor = millimetres(file.units, path.name, units)
    stack = NetCdfStack(
        file, file.grid, file.times, np.argsort(file.order), factor, file.decoded(nodata),
        Tile.of(file.grid, 8 * file.times.size, file.chunk), content.hashed(),
    )  # fmt: skip
    return stack, file.tags, file.declares_nodata, lambda name, flat: plane_of(file, str(name), flat)


def _geotiffs(
    paths: list[Path], dates: Any, named: tuple[str, str], units: str | None, nodata: float | None, source_crs: Any
) -> tuple[GeoTiffStack, Mapping[str, Any], bool, Plane]:
    content = SourceFiles.seen(with_parts(paths))
    files = [look_at(path, source_crs) for path in paths]
    check_grids(files)
    first, (bands, times) = files[0], dated_bands(files, dates, *named)
    stack = GeoTiffStack(
        bands, first.grid, times, _factor(files, units), nodata,
        Tile.of(first.grid, 8, first.chunk), content.hashed(), first.path.name,
    )  # fmt: skip
    declares = all(file.declares_nodata for file in files)
    return stack, first.tags, declares, lambda path, flat: raster_at(Path(path), first.grid, flat, first.path.name)


def _factor(files: Sequence[RasterFile], units: str | None) -> float:
    """Millimetres in the unit of all bands, which must have the same."""
    said: dict[str, str] = {}
    for file in files:
        for unit in filter(None, file.units):
            said.setdefault(unit, file.path.name)
    if len(said) > 1:
        (one, first), (other, second) = list(said.items())[:2]
        raise CubeError(f"{second} is in {other!r}, {first} in {one!r}: bring all files to one unit")
    return millimetres(next(iter(said), None), files[0].path.name, units)


def _pixels(
    stack: GeoTiffStack | NetCdfStack, flat: Whole, columns: Mapping[str, Any], plane: Plane, crs: Any
) -> Pixels:
    if unknown := [name for name in columns if name not in COLUMNS or name not in LONG_NAMES_AND_UNITS]:
        raise CubeError(f"columns {unknown} are unknown: wanted some of {COLUMNS}")
    row, column = np.divmod(flat, stack.grid.columns)
    source = CRS.from_wkt(stack.grid.crs_wkt)
    places = project(stack.grid.x(column), stack.grid.y(row), source, crs, stack.grid.centre, stack.name)
    return Pixels(flat, places, {name: plane(what, flat) for name, what in columns.items()})
