"""Pictures of moving areas: where they lie, and each from near with what its points did and will do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.dates as mdates
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from insar_dask.detect.areas import Areas, MapGrid
from insar_dask.detect.views import AreaView
from insar_dask.report.colours import QUANTITIES, colour_limits
from insar_dask.report.gridding import Grid
from insar_dask.report.maps import map_panel, mark_places, paint
from insar_dask.report.panels import map_cells
from insar_dask.report.style import PALETTE, new_figure, tidy, words

__all__ = ["plot_area", "plot_area_map"]

VELOCITY = QUANTITIES["velocity"]


def plot_area_map(
    velocity: npt.NDArray[np.floating[Any]], grid: MapGrid, areas: Areas, marked: Sequence[int], lines: Sequence[str]
) -> Figure:
    """Outlines of areas on a map of the velocity, the marked ones with their place in the list.

    Parameters
    ----------
    velocity : (rows, columns) array [mm/yr]
    grid : MapGrid
    areas : Areas
    marked : sequence of int
        Numbers of areas.
    lines : sequence of str
        What is said below.
    """
    cells = Grid(grid.west, grid.north, grid.cell, grid.rows, grid.columns, np.empty(0, np.int64))
    figure, axes = map_panel(cells, "Moving areas", lines)
    limits = Normalize(*colour_limits(velocity, signed=True))
    bar = paint(axes, velocity, cells, limits, mpl.colormaps[VELOCITY.colours], extend="both")
    bar.set_label(VELOCITY.unit, color=PALETTE["ink"], fontsize=7.5)
    _outlines(axes, areas, range(len(areas)), 0.7)
    if marked:
        places = np.stack([areas[name][list(marked)].astype(float) for name in ("easting_m", "northing_m")], axis=1)
        mark_places(axes, [str(k) for k in range(1, len(marked) + 1)], places, 260 / (grid.columns * grid.cell))
    return figure


def plot_area(view: AreaView, areas: Areas, title: str, *, level: float | None = None) -> Figure:
    """One area from near, and the displacement of its points: their middle, where four of five lie, what is to come.

    Parameters
    ----------
    view : AreaView
    areas : Areas
        All, of which neighbours are drawn too.
    title : str
    level : float, optional
        Of the forecast's interval.
    """
    figure = new_figure(4.7, 4.3)
    ground, series = figure.subplots(2, 1, height_ratios=(1.1, 1))
    grid = view.grid
    limits = Normalize(*colour_limits(view.velocity, signed=True))
    image = map_cells(ground, view.velocity, limits, VELOCITY.colours)
    box = grid.west, grid.west + grid.columns * grid.cell, grid.north - grid.rows * grid.cell, grid.north
    image.set_extent(box)
    ground.set_anchor("W")
    _outlines(ground, areas, [k for k in range(len(areas)) if k != view.number], 0.6, PALETTE["muted"])
    _outlines(ground, areas, [view.number], 1.4)
    ground.set_xlim(box[0], box[1])
    ground.set_ylim(box[2], box[3])
    bar = figure.colorbar(image, ax=ground, fraction=0.035, pad=0.015, aspect=24, extend="both")
    bar.ax.tick_params(labelsize=7.5, colors=PALETTE["muted"], length=2, width=0.5)
    bar.set_label(f"velocity [{VELOCITY.unit}]", fontsize=7.5, color=PALETTE["ink"])
    bar.outline.set_visible(False)
    _draw_series(series, view, areas, level)
    words(figure.suptitle(title, x=0.01, ha="left", fontsize=8, color=PALETTE["ink"]))
    return figure


def _draw_series(axes: Axes, view: AreaView, areas: Areas, level: float | None) -> None:
    tidy(axes, 8)
    if view.times is None or view.series is None:
        axes.text(0.5, 0.5, "no points with a series", ha="center", transform=axes.transAxes, color=PALETTE["muted"])
        axes.set(xticks=[], yticks=[])
        return
    low, middle, high = view.series
    axes.fill_between(view.times, low, high, color=PALETTE["panel"], linewidth=0, label="80 % of the points")
    axes.plot(view.times, middle, color=PALETTE["data"], linewidth=1.2, label="median of the points")
    if view.ahead is not None and view.forecast is not None:
        said, lower, upper = view.forecast
        name = "interval" if level is None else f"{level:.0%} interval"
        axes.fill_between(view.ahead, lower, upper, color=PALETTE["band"], linewidth=0, label=name)
        axes.plot(view.ahead, said, color=PALETTE["forecast"], linewidth=1.4, label="forecast")
    if "onset" in areas.columns and areas["onset"][view.number]:
        days: Any = [np.datetime64(areas[f"onset{end}"][view.number]) for end in ("_first", "", "_last")]
        first, onset, last = days
        axes.axvspan(first, last, color=PALETTE["past"], alpha=0.2, linewidth=0)
        axes.axvline(onset, color=PALETTE["past"], linewidth=1.0, label="rate changed")
    axes.xaxis.set_major_locator(mdates.AutoDateLocator(minticks=3, maxticks=7))  # type: ignore[no-untyped-call]
    formatter = mdates.ConciseDateFormatter(axes.xaxis.get_major_locator(), show_offset=False)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
    axes.set_ylabel("displacement [mm]", fontsize=8)
    axes.margins(x=0.02)
    legend = axes.legend(fontsize=7.5, frameon=False, loc="best", handlelength=1.3, borderpad=0.2, labelspacing=0.3)
    for text in legend.get_texts():
        text.set_color(PALETTE["muted"])


def _outlines(axes: Axes, areas: Areas, which: Sequence[int], width: float, colour: str = PALETTE["ink"]) -> None:
    rings = [ring for number in which for ring in _rings(areas.geometry[number])]
    axes.add_collection(LineCollection(rings, colors=colour, linewidths=width), autolim=False)


def _rings(outline: Any) -> Iterator[npt.NDArray[np.float64]]:
    for part in getattr(outline, "geoms", [outline]):
        if part.geom_type == "Polygon":
            for ring in (part.exterior, *part.interiors):
                yield np.asarray(ring.coords, np.float64)[:, :2]
