"""Figures of a network of interferograms: which pairs join which dates, and how well they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from insar_dask.report.colours import colour_limits
from insar_dask.report.gridding import Grid
from insar_dask.report.maps import map_panel, paint
from insar_dask.report.style import PALETTE, new_figure, tidy, words

__all__ = ["Network", "plot_network", "plot_quality", "plot_residuals"]

Float64 = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]

SURELY_GOOD = 0.8
"""Where all points are more coherent, what tells them apart is chance, and is not stretched over all colours."""


@dataclass(frozen=True, eq=False)
class Network:
    """Pairs that were read, which of them were used, and the perpendicular baselines of their dates."""

    first: Days
    """(P,)."""
    second: Days
    kept: npt.NDArray[np.bool_]
    dates: Days
    """(T,) of all pairs."""
    baselines: Float64 | None
    """(T,) [m], None where pairs do not say theirs."""
    residuals: Mapping[int, float]
    """Root mean square [mm] of pairs by their place, where they were inverted once before."""

    @property
    def middle(self) -> Float64:
        """Middle of each pair, as figures count days."""
        return (_days(self.first) + _days(self.second)) / 2

    def heights(self, days: Days) -> Float64:
        """Baseline of dates."""
        if self.baselines is None:
            return np.zeros(len(days))
        return self.baselines[np.searchsorted(self.dates, days)]


def plot_network(network: Network) -> Figure:
    """Dates by their perpendicular baseline, joined by the pairs; those that were left out are dashed.

    Without baselines each pair lies as high as it is long.
    """
    figure = new_figure(7.6, 3.1)
    axes = figure.add_subplot()
    ends = _ends(network)
    for kept, colour, style in ((False, "forecast", (0, (2.5, 2))), (True, "data", "solid")):
        lines = ends[network.kept == kept]
        if len(lines):
            axes.add_collection(
                LineCollection(list(lines), colors=PALETTE[colour], linewidths=0.8, linestyles=style, alpha=0.75)
            )
    if network.baselines is not None:
        used = np.unique([network.first[network.kept], network.second[network.kept]])
        inside = np.isin(network.dates, used)
        for chosen, colour in ((~inside, "forecast"), (inside, "ink")):
            axes.plot(
                _days(network.dates[chosen]), network.baselines[chosen], "o", color=PALETTE[colour], markersize=3.4,
                markeredgecolor=PALETTE["paper"], markeredgewidth=0.5, zorder=3,
            )  # fmt: skip
    axes.autoscale()
    axes.margins(x=0.015, y=0.06)
    tidy(axes, 8)
    _dated(axes)
    axes.set_ylabel("perpendicular baseline [m]" if network.baselines is not None else "length of the pair [d]", size=8)
    _key(axes, [("used", "data", "solid"), ("left out", "forecast", "dashed")][: 1 + int(not network.kept.all())])
    return figure


def plot_residuals(network: Network) -> Figure:
    """What a first inversion left of each pair, by the middle of the pair; those that were left out stand out."""
    figure = new_figure(7.6, 2.2)
    axes = figure.add_subplot()
    places = np.array(sorted(network.residuals), int)
    values = np.array([network.residuals[place] for place in places.tolist()])
    for kept, colour in ((True, "data"), (False, "forecast")):
        some = network.kept[places] == kept
        axes.plot(network.middle[places[some]], values[some], "o", color=PALETTE[colour], markersize=3.4, alpha=0.85)
    limit = 3 * float(np.nanmedian(values))
    axes.axhline(limit, color=PALETTE["muted"], linewidth=0.8, linestyle="dashed")
    axes.annotate(
        "three times the median", (1, limit), (-2, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
        ha="right", fontsize=7, color=PALETTE["muted"],
    )  # fmt: skip
    axes.set_ylim(0, max(1.15 * float(np.nanmax(values)), 1.25 * limit))
    axes.set_xlim(*_span(network))
    tidy(axes, 8)
    _dated(axes)
    axes.set_ylabel("residual [mm]", fontsize=8)
    return figure


def plot_quality(
    values: npt.NDArray[np.floating], grid: Grid, title: str, unit: str, colours: str, lines: Sequence[str]
) -> Figure:
    """Map of how well the interferograms of each point agree; what has no unit is a share, whose scale ends at 1."""
    figure, axes = map_panel(grid, title, lines)
    low, high = colour_limits(values, signed=False)
    limits, beyond = ((low, high), "both") if unit else ((min(low, SURELY_GOOD), 1.0), "min")
    bar = paint(axes, grid.mean(values), grid, Normalize(*limits), mpl.colormaps[colours], extend=beyond)
    bar.set_label(unit, color=PALETTE["ink"], fontsize=7.5)
    return figure


def _ends(network: Network) -> Float64:
    """Ends of each pair, (P, 2, 2): day and height."""
    days = np.stack([_days(network.first), _days(network.second)], axis=1)
    if network.baselines is None:
        heights = np.repeat(np.diff(days, axis=1), 2, axis=1)
    else:
        heights = np.stack([network.heights(network.first), network.heights(network.second)], axis=1)
    return np.stack([days, heights], axis=2)


def _days(dates: Days) -> Float64:
    """Dates as figures count them."""
    return np.asarray(date2num(dates), np.float64)  # type: ignore[no-untyped-call]


def _span(network: Network) -> tuple[float, float]:
    low, high = _days(network.dates[[0, -1]]).tolist()
    return low - 0.015 * (high - low), high + 0.015 * (high - low)


def _dated(axes: Axes) -> None:
    locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.xaxis.get_offset_text().set_color(PALETTE["muted"])
    axes.xaxis.get_offset_text().set_fontsize(7.5)


def _key(axes: Axes, entries: Sequence[tuple[str, str, str]]) -> None:
    for place, (text, colour, style) in enumerate(entries):
        left = 0.01 + 0.12 * place
        axes.plot([left, left + 0.03], [1.03, 1.03], color=PALETTE[colour], linestyle=style, linewidth=1.2,
                  transform=axes.transAxes, clip_on=False)  # fmt: skip
        words(axes.text(left + 0.036, 1.03, text, transform=axes.transAxes, fontsize=7.5, va="center",
                        color=PALETTE["muted"]))  # fmt: skip
