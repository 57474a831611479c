"""Figures 11 to 15 of the published system made again: maps of a forecast, its errors, and eight points through time.

Wang et al. (2024), doi:10.3390/rs16111891: 11 predicted, 12 measured and 13 residual map, 14 histogram of the residuals
and density of predicted against measured values, 15 one point of each pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from insar_dask.report.colours import colour_limits
from insar_dask.report.gridding import Grid
from insar_dask.report.maps import scale_bar_length
from insar_dask.report.style import PALETTE, new_figure, tidy, words

__all__ = ["Followed", "plot_errors", "plot_followed", "plot_forecast_maps"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

BINS = 80


def plot_forecast_maps(grid: Grid, predicted: Float32, measured: Float32, title: str) -> Figure:
    """Predicted, measured and residual displacement side by side (Figures 11, 12 and 13).

    Parameters
    ----------
    grid : Grid
        Cells of the points.
    predicted, measured : (n,) arrays
        Displacement [mm] at one date; where either is NaN no map shows the point.
    title : str
        Model, protocol, origin and date.
    """
    good = np.isfinite(predicted) & np.isfinite(measured)
    both = np.where(good, predicted, np.nan), np.where(good, measured, np.nan)
    residual = both[0] - both[1]
    limits = colour_limits(np.concatenate(both), signed=True)
    errors = colour_limits(residual, signed=True)
    high = 1.15 + 3.4 * (grid.rows / grid.columns + 0.075)
    figure = new_figure(10.6, high)
    _leave_room(figure)
    panels = figure.subplots(1, 3)
    kinds = (
        ("Figure 11: predicted", both[0], limits, "RdYlBu"),
        ("Figure 12: measured", both[1], limits, "RdYlBu"),
        ("Figure 13: predicted less measured", residual, errors, "PuOr"),
    )
    for axes, (name, values, (low, top), colours) in zip(panels, kinds, strict=True):
        _map(axes, grid, values, Normalize(low, top), colours)
        axes.set_title(name, loc="left", fontsize=9, color=PALETTE["ink"], fontweight="bold")
    rmse = float(np.sqrt(np.nanmean(residual**2)))
    words(figure.suptitle(f"{title}; RMSE {rmse:.2f} mm, {good.sum():,} points, cells of {grid.cell:g} m",
                          x=0.01, ha="left", fontsize=8, color=PALETTE["muted"]))  # fmt: skip
    return figure


def plot_errors(predicted: Float32, measured: Float32, title: str) -> Figure:
    """Histogram of the residuals, and density of predicted against measured values (Figure 14).

    Parameters
    ----------
    predicted, measured : (...,) arrays
        Displacement [mm]; NaN is left out.
    title : str
    """
    good = np.isfinite(predicted) & np.isfinite(measured)
    p, o = predicted[good].astype(np.float64), measured[good].astype(np.float64)
    figure = new_figure(7.4, 3.3)
    _leave_room(figure)
    left, right = figure.subplots(1, 2)
    _histogram(left, p - o)
    _density(figure, right, p, o)
    words(figure.suptitle(f"Figure 14: {title}", x=0.01, ha="left", fontsize=8, color=PALETTE["muted"]))
    return figure


@dataclass(frozen=True, eq=False)
class Followed:
    """One point and what was forecast of it."""

    name: str
    """Letter of its pattern."""
    measured: Float32
    """(T,) what forecasts are scored against [mm]."""
    origins: npt.NDArray[np.int64]
    """(o,) first date of each forecast."""
    forecasts: Float32
    """(o, h) [mm]."""


def plot_followed(dates: npt.NDArray[np.datetime64], points: Sequence[Followed], start: int, title: str) -> Figure:
    """Points through time with the forecasts made of them (Figure 15).

    Parameters
    ----------
    dates : (T,) array of datetime64
    points : sequence of Followed
        One of each pattern, as a rule.
    start : int
        First date of the test block; a year before it is shown too.
    title : str
    """
    rows = -(-len(points) // 2)
    figure = new_figure(8.6, 0.4 + 1.25 * rows)
    panels = figure.subplots(rows, 2, sharex=True, squeeze=False).ravel()
    shown = slice(max(start - 30, 0), None)
    for axes, point in zip(panels, points, strict=False):
        seen = np.isfinite(point.measured[shown])
        axes.plot(
            dates[shown][seen], point.measured[shown][seen], ".-", color=PALETTE["data"], markersize=3, linewidth=0.7
        )
        for origin, forecast in zip(point.origins, point.forecasts, strict=True):
            when = dates[origin : origin + len(forecast)]
            axes.plot(when, forecast, color=PALETTE["forecast"], linewidth=0.9, alpha=0.65)
        axes.axvline(dates[start], color=PALETTE["muted"], linewidth=0.7, linestyle=(0, (3, 2)))
        tidy(axes, 7)
        axes.set_ylabel(f"{point.name}   mm", fontsize=7.5)
    for axes in panels[len(points) :]:
        axes.set_visible(False)
    locator = AutoDateLocator(minticks=4, maxticks=8)  # type: ignore[no-untyped-call]
    panels[0].xaxis.set_major_locator(locator)
    panels[0].xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]
    legend = "blue measured, orange forecasts, dashed the start of the test, whose first dates are read"
    words(figure.suptitle(f"Figure 15: {title};\n{legend}", x=0.01, ha="left", fontsize=8, color=PALETTE["muted"]))
    return figure


def _leave_room(figure: Figure) -> None:
    """Keep the title above clear of the panels, and the widest labels inside: both are found too small otherwise."""
    figure.set_layout_engine(ConstrainedLayoutEngine(rect=(0.015, 0, 0.985, 0.98)))


def _map(axes: Axes, grid: Grid, values: Float32, norm: Normalize, colours: str) -> None:
    axes.set_facecolor(PALETTE["panel"])
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    cells = np.ma.masked_invalid(grid.mean(values))
    image = axes.imshow(cells, extent=grid.extent, cmap=mpl.colormaps[colours], norm=norm, interpolation="none")
    bar = axes.figure.colorbar(
        image, ax=axes, orientation="horizontal", fraction=0.05, pad=0.02, aspect=36, extend="both"
    )
    bar.ax.tick_params(labelsize=7, colors=PALETTE["muted"], length=2, width=0.5)
    bar.outline.set_visible(False)
    bar.set_label("mm", fontsize=7, color=PALETTE["ink"])
    width = grid.extent[1] - grid.extent[0]
    length = scale_bar_length(width)
    west, south = grid.extent[0], grid.extent[2] - 0.045 * width
    axes.set_ylim(south - 0.03 * width, grid.extent[3])
    axes.plot([west, west + length], [south, south], color=PALETTE["ink"], linewidth=1.6, solid_capstyle="butt")
    label = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    axes.annotate(label, (west + length, south), (3, 0), textcoords="offset points", fontsize=7, va="center")


def _histogram(axes: Axes, residual: Float64) -> None:
    low, high = colour_limits(residual, signed=True, percentiles=(0.5, 99.5))
    counts, edges = np.histogram(residual, bins=BINS, range=(low, high))
    axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=PALETTE["data"], linewidth=0)
    axes.axvline(residual.mean(), color=PALETTE["forecast"], linewidth=1.2)
    tidy(axes, 7.5)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    beyond = residual.size - int(counts.sum())
    axes.set_xlabel(f"predicted less measured, mm ({beyond:,} of {residual.size:,} beyond)", fontsize=7.5)
    text = f"mean {residual.mean():.2f}, deviation {residual.std():.2f} mm".replace("-", "−")
    axes.set_title(text, loc="left", fontsize=8)


def _density(figure: Figure, axes: Axes, predicted: Float64, measured: Float64) -> None:
    low, high = colour_limits(np.concatenate([predicted, measured]), signed=False, percentiles=(0.1, 99.9))
    counts, x, y = np.histogram2d(measured, predicted, bins=BINS, range=[[low, high]] * 2)
    mesh = axes.pcolormesh(x, y, np.ma.masked_equal(counts.T, 0), cmap=mpl.colormaps["viridis"],
                           norm=LogNorm(1, max(counts.max(), 10)), rasterized=True)  # fmt: skip
    axes.plot([low, high], [low, high], color=PALETTE["forecast"], linewidth=0.9)
    axes.set_aspect("equal")
    tidy(axes, 7.5)
    axes.set_xlabel("measured, mm", fontsize=7.5)
    axes.set_ylabel("predicted, mm", fontsize=7.5)
    spread = float(((measured - measured.mean()) ** 2).sum())
    r2 = 1 - float(((predicted - measured) ** 2).sum()) / spread if spread else float("nan")
    rmse = float(np.sqrt(((predicted - measured) ** 2).mean()))
    axes.set_title(f"RMSE {rmse:.2f} mm, R² {r2:.3f}", loc="left", fontsize=8)
    bar = figure.colorbar(mesh, ax=axes, fraction=0.04, pad=0.02)
    bar.set_label("forecasts", fontsize=7.5)
    bar.ax.tick_params(labelsize=7, colors=PALETTE["muted"], length=2, width=0.5)
    bar.outline.set_visible(False)
