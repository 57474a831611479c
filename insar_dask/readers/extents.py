"""How large a source is, from headers alone: what a plan needs before anything is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.readers.bucket_file import BucketFile, SourceFile, source_file
from insar_dask.readers.csv_bands import BandReader
from insar_dask.readers.csv_source import MAX_RATIO, open_csv
from insar_dask.readers.egms import peek
from insar_dask.readers.geotiff_stack import check_grids, look_at
from insar_dask.readers.hdf5_source import dataset, open_hdf5
from insar_dask.readers.ifgram_stack import PHASE, pair_days
from insar_dask.readers.mintpy_attributes import parse_dates
from insar_dask.readers.netcdf_stack import is_netcdf, look_into
from insar_dask.readers.pair_cube import files_of_pairs, pair_files
from insar_dask.readers.pair_headers import look_at_pair
from insar_dask.readers.psi_rows import parse_psi_header
from insar_dask.readers.raster import raster_files
from insar_dask.readers.raster_dates import DATE, DATE_FORMAT, dated_bands

__all__ = ["Extent", "extent_of"]

Options = Mapping[str, Any]

PEEK_BYTES = 1 << 18
NEWLINE = ord("\n")


@dataclass(frozen=True)
class Extent:
    """Dates of a source, the bytes read for them (inflated, where they are text), and how many points there may be.

    ``n_points`` is about right for a table, whose first rows are measured; of rasters it is all pixels, and ``at_most``
    says so: which of them hold a series is known once they are read. Of interferograms ``times`` are the dates of their
    network, and ``pairs`` how many there are.
    """

    n_points: int
    times: npt.NDArray[np.datetime64]
    size: int
    at_most: bool
    pairs: int = 0


def extent_of(source: str | SourceFile, reader: str, options: Options) -> Extent:
    """Extent of a source of a reader, whose keyword arguments ``options`` are.

    Raises
    ------
    CubeError, OSError
        What the reader says of a header that is wrong.
    """
    file = source_file(source)
    if isinstance(file, BucketFile) or reader == "egms":
        return _of_egms(file, options)
    measures: dict[str, Callable[[Path, Options], Extent]] = {
        "mintpy": _of_mintpy, "raster": _of_rasters, "psi_csv": _of_table, "pairs": _of_pairs,
        "ifgram_stack": _of_ifgram_stack,
    }  # fmt: skip
    return measures[reader](file, options)


def _of_egms(path: SourceFile, options: Options) -> Extent:
    info = peek(path, name=options.get("name"), max_ratio=options.get("max_ratio", MAX_RATIO))
    return Extent(info.n_points, info.times, info.size, False)


def _of_mintpy(path: Path, _: Options) -> Extent:
    with open_hdf5(path) as file:
        times, _order = parse_dates(dataset(file, "date", path, 1)[()], path.name)
        series = dataset(file, "timeseries", path, 3)
        return Extent(series.shape[1] * series.shape[2], times, series.nbytes, True)


def _of_rasters(source: Path, options: Options) -> Extent:
    paths, source_crs = raster_files(source), options.get("source_crs")
    if len(paths) == 1 and is_netcdf(paths[0]):
        found = look_into(paths[0], options.get("variable"), source_crs)
        grid, times = found.grid, found.times
    else:
        files = [look_at(path, source_crs) for path in paths]
        check_grids(files)
        how = options.get("pattern", DATE), options.get("date_format", DATE_FORMAT)
        grid, (_bands, times) = files[0].grid, dated_bands(files, options.get("dates"), *how)
    return Extent(grid.rows * grid.columns, times, sum(path.stat().st_size for path in paths), True)


def _of_pairs(source: Path, options: Options) -> Extent:
    paths = pair_files(source)
    dem = options.get("gamma_dem")
    files = [look_at_pair(path, dem and Path(dem), None, options.get("source_crs")) for path in paths]
    ends = np.unique([[file.first, file.second] for file in files]).astype("datetime64[ns]")
    grid, size = files[0].grid, sum(path.stat().st_size for path in files_of_pairs(source, options))
    return Extent(grid.rows * grid.columns, ends, size, True, len(files))


def _of_ifgram_stack(path: Path, _: Options) -> Extent:
    with open_hdf5(path) as file:
        first, second = pair_days(dataset(file, "date", path, 2)[()], path.name)
        name = next((one for one in PHASE if one in file), PHASE[-1])
        values, size = dataset(file, name, path, 3), path.stat().st_size
        ends = np.unique([first, second]).astype("datetime64[ns]")
        return Extent(values.shape[1] * values.shape[2], ends, size, True, len(first))


def _of_table(path: Path, options: Options) -> Extent:
    with open_csv(path, options.get("max_ratio", MAX_RATIO)) as stream:
        reader = BandReader(stream, buffers=2, band_bytes=PEEK_BYTES)
        header = parse_psi_header(
            reader.header, options.get("columns", {}), options.get("dates", DATE_FORMAT), stream.name
        )
        band = next(iter(reader), None)
        per_point = np.inf if band is None else band.used / np.count_nonzero(band.text[: band.used] == NEWLINE)
        return Extent(round((stream.size - len(reader.header)) / per_point), header.dates, stream.size, False)
