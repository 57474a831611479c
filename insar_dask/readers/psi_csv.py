"""Tables of persistent scatterers as other processors print them, their columns declared, to point cubes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from pyproj import CRS

from insar_dask.cube import CubeError, describe
from insar_dask.readers.crs import crs_of
from insar_dask.readers.csv_bands import BandReader
from insar_dask.readers.csv_source import MAX_RATIO, open_csv
from insar_dask.readers.declared import describe_source, millimetres
from insar_dask.readers.egms_attributes import describe_column
from insar_dask.readers.pixels import is_tenths
from insar_dask.readers.point_order import hilbert_order, repeated
from insar_dask.readers.projection import Places, project, wanted_places
from insar_dask.readers.psi_rows import PsiHeader, PsiParser, parse_psi_header
from insar_dask.readers.quarantine import check_share, write_rejected
from insar_dask.readers.row_store import RowStore
from insar_dask.shards import ShardPlan

__all__ = ["read_psi_csv"]

Columns = dict[str, npt.NDArray[Any]]

PLACES = (("longitude", "latitude"), ("easting", "northing"))
OTHERS = (
    "height", "height_ellipse", "coherence", "amplitude_dispersion", "incidence_angle", "track_angle", "los_east",
    "los_north", "los_up", "line", "pixel", "mp_type",
)  # fmt: skip
VALUES_AT_ONCE = 1 << 20
OWN = ("line", "pixel", "mp_type")


def read_psi_csv(
    source: str | Path,
    columns: Mapping[str, str],
    *,
    dates: str = "%Y%m%d",
    units: str,
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
    max_ratio: float = MAX_RATIO,
) -> xr.Dataset:
    """Read a table of persistent scatterers, a row a point, as a point cube in Hilbert order.

    Parameters
    ----------
    source : str or Path
        A csv, or a zip that holds one.
    columns : mapping
        What each column is: ``point_id``, and ``longitude`` with ``latitude`` or ``easting`` with ``northing``, to the
        name it has in the file; also ``height``, ``coherence``, ``incidence_angle``, ``los_east``, ``line``, ... Other
        columns are left aside; the cube's attribute ``ignored_columns`` names them.
    dates : str
        Name of the columns of displacement, as a format of dates: ``d_%Y%m%d`` finds d_20160327.
    units : {"m", "cm", "mm"}
        Unit of displacement.
    component, positive, reference_date, reference, release, track, orbit_direction : str, optional
        Attributes of the cube, which a table does not say: as of `insar_dask.read_raster`.
    area, area_crs, min_coherence : optional
        As of `insar_dask.read_egms`, a box being in ``crs``.
    crs : CRS-like, optional
        Projected CRS [m] of the points. Default: that of easting and northing, or for longitude and latitude (WGS 84,
        kept) the UTM zone of their middle.
    source_crs : CRS-like, optional
        CRS of easting and northing, needed with them.
    max_rejected, rejected, max_ratio : optional
        As of `insar_dask.read_egms`: the largest share of rows that may be rejected, where line number and reason of
        each go, and the largest inflation of a zip.

    Returns
    -------
    xr.Dataset
        Point cube, (point, time) float32 mm; its values stay in memory.

    Raises
    ------
    FileNotFoundError, CubeError
        No such file; empty, or a header alone; a column that is not there; too many rejected rows; no point left.
    OSError
        When the rejected rows cannot be written.
    """
    path, quarantine = Path(source), None if rejected is None else Path(rejected)
    _check_columns(columns, path.name, source_crs)
    header, rows, checksum = _rows(path, columns, dates, millimetres(units, path.name), max_ratio)
    given = {
        "component": component, "positive": positive, "reference_date": reference_date, "reference": reference,
        "release": release, "track": track, "orbit_direction": orbit_direction,
    }  # fmt: skip
    attrs, sign = describe_source(path.name, header.dates, {}, given)
    table = rows.columns()
    valid = _valid(table, rows, header, path.name, max_rejected, quarantine)
    places = _places(table, valid, source_crs, crs, path.name)
    wanted = _wanted(table, valid, places, path.name, area, area_crs, min_coherence)
    attrs |= {
        "product": "psi",
        "source": path.name,
        "source_blake3": checksum,
        "source_size": path.stat().st_size,
        "n_rows": rows.n_rows,
        "n_rejected": len(rows.rejected),
        "n_read_with_care": rows.n_careful,
        "n_left_out": int(valid.size - wanted.sum()),
    }
    if header.ignored:
        attrs["ignored_columns"] = ",".join(header.ignored)
    return _cube(rows, table, valid, places, wanted, header, attrs, sign)


def _check_columns(columns: Mapping[str, str], name: str, source_crs: Any) -> None:
    known = {"point_id", *OTHERS, *PLACES[0], *PLACES[1]}
    if unknown := sorted(set(columns) - known):
        raise CubeError(f"{name}: columns {unknown} are unknown, wanted some of {sorted(known)}")
    if "point_id" not in columns:
        raise CubeError(f"{name}: columns must say which one is the point_id, such as columns={{'point_id': 'pnt_id'}}")
    if sum(set(pair) <= set(columns) for pair in PLACES) != 1:
        raise CubeError(f"{name}: columns must have either longitude and latitude, or easting and northing")
    if "easting" in columns and source_crs is None:
        raise CubeError(f"{name}: easting and northing need their CRS: pass source_crs=, such as 'EPSG:32633'")


def _rows(
    path: Path, columns: Mapping[str, str], dates: str, factor: float, max_ratio: float
) -> tuple[PsiHeader, RowStore, str]:
    """All rows of a file, copied into place while the next ones are parsed; and the BLAKE3 of the file."""
    with open_csv(path, max_ratio) as stream:
        reader = BandReader(stream, buffers=4)
        header = parse_psi_header(reader.header, columns, dates, stream.name)
        parser = PsiParser(header, factor)
        rows, read = RowStore(parser.numbers, header.dates.size, np.float32), len(reader.header)
        with ThreadPoolExecutor(1) as pool:
            for band in reader:
                part, read = parser(band), read + band.used
                if parser.ending(band) == "unknown":
                    warnings.warn(
                        f"{path.name}: no line break ends it, so that its last number may be cut off: check it, and "
                        "end the file with one",
                        stacklevel=3,
                    )
                n_expected = (rows.n_rows + part.n_rows) * max(stream.size / read, 1.0)
                rows.append(part, n_expected, pool, partial(reader.give_back, band))
            rows.settle()
        checksum = stream.blake3()
    if rows.n_rows == 0:
        raise CubeError(f"{path.name} has a header and no row: export it again")
    return header, rows, checksum


def _valid(
    table: Columns, rows: RowStore, header: PsiHeader, name: str, most: float, quarantine: Path | None
) -> npt.NDArray[np.int64]:
    """Rows that are points; the books are closed on the others."""
    lines, printed = table["file_line"], header.names[header.columns["point_id"]]
    twice, first = repeated(table["point_id"])
    rows.rejected += [
        (int(lines[again]), f"column {printed}: {table['point_id'][again].decode()!r} is also in line {lines[once]}")
        for again, once in zip(twice, first, strict=True)
    ]
    if quarantine is not None and rows.rejected:
        write_rejected(quarantine, rows.rejected)
    check_share(name, rows.rejected, rows.n_rows, most, quarantine)
    valid = np.setdiff1d(np.arange(lines.size), twice)
    if valid.size == 0:
        raise CubeError(f"{name}: all {rows.n_rows} rows were rejected")
    return valid


def _places(table: Columns, valid: npt.NDArray[np.int64], source_crs: Any, crs: Any, name: str) -> Places:
    degrees = "longitude" in table
    x, y = (np.asarray(table[axis][valid], np.float64) for axis in PLACES[0 if degrees else 1])
    source = CRS.from_epsg(4326) if degrees else crs_of(source_crs, "source_crs")
    if not degrees and source.is_geographic:
        raise CubeError(
            f"{name}: source_crs {source.name} is in degrees: declare the columns as longitude and latitude"
        )
    return project(x, y, source, crs, None, name)


def _wanted(
    table: Columns,
    valid: npt.NDArray[np.int64],
    places: Places,
    name: str,
    area: Any,
    area_crs: Any,
    min_coherence: float | None,
) -> npt.NDArray[np.bool_]:
    if min_coherence is not None and "coherence" not in table:
        raise CubeError(f"{name}: min_coherence needs a column declared as coherence")
    coherence = table["coherence"][valid] if "coherence" in table else None
    return wanted_places(places, coherence, name, area, area_crs, min_coherence)


def _cube(
    rows: RowStore,
    table: Columns,
    valid: npt.NDArray[np.int64],
    places: Places,
    wanted: npt.NDArray[np.bool_],
    header: PsiHeader,
    attrs: Mapping[str, Any],
    sign: float,
) -> xr.Dataset:
    ids = table["point_id"][valid]
    order = hilbert_order(places.easting, places.northing, ids, np.flatnonzero(wanted))
    epsg = places.crs.to_epsg()
    crs = {"crs_wkt": places.crs.to_wkt()} | ({"epsg": epsg} if epsg else {})
    coords: dict[str, Any] = {
        "point_id": ("point", ids[order].astype(str), describe("point_id")),
        "easting": ("point", places.easting[order], describe("easting")),
        "northing": ("point", places.northing[order], describe("northing")),
        "time": ("time", header.dates),
        "crs": ((), np.int32(0), crs),
    }
    others = {name: table[name][valid] for name in OTHERS if name in table}
    for name, column in {**places.degrees, **others}.items():
        coords[name] = ("point", column[order], describe_column(name) if name in OWN else describe(name))
    values = _lazy(rows.values, valid[order], sign, str(attrs["source_blake3"]))
    cube = xr.Dataset(
        {
            "displacement": (("point", "time"), values, {**describe("displacement"), "grid_mapping": "crs"}),
            "observed": ("time", np.ones(header.dates.size, bool), describe("observed")),
        },
        coords=coords,
        attrs=dict(attrs),
    )
    tenths = all(map(is_tenths, np.array_split(rows.values, 1 + rows.values.size // VALUES_AT_ONCE)))
    cube["displacement"].encoding = {"dtype": "int16" if tenths else "float32"}
    return cube


def _lazy(values: npt.NDArray[np.float32], order: npt.NDArray[np.int64], sign: float, checksum: str) -> Any:
    """Rows put in order shard by shard, under names that follow from the file, so that a killed `save` can go on."""
    import dask.array as da
    from dask.base import tokenize
    from dask.delayed import delayed

    shard = ShardPlan.of(order.size, values.shape[1]).shard
    token = tokenize(checksum, order, sign, values.shape)
    held = delayed(values, name=f"rows-{token}", traverse=False)
    blocks = []
    for number, start in enumerate(range(0, order.size, shard)):
        part = order[start : start + shard]
        block = delayed(_taken, pure=True)(held, part, np.float32(sign), dask_key_name=f"points-{token}-{number}")
        shape = part.size, values.shape[1]
        blocks.append(da.from_delayed(block, shape, np.float32, name=f"psi-{token}-{number}"))
    return da.concatenate(blocks, axis=0)


def _taken(values: npt.NDArray[np.float32], order: npt.NDArray[np.int64], sign: np.float32) -> npt.NDArray[np.float32]:
    return np.asarray(values[order] * sign, np.float32)
