"""Points as tables that other programs open: CSV of series, GeoParquet of products."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import LONG_NAMES_AND_UNITS, check_cube
from insar_dask.report.places import crs_name, crs_wkt

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["write_csv", "write_geoparquet"]

BLOCK_POINTS = 65_536
"""Points in a row group of GeoParquet."""
CSV_POINTS = 2048
"""Points of a CSV in memory at a time: as text a value takes 128 bytes, so 2,048 x 210 dates are 55 MB."""


def write_csv(cube: xr.Dataset, path: str | Path, *, layout: str = "wide", comments: bool = True) -> Path:
    """Write the series of a cube, or of a selection of it, as CSV (UTF-8, comma, dot).

    Parameters
    ----------
    cube : xr.Dataset
        Point cube: everything, ``select``'s result, or one point (``cube.isel(point=[7])``).
    path : str or Path
    layout : {"wide", "long"}
        ``wide``: a row a point, its coordinates, then a column ``DYYYYMMDD`` a date [mm], as in EGMS shapefiles;
        names that are bare numbers would keep GDAL from seeing a header.
        ``long``: a row a point and date with ``displacement_mm``; dates without a value are left out.
    comments : bool
        Begin with ``#`` lines that state units, CRS, component and reference. GDAL and QGIS know no comments: for them
        leave the lines out; other columns carry their unit in their name either way.

    Returns
    -------
    Path
        ``path``; it appears only when it is whole.

    Raises
    ------
    CubeError
        If ``cube`` is not a point cube.
    ValueError
        If ``layout`` is unknown.
    """
    if layout not in ("wide", "long"):
        raise ValueError(f"layout is {layout!r}, wanted 'wide' or 'long'")
    check_cube(cube)
    path = Path(path)
    draft = path.with_name(path.name + ".part")
    with draft.open("w", encoding="utf-8", newline="") as file:
        if comments:
            file.writelines(f"# {line}\n" for line in _preamble(cube))
        writer = csv.writer(file, lineterminator="\n")
        for number, block in enumerate(_blocks(cube, CSV_POINTS)):
            table = _wide(block) if layout == "wide" else _long(block)
            writer.writerows([table[0], *table[1]] if number == 0 else table[1])
    return draft.replace(path)


def _blocks(data: xr.Dataset, size: int) -> Iterator[xr.Dataset]:
    for start in range(0, max(data.sizes["point"], 1), size):
        yield data.isel(point=slice(start, start + size)).compute()


def _preamble(cube: xr.Dataset) -> list[str]:
    attrs = cube.attrs
    lines = [
        f"displacement in mm since {attrs['reference_date']}, {attrs['component']}, positive {attrs['positive']}",
        f"reference: {attrs['reference']}; release: {attrs['release']}",
        f"easting and northing in m, {crs_name(cube)}",
    ]
    return lines + [attrs[name] for name in ("attribution",) if name in attrs]


def _named(name: str, data: xr.Dataset) -> str:
    unit = data[name].attrs.get("units") or LONG_NAMES_AND_UNITS.get(name, ("", "1"))[1]
    suffix = {"mm yr-1": "mm_per_yr", "mm yr-2": "mm_per_yr2", "degrees_east": "deg", "degrees_north": "deg"}.get(
        unit, unit
    )
    return name if unit in ("1", "") else f"{name}_{suffix}"


def _wide(block: xr.Dataset) -> tuple[list[str], Any]:
    """Header and rows: every variable over ``point``, the unit in its name, then a column a date."""
    names = ["point_id", "easting", "northing"]
    names += sorted(str(n) for n, v in block.variables.items() if v.dims == ("point",) and n not in [*names, "point"])
    dates = np.datetime_as_string(block["time"].values, unit="D")
    header = [_named(name, block) for name in names] + ["D" + date.replace("-", "") for date in dates.tolist()]
    columns = [_as_text(block[name].values)[:, None] for name in names]
    return header, np.hstack([*columns, _as_text(block["displacement"].values)]).tolist()


def _long(block: xr.Dataset) -> tuple[list[str], Any]:
    values = block["displacement"].values
    dates = np.datetime_as_string(block["time"].values, unit="D")
    points, times = np.nonzero(np.isfinite(values))
    columns = [_as_text(block["point_id"].values)[points], dates[times], _as_text(values[points, times])]
    return ["point_id", "date", "displacement_mm"], zip(*(column.tolist() for column in columns), strict=True)


def _as_text(values: npt.NDArray[Any]) -> npt.NDArray[np.str_]:
    """Shortest decimals that give the same number back; missing is empty."""
    text = values.astype(str)
    if values.dtype.kind == "f":
        text[np.isnan(values)] = ""
    return text


def write_geoparquet(products: xr.Dataset, path: str | Path) -> Path:
    """Write per-point products as GeoParquet 1.1 with CRS and a bounding-box column.

    Points keep the cube's Hilbert order and a row group is a compact neighbourhood, so a reader that filters by the
    ``bbox`` column (GDAL, DuckDB, geopandas) touches only the groups it needs.

    Parameters
    ----------
    products : xr.Dataset
        Variables over ``point`` with ``easting``, ``northing`` and ``crs``; each becomes a column, its unit in the
        column's metadata.
    path : str or Path

    Returns
    -------
    Path
        ``path``; it appears only when it is whole.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    CubeError
        If there is no CRS.
    """
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ImportError("GeoParquet needs pyarrow: pip install insar-dask[geo]") from error
    path = Path(path)
    draft = path.with_name(path.name + ".part")
    names = [str(n) for n, v in products.variables.items() if v.dims == ("point",) and n != "point"]
    schema = _schema(products, names)
    with pq.ParquetWriter(draft, schema, compression="zstd") as writer:
        for block in _blocks(products[names], BLOCK_POINTS):
            writer.write_table(_arrow_table(block, names, schema), row_group_size=BLOCK_POINTS)
    return draft.replace(path)


def _schema(products: xr.Dataset, names: Sequence[str]) -> pa.Schema:
    import pyarrow as pa

    fields = [pa.field(n, _arrow_type(products[n]), metadata=_column_metadata(products[n])) for n in names]
    box = pa.struct([(side, pa.float64()) for side in ("xmin", "ymin", "xmax", "ymax")])
    fields += [pa.field("geometry", pa.binary()), pa.field("bbox", box)]
    return pa.schema(fields, metadata={"geo": json.dumps(_geo_metadata(products))})


def _arrow_type(variable: xr.DataArray) -> Any:
    import pyarrow as pa

    return pa.string() if variable.dtype.kind in "OUST" else pa.from_numpy_dtype(variable.dtype)


def _column_metadata(variable: xr.DataArray) -> dict[str, str]:
    return {key: str(variable.attrs[key]) for key in ("units", "long_name") if key in variable.attrs}


def _geo_metadata(products: xr.Dataset) -> dict[str, Any]:
    from pyproj import CRS

    easting, northing = products["easting"].values, products["northing"].values
    covering = {side: ["bbox", side] for side in ("xmin", "ymin", "xmax", "ymax")}
    column = {
        "encoding": "WKB",
        "geometry_types": ["Point"],
        "crs": CRS.from_wkt(crs_wkt(products)).to_json_dict(),
        "covering": {"bbox": covering},
    }
    if easting.size:
        column["bbox"] = [easting.min(), northing.min(), easting.max(), northing.max()]
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}


def _arrow_table(block: xr.Dataset, names: Sequence[str], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    x, y = block["easting"].values, block["northing"].values
    columns = [pa.array(block[n].values, type=schema.field(n).type) for n in names]
    box = pa.StructArray.from_arrays([pa.array(side) for side in (x, y, x, y)], fields=list(schema.field("bbox").type))
    return pa.Table.from_arrays([*columns, _wkb_points(x, y), box], schema=schema)


def _wkb_points(x: Any, y: Any) -> pa.Array:
    """Well-known binary: byte order 1, type 1 (point), x, y: 21 bytes each, laid out by numpy in one go."""
    import pyarrow as pa

    record = np.dtype([("order", "u1"), ("kind", "<u4"), ("x", "<f8"), ("y", "<f8")])
    points = np.empty(len(x), dtype=record)
    points["order"], points["kind"], points["x"], points["y"] = 1, 1, x, y
    offsets = np.arange(0, record.itemsize * (len(x) + 1), record.itemsize, dtype=np.int32)
    return pa.Array.from_buffers(pa.binary(), len(x), [None, pa.py_buffer(offsets), pa.py_buffer(points)])
