"""One page that tells the whole run: self-contained HTML that opens from a disk, and its figures as PNG files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.metadata import version
from importlib.resources import files as package_files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from insar_dask.report import tables
from insar_dask.report.choosing import Chosen, representative_points
from insar_dask.report.colours import QUANTITIES
from insar_dask.report.gridding import display_grid
from insar_dask.report.histograms import plot_histogram
from insar_dask.report.leads import plot_leads
from insar_dask.report.maps import crs_name, plot_map
from insar_dask.report.series import COMPONENT_NAMES, plot_point
from insar_dask.report.style import png_bytes, svg_text

__all__ = ["write_index", "write_report"]


@dataclass
class Page:
    """Sections as they come, and the folder that receives every figure as PNG."""

    folder: Path
    sections: list[tuple[str, str, str]] = field(default_factory=list)

    def figure(self, figure: Figure, name: str, alt: str, caption: str = "") -> str:
        """Save a figure as ``figures/<name>.png`` and return it as inline SVG in a ``<figure>``."""
        (self.folder / "figures" / f"{name}.png").write_bytes(png_bytes(figure))
        words = f"<figcaption>{caption}</figcaption>" if caption else ""
        return f"<figure id='{name}'>{svg_text(figure, name, alt)}{words}</figure>"

    def section(self, key: str, title: str, html: str) -> None:
        """Append a section and its entry in the navigation."""
        self.sections.append((key, title, html))

    def html(self, title: str, lede: str) -> str:
        """Return the whole page as text."""
        template = Template((package_files("insar_dask.report") / "page.html").read_text(encoding="utf-8"))
        return template.substitute(
            version=version("insar-dask"),
            title=escape(title),
            lede=lede,
            nav="".join(f"<a href='#{key}'>{escape(name)}</a>" for key, name, _ in self.sections[1:]),
            body="".join(_section(*section) for section in self.sections),
            footer=f"Written by insar_dask {version('insar-dask')}. Every figure is also a PNG in figures/, beside this page.",
        )


def _section(key: str, title: str, html: str) -> str:
    heading = f"<h2>{escape(title)}</h2>" if title else ""
    return f"<section id='{key}'>{heading}{html}</section>" if title else html


def write_report(
    folder: str | Path,
    *,
    raw: xr.Dataset,
    products: xr.Dataset,
    regular: xr.Dataset | None = None,
    smooth: xr.Dataset | None = None,
    forecast: xr.Dataset | None = None,
    scores: Mapping[str, Any] | None = None,
    ingest: Mapping[str, Any],
    timings: Sequence[Mapping[str, Any]],
    config_text: str,
    title: str,
    files: Mapping[str, str | Path] | None = None,
) -> Path:
    """Write ``index.html`` and ``figures/*.png`` into ``folder``.

    Only the series that are drawn are read from ``raw``, ``smooth`` and ``forecast``; the motion parameters are taken
    into memory. The page loads nothing from anywhere: it works from ``file://`` without a network.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    raw : xr.Dataset
        Point cube, lazy or not.
    products : xr.Dataset
        Output of ``motion`` with ``easting``, ``northing``, ``crs``.
    regular, smooth : xr.Dataset, optional
        Cubes of the same points on regular dates, and smoothed.
    forecast : xr.Dataset, optional
        Forecast cube of the same points.
    scores : mapping, optional
        Result of the evaluation: methods, leads, tables.
    ingest : mapping
        ``n_points``, ``n_rejected``, ``rejected`` (file), ``source``, ``sha256`` and anything else to show.
    timings : sequence of mappings
        ``stage``, ``seconds``, ``points_per_second``, ``megabytes``.
    config_text : str
        The exact configuration of the run.
    title : str
    files : mapping of str to path, optional
        Name -> file or folder to link, relative to the page where it lies on the same disk.

    Returns
    -------
    Path
        ``folder / "index.html"``.
    """
    folder = Path(folder)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    products = products.compute()
    page = Page(folder)
    chosen = representative_points(products)
    page.section("top", "", _key_numbers(raw, products, scores))
    page.section("maps", "Maps", _maps(page, products, chosen))
    page.section("distributions", "Distributions", _histograms(page, products))
    page.section("points", "Eight points", _points(page, chosen, raw, products, smooth, forecast))
    if scores:
        page.section("scores", "Forecast scores", _scores(page, scores))
    page.section("data", "Data and what was rejected", _data(raw, products, ingest, files or {}, folder))
    page.section("run", "The run", tables.timings_table(timings) + _config(config_text))
    path = folder / "index.html"
    draft = folder / "index.html.part"
    draft.write_text(page.html(title, _lede(raw, products)), encoding="utf-8")
    return draft.replace(path)


def _lede(raw: xr.Dataset, products: xr.Dataset) -> str:
    attrs = raw.attrs
    times = raw["time"].values
    kind = COMPONENT_NAMES.get(str(attrs.get("component")), str(attrs.get("component")))
    parts = [f"{kind} displacement in mm, positive {attrs.get('positive')}"]
    if attrs.get("track") is not None:
        parts.append(f"track {attrs['track']} {attrs.get('pass', '')}")
    parts += [f"{str(times[0])[:10]} to {str(times[-1])[:10]}", crs_name(products), f"release {attrs.get('release')}"]
    text = escape(" · ".join(parts))
    return text[:1].upper() + text[1:]


def _key_numbers(raw: xr.Dataset, products: xr.Dataset, scores: Mapping[str, Any] | None) -> str:
    numbers = [
        (f"{raw.sizes['point']:,}", "points"),
        (f"{raw.sizes['time']:,}", "dates"),
        (_median(products, "velocity"), "median velocity, mm yr⁻¹"),
        (_median(products, "rmse"), "median rmse, mm"),
    ]
    row = scores["tables"]["honest"].get(scores.get("default", ""), {}) if scores else {}
    if scores and row:
        numbers.append((f"{row['rmse_all']:.2f}", f"forecast RMSE, mm ({scores['default']})"))
        if row.get("coverage_all") is not None:
            numbers.append((f"{row['coverage_all']:.1%}", f"inside the {scores.get('level', 0.9):.0%} interval"))
    return "<div class=key>" + "".join(f"<div><b>{n}</b><span>{escape(t)}</span></div>" for n, t in numbers) + "</div>"


def _median(products: xr.Dataset, name: str) -> str:
    values = products[name].values
    return f"{np.nanmedian(values):.2f}".replace("-", "−") if np.isfinite(values).any() else "·"


def _maps(page: Page, products: xr.Dataset, chosen: Sequence[Chosen]) -> str:
    grid = display_grid(products["easting"].values, products["northing"].values)
    marks = {str(number): choice.number for number, choice in enumerate(chosen, 1)}
    figures = []
    for name, quantity in QUANTITIES.items():
        figure = plot_map(products, name, grid=grid, marks=marks if name == "velocity" else None)
        middle = _median(products, name)
        alt = f"Map of {quantity.title.lower()} of {products.sizes['point']} points, median {middle} {quantity.unit}"
        figures.append(page.figure(figure, name, alt))
    return (
        "<p class=note>The numbers on the velocity map are the eight points below.</p><div class=two>"
        + "".join(figures)
        + "</div>"
    )


def _histograms(page: Page, products: xr.Dataset) -> str:
    figures = [
        page.figure(
            plot_histogram(products[name].values, quantity),
            f"{name}-histogram",
            f"Histogram of {quantity.title.lower()}, median {_median(products, name)} {quantity.unit}",
        )
        for name, quantity in QUANTITIES.items()
    ]
    return f"<div class=four>{''.join(figures)}</div>"


def _points(
    page: Page,
    chosen: Sequence[Chosen],
    raw: xr.Dataset,
    products: xr.Dataset,
    smooth: xr.Dataset | None,
    forecast: xr.Dataset | None,
) -> str:
    figures = []
    for number, choice in enumerate(chosen, 1):
        figure = plot_point(raw, choice.number, forecast, products, smooth=smooth)
        alt = f"Displacement through time of point {number}, {choice.reason}, with fit and forecast"
        figures.append(page.figure(figure, f"point-{number}", alt, f"<b>{number}</b> {escape(choice.reason)}"))
    return (
        "<p class=note>Chosen by rule from the motion parameters: the median point, the calmest, and points at the "
        "0.5th or 99.5th percentile (rmse: 95th), so that no single outlier speaks for the scene.</p>"
        f"<div class=two>{''.join(figures)}</div>"
    )


def _scores(page: Page, scores: Mapping[str, Any]) -> str:
    protocol = scores.get("protocol", {})
    parts = [f"<p>{escape(protocol.get('honest', ''))}</p>"]
    if scores.get("default"):
        parts.append(f"<p>Default: <b>{escape(scores['default'])}</b>. {escape(scores.get('reason', ''))}</p>")
    figure = plot_leads(scores)
    parts.append(page.figure(figure, "leads", "RMSE of every method by lead"))
    parts += [tables.summary_table(scores), tables.leads_table(scores, "honest"), tables.strata_table(scores)]
    parts.append(tables.coverage_table(scores, scores.get("default", "")))
    if scores["tables"].get("as_published"):
        parts.append(f"<p class=note>{escape(protocol.get('as_published', ''))}</p>")
        parts.append(tables.leads_table(scores, "as_published"))
    parts += [f"<p class=note>{escape(note)}</p>" for note in scores.get("notes", [])]
    return "".join(parts)


def _data(
    raw: xr.Dataset, products: xr.Dataset, ingest: Mapping[str, Any], files: Mapping[str, str | Path], folder: Path
) -> str:
    rejected, kept = int(ingest.get("n_rejected", 0)), int(ingest.get("n_points", raw.sizes["point"]))
    words = (
        f"{rejected:,} of {rejected + kept:,} rows were rejected"
        if rejected
        else f"All {kept:,} rows were read; none was rejected"
    )
    if rejected and ingest.get("rejected"):
        words += f"; each is listed with its line and reason in {_link('rejected rows', ingest['rejected'], folder)}"
    known = {k: v for k, v in ingest.items() if k not in ("n_points", "n_rejected", "rejected")}
    shown = {
        **known,
        **{
            k: raw.attrs[k]
            for k in (
                "product",
                "component",
                "positive",
                "reference",
                "reference_date",
                "release",
                "track",
                "pass",
                "conventions",
            )
            if k in raw.attrs
        },
    }
    links = "".join(
        f"<dt>{escape(name)}</dt><dd>{_link(Path(path).name, path, folder)}</dd>" for name, path in files.items()
    )
    return f"<p>{words}.</p>{tables.facts({**shown, 'CRS': crs_name(products)})}" + (
        f"<dl>{links}</dl>" if links else ""
    )


def _link(text: str, path: str | Path, folder: Path) -> str:
    relative = os.path.relpath(Path(path).resolve(), folder.resolve())
    return f"<a href='{escape(Path(relative).as_posix())}'>{escape(text)}</a>"


def _config(text: str) -> str:
    return f"<details><summary>Configuration of this run</summary><pre>{escape(text)}</pre></details>"


def write_index(folder: str | Path, entries: Sequence[Mapping[str, Any]], *, title: str = "Products") -> Path:
    """Write a page that links the reports of several products.

    Parameters
    ----------
    folder : str or Path
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
    page = Page(folder)
    for number, entry in enumerate(entries, 1):
        shown = {k: v for k, v in entry.items() if k not in ("title", "path")}
        page.section(
            f"product-{number}",
            str(entry["title"]),
            tables.facts(shown) + f"<p>{_link('Open the report', entry['path'], folder)}</p>",
        )
    path = folder / "index.html"
    path.write_text(page.html(title, f"{len(entries)} products"), encoding="utf-8")
    return path
