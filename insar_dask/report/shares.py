"""How much of the motion is trend, season and residual, in the scene and in each pattern."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from insar_dask.report.figures import place_figure, sight
from insar_dask.report.markup import percent, table, whole
from insar_dask.report.style import PALETTE, new_figure, tidy, words
from insar_dask.totals import PARTS

__all__ = ["plot_shares", "shares_part", "shares_table"]

COLOURS = {"trend": PALETTE["data"], "season": PALETTE["fit"], "residual": PALETTE["band"]}


def shares_part(folder: Path, shares: xr.Dataset) -> str:
    """Bars and table of the shares.

    Parameters
    ----------
    folder : Path
        Of the page.
    shares : xr.Dataset
        Output of `insar_dask.component_shares`.
    """
    trend, season, residual = (f"{value:.0%}" for value in shares["share"].values[0])
    alt = f"Shares of the variance over all points: trend {trend}, season {season}, residual {residual}"
    caption = (
        f"<b>Shares of trend, season and residual</b><br>mean over the points of each point's shares; {sight(shares)}"
    )
    figure = place_figure(folder, plot_shares(shares), "shares", alt, caption)
    return (
        "<h3>Shares</h3><p class=note>A component's share is its variance in time over the sum of the three variances. "
        "The components are not orthogonal: what twice their covariances add to that sum, or take from it, is told "
        "apart (2 cov). Pooled is the sum of all points' variances, where fast points weigh most."
        f"{_hardly_any(shares)}</p>"
        f"{figure}{shares_table(shares)}"
    )


def plot_shares(shares: xr.Dataset) -> Figure:
    """One bar a group, all points first, divided into trend, season and residual."""
    kept = shares.isel(group=shares["n_points"].values > 0)
    names = [_name(group) for group in kept["group"].values.tolist()]
    figure = new_figure(5.4, 0.75 + 0.25 * max(len(names), 1))
    figure.set_layout_engine("constrained", rect=(0.015, 0, 0.985, 1))  # words are wider at the PNG's resolution
    axes = figure.add_subplot()
    left = np.zeros(len(names))
    for place, part in enumerate(PARTS):
        width = kept["share"].values[:, place]
        axes.barh(names, width, left=left, height=0.72, color=COLOURS[part], linewidth=0, label=part)
        for row, (start, size) in enumerate(zip(left, width, strict=True)):
            if size >= 0.06:
                ink = PALETTE["ink"] if part == "residual" else PALETTE["paper"]
                axes.text(start + size / 2, row, f"{size:.0%}", ha="center", va="center", fontsize=7, color=ink)
        left = left + width
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    tidy(axes, 7.5)
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(length=0)
    legend = figure.legend(loc="outside lower left", ncols=3, frameon=False, fontsize=7, handlelength=1.0, borderpad=0)
    for text in legend.get_texts():
        text.set_color(PALETTE["muted"])
    words(
        axes.set_title(
            f"Shares of trend, season and residual; {sight(shares)}", loc="left", fontsize=8, color=PALETTE["ink"]
        )
    )
    return figure


def shares_table(shares: xr.Dataset) -> str:
    """Shares of all points and of each pattern, their covariance, and the pooled ones."""
    rows = []
    for place, group in enumerate(shares["group"].values.tolist()):
        row = shares.isel(group=place)
        cells = [whole(int(row["n_points"])), *(percent(value) for value in row["share"].values.tolist())]
        cells += [percent(float(row["covariance"])), *(percent(value) for value in row["pooled"].values.tolist())]
        rows.append((_name(group), cells))
    head = ["points", *PARTS, "2 cov", *(f"{name}<small>pooled</small>" for name in PARTS)]
    return table("Shares of the variance in time", head, rows)


def _hardly_any(shares: xr.Dataset) -> str:
    """What to make of a residual that is nearly nothing."""
    if not shares["share"].sel(component="residual").values[0] < 0.01:
        return ""
    return (
        " The residual has nearly no share: the filter took the noise out before, and on smoothed series the level "
        "that fits best follows every date. What was smoothed away is the rmse above, not this residual."
    )


def _name(group: str) -> str:
    return "all points" if group == "all" else f"pattern {group}"
