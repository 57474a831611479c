"""One page that tells the whole run: self-contained HTML that opens from a disk, and its figures as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files as package_files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.report import provenance, sections
from insar_dask.report.alarms import alarms
from insar_dask.report.choosing import Chosen, representative_points
from insar_dask.report.coherence import coherent
from insar_dask.report.decomposition import decomposition_section
from insar_dask.report.figures import sentence
from insar_dask.report.gridding import display_grid
from insar_dask.report.markup import facts
from insar_dask.report.network import network_section
from insar_dask.report.outlooks import Departures, alarms_section, exceedance_section
from insar_dask.report.patterns import labels_of, patterns_section
from insar_dask.report.shares import shares_part
from insar_dask.totals import component_shares

__all__ = ["write_index", "write_page", "write_report"]

SHOWN = ("point_id", "easting", "northing", "coherence", "crs")
"""Coordinates that the page needs: the others of a burst are 60 MB for 588,600 points."""

THUMBNAILS = {"velocity": "Map of the velocity", "outlook": "Maps of the forecast"}
"""Figure that stands for a report, the first there is, and what it shows."""


def write_report(
    folder: str | Path,
    *,
    raw: xr.Dataset,
    products: xr.Dataset,
    regular: xr.Dataset | None = None,
    smooth: xr.Dataset | None = None,
    cumulative: xr.Dataset | None = None,
    patterns: xr.Dataset | None = None,
    parts: xr.Dataset | None = None,
    variances: xr.Dataset | None = None,
    reasons: Mapping[str, str] | None = None,
    min_coherence: float = 0.3,
    pairs: xr.Dataset | None = None,
    inversion: Mapping[str, Any] | None = None,
    forecast: xr.Dataset | None = None,
    scores: Mapping[str, Any] | None = None,
    outlook: xr.Dataset | None = None,
    departures: Departures | None = None,
    ingest: Mapping[str, Any],
    timings: Sequence[Mapping[str, Any]],
    config_text: str,
    title: str,
    files: Mapping[str, str | Path] | None = None,
) -> Path:
    """Write ``index.html`` and ``figures/*.png`` into ``folder``.

    Only the series that are drawn are read from ``raw``, ``smooth``, ``parts`` and ``forecast``; what there is one of a
    point (motion parameters, displacement in all, labels) is taken into memory, variances a block at a time. The page
    loads nothing from anywhere: it works from ``file://`` without a network.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    raw : xr.Dataset
        Point cube, lazy or not.
    products : xr.Dataset
        Output of ``motion`` with ``easting``, ``northing``, ``crs``; the same points in the same order.
    regular, smooth : xr.Dataset, optional
        Cubes of the same points on regular dates, and smoothed.
    cumulative : xr.Dataset, optional
        Output of ``cumulative_displacement`` of the smoothed cube: one more map.
    patterns : xr.Dataset, optional
        Output of ``Clusters.predict``: map of the patterns, their curves and a table.
    parts : xr.Dataset, optional
        Output of ``holt_winters`` or ``stl``: four points are taken apart. What the series were is called by its
        attribute ``series``, "smoothed" by default.
    variances : xr.Dataset, optional
        Output of ``component_variances`` of ``parts``: shares of trend, season and residual.
    reasons : mapping of str to str, optional
        Why there are no ``"patterns"``, ``"parts"`` or ``"scores"``: said in their place.
    min_coherence : float
        Points with this coherence or less are left out of maps, distributions, tables and shares, and counted.
    pairs, inversion : xr.Dataset and mapping, optional
        Interferograms that ``raw`` was made of, and what was kept of how: `insar_dask.report.network.network_section`.
    forecast : xr.Dataset, optional
        Forecast cube of the same points; the last origin is drawn.
    scores : mapping, optional
        Result of the evaluation: methods, leads, tables.
    outlook : xr.Dataset, optional
        Output of ``outlook_block``: map of the probability of passing a limit.
    departures : Departures, optional
        New dates against the forecast made before they came: map and list of alarms.
    ingest : mapping
        ``n_points``, ``n_rejected``, ``rejected`` (file), ``source``, its checksum and anything else to show.
    timings : sequence of mappings
        ``stage``, ``seconds``, ``points_per_second``, ``megabytes``.
    config_text : str
        The exact configuration of the run.
    title : str
    files : mapping of str to path, optional
        Name -> file or folder to link, relative to the page.

    Returns
    -------
    Path
        ``folder / "index.html"``; it appears only when it is whole.

    Raises
    ------
    CubeError
        If no point has all motion parameters, there is no CRS, or the data sets are not of the same points.
    """
    folder = Path(folder)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    loud = "".join(f"<p class=warning>{sentence(alarm)}</p>" for alarm in alarms(products["velocity"].values, ingest))
    products, who = coherent(_one_of_a_point(products, cumulative), min_coherence)
    chosen = representative_points(products)
    measured = np.isfinite(products["velocity"].values)
    grid = display_grid(products["easting"].values, products["northing"].values, measured)
    reasons = reasons or {}
    told = {
        "Maps": sections.maps_section(folder, products, chosen, grid, who),
        "Interferograms": network_section(folder, pairs, raw, inversion, grid)
        if pairs is not None and inversion is not None
        else "",
        "Distributions": sections.histograms_section(folder, products),
        "Points": sections.points_section(folder, chosen, raw, products, smooth, forecast),
        "Patterns": patterns_section(folder, products, patterns, grid)
        if patterns is not None
        else _why_not("patterns", reasons),
        "Decomposition": _decomposition(folder, chosen, raw, products, parts, variances, patterns)
        if parts is not None
        else _why_not("parts", reasons),
        "Outlook": "" if outlook is None else exceedance_section(folder, outlook),
        "Alarms": "" if departures is None else alarms_section(folder, departures),
        "Forecast scores": sections.scores_section(folder, scores) if scores else _why_not("scores", reasons),
        "Data": provenance.data_section(folder, raw, regular, ingest, files or {}),
        "Run": provenance.run_section(timings, config_text),
    }
    top = f"<p class=lede>{sections.lede(raw, products)}</p>{loud}{sections.key_numbers(raw, products, scores)}"
    return write_page(folder, title, top, told)


def write_index(
    folder: str | Path, entries: Sequence[Mapping[str, Any]], *, title: str = "Ground motion: all products"
) -> Path:
    """Write a page that leads to the reports of several products.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    entries : sequence of mappings
        ``title``, ``path`` (the product's ``index.html``), and any further facts to show.
    title : str

    Returns
    -------
    Path
        ``folder / "index.html"``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts = {}
    for entry in entries:
        shown = {key: value for key, value in entry.items() if key not in ("title", "path")}
        way = provenance.link("Open the report", entry["path"], folder)
        parts[str(entry["title"])] = (
            f"<div class=pair><div>{facts(shown)}<p>{way}</p></div>{_thumbnail(entry, folder)}</div>"
        )
    return write_page(folder, title, f"<p class=lede>{len(entries)} products</p>", parts)


def write_page(folder: Path, title: str, top: str, parts: Mapping[str, str]) -> Path:
    """Fill the template with the parts (HTML) that are not empty; rename the draft when it is whole."""
    shown = [(f"part-{number}", name, html) for number, (name, html) in enumerate(parts.items(), 1) if html]
    template = Template((package_files("insar_dask.report") / "page.html").read_text(encoding="utf-8"))
    text = template.substitute(
        version=provenance.version_of("insar-dask"),
        title=escape(title),
        top=top,
        nav="".join(f"<a href='#{key}'>{escape(name)}</a>" for key, name, _ in shown),
        body="".join(f"<section id={key}><h2>{escape(name)}</h2>{html}</section>" for key, name, html in shown),
    )
    draft = folder / "index.html.part"
    draft.write_text(text, encoding="utf-8")
    return draft.replace(folder / "index.html")


def _one_of_a_point(products: xr.Dataset, cumulative: xr.Dataset | None) -> xr.Dataset:
    """Motion parameters in memory, and displacement in all beside them."""
    unused = [name for name in products.coords if name not in SHOWN]
    products = products.drop_vars(unused).compute()
    if cumulative is None:
        return products
    if cumulative.sizes["point"] != products.sizes["point"]:
        raise CubeError(f"cumulative has {cumulative.sizes['point']} points, the products {products.sizes['point']}")
    return products.assign(cumulative=cumulative["cumulative"].variable.compute())


def _decomposition(
    folder: Path,
    chosen: Sequence[Chosen],
    raw: xr.Dataset,
    products: xr.Dataset,
    parts: xr.Dataset,
    variances: xr.Dataset | None,
    patterns: xr.Dataset | None,
) -> str:
    """Four points taken apart, and the shares of all that are shown."""
    html = decomposition_section(folder, chosen, raw, parts)
    if variances is None:
        return html
    shown = np.isfinite(products["velocity"].values)
    variances = variances.where(xr.DataArray(shown, dims="point"))
    if patterns is None:
        return html + shares_part(folder, component_shares(variances))
    labels, n_patterns = labels_of(products, patterns), patterns.sizes["pattern"]
    return html + shares_part(folder, component_shares(variances, labels, n_patterns))


def _why_not(name: str, reasons: Mapping[str, str]) -> str:
    """Why a part of the page is not there; nothing where no reason is given."""
    return f"<p>{sentence(reasons[name])}</p>" if name in reasons else ""


def _thumbnail(entry: Mapping[str, Any], folder: Path) -> str:
    pictures = {Path(entry["path"]).parent / "figures" / f"{name}.png": what for name, what in THUMBNAILS.items()}
    picture = next((path for path in pictures if path.is_file()), None)
    if picture is None:
        return ""
    alt = escape(f"{pictures[picture]} of {entry['title']}")
    return f"<img class=thumbnail src='{provenance.relative(picture, folder)}' alt='{alt}'>"
