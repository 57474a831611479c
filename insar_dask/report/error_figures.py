"""Errors of several models beside each other: one scale for all, so that what looks smaller is smaller.

As MM-STT (arXiv 2509.25393) shows them: scatter, residuals, and errors by the displacement that was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from insar_dask.report.colours import colour_limits
from insar_dask.report.node_figures import model_colours
from insar_dask.report.panels import ACROSS, headline, key, map_cells, name_panel, stacked_panels
from insar_dask.report.style import PALETTE, tidy

__all__ = ["plot_binned_errors", "plot_residual_maps", "plot_scatter"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

BINS, BARS = 72, 60
LEAST = 20
"""Values that a bin needs, to be drawn."""

WIDTH, LINES = 2.35, 2.4
"""Inches of a panel, and of the lines above the boxes."""


def plot_scatter(measured: Float32, predicted: Mapping[str, Float32], title: str) -> Figure:
    """Density of predicted against measured values, a panel a model; axes and colours are the same in all.

    Parameters
    ----------
    measured : (...,) array
        Displacement [mm] of the cells that are scored; NaN is left out.
    predicted : mapping of (...,) arrays
        By model.
    title : str
    """
    pairs = _pairs(measured, predicted)
    low, high = colour_limits(np.concatenate([o for _, o in pairs.values()]), signed=False, percentiles=(0.1, 99.9))
    counts = {
        name: np.histogram2d(o, p, bins=BINS, range=[[low, high]] * 2) for name, (p, o) in pairs.items()
    }  # fmt: skip
    norm = LogNorm(1, max(10, *(found[0].max() for found in counts.values())))
    figure, stacks = stacked_panels(len(pairs), (WIDTH - 0.3,), WIDTH, labels=0.75)
    for axes, (name, (p, o)) in zip(stacks[:, 0], pairs.items(), strict=True):
        found, x, y = counts[name]
        mesh = axes.pcolormesh(x, y, np.ma.masked_equal(found.T, 0), cmap=mpl.colormaps["viridis"], norm=norm,
                               rasterized=True)  # fmt: skip
        axes.plot([low, high], [low, high], color=PALETTE["forecast"], linewidth=0.9)
        axes.set_aspect("equal")
        tidy(axes, 7)
        axes.set_xlabel(f"measured, mm ({o.size - int(found.sum()):,} beyond)", fontsize=7)
        spread = float(((o - o.mean()) ** 2).sum())
        r2 = 1 - float(((p - o) ** 2).sum()) / spread if spread else float("nan")
        name_panel(axes, name, f"RMSE {np.sqrt(((p - o) ** 2).mean()):.2f} mm, R² {r2:.3f}")
    for axes in stacks[::ACROSS, 0]:
        axes.set_ylabel("predicted, mm", fontsize=7)
    key(figure, mesh, stacks, "cells", fraction=0.03, pad=0.01, aspect=40)
    return headline(figure, title)


def plot_residual_maps(residuals: Mapping[str, Float32], title: str) -> Figure:
    """Histogram of the residuals and map of their mean, a column a model; one scale for all.

    Parameters
    ----------
    residuals : mapping of (..., Y, X) arrays
        Predicted less measured [mm] by model, NaN where nothing is scored; row 0 the northernmost.
    title : str
    """
    flat = {name: values[np.isfinite(values)].astype(np.float64) for name, values in residuals.items()}
    means = {name: _mean_map(values) for name, values in residuals.items()}
    low, high = colour_limits(np.concatenate(list(flat.values())), signed=True, percentiles=(0.5, 99.5))
    norm = Normalize(*colour_limits(np.stack(list(means.values())), signed=True))
    figure, stacks = stacked_panels(len(flat), (1.5, WIDTH - 0.4), WIDTH, labels=0.8)
    counted = {name: np.histogram(values, bins=BARS, range=(low, high)) for name, values in flat.items()}
    top = 1.05 * max(counts.max() for counts, _ in counted.values())
    for (above, below), (name, (counts, edges)) in zip(stacks, counted.items(), strict=True):
        above.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=PALETTE["data"], linewidth=0)
        above.axvline(flat[name].mean(), color=PALETTE["forecast"], linewidth=1.2)
        above.set_ylim(0, top)
        tidy(above, 7)
        above.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        above.set_xlabel(f"mm ({flat[name].size - int(counts.sum()):,} beyond)", fontsize=7)
        name_panel(above, name, f"mean {flat[name].mean():.2f}, deviation {flat[name].std():.2f} mm")
        image = map_cells(below, means[name], norm, "PuOr")
    key(
        figure,
        image,
        stacks[:, 1],
        "mean of predicted less measured, mm",
        fraction=0.03,
        pad=0.01,
        aspect=40,
        extend="both",
    )
    return headline(figure, title)


def plot_binned_errors(measured: Float32, predicted: Mapping[str, Float32], title: str, n_bins: int = 10) -> Figure:
    """Mean absolute error by what was measured, and box plots of the residuals in the same bins.

    Bins are equally wide between the 0.5th and 99.5th percentile of what was measured; those with fewer than 20 values
    are left out. Boxes are quartiles, whiskers the 5th and 95th percentile; all models share one scale.

    Parameters
    ----------
    measured, predicted, title
        As in `plot_scatter`.
    n_bins : int
    """
    pairs = _pairs(measured, predicted)
    edges = np.linspace(
        *colour_limits(np.concatenate([o for _, o in pairs.values()]), signed=False, percentiles=(0.5, 99.5)),
        n_bins + 1,
    )
    middles, width = (edges[:-1] + edges[1:]) / 2, edges[1] - edges[0]
    colours = model_colours(list(pairs))
    figure, stacks = stacked_panels(len(pairs), (WIDTH - 0.7,), WIDTH, labels=0.5)
    figure.set_figheight(figure.get_figheight() + LINES)
    share = LINES / figure.get_figheight()
    lines = figure.add_axes((0.08, 1 - 0.83 * share, 0.9, 0.7 * share))
    figure.set_layout_engine(ConstrainedLayoutEngine(rect=(0.005, 0.005, 0.99, 0.98 - share)))
    lines.set_in_layout(False)
    for axes, (name, (p, o)) in zip(stacks[:, 0], pairs.items(), strict=True):
        binned = [(p - o)[(o >= low) & (o < high)] for low, high in pairwise(edges)]
        drawn = [place for place, values in enumerate(binned) if values.size >= LEAST]
        errors = [np.abs(binned[place]).mean() for place in drawn]
        lines.plot(middles[drawn], errors, "o-", color=colours[name], markersize=3, linewidth=1.3, label=name)
        _boxes(axes, [binned[place] for place in drawn], middles[drawn], 0.7 * width, colours[name])
        if axes is not stacks[0, 0]:
            axes.sharey(stacks[0, 0])
        name_panel(axes, name)
        axes.set_xlabel("measured, mm", fontsize=7)
    lines.set_ylim(0, None)
    tidy(lines, 7)
    lines.set_xlabel("measured, mm", fontsize=7)
    lines.set_ylabel("mean absolute error, mm", fontsize=7)
    lines.legend(frameon=False, fontsize=7, labelcolor=PALETTE["ink"], ncols=2)
    for axes in stacks[::ACROSS, 0]:
        axes.set_ylabel("predicted less measured, mm", fontsize=7)
    return headline(figure, title)


def _pairs(measured: Float32, predicted: Mapping[str, Float32]) -> dict[str, tuple[Float64, Float64]]:
    """Predicted and measured values by model, flat, where both are known."""
    good = {name: np.isfinite(said) & np.isfinite(measured) for name, said in predicted.items()}
    return {
        name: (said[good[name]].astype(np.float64), measured[good[name]].astype(np.float64))
        for name, said in predicted.items()
    }


def _mean_map(values: Float32) -> Float64:
    flat = values.reshape(-1, *values.shape[-2:]).astype(np.float64)
    n = np.isfinite(flat).sum(axis=0)
    return np.where(n > 0, np.nansum(flat, axis=0) / np.maximum(n, 1), np.nan)


def _boxes(axes: Axes, groups: list[Float64], places: Float64, width: float, colour: str) -> None:
    names = ("whislo", "q1", "med", "q3", "whishi")
    boxes = [dict(zip(names, np.percentile(values, (5, 25, 50, 75, 95)), strict=True)) for values in groups]
    axes.axhline(0, color=PALETTE["muted"], linewidth=0.7)
    axes.bxp(
        boxes, positions=places, widths=width, showfliers=False, manage_ticks=False, patch_artist=True,
        boxprops={"facecolor": colour, "alpha": 0.45, "linewidth": 0.6}, medianprops={"color": PALETTE["ink"]},
        whiskerprops={"color": colour, "linewidth": 0.8}, capprops={"color": colour, "linewidth": 0.8},
    )  # fmt: skip
    tidy(axes, 7)
