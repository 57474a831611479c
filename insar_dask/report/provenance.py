"""Where the numbers come from: source, what was rejected, files, timings, versions, configuration."""

from __future__ import annotations

import csv
import os
import platform
from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import xarray as xr

from insar_dask.bucket_address import is_bucket
from insar_dask.report.markup import facts, table
from insar_dask.report.places import crs_name
from insar_dask.report.tables import timings_table

__all__ = ["data_section", "link", "relative", "run_section", "version_of"]

ATTRIBUTES = (
    "product",
    "component",
    "positive",
    "reference",
    "reference_date",
    "release",
    "track",
    "pass",
    "attribution",
)
REJECTED_SHOWN = 8
PACKAGES = ("insar-dask", "numpy", "numba", "xarray", "dask", "zarr", "matplotlib")


def data_section(
    folder: Path,
    raw: xr.Dataset,
    regular: xr.Dataset | None,
    ingest: Mapping[str, Any],
    files: Mapping[str, str | Path],
) -> str:
    """Where the numbers come from, what was left out, and where everything lies."""
    rejected, kept = int(ingest.get("n_rejected", 0)), int(ingest.get("n_points", raw.sizes["point"]))
    text = f"All {kept:,} rows were read; none was rejected"
    if rejected:
        text = f"<b>{rejected:,}</b> of {rejected + kept:,} rows ({rejected / (rejected + kept):.2%}) were rejected"
        if ingest.get("rejected"):
            text += f"; {link('rejected.csv', ingest['rejected'], folder)} has each with its place and reason"
    shown = {key: value for key, value in ingest.items() if key not in ("n_points", "n_rejected", "rejected")}
    said = {key.replace("_", " "): raw.attrs[key] for key in ATTRIBUTES if key in raw.attrs} | {"CRS": crs_name(raw)}
    shown |= {key: str(value) if isinstance(value, int) else value for key, value in said.items()}  # 2024 is no count
    if regular is not None:
        shown["regular dates"] = _regular_dates(regular)
    links = "".join(f"<dt>{escape(name)}</dt><dd>{link(None, path, folder)}</dd>" for name, path in files.items())
    text = f"<p>{text}.</p>{_rejected_table(ingest.get('rejected')) if rejected else ''}"
    return text + facts(shown) + (f"<h3>Files</h3><dl>{links}</dl>" if links else "")


def _rejected_table(path: str | Path | None) -> str:
    """First rows of the quarantine, where it can be read."""
    if path is None or not Path(path).is_file():
        return ""
    with Path(path).open(encoding="utf-8", newline="") as file:
        (what, _), *rows = islice(csv.reader(file), REJECTED_SHOWN + 1)  # a line, or of a raster a pixel
    cells = [(f"{what} {row[0]}", [f"<span class=reason>{escape(' '.join(row[1:]))}</span>"]) for row in rows if row]
    return table(f"Rejected rows, the first {len(cells)}", ["reason"], cells)


def run_section(timings: Sequence[Mapping[str, Any]], config_text: str) -> str:
    """Seconds by stage, versions, the exact configuration."""
    versions = ", ".join(f"{name} {version_of(name)}" for name in PACKAGES)
    machine = (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    )
    return (
        (timings_table(timings) if timings else "")
        + facts({"versions": versions, "machine": machine})
        + f"<details><summary>Configuration of this run</summary><pre>{escape(config_text)}</pre></details>"
    )


def version_of(name: str) -> str:
    """Version of an installed package; a bare checkout of this one has none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def link(text: str | None, path: str | Path, folder: Path) -> str:
    """Link to a file; by default it reads as its relative path. The address of a bucket is no link."""
    if is_bucket(path):
        return escape(text or str(path))
    return f"<a href='{relative(path, folder)}'>{escape(text or _seen_from(folder, path))}</a>"


def relative(path: str | Path, folder: Path) -> str:
    """Address of a file as seen from the page: the folder can be moved as a whole."""
    return escape(quote(_seen_from(folder, path)))


def _seen_from(folder: Path, path: str | Path) -> str:
    return Path(os.path.relpath(Path(path).resolve(), folder.resolve())).as_posix()


def _regular_dates(regular: xr.Dataset) -> str:
    times = regular["time"].values
    step = np.median(np.diff(times)) / np.timedelta64(1, "D") if times.size > 1 else 0
    text = f"{times.size} dates, every {step:g} days from {str(times[0])[:10]}"
    if "observed" in regular:
        text += f"; {float(regular['observed'].mean()):.0%} of them met an acquisition"
    return text
