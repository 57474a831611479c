"""How the error grows with the lead, one line a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from insar_dask.report.style import PALETTE, new_figure, tidy

__all__ = ["plot_leads"]


def plot_leads(scores: Mapping[str, Any]) -> Figure:
    """RMSE [mm] of every method against the lead [d], honest protocol; the default method stands out.

    Parameters
    ----------
    scores : mapping
        ``leads``, ``methods``, ``default`` and ``tables["honest"][method]["rmse"]``.
    """
    days = [lead["days"] for lead in scores["leads"]]
    figure = new_figure(9.6, 3.6)
    axes = figure.add_subplot()
    table = scores["tables"]["honest"]
    ends = []
    for method in scores["methods"]:
        if method not in table:
            continue
        chief = method == scores.get("default")
        colour = PALETTE["forecast"] if chief else PALETTE["data"]
        axes.plot(
            days,
            table[method]["rmse"],
            "o-",
            color=colour,
            linewidth=2.2 if chief else 1,
            markersize=4 if chief else 2.5,
            alpha=1 if chief else 0.6,
            zorder=3 if chief else 2,
        )
        ends.append((float(table[method]["rmse"][-1]), method, colour))
    _label_ends(axes, days[-1], ends)
    tidy(axes)
    axes.set_xticks(days)
    axes.set_xlabel("lead [days]", fontsize=8.5)
    axes.set_ylabel("RMSE [mm]", fontsize=8.5)
    return figure


def _label_ends(axes: Any, x: float, ends: list[tuple[float, str, str]]) -> None:
    """Names at the line ends, pushed apart so that they never overlap."""
    low, high = axes.get_ylim()
    gap, last = (high - low) * 0.065, -float("inf")
    for value, method, colour in sorted(ends):
        last = max(value, last + gap)
        axes.text(x, last, f"   {method}", fontsize=8.5, color=colour, va="center", clip_on=False)
