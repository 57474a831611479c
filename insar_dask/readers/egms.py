"""EGMS products (L2a, L2b, L3 U and E; csv, or the zip as delivered) to point tables and cubes.

One file is one cube: geometry, release and dates differ between products, so nothing is merged here. ``find_egms``
lists the products behind paths, folders and globs; loop over it for a collection. The formats are those of the EGMS
Product Description (Copernicus Land Monitoring Service, versions 2 and 3), columns mapped by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from insar_dask.bucket_address import is_bucket
from insar_dask.cube import CubeError
from insar_dask.machine import give_back, usable_cpus
from insar_dask.readers.area import open_area
from insar_dask.readers.bucket_file import BucketFile, SourceFile, bucket_files, source_file
from insar_dask.readers.csv_bands import BandReader
from insar_dask.readers.csv_source import MAX_RATIO, open_csv
from insar_dask.readers.egms_attributes import GEOMETRY, describe_product
from insar_dask.readers.egms_names import EgmsHeader, EgmsName, parse_header, parse_name, product_of
from insar_dask.readers.egms_rows import Reading, Selection
from insar_dask.readers.point_order import hilbert_order, repeated
from insar_dask.readers.point_table import PointTable
from insar_dask.readers.row_store import RowStore
from insar_dask.tenths import PACKING, NotTenthsError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ProductInfo", "find_egms", "peek", "read_egms", "read_table"]

EPSG, MOST_THREADS = 3035, 4
SUFFIXES = (".zip", ".csv")
NEWLINE = ord("\n")


@dataclass(frozen=True)
class ProductInfo:
    """What a product file says before its rows are read.

    ``size`` is the CSV's bytes (uncompressed), ``crc`` its CRC-32 where a zip holds it, ``n_points`` an estimate from
    the length of the first rows.
    """

    name: EgmsName
    times: npt.NDArray[np.datetime64]
    n_columns: int
    size: int
    crc: int | None
    n_points: int

    @property
    def cube_bytes(self) -> int:
        """Estimated bytes of the int16 cube in memory."""
        return self.n_points * self.times.size * 2


def find_egms(sources: str | SourceFile | Iterable[str | SourceFile]) -> list[SourceFile]:
    """List the product files behind paths, folders and globs, also of buckets (``s3://``), sorted, each once.

    Raises
    ------
    FileNotFoundError
        A path does not exist, or a folder or glob has no EGMS product.
    """
    many = [sources] if isinstance(sources, str | Path | BucketFile) else list(sources)
    found: dict[SourceFile, SourceFile] = {}
    for source in many:
        files = _in_bucket(str(source)) if is_bucket(str(source)) else _on_disk(Path(str(source)))
        if not files:
            raise FileNotFoundError(
                f"no EGMS product at {source}{_where(str(source))}: wanted a .zip or .csv, a folder of them, or a glob"
            )
        found.update((file.resolve(), file) for file in files)
    return sorted(found.values(), key=str)


def peek(source: str | SourceFile, *, name: str | None = None, max_ratio: float = MAX_RATIO) -> ProductInfo:
    """Read the header of a product and the length of its first rows, for planning; no row is parsed.

    Parameters
    ----------
    source, name, max_ratio
        As of ``read_table``.
    """
    path = source_file(source)
    product = product_of(name or path.name)
    with open_csv(path, max_ratio) as stream:
        reader = BandReader(stream, buffers=2, band_bytes=1 << 18)
        header = parse_header(reader.header, stream.name)
        band = next(iter(reader), None)
        ends = 0 if band is None else int(np.count_nonzero(band.text[: band.used] == NEWLINE))
        per_point = np.inf if band is None else band.used / max(ends, 1)  # a first row that is cut off has no end
        n_points = round((stream.size - len(reader.header)) / per_point)
        return ProductInfo(product, header.dates, len(header.names), stream.size, stream.crc, n_points)


def read_egms(source: str | Path, **options: Any) -> xr.Dataset:
    """Read one EGMS product as a point cube in Hilbert order.

    Parameters
    ----------
    source : str or Path
        A csv, or a zip that holds one; read in place.
    **options
        As of ``read_table``.

    Returns
    -------
    xr.Dataset
        Point cube, (point, time) float32 mm. Its values stay int16 in memory (where that loses nothing) and are decoded
        by Dask in chunks of 65,536 points. The published columns that were computed from the whole period are kept as
        ``egms_mean_velocity``, ``egms_rmse``, ...: they have seen every date, so never let a forecast read them.

    Raises
    ------
    FileNotFoundError, CubeError, OSError
        As of ``read_table``.

    Notes
    -----
    Memory is bounded by the file's int16 cube and 300 MB, counted as the peak resident size (``VmHWM`` of Linux) of the
    whole process, libraries included, that reads with ``read_table`` and writes with ``jobs.ingest.ingest_file``:
    900 MB for 1,000,000 points x 304 dates (608 the cube, 70 the other columns, 108 pages of libraries, ``RssFile``).
    Xarray and Dask, which ``read_egms`` needs on top, take 90 MB; a Dask worker that ingests, 20.
    """
    return read_table(source, **options).cube()


def read_table(
    source: str | SourceFile,
    *,
    name: str | None = None,
    area: Any = None,
    area_crs: Any = None,
    min_coherence: float | None = None,
    max_rejected: float = 0.01,
    rejected: str | Path | None = None,
    threads: int | None = None,
    max_ratio: float = MAX_RATIO,
) -> PointTable:
    """Read one EGMS product as a table, whose points leave in Hilbert order block by block.

    Parameters
    ----------
    source : str or Path
        A csv, or a zip that holds one; read in place.
    name : str, optional
        The name EGMS delivered the file under, when it was renamed: it alone says component, track and release.
    area : optional
        Keep points inside: (west, south, east, north), a GeoJSON or GeoPackage file, a GeoJSON mapping or a geometry.
    area_crs : optional
        CRS of ``area``; default EPSG:3035 for a box, else the area's own.
    min_coherence : float, optional
        Keep points of at least this temporal coherence (L2 only).
    max_rejected : float
        Largest share of rows that may be rejected.
    rejected : str or Path, optional
        Where to write the line number and reason of each rejected row, if there are any.
    threads : int, optional
        Threads that parse, default: the CPUs this process may use, at most 4.
    max_ratio : float
        Largest inflation of a zip member.

    Returns
    -------
    PointTable

    Raises
    ------
    FileNotFoundError, CubeError
        No such file; not such a product; too many rejected rows; no point left.
    OSError
        When the rejected rows cannot be written.
    """
    path, quarantine = source_file(source), None if rejected is None else Path(rejected)
    product = product_of(name or path.name)
    selection = Selection(None if area is None else open_area(area, area_crs), min_coherence, path.name)
    reading = Reading(path, selection, max_rejected, quarantine, threads or min(usable_cpus(), MOST_THREADS), max_ratio)
    try:
        header, rows, checksum = reading.read(wide=False)
    except NotTenthsError:
        header, rows, checksum = reading.read(wide=True)
    table = _table(path, product, header, rows, reading, checksum)
    give_back()
    return table


def _table(
    path: SourceFile, product: EgmsName, header: EgmsHeader, rows: RowStore, reading: Reading, checksum: str
) -> PointTable:
    from pyproj import CRS

    columns = rows.columns()
    give_back()  # sorting takes the most memory: what reading freed goes first
    left = _first_of_each(columns, rows.rejected)
    reading.settle(rows.rejected, rows.n_rows)
    if not left.size:
        raise CubeError(_nothing_left(path, rows, reading.selection))
    order = hilbert_order(columns["easting"], columns["northing"], columns["point_id"], left)
    geometry = {name: columns[name][order] for name in GEOMETRY if name in columns}
    attrs = {
        **describe_product(product, header, geometry, path.name),
        "source": path.name,
        "source_blake3": checksum,
        "source_size": path.stat().st_size,
        "n_rows": rows.n_rows,
        "n_rejected": len(rows.rejected),
        "n_read_with_care": rows.n_careful,
    }
    encoding = {"dtype": "int16", **PACKING} if rows.values.dtype == np.int16 else {"dtype": "float32"}
    return PointTable(
        rows.values, order, columns, header.dates, attrs, CRS(EPSG).to_wkt(), encoding, len(rows.rejected)
    )


def _first_of_each(columns: dict[str, npt.NDArray[Any]], rejected: list[tuple[int, str]]) -> npt.NDArray[np.int32]:
    """Rows whose identifier stands in no earlier row; the others are rejected, and column ``file_line`` goes."""
    lines, point_id = columns.pop("file_line"), columns["point_id"]
    twice, first = repeated(point_id)
    rejected += [
        (int(lines[again]), f"column pid: {point_id[again].decode()!r} is also in line {lines[once]}")
        for again, once in zip(twice, first, strict=True)
    ]
    return np.delete(np.arange(lines.size, dtype=np.int32), twice)


def _nothing_left(path: SourceFile, rows: RowStore, selection: Selection) -> str:
    west, south, east, north = rows.reach
    if len(rows.rejected) == rows.n_rows:
        return f"{path.name}: all {rows.n_rows} rows were rejected"
    asked = " and ".join(
        ["in the area"] * (selection.area is not None)
        + [f"of coherence >= {selection.min_coherence}"] * (selection.min_coherence is not None)
    )
    return (
        f"{path.name}: none of {rows.n_rows} points is {asked}; "
        f"they lie between ({west:.0f}, {south:.0f}) and ({east:.0f}, {north:.0f}) in EPSG:{EPSG}"
    )


def _where(source: str) -> str:
    """That nothing at all is there, and what a relative path is seen from."""
    if is_bucket(source) or Path(source).exists() or _matching(source):
        return ""
    return ", where nothing is" + ("" if Path(source).is_absolute() else f", seen from {Path.cwd()}")


def _on_disk(path: Path) -> list[SourceFile]:
    return [path] if path.is_file() else [*(_products_in(path) if path.is_dir() else _matching(str(path)))]


def _in_bucket(source: str) -> list[SourceFile]:
    """Those of an EGMS name, or the one that is named, whatever its name."""
    files = bucket_files(source)
    named = len(files) == 1 and files[0].address == BucketFile(source).address
    return [file for file in files if named or (file.suffix.lower() in SUFFIXES and parse_name(file.name))]


def _products_in(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and parse_name(p)]


def _matching(pattern: str) -> list[Path]:
    return [Path(hit) for hit in glob(pattern) if Path(hit).is_file()]  # noqa: PTH207 - Path.glob takes no absolute pattern
