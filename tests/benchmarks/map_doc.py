"""The figures of ``examples/mmstt.md`` from what is committed under ``results``.

python -m tests.benchmarks.map_doc [--into examples/figures]

`tests.benchmarks.map_pictures` draws those that need the forecasts themselves.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from insar_dask.forecast.catalogue import MAPPED
from insar_dask.forecast.maps.naive_maps import NAIVE
from insar_dask.report.node_figures import model_colours
from insar_dask.report.style import PALETTE, new_figure, png_bytes, tidy
from tests.benchmarks.map_data import RESULTS, ROOT

FIGURES = ROOT / "examples" / "figures"

CLAIMED = {1: 0.0885, 5: 0.0804, 10: 0.0819}
"""RMSE [mm] by lead of MM-STT on E32N34, as its Table I has it (arXiv:2509.25393)."""

TITLES = {
    "paper": "as published: averaged maps, columns of the whole record",
    "honest": "honest: raw maps, the past alone",
}
DPI, COLOURS_KEPT = 100, 256
"""Of the files, which are to be small."""


RING: dict[str, Any] = {"markersize": 4.5, "markerfacecolor": "none", "markeredgewidth": 1.4}
DOT: dict[str, Any] = {"markersize": 4.5}
"""A network, and what needs no training."""

COLOURS = model_colours(tuple(dict.fromkeys((*MAPPED, "persistence", "harmonic_ridge", *NAIVE))))
"""The same in all figures, also those of `tests.benchmarks.map_pictures`, whose methods are the first seven."""

TICKS = {"paper": (0.1, 0.3, 1, 3, 10, 20), "honest": (0.5, 0.7, 1, 1.5, 2, 3, 5)}
"""Of errors [mm]: each protocol has a scale of its own, on which its methods can be told apart."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Figures of examples/mmstt.md.")
    parser.add_argument("--into", type=Path, default=FIGURES)
    into = parser.parse_args(arguments).into
    into.mkdir(parents=True, exist_ok=True)
    protocols = json.loads((RESULTS / "tables.json").read_text())["protocols"]
    for found in protocols.values():  # without gated networks, each of which shares a colour with its own
        found["methods"] = {name: of for name, of in found["methods"].items() if name in COLOURS}
    leaks = json.loads((RESULTS.parent / "map_leaks.json").read_text())
    units = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*-seed*.json"))]
    drawn = {
        "leads": plot_claims(protocols),
        "leaks": plot_leaks(leaks),
        "tiles": plot_tiles(protocols),
    }
    if units:
        drawn["curves"] = plot_curves(units)
    for name, figure in drawn.items():
        write_figure(figure, into / f"mmstt-{name}.png")
    return 0


def write_figure(figure: Figure, path: Path) -> None:
    """As PNG of few colours, chosen so that rare ones, those of lines and legends, are kept."""
    image = Image.open(BytesIO(png_bytes(figure, DPI))).convert("RGB")
    image.quantize(COLOURS_KEPT, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB", flush=True)


def plot_claims(protocols: Mapping[str, Any]) -> Figure:
    """RMSE by lead on the tile of training, and what is claimed."""
    figure = new_figure(8.6, 3.6)
    panels = figure.subplots(1, 2)
    for axes, (protocol, title) in zip(panels, TITLES.items(), strict=True):
        found = protocols[protocol]
        (tile,) = found["trained"]
        rows = {
            name: [lead["mean"] for lead in of["tiles"][tile]["rmse_by_lead"]] for name, of in found["methods"].items()
        }
        for name, rmse in rows.items():
            axes.plot(range(1, len(rmse) + 1), rmse, color=COLOURS[name], linewidth=1.2, label=name)
        if protocol == "paper":
            axes.plot(
                list(CLAIMED),
                list(CLAIMED.values()),
                "x--",
                color=PALETTE["ink"],
                linewidth=0.9,
                label="mmstt, claimed",
            )
        _finish(axes, title)
        axes.set_xlabel("maps ahead, of 6 days", fontsize=8)
        _logarithmic(axes, protocol)
    panels[0].set_ylabel("RMSE, mm", fontsize=8)
    return _with_legend(figure)


def plot_leaks(leaks: Mapping[str, Any]) -> Figure:
    """Error of simple forecasters when one thing that saw the future is let in."""
    bars = [
        (f"{row['method']}\n{case.replace(' read and scored', ', and scored')}", row["all"], case)
        for method in ("harmonic_ridge", "harmonic", "persistence")
        for case, rows in leaks["cases"].items()
        for row in rows
        if row["method"] == method
    ]
    figure = new_figure(7.2, 4.4)
    axes = figure.add_subplot()
    colours = [
        PALETTE["data"] if case in ("honest", "average of the past") else PALETTE["forecast"] for *_, case in bars
    ]
    places = range(len(bars))
    axes.barh(places, [value for _, value, _ in bars], color=colours, height=0.7)
    axes.set_yticks(places, [name for name, *_ in bars])
    axes.invert_yaxis()
    for place, (_, value, _) in zip(places, bars, strict=True):
        axes.text(value, place, f" {value:.2f}", va="center", fontsize=7.5, color=PALETTE["ink"])
    _finish(axes, f"{leaks['tile']}, all leads; orange knows the future")
    axes.grid(visible=False)
    axes.set_xlabel("RMSE, mm", fontsize=8)
    return figure


def plot_tiles(protocols: Mapping[str, Any]) -> Figure:
    """RMSE of all leads on every tile, the one of training first."""
    figure = new_figure(8.6, 3.5)
    panels = figure.subplots(1, 2)
    for axes, (protocol, title) in zip(panels, TITLES.items(), strict=True):
        found = protocols[protocol]
        tiles = [*found["trained"], *found["held"]]
        beside = np.linspace(-0.35, 0.35, len(found["methods"]))
        for shift, (name, of) in zip(beside, found["methods"].items(), strict=True):
            errors = [of["tiles"][tile]["all"]["mean"] for tile in tiles]
            places = np.arange(len(tiles)) + shift
            axes.plot(places, errors, "o", color=COLOURS[name], label=name, **(RING if name in MAPPED else DOT))
        _finish(axes, title)
        _logarithmic(axes, protocol)
        names = [f"{tile}\n{'learned' if tile in found['trained'] else 'unseen'}" for tile in tiles]
        axes.set_xticks(range(len(tiles)), names, fontsize=7)
    panels[0].set_ylabel("RMSE of all leads, mm", fontsize=8)
    return _with_legend(figure)


def plot_curves(units: Sequence[Mapping[str, Any]]) -> Figure:
    """Loss at the validation origins by windows seen, a line a seed."""
    figure = new_figure(8.6, 3.5)
    panels = figure.subplots(1, 2)
    for axes, (protocol, title) in zip(panels, TITLES.items(), strict=True):
        for unit in units:
            wanted, curve = unit["configuration"], unit["network"]["curve"]
            if wanted["protocol"] == protocol:
                name = wanted["network"]
                seen = [step * wanted["training"]["batch"] for step in curve["step"]]
                axes.plot(seen, curve["validation"], color=COLOURS[name], linewidth=1.2, label=name)
        _finish(axes, title)
        axes.set_xlabel("windows seen", fontsize=8)
    panels[0].set_ylabel("validation loss", fontsize=8)
    return _with_legend(figure)


def _with_legend(figure: Figure) -> Figure:
    """Every name once, below the panels, where no line is hidden."""
    found = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
    figure.legend(
        found.values(),
        found.keys(),
        loc="outside lower center",
        ncols=6,
        frameon=False,
        fontsize=7,
        labelcolor=PALETTE["ink"],
    )
    return figure


def _logarithmic(axes: Axes, protocol: str) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    ticks = [tick for tick in TICKS[protocol] if low <= tick <= high]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def _finish(axes: Axes, title: str) -> None:
    tidy(axes, 7.5)
    axes.set_title(title, loc="left", fontsize=8, color=PALETTE["ink"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
