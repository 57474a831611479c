"""Maps of one quantity: equal aspect, north up, scale bar, CRS, unit, and colour limits that are said aloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from insar_dask.cube import CubeError
from insar_dask.report.colours import QUANTITIES, colour_limits, ways
from insar_dask.report.figures import sight
from insar_dask.report.gridding import Grid, display_grid, round_length
from insar_dask.report.places import crs_name
from insar_dask.report.style import PALETTE, new_figure, words

__all__ = ["legend_line", "map_panel", "mark_places", "paint", "plot_map", "scale_bar_length", "source_line"]

WIDTH = 4.7
"""Inches; on a page column of 550 px the 7.5 pt labels come out at 12 px, on a telephone at 8 px."""


def plot_map(
    products: xr.Dataset, name: str, *, grid: Grid | None = None, marks: Mapping[str, int] | None = None
) -> Figure:
    """Map of one motion parameter; many points are averaged into cells, so that any number of them is readable.

    Parameters
    ----------
    products : xr.Dataset
        Output of ``motion``: ``name``, ``easting``, ``northing`` over ``point`` and the grid mapping ``crs``.
    name : str
        ``velocity``, ``seasonality``, ``acceleration`` or ``rmse``.
    grid : Grid, optional
        Cells to average into; made from the points when not given.
    marks : mapping of str to int, optional
        Label -> number of a point to point out.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    CubeError
        If the quantity is unknown or missing, there is no CRS, or there are no points.
    """
    if name not in QUANTITIES or name not in products:
        raise CubeError(f"cannot map {name!r}: wanted one of {[n for n in QUANTITIES if n in products]}")
    if products.sizes["point"] == 0:
        raise CubeError(f"cannot map {name!r}: the products have no points")
    quantity, values = QUANTITIES[name], products[name].values
    easting, northing = products["easting"].values, products["northing"].values
    grid = display_grid(easting, northing, np.isfinite(values)) if grid is None else grid
    lines = [*legend_line(products, name).split("; "), source_line(products, grid, values), sight(products)]
    figure, axes = map_panel(grid, quantity.title, lines)
    low, high = colour_limits(values, signed=quantity.signed)
    bar = paint(axes, grid.mean(values), grid, Normalize(low, high), mpl.colormaps[quantity.colours], extend="both")
    bar.set_label(quantity.unit, color=PALETTE["ink"], fontsize=7.5)
    if marks:
        points, width = list(marks.values()), grid.extent[1] - grid.extent[0]
        mark_places(axes, list(marks), np.column_stack([easting[points], northing[points]]), 260 / width)
    return figure


def map_panel(grid: Grid, title: str, lines: Sequence[str]) -> tuple[Figure, Axes]:
    """Figure and axes that hold the cells of a grid, north up, with scale bar and arrow, a title and short lines below.

    A line that is longer than the panel is wide would narrow the panel.
    """
    view = _view(grid)
    figure = new_figure(WIDTH, 0.42 + 0.14 * len(lines) + (WIDTH - 0.62) * (view[3] - view[2]) / (view[1] - view[0]))
    axes = figure.add_subplot()
    axes.set_facecolor(PALETTE["panel"])
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    _furniture(axes, view)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlim(*view[:2], auto=True)  # the panel fills its place: limits may widen, the aspect may not
    axes.set_ylim(*view[2:], auto=True)
    words(axes.set_title(title, loc="left", fontsize=10, color=PALETTE["ink"], fontweight="bold"))
    words(axes.annotate("\n".join(lines), (0, 0), (0, -6), xycoords="axes fraction", textcoords="offset points",
                        va="top", fontsize=6.5, linespacing=1.5, color=PALETTE["muted"]))  # fmt: skip
    return figure, axes


def paint(axes: Axes, cells: npt.NDArray[Any], grid: Grid, norm: Normalize, colours: Colormap, **bar: Any) -> Colorbar:
    """Draw cells into a panel, masked where not finite, and the key of their colours beside it."""
    limits = axes.get_xlim(), axes.get_ylim()
    image = axes.imshow(np.ma.masked_invalid(cells), extent=grid.extent, cmap=colours, norm=norm, interpolation="none")
    axes.set_xlim(*limits[0], auto=True)
    axes.set_ylim(*limits[1], auto=True)
    key = axes.figure.colorbar(image, ax=axes, fraction=0.035, pad=0.015, aspect=34, **bar)
    key.ax.tick_params(labelsize=7.5, colors=PALETTE["muted"], length=2, width=0.5, pad=2)
    key.ax.set_facecolor("none")
    key.outline.set_visible(False)
    return key


def legend_line(products: xr.Dataset, name: str) -> str:
    """How to read the colours of a map: meaning, limits, and how many points lie beyond them."""
    quantity, values = QUANTITIES[name], products[name].values
    low, high = colour_limits(values, signed=quantity.signed)
    finite = values[np.isfinite(values)]
    beyond = float(np.mean((finite < low) | (finite > high))) if finite.size else 0.0
    span = f"±{_short(high)}" if quantity.signed else f"{_short(low)} to {_short(high)}"
    away, towards = ways(products.attrs.get("component"))
    reading = quantity.reading.format(away=away, towards=towards)
    return f"{reading}; limits {span} {quantity.unit} (2–98%), {beyond:.1%} beyond"


def source_line(products: xr.Dataset, grid: Grid, values: npt.NDArray[Any]) -> str:
    """CRS, size of the cells, number of points whose value (n,) is finite: the others are not drawn."""
    drawn = grid.index[np.isfinite(values)]
    n_points, n_cells = len(drawn), len(np.unique(drawn))
    each = "one point each" if n_points == n_cells else f"mean of {n_points:,} points in {n_cells:,} cells"
    each = each if n_points else "no point has a value"
    return f"{crs_name(products)} · cells of {grid.cell:g} m, {each}"


def _view(grid: Grid) -> tuple[float, float, float, float]:
    """West, east, south, north of the panel: a margin, a strip for the scale bar, and never narrower than 5:2."""
    west, east, south, north = grid.extent
    pad = 0.035 * max(east - west, north - south)
    width, height = east - west + 2 * pad, north - south + 4.5 * pad
    spare_x, spare_y = max(0.0, height / 1.15 - width) / 2, max(0.0, width / 2.5 - height) / 2
    return (west - pad - spare_x, east + pad + spare_x, south - 3.5 * pad - spare_y, north + pad + spare_y)


def _furniture(axes: Axes, view: tuple[float, float, float, float]) -> None:
    """Scale bar at the lower left, north arrow at the lower right; true in x, fixed to the panel in y."""
    width = view[1] - view[0]
    length = scale_bar_length(width)
    left, ink, low = view[0] + 0.035 * width, PALETTE["ink"], 0.04
    axes.plot(
        [left, left + length], [low, low], color=ink, linewidth=1.8, solid_capstyle="butt",
        transform=axes.get_xaxis_transform(),
    )  # fmt: skip
    label = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    inside: dict[str, Any] = {"textcoords": "offset points", "color": ink, "va": "center", "fontsize": 7.5}
    axes.annotate(label, (left + length, low), (4, 0), xycoords=("data", "axes fraction"), **inside)
    axes.annotate("▲\nN", (0.965, low), (0, 2), xycoords="axes fraction", ha="center", linespacing=0.9, **inside)


def mark_places(axes: Axes, labels: list[str], places: npt.NDArray[np.float64], scale: float) -> None:
    """Dots with numbered badges, each on the side that is farthest from the other dots and badges.

    ``scale`` is in points of type per metre; it need only be about right.
    """
    turns = np.arange(8) * np.pi / 4 + np.pi / 4
    offsets = 11 * np.column_stack([np.cos(turns), np.sin(turns)])
    taken = list(places * scale)
    for number, (label, place) in enumerate(zip(labels, places, strict=True)):
        others = np.array(taken[:number] + taken[number + 1 :] or [[np.inf, np.inf]])
        room = [np.linalg.norm(others - (place * scale + offset), axis=1).min() for offset in offsets]
        offset = offsets[int(np.argmax(np.minimum(room, 25)))]
        taken.append(place * scale + offset)
        axes.plot(
            *place, "o", markersize=4, color=PALETTE["ink"], markeredgecolor=PALETTE["paper"], markeredgewidth=0.8
        )
        axes.annotate(
            label, place, offset, textcoords="offset points", fontsize=7.5, fontweight="bold", color=PALETTE["ink"],
            ha="center", va="center",
            bbox={"boxstyle": "circle,pad=0.18", "fc": PALETTE["paper"], "ec": PALETTE["ink"], "lw": 0.6},
        )  # fmt: skip


def _short(value: float) -> str:
    """Two digits, or all those before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2g}"


def scale_bar_length(width: float) -> float:
    """Round length [m] of a scale bar for a map ``width`` metres wide: at most a third of it.

    >>> scale_bar_length(4500.0)
    1000.0
    """
    return round_length(width / 3)
