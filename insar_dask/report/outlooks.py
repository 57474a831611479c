"""What may come and what has come: maps of the probability of passing a limit, and of departures with their alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from insar_dask.report.alarm_list import Alarm, alarm_list, write_alarms
from insar_dask.report.colours import colour_limits
from insar_dask.report.figures import place_figure, sentence
from insar_dask.report.gridding import Grid, display_grid
from insar_dask.report.maps import map_panel, paint, source_line
from insar_dask.report.markup import number, percent, table, whole
from insar_dask.report.style import PALETTE
from insar_dask.updating.judging import Verdict

__all__ = ["Departures", "alarms_section", "exceedance_section", "plot_departures", "plot_exceedance"]

MOST_LISTED = 20
"""Alarms in the table of the page; the files have all."""

LIKELY = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Departures:
    """New dates of a product against the forecast that was made before they came.

    Parameters
    ----------
    note : mapping
        What `insar_dask.jobs.steps.alarm_jobs.raise_alarms` kept.
    update : mapping
        What an update noted of the product: ``before``, ``verdict``, ``points``.
    alarms : xr.Dataset, optional
        Of `insar_dask.forecast.departure_blocks.flag_departures`; None where nothing could be judged.
    """

    note: Mapping[str, Any]
    update: Mapping[str, Any]
    alarms: xr.Dataset | None

    @cached_property
    def listed(self) -> list[dict[str, Any]]:
        """Alarms, the most certain one first."""
        if self.alarms is None:
            return []
        return alarm_list(self.alarms, self.first_date, self.note["rule"]["reach"])

    @property
    def first_date(self) -> np.datetime64:
        """First new date that was judged."""
        return np.datetime64(self.note["dates"][0])

    def write(self, folder: Path) -> dict[str, str | Path]:
        """Write the alarms as CSV and GeoJSON; returns the files by name."""
        if self.alarms is None:
            return {}
        table, shapes = write_alarms(self.alarms, self.listed, folder, self.first_date)
        return {"alarms": table, "alarms for GIS": shapes}


def exceedance_section(folder: Path, outlook: xr.Dataset) -> str:
    """Map of the probability that a limit is passed at the last lead, and how many points are how likely to.

    Parameters
    ----------
    folder : Path
    outlook : xr.Dataset
        Of `insar_dask.forecast.outlook.outlook_block`.
    """
    outlook = outlook[["easting", "northing", "crs", "exceedance"]].isel(lead=_some(outlook.sizes["lead"])).compute()
    limit = float(outlook["exceedance"].attrs["threshold"])
    days = [str(day)[:10] for day in outlook["time"].values]
    chances = np.asarray(outlook["exceedance"].values, np.float64)
    figure = plot_exceedance(outlook)
    what = f"{'above' if limit >= 0 else 'below'} {limit:+g} mm on {days[-1]}"
    caption = f"<b>Probability of lying {escape(what)}</b><br>by the pooled Gaussian process"
    shown = place_figure(folder, figure, "exceedance", f"Map of the probability of lying {what}", caption)
    rows = [
        (f"more likely than {share:.0%}", [whole(count) for count in (chances > share).sum(axis=0)]) for share in LIKELY
    ]
    head = [escape(day) for day in days]
    title = f"Points that will lie {'above' if limit >= 0 else 'below'} {limit:+g} mm"
    return f"<div class=two>{shown}<div>{table(title, head, rows)}</div></div>"


def alarms_section(folder: Path, departures: Departures) -> str:
    """What an update brought, a map of the departures with the alarms on it, and the list of them."""
    note, alarms = departures.note, departures.alarms
    if alarms is None:
        return f"{_brought(departures.update)}<p>{sentence('no alarms: ' + str(note['absent']))}</p>"
    alarms, listed = alarms.compute(), departures.listed
    figure = plot_departures(alarms, listed)
    alt = f"Map of departures from the forecast, {len(listed)} alarms"
    caption = f"<b>Departure from the forecast</b><br>median of the last {note['lasting']} dates; rings are alarms"
    shown = place_figure(folder, figure, "departures", alt, caption)
    told = f"{_brought(departures.update)}<p class=note>{_meaning(note)}</p>"
    return f"{told}<div class=two>{shown}<div>{_listed(listed)}</div></div>"


def plot_exceedance(outlook: xr.Dataset, grid: Grid | None = None) -> Figure:
    """Map of the probability of passing the limit at the last lead."""
    values = outlook["exceedance"].values[:, -1]
    grid = grid or display_grid(outlook["easting"].values, outlook["northing"].values, np.isfinite(values))
    figure, axes = map_panel(grid, "Probability of passing the limit", [source_line(outlook, grid, values)])
    bar = paint(axes, grid.mean(values), grid, Normalize(0, 1), mpl.colormaps["magma_r"])
    bar.set_label("probability", color=PALETTE["ink"], fontsize=7.5)
    return figure


def plot_departures(alarms: xr.Dataset, listed: Sequence[Alarm], grid: Grid | None = None) -> Figure:
    """Map of the departures of all judged points; alarmed ones have rings, the first alarms their numbers."""
    easting, northing, values = (alarms[name].values for name in ("easting", "northing", "departure"))
    grid = grid or display_grid(easting, northing, np.isfinite(values))
    low, high = colour_limits(values, signed=True)
    lines = [f"limits ±{high:.2g} mm (2–98%)", source_line(alarms, grid, values)]
    figure, axes = map_panel(grid, "Departure from the forecast", lines)
    bar = paint(axes, grid.mean(values), grid, Normalize(low, high), mpl.colormaps["RdYlBu"], extend="both")
    bar.set_label("mm", color=PALETTE["ink"], fontsize=7.5)
    rows = np.flatnonzero(alarms["alarm"].values == 1)
    axes.plot(easting[rows], northing[rows], "o", markersize=5, fillstyle="none", markeredgewidth=0.9,
              color=PALETTE["ink"])  # fmt: skip
    for one in listed[:9]:
        axes.annotate(
            str(one["alarm"]), (one["easting"], one["northing"]), (9, 9), textcoords="offset points", fontsize=7.5,
            fontweight="bold", color=PALETTE["ink"], ha="center", va="center",
            bbox={"boxstyle": "circle,pad=0.18", "fc": PALETTE["paper"], "ec": PALETTE["ink"], "lw": 0.6},
        )  # fmt: skip
    return figure


def _brought(update: Mapping[str, Any]) -> str:
    """What came, and how far it is from what was there."""
    if not update:
        return ""
    verdict, points = Verdict(**update["verdict"]), update["points"]
    counts = (
        f"{points['matched']:,} points are in both, found by {points['matched_by'].replace('_', ' ')}; "
        f"{points['new']:,} are new, {points['gone']:,} gone"
    )
    came = f"this product goes on with {update['before']}: {verdict.text()}"
    return f"<p>{sentence(came)} {sentence(counts)}</p>"


def _meaning(note: Mapping[str, Any]) -> str:
    """What was judged, and what the stated rate promises."""
    rule, dates = note["rule"], note["dates"]
    how = {
        "bh": "Benjamini and Hochberg: held where points err together or independently",
        "by": "Benjamini and Yekutieli: held whatever the dependence between points",
    }[rule["control"]]
    shift = max(note["shift"], key=abs, default=0.0)
    text = (
        f"{len(dates)} new dates, {dates[0]} to {dates[-1]}, were held against the forecast stored before they came. "
        f"{note['n_alarmed']:,} of {note['n_judged']:,} points have left it on each of their last {note['lasting']} "
        f"dates, to one side; of such points at most {percent(rule['rate'])} are expected to be false ({how}). "
        f"On a scene where nothing happens that is the chance of any alarm at all. What all points share on a date was "
        f"taken off, at most {shift:+.1f} mm."
    )
    if note.get("seen"):
        text += (
            " The series were inverted from interferograms: the errors that departures are held against are those of "
            "values that later pairs had mended, smaller than those of new dates, so that more alarms are false."
        )
    if note["not_judged"]:
        text += f" {len(note['not_judged'])} later dates lie beyond the forecast and were not judged."
    return escape(text)


def _listed(listed: Sequence[Alarm]) -> str:
    if not listed:
        return f"<p>{sentence('no point has left its forecast for long')}</p>"
    rows = [
        (
            str(one["alarm"]),
            [
                whole(one["n_points"]),
                f"{one['latitude']:.5f}<br>{one['longitude']:.5f}",
                number(one["departure"]),
                number(one["half_intervals"]),
                escape(one["since"]),
                whole(one["dates_outside"]),
                f"{one['q_value']:.1g}",
            ],
        )
        for one in listed[:MOST_LISTED]
    ]
    head = ["points", "lat, lon", "mm", "half intervals", "since", "dates", "false at"]
    more = f"<p class=note>{len(listed) - MOST_LISTED} more are in alarms.csv.</p>" if len(listed) > MOST_LISTED else ""
    return table("Alarms, the most certain one first", head, rows) + more


def _some(count: int) -> list[int]:
    """First, middle and last of some leads."""
    return sorted({0, count // 2, count - 1})
