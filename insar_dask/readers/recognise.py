"""Which reader a source wants, told from the files themselves where they leave no doubt."""

from __future__ import annotations

import csv
import json
import re
from glob import glob
from pathlib import Path

from insar_dask.bucket_address import is_bucket
from insar_dask.cube import CubeError
from insar_dask.readers.bucket_file import SourceFile
from insar_dask.readers.csv_bands import BandReader
from insar_dask.readers.csv_source import open_csv
from insar_dask.readers.egms_names import parse_name
from insar_dask.readers.geotiff_stack import RASTERS
from insar_dask.readers.hdf5_source import open_hdf5
from insar_dask.readers.netcdf_stack import is_netcdf
from insar_dask.readers.raster_dates import DATE

__all__ = ["files_behind", "reader_of"]

TABLES = (".csv", ".zip")
SERIES = "timeseries*.h5"
UNWRAPPED = ".unw"
DAY = re.compile(DATE)
HDF5 = b"\x89HDF"
HEADER_BYTES = 1 << 18
GUESSES = {
    "point_id": ("id", "code"),
    "longitude": ("lon",),
    "latitude": ("lat",),
    "height": ("height",),
    "coherence": ("coh",),
}
"""What the name of a column of a table of scatterers has in it, other processors' being many."""


def reader_of(source: str | SourceFile) -> str:
    """Name of the reader of a file, folder or glob: "egms", "mintpy", "raster", "ifgram_stack" or "pairs".

    EGMS products are known by name or header, MintPy's series and interferograms by what the HDF5 file holds, rasters
    as NetCDF or by their ending, and single interferograms by theirs or the two dates in the name of a raster. What is
    not there, or is none of them, is left to the reader of EGMS, whose error names it; so is what lies in a bucket,
    where no other reader goes.

    Raises
    ------
    CubeError
        When a folder or glob holds sources of several readers; for a table of scatterers, whose columns only a
        configuration can declare: the error has the one to write. What is wrong with a damaged file.
    """
    if is_bucket(str(source)):
        return "egms"
    path = Path(str(source))
    if path.is_file():
        return _reader_of_file(path)
    found: dict[str, Path] = {}
    for file in files_behind(path):
        found.setdefault(_reader_of_file(file), file)
    if len(found) > 1:
        each = " and ".join(f"{file.name} ({reader})" for reader, file in found.items())
        raise CubeError(f"{source} holds sources of several readers, {each}: name the files, or set reader")
    return next(iter(found), "egms")


def files_behind(source: str | Path) -> list[Path]:
    """Files of a folder that may be sources, or those that a glob matches, by name."""
    path = Path(source)
    if path.is_dir():
        series = set(path.glob(SERIES)) | set(path.glob(f"geo_{SERIES}"))
        return sorted(file for file in path.iterdir() if file in series or _is_source(file))
    hits = glob(str(source))  # noqa: PTH207 - Path.glob takes no absolute pattern
    return sorted(file for hit in hits if (file := Path(hit)).is_file())


def _reader_of_file(path: Path) -> str:
    if parse_name(path):
        return "egms"
    with path.open("rb") as file:
        begin = file.read(len(HDF5))
    if begin == HDF5:
        return _reader_of_hdf5(path)
    if path.suffix.lower() == UNWRAPPED or (_is_raster(path) and len(set(DAY.findall(path.stem))) == 2):
        return "pairs"
    if _is_raster(path) or is_netcdf(path):
        return "raster"
    if path.suffix.lower() in TABLES and begin:
        _check_egms_table(path)
    return "egms"


def _is_source(path: Path) -> bool:
    return _is_raster(path) or path.suffix.lower() == UNWRAPPED or parse_name(path) is not None


def _is_raster(path: Path) -> bool:
    return path.suffix.lower() in RASTERS


def _reader_of_hdf5(path: Path) -> str:
    """MintPy's interferograms, its series (or another of its files, of which its reader says what is wrong), or any."""
    with open_hdf5(path) as file:
        if any(name.startswith("unwrapPhase") for name in file) and "date" in file:
            return "ifgram_stack"
        return "mintpy" if "timeseries" in file or "FILE_TYPE" in file.attrs else "raster"


def _check_egms_table(path: Path) -> None:
    """Raise CubeError, with the configuration to write, when no column is one of EGMS."""
    with open_csv(path) as stream:
        header = BandReader(stream, buffers=2, band_bytes=HEADER_BYTES).header
    names = [name.strip() for name in next(csv.reader([header.rstrip("\r\n")]), [])]
    if {"pid", "easting", "northing"} & {name.lower() for name in names} or len(names) < 2:
        return
    columns = {ours: next((n for n in names if any(p in n.lower() for p in parts)), "?")
               for ours, parts in GUESSES.items()}  # fmt: skip
    declared = ", ".join(f"{ours} = {json.dumps(name)}" for ours, name in columns.items())
    shown = ", ".join(name[:20] for name in names[:8])
    raise CubeError(
        f"{path.name} is no EGMS table (its columns: {shown} ...). For one of persistent scatterers write a file "
        "such as site.toml, set right what is guessed in it, and pass it to `insar-dask run`:\n\n"
        f'[source]\nfiles = [{json.dumps(str(path))}]\nreader = "psi_csv"\n\n'
        f'[source.options]\ncolumns = {{{declared}}}\ndates = "d_%Y%m%d"  # names of the columns of displacement\n'
        'units = "mm"\ncomponent = "los"\npositive = "towards the satellite"\n'
        'reference = "what the zero is"\nreference_date = "YYYY-MM-DD"\n'
        'track = "022"\norbit_direction = "ascending"'
    )
