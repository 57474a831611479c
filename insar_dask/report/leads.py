"""How the error grows with the lead, one line a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from insar_dask.report.style import PALETTE, new_figure, tidy

__all__ = ["plot_leads"]


def plot_leads(scores: Mapping[str, Any]) -> Figure:
    """RMSE [mm] of every method against the lead [d], honest protocol; the default method stands out.

    Parameters
    ----------
    scores : mapping
        ``leads``, ``methods``, ``default`` and ``tables["honest"][method]["rmse"]``.
    """
    days = [float(lead["days"]) for lead in scores["leads"]]
    table = scores["tables"]["honest"]
    figure = new_figure(7.6, 2.9)
    axes = figure.add_subplot()
    ends = []
    for method in (name for name in scores["methods"] if name in table):
        chief = method == scores.get("default")
        colour = PALETTE["forecast" if chief else "data"]
        rmse = np.asarray(table[method]["rmse"], dtype=float)  # a lead without any observation is None
        axes.plot(
            days, rmse, "o-", color=colour, linewidth=2 if chief else 0.9,
            markersize=4 if chief else 2.2, zorder=3 if chief else 2,
        )  # fmt: skip
        ends.append((float(rmse[-1]), method, colour))
    tidy(axes, 8)
    axes.set_xticks(days)
    axes.set_xlabel("lead [days]", fontsize=8)
    axes.set_ylabel("RMSE [mm]", fontsize=8)
    _label_ends(axes, days, ends)
    return figure


def _label_ends(axes: Axes, days: list[float], ends: list[tuple[float, str, str]]) -> None:
    """Names beside the line ends, each as near to its line as leaves room for all."""
    ends = sorted(end for end in ends if np.isfinite(end[0]))
    low, high = axes.get_ylim()
    gaps = (high - low) * 0.068 * np.arange(len(ends))
    places = isotonic_regression(np.array([value for value, *_ in ends]) - gaps).x + gaps
    x = days[-1] + 0.035 * (days[-1] - days[0] or 1.0)
    for place, (value, method, colour) in zip(places, ends, strict=True):
        axes.plot([days[-1], x], [value, place], color=PALETTE["line"], linewidth=0.7, zorder=1, clip_on=False)
        axes.text(x, place, f" {method}", fontsize=8, color=colour, va="center", clip_on=False)
