"""What became of interferograms: the network, what was left out and why, what was corrected, how well they agree."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from insar_dask.inversion.baselines import date_baselines
from insar_dask.inversion.pairs import timeline
from insar_dask.report.figures import place_figure, sentence
from insar_dask.report.gridding import Grid
from insar_dask.report.maps import source_line
from insar_dask.report.markup import facts, table
from insar_dask.report.network_figures import Network, plot_network, plot_quality, plot_residuals

__all__ = ["network_section"]

SHOWN = 20
"""Pairs that a table lists at most."""

SURFACES = {"plane": "planes", "quadratic": "quadratic surfaces", "height": "delays that grow with height"}
QUALITIES = {
    "coherence": ("Temporal coherence", "", "viridis", "1 where all interferograms of a point agree with its series"),
    "residual_rms": ("Residual", "mm", "plasma", "what the series leaves of its interferograms, root mean square"),
}


def network_section(folder: Path, pairs: xr.Dataset, raw: xr.Dataset, note: Mapping[str, Any], grid: Grid) -> str:
    """Section of the page on an inversion.

    Parameters
    ----------
    folder : Path
        Of the page.
    pairs : xr.Dataset
        Pair cube that was read; its phase is not.
    raw : xr.Dataset
        Cube that was made of it; of its values ``coherence`` and ``residual_rms`` are read.
    note : mapping
        What the inversion kept of itself: ``pairs``, ``reasons``, ``held``, ``residuals``, ``reference`` ...
    grid : Grid
        Cells of the page's maps.
    """
    network = network_of(pairs, note)
    n_out = int((~network.kept).sum())
    told = f"{network.kept.sum()} of {len(network.kept)} interferograms between {len(network.dates)} dates were used"
    alt = f"Dates of the network by their perpendicular baseline, joined by {told}"
    caption = f"<b>Network</b> {escape(told)}{'; dashed: left out' if n_out else ''}"
    parts = [f"<p>{sentence(_story(note))}</p>", *_alarms(note)]
    parts.append(place_figure(folder, plot_network(network), "network", alt, caption))
    if network.residuals:
        alt = f"Residual in mm of {len(network.residuals)} interferograms through time"
        caption = "<b>Residuals</b> of each interferogram after a first inversion, before surfaces were taken off"
        parts.append(place_figure(folder, plot_residuals(network), "pair-residuals", alt, caption))
    parts += [_pair_table("Interferograms left out", note.get("reasons", {}))]
    parts += [_pair_table("Kept against a reason, lest the network fall apart", note.get("held", {}))]
    parts.append(f"<div class=two>{''.join(_maps(folder, raw, grid))}</div>")
    return "".join(parts) + facts(_facts(pairs, note))


def network_of(pairs: xr.Dataset, note: Mapping[str, Any]) -> Network:
    """The network of a pair cube, and what was used of it."""
    line, kept = timeline(pairs), np.zeros(pairs.sizes["pair"], bool)
    kept[slice(None) if note["pairs"] is None else note["pairs"]] = True
    known = "bperp" in pairs.variables and bool(np.isfinite(pairs["bperp"].values).all())
    residuals = {int(place): float(value) for place, value in note.get("residuals", {}).items() if value is not None}
    return Network(
        line.dates[line.first], line.dates[line.second], kept, line.dates,
        date_baselines(pairs).values if known else None, residuals,
    )  # fmt: skip


def _story(note: Mapping[str, Any]) -> str:
    """What was done to the interferograms, in the order in which it was."""
    steps = []
    if note.get("closure"):
        steps.append(
            f"whole cycles were corrected by {note['loops']:,} loops of three"
            + (f" ({note['unchecked']} interferograms are in none, and cannot be checked)" if note["unchecked"] else "")
        )
    if note.get("delays"):
        steps.append(f"delays of the atmosphere were taken off (scatter {note['scatter']:.2f} of what it was)")
    if note.get("surface"):
        steps.append(f"{SURFACES[note['surface']]} of the dates were taken off, as stable ground shows them")
    if note.get("reference"):
        row, column = note["reference"]
        steps.append(f"zero is the median of {note['window']} x {note['window']} pixels around row {row}, "
                     f"column {column}")  # fmt: skip
    if note.get("as_of"):
        steps.append(f"pairs that were complete by {note['as_of']} alone were used")
    if note.get("alpha") is not None:
        steps.append(f"the season is one of frost and thaw, in which frost weighs {note['alpha']:.2f}")
    return "; ".join([*steps, f"the series were solved by {note['method']}"])


def _alarms(note: Mapping[str, Any]) -> list[str]:
    told = []
    if note["parts"] > 1:
        told.append(
            f"the network falls into {note['parts']} parts: displacement between them is what the method assumes, "
            "not what was measured"
        )
    if note.get("scatter", 0) > 1:
        told.append(f"with their delays off interferograms scatter {note['scatter']:.2f} times as much as before")
    return [f"<p class=warning>{sentence(text)}</p>" for text in told]


def _pair_table(title: str, reasons: Mapping[str, str]) -> str:
    if not reasons:
        return ""
    rows = [(name.replace("/", " to "), [escape(why)]) for name, why in list(reasons.items())[:SHOWN]]
    more = f", the first {SHOWN} of {len(reasons)}" if len(reasons) > SHOWN else f": {len(reasons)}"
    return table(f"{title}{more}", ["why"], rows)


def _maps(folder: Path, raw: xr.Dataset, grid: Grid) -> list[str]:
    figures = []
    for name, (title, unit, colours, reading) in QUALITIES.items():
        values = np.asarray(raw[name].values, np.float64)
        figure = plot_quality(values, grid, title, unit, colours, [reading, source_line(raw, grid, values)])
        median = f"median {np.nanmedian(values):.2f} {unit}".rstrip()
        alt = f"Map of the {title.lower()}, {median}"
        caption = f"<b>{title}</b><br>{escape(reading)}; {median}"
        figures.append(place_figure(folder, figure, name.replace("_", "-"), alt, caption))
    return figures


def _facts(pairs: xr.Dataset, note: Mapping[str, Any]) -> dict[str, Any]:
    line = timeline(pairs)
    lengths = line.days[line.second] - line.days[line.first]
    named = {"wavelength": f"{1000 * float(pairs.attrs['wavelength']):.2f} mm"}
    shown = {"lengths of the pairs": f"{lengths.min():.0f} to {lengths.max():.0f} days", **named}
    if pairs.attrs.get("n_turned"):
        shown["turned round"] = f"{pairs.attrs['n_turned']} whose first date was the later one"
    return shown
