"""Sections of the page of moving areas: inventory, map, growth, evidence; each from data to HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.detect.areas import Areas, MapGrid
from insar_dask.detect.counting import Growth, Inventory, inventory
from insar_dask.detect.views import AreaView
from insar_dask.report.area_figures import plot_area, plot_area_map
from insar_dask.report.figures import place_figure, sentence
from insar_dask.report.markup import facts, number, table, whole

__all__ = ["cards_section", "growth_section", "inventory_section", "map_section", "shown_areas"]

MOST_CHANGES = 20
QUALITIES = ("not judged", "1, both indices high", "2, one high", "3, weak", "4, both low")


def shown_areas(areas: Areas, worst: int) -> Areas:
    """Areas of a quality class up to the worst that is shown; those without series too."""
    if "quality" not in areas.columns:
        return areas
    return areas.part(np.flatnonzero(areas["quality"] <= worst))


def inventory_section(vintages: Mapping[str, Areas], areas: Areas) -> str:
    """How many areas there are of each vintage, how large and how fast; and how this one's are spread.

    Parameters
    ----------
    vintages : mapping of str to Areas
        The oldest first, the one that the page is about last.
    areas : Areas
        The last.
    """
    rated = {vintage: found for vintage, found in vintages.items() if len(found) and "velocity_mean" in found.columns}
    counts = {vintage: inventory(found) for vintage, found in rated.items()}
    head = ["areas", "area<small>km²</small>", "beyond 10<small>mm yr⁻¹</small>", "beyond 20<small>mm yr⁻¹</small>"]
    head += ["largest<small>km²</small>", "fastest<small>mm yr⁻¹</small>"]
    rows = [(vintage, _inventory_row(vintages[vintage], found)) for vintage, found in counts.items()]
    text = table("Inventory: mean rates of areas, either way", head, rows)
    if len(areas):
        text += f"<details><summary>By rate, size, season and quality</summary>{_spread(counts, areas)}</details>"
    return text


def map_section(
    folder: Path, velocity: npt.NDArray[Any], grid: MapGrid, areas: Areas, marked: Sequence[int], hidden: int
) -> str:
    """Where the areas lie; the numbered ones are told of below."""
    said = [f"cells of {grid.cell:g} m, mean velocity", "outlines of moving areas; numbers: the largest"]
    figure = plot_area_map(velocity, grid, areas, marked, said)
    alt = f"Map of {len(areas)} moving areas on the velocity"
    caption = "<b>Moving areas</b><br>on the mean velocity; numbers lead to the evidence below"
    note = f"{hidden} areas of a lower quality class are left off the map; files and counts have them" if hidden else ""
    more = f"<p class=note>{sentence(note)}</p>" if note else ""
    picture = place_figure(folder, figure, "areas", alt, caption)
    return f"<div class=two>{picture}<div>{_listed(areas, marked)}{more}</div></div>"


def growth_section(grown: Growth, before: str, after: str) -> str:
    """What became of the areas of one vintage in the next."""
    head = ["before<small>m²</small>", "after<small>m²</small>", "growth", "±<small>m²</small>"]
    head += ["rate before<small>mm yr⁻¹</small>", "rate after<small>mm yr⁻¹</small>"]
    largest = sorted(grown.changes, key=lambda change: -abs(change.difference_m2))[:MOST_CHANGES]
    rows = [
        (
            change.area_id,
            [
                whole(change.before_m2),
                whole(change.after_m2),
                escape(change.said).replace("-", "−"),
                whole(change.error_m2),
                number(change.rate_before),
                number(change.rate_after),
            ],
        )
        for change in largest
    ]
    told = f"<p>From {escape(before)} to {escape(after)}: {escape(grown.said)}.</p>"
    title = f"Areas of both vintages, the {len(rows)} that changed most of {len(grown.changes)}"
    note = "A growth below its error, half a cell all along both outlines, cannot be told from none."
    return told + (table(title, head, rows) if rows else "") + f"<p class=note>{note}</p>"


def cards_section(
    folder: Path, views: Sequence[AreaView], areas: Areas, threshold: float | None, level: float | None
) -> str:
    """Evidence for some areas: a picture and a list of what is known of each."""
    parts = []
    for place, view in enumerate(views, 1):
        name = str(areas["area_id"][view.number])
        title = f"{place} · {name}"
        alt = f"Area {name}: velocity about it, displacement of its points through time"
        figure = plot_area(view, areas, title, level=level)
        caption = f"<b>{place} · {escape(name)}</b> {escape(_headline(areas, view.number))}"
        picture = place_figure(folder, figure, f"area-{place}", alt, caption)
        parts.append(f"<div class=pair>{picture}<div>{facts(_card(areas, view.number, threshold))}</div></div>")
    note = (
        "Errors of neighbouring points hang together over some 400 m, and an area has so many independent ones as fit "
        "into it. The rate is that of the vintage's last years. A change of rate is tested for one date at a time, "
        "with a season in the model."
    )
    return f"<p class=note>{note}</p>{''.join(parts)}"


def _listed(areas: Areas, marked: Sequence[int]) -> str:
    """The numbered areas in a table."""
    head = ["name", "area<small>km²</small>", "mean rate<small>mm yr⁻¹</small>", "quality"]
    rows = []
    for place, k in enumerate(marked, 1):
        quality = str(areas["quality"][k]) if "quality" in areas.columns else "·"
        rate = number(areas["velocity_mean"][k])
        rows.append(
            (str(place), [escape(str(areas["area_id"][k])), f"{areas.geometry[k].area / 1e6:,.3f}", rate, quality])
        )
    return table(f"The largest of {len(areas):,} on the map", head, rows) if rows else ""


def _inventory_row(areas: Areas, counted: Inventory) -> list[str]:
    rate = areas["velocity_mean"].astype(np.float64)
    fastest = rate[np.nanargmax(np.abs(rate))] if np.isfinite(rate).any() else np.nan
    return [
        whole(counted.n_areas),
        f"{counted.area_km2:,.3f}",
        whole(counted.over_10),
        whole(counted.over_20),
        f"{max(outline.area for outline in areas.geometry) / 1e6:,.3f}",
        number(fastest),
    ]


def _spread(counts: Mapping[str, Inventory], areas: Areas) -> str:
    counted = list(counts.values())[-1]
    tables = [
        ("Mean rate, mm yr⁻¹", counted.rates, 1.0),
        ("Size, ha", counted.sizes, 1e-4),
        ("Season, mm", counted.seasons, 1.0),
    ]
    text = "".join(table(title, *_histogram(rows, scale)) for title, rows, scale in tables if rows)
    if "quality" in areas.columns:
        quality = areas["quality"].astype(int)
        head = [escape(QUALITIES[k]) for k in range(5)]
        text += table("Quality class", head, [("areas", [whole((quality == k).sum()) for k in range(5)])])
    return text


def _histogram(rows: Sequence[tuple[float, float, int]], scale: float) -> tuple[list[str], list[tuple[str, list[str]]]]:
    head = [f"{a * scale:g} to {b * scale:g}" if np.isfinite(b) else f"beyond {a * scale:g}" for a, b, _ in rows]
    return head, [("areas", [whole(n) for _, _, n in rows])]


def _headline(areas: Areas, k: int) -> str:
    size, velocity = f"{areas.geometry[k].area / 1e6:.3f} km²", f"{areas['velocity_mean'][k]:+.1f}".replace("-", "−")
    return (
        f"{size}, {velocity} mm yr⁻¹ on average" if np.isfinite(areas["velocity_mean"][k]) else f"{size}, not measured"
    )


def _card(areas: Areas, k: int, threshold: float | None) -> dict[str, str]:
    """What is known of an area, in words; what is not known is not said."""

    def of(name: str, form: str) -> str:
        if name not in areas.columns:
            return ""
        value = float(areas[name][k])
        return form.format(value).replace("-", "−") if np.isfinite(value) else ""

    def text(name: str) -> str:
        return str(areas[name][k]) if name in areas.columns else ""

    mean = _pm(of("velocity_mean", "{:+.1f}"), of("velocity_std", "{:.1f}"))
    beyond = [of(f"share_over_{limit}", "{:.0%}") for limit in (10, 15, 20)]
    points, cells, density = of("n_points", "{:,.0f}"), of("n_cells", "{:,.0f}"), of("density_per_km2", "{:,.0f}")
    known = {
        "event": _event(areas, k),
        "area": f"{of('area_m2', '{:,.0f}')} m², perimeter {of('perimeter_m', '{:,.0f}')} m",
        "points": f"{points} in {cells} cells, {density} a km²",
        "velocity": f"{mean} mm yr⁻¹ on average, {of('velocity_extreme', '{:+.1f}')} at most"
        if mean
        else "not measured",
        "cells beyond 10, 15, 20": ", ".join(filter(None, beyond)),
        "rate of the last years": _unit(_pm(of("rate", "{:+.1f}"), of("rate_std", "{:.1f}")), "mm yr⁻¹"),
        "to the east, up, down its slope": _space(of),
        "season": _season(of),
        "acceleration": _unit(of("acceleration_mm_per_yr2", "{:+.2f}"), "mm yr⁻²"),
        "rate changed": _onset(areas, k),
        "in all": _unit(of("cumulative_mm", "{:+.1f}"), "mm"),
        "forecast": _forecast(of),
        "chance to pass the limit": _chance(of, threshold),
        "quality": _quality(areas, k, of),
        "coherence": of("coherence", "{:.2f}"),
        "rmse": _unit(of("rmse_mm", "{:.1f}"), "mm"),
        "height, slope, aspect": _terrain(of),
        "nearest area": _unit(of("nearest_m", "{:,.0f}"), "m away"),
        "votes": text("votes"),
    }
    return {name: value for name, value in known.items() if value}


def _pm(value: str, error: str) -> str:
    return f"{value} ± {error}" if value and error else value


def _unit(value: str, unit: str) -> str:
    return f"{value} {unit}" if value else ""


def _event(areas: Areas, k: int) -> str:
    if "event" not in areas.columns:
        return ""
    event, parents = str(areas["event"][k]), str(areas["parents"][k])
    first = f"first seen {areas['first_seen'][k]}"
    return f"{event}, {first}" + (f", of {parents}" if parents else "")


def _space(of: Any) -> str:
    rates = [of(name, "{:+.1f}") for name in ("east_rate", "up_rate", "slope_rate")]
    return f"{', '.join(rate or '·' for rate in rates)} mm yr⁻¹" if any(rates) else ""


def _season(of: Any) -> str:
    size, day = of("seasonality_mm", "{:.1f}"), of("phase_day", "{:.0f}")
    return f"{size} mm" + (f", highest on day {day} of the year" if day else "") if size else ""


def _onset(areas: Areas, k: int) -> str:
    if "onset" not in areas.columns:
        return ""
    if not areas["onset"][k]:
        return "no change of rate that is sure"
    first, onset, last = (areas[f"onset{end}"][k] for end in ("_first", "", "_last"))
    return f"{onset}, between {first} and {last} (p {areas['onset_p'][k]:.1e})"


def _forecast(of: Any) -> str:
    said, lower, upper = (of(f"forecast{end}_mm", "{:+.1f}") for end in ("", "_lower", "_upper"))
    interval = f", {lower} to {upper}" if lower and upper else ""
    return f"{said} mm at the last date ahead{interval}" if said else ""


def _chance(of: Any, threshold: float | None) -> str:
    chance = of("exceedance", "{:.0%}")
    limit = "" if threshold is None else f" of {threshold:g} mm".replace("-", "−")
    return f"{chance}{limit}, of the point most at risk" if chance else ""


def _quality(areas: Areas, k: int, of: Any) -> str:
    if "quality" not in areas.columns:
        return ""
    indices = f"temporal {of('temporal', '{:.2f}') or '·'}, spatial {of('spatial', '{:.2f}') or '·'}"
    return f"{QUALITIES[int(areas['quality'][k])]} ({indices})"


def _terrain(of: Any) -> str:
    height, slope, aspect = of("height_m", "{:,.0f} m"), of("slope_deg", "{:.0f}°"), of("aspect_deg", "{:.0f}°")
    return ", ".join(part for part in (height, slope, aspect) if part)
