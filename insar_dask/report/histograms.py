"""Distribution of one quantity over all points."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from insar_dask.report.colours import Quantity, colour_limits
from insar_dask.report.style import PALETTE, new_figure, tidy, words

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
    figure = new_figure(2.7, 1.75)
    axes = figure.add_subplot()
    axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=colours, linewidth=0)
    if finite.size:
        middle = float(np.median(finite))
        axes.axvline(middle, color=PALETTE["ink"], linewidth=1)
        title = f"{quantity.title}  ·  median {middle:.2f}".replace("-", "−")
    else:
        title = f"{quantity.title}  ·  no values"
    tidy(axes, 7.5)
    axes.set_facecolor(PALETTE["panel"])
    axes.grid(visible=False)
    words(axes.set_title(title, loc="left", fontsize=8, color=PALETTE["ink"]))
    beyond = int(finite.size - counts.sum())
    axes.set_xlabel(f"{quantity.unit}  ({beyond:,} points beyond the axis)", fontsize=7.5)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    return figure
