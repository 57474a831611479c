"""Distribution of one quantity over all points."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from insar_dask.report.colours import Quantity, colour_limits
from insar_dask.report.style import PALETTE, new_figure, tidy

__all__ = ["plot_histogram"]


def plot_histogram(values: npt.ArrayLike, quantity: Quantity, *, bins: int = 48) -> Figure:
    """Histogram in the colours of the quantity's map, with its median; what lies beyond the axis is counted.

    Parameters
    ----------
    values : array_like
        One value a point; NaN is left out.
    quantity : Quantity
    bins : int
        Bars between the 0.5th and 99.5th percentile.
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    finite = array[np.isfinite(array)]
    low, high = colour_limits(finite, signed=False, percentiles=(0.5, 99.5))
    counts, edges = np.histogram(finite, bins=bins, range=(low, high))
    limits = colour_limits(finite, signed=quantity.signed)
    centres = (edges[:-1] + edges[1:]) / 2
    colours = mpl.colormaps[quantity.colours]((centres - limits[0]) / (limits[1] - limits[0]))
    figure = new_figure(3.3, 2.0)
    axes = figure.add_subplot()
    axes.bar(
        edges[:-1], counts, width=np.diff(edges), align="edge", color=colours, edgecolor=PALETTE["line"], linewidth=0.3
    )
    if finite.size:
        middle = float(np.median(finite))
        axes.axvline(middle, color=PALETTE["ink"], linewidth=1)
        title = f"{quantity.title}  ·  median {middle:.2f}".replace("-", "−")
    else:
        title = f"{quantity.title}  ·  no values"
    tidy(axes, 8)
    axes.set_title(title, loc="left", fontsize=9)
    beyond = int(finite.size - counts.sum())
    axes.set_xlabel(f"{quantity.unit}   ({beyond:,} points beyond the axis)", fontsize=8)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    return figure
