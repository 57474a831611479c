"""Panels of figures that compare: so many side by side, maps without a frame, and keys of their colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine

from insar_dask.report.style import PALETTE, new_figure, words

__all__ = ["ACROSS", "headline", "key", "map_cells", "name_panel", "stacked_panels"]

ACROSS = 3
"""Panels side by side: at 850 px of a page the labels of more are too small to read."""

TITLE, TOP, ROOM = 0.2, 0.02, 0.9
"""Inches for the headline, its distance from the top, and for labels and keys beside the panels."""


def stacked_panels(
    n: int, heights: Sequence[float], width: float, labels: float
) -> tuple[Figure, npt.NDArray[np.object_]]:
    """Figure with ``n`` stacks of panels of these heights, at most `ACROSS` side by side.

    Parameters
    ----------
    n : int
    heights : sequence of float
        Inches of each panel of a stack, from above.
    width : float
        Inches of a stack.
    labels : float
        Inches for what is written above, between and below the panels of a stack.

    Returns
    -------
    Figure
    array of Axes, shape (n, len(heights))
    """
    rows, across = -(-n // ACROSS), min(n, ACROSS)
    figure = new_figure(max(width * across + ROOM, 4.2), rows * (sum(heights) + labels) + TITLE)
    room = TITLE / float(figure.get_figheight())
    figure.set_layout_engine(ConstrainedLayoutEngine(rect=(0.005, 0.005, 0.99, 0.99 - room)))
    grid = figure.subplots(rows * len(heights), across, squeeze=False, height_ratios=[*heights] * rows)
    stacks = grid.reshape(rows, len(heights), across).swapaxes(1, 2).reshape(-1, len(heights))
    for axes in stacks[n:].ravel():
        axes.remove()
    return figure, stacks[:n]


def headline(figure: Figure, title: str) -> Figure:
    """Say above a figure what it shows."""
    high = 1 - TOP / float(figure.get_figheight())
    words(figure.text(0.01, high, title, ha="left", va="top", fontsize=8, color=PALETTE["muted"]))
    return figure


def map_cells(axes: Axes, values: npt.NDArray[Any], norm: Normalize, colours: str) -> AxesImage:
    """Draw cells (Y, X), row 0 above, without a frame; those that are NaN stay blank."""
    axes.set_facecolor(PALETTE["panel"])
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    cells = np.ma.masked_invalid(values)
    return axes.imshow(cells, cmap=mpl.colormaps[colours], norm=norm, interpolation="none")


def key(figure: Figure, image: Any, panels: npt.NDArray[np.object_], label: str, **place: Any) -> Colorbar:
    """Key of the colours of some panels."""
    bar = figure.colorbar(image, ax=list(np.ravel(panels)), **place)
    bar.ax.tick_params(labelsize=7, colors=PALETTE["muted"], length=2, width=0.5)
    bar.outline.set_visible(False)
    bar.set_label(label, fontsize=7, color=PALETTE["ink"], labelpad=2)
    return bar


def name_panel(axes: Axes, name: str, scores: str = "") -> None:
    """Name of a panel's model or region above it, and its scores below the name."""
    axes.set_title(f"{name}\n" if scores else name, loc="left", fontsize=8.5, color=PALETTE["ink"], fontweight="bold")
    if scores:
        axes.annotate(scores.replace("-", "−"), (0, 1), (0, 4), xycoords="axes fraction", textcoords="offset points",
                      fontsize=7, color=PALETTE["muted"])  # fmt: skip
