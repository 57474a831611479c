"""The sections of the page: figures with what they say, tables, provenance; each a function from data to HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from insar_dask.report import tables
from insar_dask.report.choosing import Chosen
from insar_dask.report.colours import QUANTITIES, Quantity
from insar_dask.report.figures import place_figure, seen, sentence, unbroken
from insar_dask.report.gridding import Grid
from insar_dask.report.histograms import plot_histogram
from insar_dask.report.leads import plot_leads
from insar_dask.report.maps import legend_line, plot_map, source_line
from insar_dask.report.moving_ground import moving_table
from insar_dask.report.places import crs_name
from insar_dask.report.series import COMPONENT_NAMES, parameters, plot_point

__all__ = [
    "histograms_section",
    "key_numbers",
    "lede",
    "maps_section",
    "points_section",
    "scores_section",
]


def lede(raw: xr.Dataset, products: xr.Dataset) -> str:
    """One line under the title: quantity, sign, period, CRS, release."""
    attrs, times = raw.attrs, raw["time"].values
    kind = COMPONENT_NAMES.get(str(attrs.get("component")), str(attrs.get("component")))
    parts = [f"{kind.capitalize()} displacement, positive {attrs.get('positive')}"]
    if attrs.get("track") is not None:
        parts.append(f"track {attrs['track']} {attrs.get('pass', '')}")
    parts += [f"{str(times[0])[:10]} to {str(times[-1])[:10]}", crs_name(products), f"release {attrs.get('release')}"]
    return unbroken(" · ".join(parts))


def key_numbers(raw: xr.Dataset, products: xr.Dataset, scores: Mapping[str, Any] | None) -> str:
    """Four to six figures to take home."""
    numbers = [
        (f"{raw.sizes['point']:,}", "points"),
        (f"{raw.sizes['time']:,}", "dates"),
        (_median(products, "velocity"), "mm yr⁻¹, median velocity"),
        (_median(products, "rmse"), "mm, median rmse of the fit"),
    ]
    row = scores["tables"]["honest"].get(scores.get("default", ""), {}) if scores else {}
    if scores and row:
        numbers.append((f"{row['rmse_all']:.2f}", f"mm, forecast RMSE ({scores['default']})"))
        if row.get("coverage_all") is not None:
            numbers.append((f"{row['coverage_all']:.1%}", f"inside the {scores.get('level', 0.9):.0%} interval"))
    return "<div class=key>" + "".join(f"<div><b>{n}</b><span>{escape(t)}</span></div>" for n, t in numbers) + "</div>"


def maps_section(folder: Path, products: xr.Dataset, chosen: Sequence[Chosen], grid: Grid, who: str = "") -> str:
    """Maps on the same cells, with the chosen points on the first, and how much of the ground moves.

    ``who`` says which points are shown.
    """
    marks = {str(number): choice.number for number, choice in enumerate(chosen, 1)}
    figures = []
    for name, quantity in _mapped(products).items():
        figure = plot_map(products, name, grid=grid, marks=marks if name == "velocity" else None)
        told = f"{legend_line(products, name)}{_unseen(products, name)}"
        alt = f"Map of {quantity.title}, median {_median(products, name)} {quantity.unit}; {told}"
        caption = f"<b>{quantity.title}</b><br>{escape(told)}"
        figures.append(place_figure(folder, figure, name, alt, caption))
    source = source_line(products, grid, products["velocity"].values)
    note = f"{source}. North is up. The numbers on the first map are the points drawn below."
    note = f"{sentence(note)} {escape(who)} {sentence(seen(products))}"
    return f"<p class=note>{note}</p><div class=two>{''.join(figures)}<div>{moving_table(products)}</div></div>"


def histograms_section(folder: Path, products: xr.Dataset) -> str:
    """Distribution of each motion parameter, in the colours of its map."""
    figures = []
    for name, quantity in _mapped(products).items():
        if name == "cumulative":  # velocity in other units
            continue
        median = f"median {_median(products, name)} {quantity.unit}"
        figure = plot_histogram(products[name].values, quantity)
        alt = f"Histogram of {quantity.title}, {median}"
        figures.append(place_figure(folder, figure, f"{name}-histogram", alt, f"<b>{quantity.title}</b><br>{median}"))
    return f"<div class=four>{''.join(figures)}</div>"


def points_section(
    folder: Path,
    chosen: Sequence[Chosen],
    raw: xr.Dataset,
    products: xr.Dataset,
    smooth: xr.Dataset | None,
    forecast: xr.Dataset | None,
) -> str:
    """Series of the chosen points: one narrow read a point, so that no chunk is read whole."""
    figures = []
    for number, choice in enumerate(chosen, 1):
        figure = plot_point(raw, choice.number, forecast, products, smooth=smooth)
        row = products.isel(point=choice.number)
        alt = f"Displacement through time of point {number}, {choice.reason}, with fit and forecast"
        caption = (
            f"<b>{number} · {choice.reason}</b> {escape(str(row['point_id'].values))}<br>{unbroken(parameters(row))}"
        )
        figures.append(place_figure(folder, figure, f"point-{number}", alt, caption))
    return (
        "<p class=note>Chosen by rule: the median point, the calmest, and those at the 0.5th or 99.5th percentile of a "
        "motion parameter (rmse: 95th), so that no single outlier speaks for the scene. The fit uses the whole record, "
        "the forecast what lies before the dashed line.</p>"
        f"<div class=two>{''.join(figures)}</div>"
    )


def scores_section(folder: Path, scores: Mapping[str, Any]) -> str:
    """How well each method forecasts: honest first, what leaks apart and named so."""
    protocol, published = scores.get("protocol", {}), scores["tables"].get("as_published")
    origins = scores.get("origins", [])
    parts = [f"<p>{sentence(protocol.get('honest', ''))}</p>"]
    if scores.get("default"):
        parts.append(f"<p>Default method: <b>{escape(scores['default'])}</b>. {sentence(scores.get('reason', ''))}</p>")
    caption = f"<b>RMSE by lead, honest</b> {len(origins)} origins"
    if origins:
        caption += f" from {origins[0][:10]} to {origins[-1][:10]}"
    parts.append(place_figure(folder, plot_leads(scores), "leads", _leads_alt(scores), caption))
    parts += [tables.summary_table(scores), tables.leads_table(scores, "honest"), tables.strata_table(scores)]
    parts.append(tables.coverage_table(scores, scores.get("default", "")))
    if published:
        parts.append(f"<p class=warning>{sentence(protocol.get('as_published', ''))}</p>")
        parts.append(tables.leads_table(scores, "as_published"))
    more = [tables.leads_table(scores, "honest", measure) for measure in ("mae", "coverage", "interval_width", "n")]
    if any(more):
        parts.append(f"<details><summary>MAE, coverage, width and number by lead</summary>{''.join(more)}</details>")
    parts += [f"<p class=note>{sentence(note)}</p>" for note in scores.get("notes", [])]
    return "".join(parts)


def _leads_alt(scores: Mapping[str, Any]) -> str:
    rows = {method: scores["tables"]["honest"].get(method, {}).get("rmse") for method in scores["methods"]}
    spans = [f"{method} {rmse[0]:.2f} to {rmse[-1]:.2f}" for method, rmse in rows.items() if rmse]
    return f"RMSE in mm from the first to the last lead: {'; '.join(spans)}"


def _mapped(products: xr.Dataset) -> dict[str, Quantity]:
    return {name: quantity for name, quantity in QUANTITIES.items() if name in products}


def _unseen(products: xr.Dataset, name: str) -> str:
    """Dates between which displacement was added up, and how many points lack one of them."""
    attrs = products[name].attrs
    if "first_date" not in attrs:
        return ""
    lacking = int((products[name].isnull() & products["velocity"].notnull()).sum())
    text = f"; smoothed series, {attrs['first_date']} to {attrs['last_date']}"
    return text + (f", {lacking:,} points lack one of the dates" if lacking else "")


def _median(products: xr.Dataset, name: str) -> str:
    values = products[name].values
    return f"{np.nanmedian(values):.2f}".replace("-", "−") if np.isfinite(values).any() else "·"
