"""Deformation patterns: where each one is, its curve through time, and what its points have in common."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib.patheffects as effects
import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

from insar_dask.cluster.numbering import numbered_by
from insar_dask.cube import CubeError
from insar_dask.report.colours import pattern_colours, ways
from insar_dask.report.figures import place_figure, sentence, sight
from insar_dask.report.gridding import Grid, display_grid
from insar_dask.report.maps import map_panel, paint
from insar_dask.report.markup import number, percent, table, whole
from insar_dask.report.places import crs_name
from insar_dask.report.style import PALETTE, new_figure, tidy, words

__all__ = [
    "known",
    "labels_of",
    "patterns_section",
    "patterns_table",
    "plot_centroids",
    "plot_pattern_map",
]

Labels = npt.NDArray[np.int64]

APART = 0.055
"""Least distance of two labels beside the curves, as a share of the panel's height."""


def patterns_section(folder: Path, products: xr.Dataset, patterns: xr.Dataset, grid: Grid) -> str:
    """Map of the patterns beside their curves, and a table of what they are.

    Parameters
    ----------
    folder : Path
        Of the page.
    products : xr.Dataset
        Motion parameters of the points that are shown.
    patterns : xr.Dataset
        Output of ``Clusters.predict`` for the same points.
    grid : Grid
        Cells of the other maps.
    """
    labels, n_patterns = labels_of(products, patterns), patterns.sizes["pattern"]
    on_map = plot_pattern_map(patterns, labels=labels, grid=grid)
    size = (float(on_map.get_figwidth()), float(on_map.get_figheight()))
    figures = [
        place_figure(
            folder,
            on_map,
            "patterns",
            f"Map of {n_patterns} deformation patterns; their sizes are in the table below",
            f"<b>Patterns</b><br>{escape(_cells_line(patterns, grid))}; {known(patterns)}",
        )
    ]
    if "time" in patterns["centroid"].dims:
        figures.append(
            place_figure(
                folder,
                plot_centroids(patterns, size),
                "centroids",
                f"Mean displacement through time of each of the {n_patterns} patterns",
                f"<b>Centroids</b><br>mean series of each pattern, with its number; {known(patterns)}",
            )
        )
    note = _note(products, patterns, int((labels < 0).sum()))
    return (
        f"<p class=note>{note}</p><div class=two>{''.join(figures)}</div>{patterns_table(products, patterns, labels)}"
    )


def labels_of(products: xr.Dataset, patterns: xr.Dataset) -> Labels:
    """Pattern of each point; -1 for one that has none or is not shown.

    Raises
    ------
    CubeError
        If the patterns are those of other points.
    """
    if patterns.sizes["point"] != products.sizes["point"]:
        raise CubeError(
            f"the patterns have {patterns.sizes['point']} points, the products {products.sizes['point']}: "
            "predict those of the same cube"
        )
    labels = patterns["cluster"].values.astype(np.int64)
    return np.where(np.isfinite(products["velocity"].values), labels, -1)


def plot_pattern_map(patterns: xr.Dataset, *, labels: Labels | None = None, grid: Grid | None = None) -> Figure:
    """Map of the most frequent pattern of each cell.

    Parameters
    ----------
    patterns : xr.Dataset
        Output of ``Clusters.predict``: ``cluster``, ``easting``, ``northing`` over ``point``, ``centroid`` over
        ``pattern``, and the grid mapping ``crs``.
    labels : (n_points,) array of int, optional
        Instead of ``cluster``: pattern of each point; negative is not shown.
    grid : Grid, optional
        Cells; made from the points when not given.

    Raises
    ------
    CubeError
        If there is no CRS.
    """
    labels = patterns["cluster"].values.astype(np.int64) if labels is None else labels
    n_patterns = patterns.sizes["pattern"]
    grid = display_grid(patterns["easting"].values, patterns["northing"].values) if grid is None else grid
    cells = grid.most_frequent(labels, n_patterns).astype(np.float64)
    figure, axes = map_panel(grid, "Patterns", [_cells_line(patterns, grid), known(patterns)])
    norm = BoundaryNorm(np.arange(n_patterns + 1) - 0.5, n_patterns)
    colours = ListedColormap(pattern_colours(n_patterns))
    key = paint(axes, np.where(cells < 0, np.nan, cells), grid, norm, colours, ticks=range(n_patterns))
    key.ax.tick_params(length=0)
    key.minorticks_off()
    key.set_label("pattern", color=PALETTE["ink"], fontsize=7.5)
    return figure


def plot_centroids(patterns: xr.Dataset, size: tuple[float, float] = (4.7, 4.0)) -> Figure:
    """Curve of each pattern in its colour, with its number at the end.

    Parameters
    ----------
    patterns : xr.Dataset
        ``centroid`` (pattern, time) [mm].
    size : (float, float)
        Width and height in inches.
    """
    curves = patterns["centroid"].values.astype(np.float64)
    times = patterns["time"].values
    figure = new_figure(*size)
    axes = figure.add_subplot()
    edge = [effects.Stroke(linewidth=2.7, foreground=PALETTE["muted"]), effects.Normal()]
    colours = pattern_colours(len(curves))
    for curve, colour in zip(curves, colours, strict=True):
        axes.plot(times, curve, color=colour, linewidth=1.9, path_effects=edge, solid_capstyle="round")
    tidy(axes, 8)
    axes.margins(x=0.01)
    left, right = axes.get_xlim()
    axes.set_xlim(left, right + 0.06 * (right - left))  # room for the numbers
    low, high = axes.get_ylim()
    ends = [_last(curve) for curve in curves]
    places = _spread((np.array(ends) - low) / (high - low))
    for label, (place, colour) in enumerate(zip(places, colours, strict=True)):
        if np.isfinite(place):
            axes.annotate(
                str(label), (0.98, place), xycoords="axes fraction", fontsize=7.5,
                ha="center", va="center", color=PALETTE["ink"],
                bbox={"boxstyle": "round,pad=0.2", "fc": PALETTE["paper"], "ec": colour, "lw": 1.8},
            )  # fmt: skip
    axes.set_ylabel("displacement [mm]", fontsize=8)
    words(axes.set_title(f"Centroids of the patterns, {known(patterns)}", loc="left", fontsize=10, fontweight="bold"))
    return figure


def patterns_table(products: xr.Dataset, patterns: xr.Dataset, labels: Labels) -> str:
    """One row a pattern: its colour, its points, and their mean motion."""
    n_patterns = patterns.sizes["pattern"]
    shown = [name for name in ("velocity", "cumulative", "seasonality", "acceleration") if name in products]
    units = {"velocity": "mm yr⁻¹", "cumulative": "mm", "seasonality": "mm", "acceleration": "mm yr⁻²"}
    counts = np.bincount(labels[labels >= 0], minlength=n_patterns)
    means = {name: _means(products[name].values, labels, n_patterns) for name in shown}
    rows = []
    for label, colour in enumerate(pattern_colours(n_patterns)):
        cells = [f"<i class=swatch style='background:{colour}'></i>", whole(counts[label])]
        cells.append(percent(counts[label] / max(counts.sum(), 1)))
        cells += [number(means[name][label]) for name in shown]
        rows.append((f"pattern {label}", cells))
    head = [
        "colour",
        "points",
        "share of points",
        *(f"mean {escape(name)}<small>{units[name]}</small>" for name in shown),
    ]
    name, _, _ = numbered_by(patterns)
    return table(f"Patterns, the {_first(products, name)} first", head, rows)


def _first(products: xr.Dataset, name: str) -> str:
    """Which pattern is the first by a quantity."""
    less, _ = ways(products.attrs.get("component"))
    return f"fastest {less}" if name == "velocity" else f"lowest {escape(name)}"


def known(patterns: xr.Dataset) -> str:
    """What the patterns have seen, in few words."""
    until = patterns.attrs.get("until")
    return f"knows nothing from {until} on" if until else sight(patterns)


def _note(products: xr.Dataset, patterns: xr.Dataset, alone: int) -> str:
    """What was put together, what it knew, and how many points are in no pattern."""
    features = "time" not in patterns["centroid"].dims
    what = f"each point's {', '.join(map(str, patterns['feature'].values))}" if features else "whole series"
    name, unit, _ = numbered_by(patterns)
    by = escape(name if name == "velocity" else f"{name} [{unit}]")
    return (
        f"k-means of {escape(what)}, not of places: a pattern that gathers on the map does so by itself. Patterns are "
        f"numbered by the {by} of their centroids, the {_first(products, name)} first. As published "
        f"(doi:10.3390/rs16111891), but none of the forecasts here uses them. {sentence(f'The map {known(patterns)}')} "
        + (f"Points without a pattern: {alone:,}." if alone else "")
    )


def _cells_line(patterns: xr.Dataset, grid: Grid) -> str:
    return f"{crs_name(patterns)} · cells of {grid.cell:g} m in the colour of their most frequent pattern"


def _means(values: npt.NDArray[Any], labels: Labels, n_patterns: int) -> npt.NDArray[np.float64]:
    good = (labels >= 0) & np.isfinite(values)
    sums = np.bincount(labels[good], weights=values[good].astype(np.float64), minlength=n_patterns)
    counts = np.bincount(labels[good], minlength=n_patterns)
    return np.asarray(np.divide(sums, counts, out=np.full(n_patterns, np.nan), where=counts > 0))


def _last(curve: npt.NDArray[np.float64]) -> float:
    good = curve[np.isfinite(curve)]
    return float(good[-1]) if good.size else float("nan")


def _spread(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Push labels apart to `APART`, in their order, and no farther than they need."""
    found = places.copy()
    order = [k for k in np.argsort(places) if np.isfinite(places[k])]
    for _ in range(200):
        moved = False
        for lower, upper in pairwise(order):
            lack = APART - (found[upper] - found[lower])
            if lack > 1e-6:
                found[lower] -= lack / 2
                found[upper] += lack / 2
                moved = True
        if not moved:
            break
    return found
