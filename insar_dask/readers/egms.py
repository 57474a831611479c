"""EGMS products (L2a, L2b, L3 U and E; csv, or the zip as delivered) to point tables and cubes.

One file is one cube: geometry, release and dates differ between products, so nothing is merged here. ``find_egms``
lists the products behind paths, folders and globs; loop over it for a collection.
"""

from __future__ import annotations

import csv
import glob
import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.readers.egms_names import EgmsHeader, parse_header, parse_name
from insar_dask.readers.point_table import FILL, PointTable

__all__ = ["find_egms", "peek", "read_egms", "read_table"]


def find_egms(sources: Any) -> list[Path]:
    """List the product files behind paths, folders and globs, sorted, each once."""
    many = [sources] if isinstance(sources, str | Path) else list(sources)
    found: set[Path] = set()
    for source in many:
        path = Path(source)
        if path.is_dir():
            found.update(p for p in path.iterdir() if parse_name(p) and p.suffix in (".zip", ".csv"))
        elif path.exists():
            found.add(path)
        else:
            hits = glob.glob(str(source))
            if not hits:
                raise FileNotFoundError(f"no EGMS product at {source}")
            found.update(map(Path, hits))
    return sorted(found)


def read_egms(
    source: Any,
    *,
    area: Any = None,
    min_coherence: float | None = None,
    max_rejected: float = 0.01,
    rejected: Any = None,
    threads: int | None = None,
) -> xr.Dataset:
    """Read one EGMS product as a point cube in Hilbert order."""
    return read_table(
        source, area=area, min_coherence=min_coherence, max_rejected=max_rejected, rejected=rejected, threads=threads
    ).cube()


def peek(source: Any) -> EgmsHeader:
    """Read the header."""
    return parse_header(_text(Path(source)).readline(), str(source))


def _text(path: Path) -> io.TextIOBase:
    if path.suffix == ".zip":
        archive = zipfile.ZipFile(path)
        (member,) = [n for n in archive.namelist() if n.endswith(".csv")]
        return io.TextIOWrapper(archive.open(member), encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def read_table(
    source: Any,
    *,
    area: Any = None,
    min_coherence: float | None = None,
    max_rejected: float = 0.01,
    rejected: Any = None,
    threads: int | None = None,
) -> PointTable:
    """Read one EGMS product as a table."""
    from pyproj import CRS

    from insar_kernels.hilbert import hilbert_index

    path = Path(source)
    text = _text(path)
    header = parse_header(text.readline(), path.name)
    rows = list(csv.reader(text))
    float64 = {"easting", "northing", "longitude", "latitude"}
    columns = {
        n: np.array([r[p] for r in rows], "S" if n == "point_id" else "f8" if n in float64 else "f4")
        for n, p in header.columns.items()
    }
    tenths = np.array([[float(r[p] or "nan") for p in header.date_places] for r in rows]) * 10
    values = np.where(np.isnan(tenths), FILL, np.round(tenths)).astype(np.int16)
    order = np.lexsort((columns["point_id"], hilbert_index(columns["easting"], columns["northing"])))
    keep = np.ones(len(rows), bool)
    if area is not None:
        west, south, east, north = area
        keep &= (
            (columns["easting"] >= west)
            & (columns["easting"] <= east)
            & (columns["northing"] >= south)
            & (columns["northing"] <= north)
        )
    if min_coherence is not None:
        keep &= columns["coherence"] >= min_coherence
    order = order[keep[order]]
    name = parse_name(path)
    if name is None:
        raise CubeError(f"{path.name} is no EGMS file name")
    attrs: dict[str, Any] = {
        "product": name.product,
        "component": name.component,
        "positive": {"los": "towards the satellite", "up": "up", "east": "east"}[name.component],
        "reference_date": str(header.dates[0].astype("datetime64[D]")),
        "reference": "as published by EGMS",
        "release": "-".join(map(str, name.period or (2015, 2021))),
        "sees_future": 0,
        "Conventions": "CF-1.11",
        "source": path.name,
        "source_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "source_size": path.stat().st_size,
    }
    if name.component == "los":
        attrs["track"] = name.track
        attrs["pass"] = "ascending" if np.cos(np.radians(columns["track_angle"].mean())) > 0 else "descending"
    encoding = {"dtype": "int16", "scale_factor": 0.1, "_FillValue": FILL}
    return PointTable(values, order, columns, header.dates, attrs, CRS(3035).to_wkt(), encoding, 0)
