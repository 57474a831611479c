"""Cells of a map through time: what was known, what came, and what each model had said.

As MM-STT (arXiv 2509.25393) shows some cells of a tile, and one of each regime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from insar_dask.report.style import PALETTE, new_figure, tidy, words

__all__ = ["MODEL_COLOURS", "Node", "model_colours", "plot_nodes"]

Float32 = npt.NDArray[np.float32]
Dates = npt.NDArray[np.datetime64]

MODEL_COLOURS = (
    "#c8501e",
    "#0f8a7e",
    "#8a6fb0",
    "#b58b00",
    "#2f6db3",
    "#a8326f",
    "#5f7a2e",
    "#66717b",
    "#1b2126",
    "#4fb3d9",
)
"""One a model, in the order in which they are named: as many as there are networks of maps and methods beside them."""


@dataclass(frozen=True, eq=False)
class Node:
    """One cell: its dates (T,), what was measured there (T,) [mm], and forecasts (h,) from date ``origin`` on.

    ``event`` is a day to mark, such as an earthquake.
    """

    name: str
    dates: Dates
    measured: Float32
    origin: int
    forecasts: Mapping[str, Float32]
    event: np.datetime64 | None = None


def plot_nodes(nodes: Sequence[Node], title: str, columns: int = 2) -> Figure:
    """Draw each node in a panel of its own: the past as a line, the truth after the origin as dots, models as lines.

    Parameters
    ----------
    nodes : sequence of Node
    title : str
    columns : int
        Panels side by side.
    """
    rows = -(-len(nodes) // columns)
    figure = new_figure(4.3 * columns, 0.75 + 1.65 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    names = list(dict.fromkeys(name for node in nodes for name in node.forecasts))
    colours = model_colours(names)
    for axes, node in zip(panels, nodes, strict=False):
        _node(axes, node, colours)
    for axes in panels[len(nodes) :]:
        axes.set_visible(False)
    lines = {line.get_label(): line for axes in panels for line in axes.get_lines()}
    wanted = [name for name in ("known", "measured", *names) if name in lines]
    figure.legend([lines[name] for name in wanted], wanted, loc="outside lower center", ncols=min(len(wanted), 6),
                  frameon=False, fontsize=7.5, labelcolor=PALETTE["ink"], handlelength=1.6)  # fmt: skip
    words(figure.suptitle(title, x=0.01, ha="left", fontsize=8, color=PALETTE["muted"]))
    return figure


def model_colours(names: Sequence[str]) -> dict[str, str]:
    """Colour of each model, by its place among the names; the first stands out.

    >>> model_colours(["mmstt", "convlstm"])
    {'mmstt': '#c8501e', 'convlstm': '#0f8a7e'}
    """
    return {name: MODEL_COLOURS[place % len(MODEL_COLOURS)] for place, name in enumerate(names)}


def _node(axes: Axes, node: Node, colours: Mapping[str, str]) -> None:
    past, horizon = slice(None, node.origin), max((len(said) for said in node.forecasts.values()), default=0)
    future = slice(node.origin, node.origin + horizon)
    axes.plot(node.dates[past], node.measured[past], color=PALETTE["data"], linewidth=1.1, label="known")
    many = horizon > 30
    axes.plot(node.dates[future], node.measured[future], "-" if many else "o", color=PALETTE["data"], markersize=2.6,
              linewidth=1.1, alpha=0.55 if many else 1.0, label="measured")  # fmt: skip
    for name, said in node.forecasts.items():
        when = node.dates[node.origin : node.origin + len(said)]
        axes.plot(when, said, color=colours[name], linewidth=1.2, label=name)
    days = date2num(node.dates)  # type: ignore[no-untyped-call]
    if node.origin:
        axes.axvline(days[node.origin - 1], color=PALETTE["muted"], linewidth=0.7, linestyle=(0, (3, 2)))
    if node.event is not None:
        axes.axvline(date2num(node.event), color=PALETTE["ink"], linewidth=0.9)  # type: ignore[no-untyped-call]
    tidy(axes, 7)
    axes.set_title(node.name, loc="left", fontsize=8, color=PALETTE["ink"])
    axes.set_ylabel("mm", fontsize=7)
    locator = AutoDateLocator(minticks=3, maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]
