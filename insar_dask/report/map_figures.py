"""Maps that a forecaster said beside those that came: of each model, and of each region.

As MM-STT (arXiv 2509.25393) shows them, but cells where no point was measured stay blank: they are not scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from insar_dask.map_metrics import MapScores
from insar_dask.report.colours import colour_limits
from insar_dask.report.panels import ACROSS, headline, key, map_cells, name_panel, stacked_panels
from insar_dask.report.style import PALETTE, new_figure

__all__ = ["Outlook", "Region", "plot_model_maps", "plot_outlook_maps", "plot_region_maps"]

Float32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

DISPLACEMENT, DIFFERENCE, WIDTH = "RdYlBu", "PuOr", "viridis"
SIDE = 1.85
"""Inches of a map."""


@dataclass(frozen=True, eq=False)
class Region:
    """A tile at one date: maps [mm] of shape (Y, X), north up, and the cells that are scored."""

    name: str
    predicted: Float32
    measured: Float32
    mask: Bool


@dataclass(frozen=True, eq=False)
class Outlook:
    """A tile to come: change [mm] of its cells (Y, X) up to a date, and half the width of the interval."""

    name: str
    change: Float32
    width: Float32


def plot_model_maps(
    measured: Float32, predicted: Mapping[str, Float32], mask: Bool, data_range: float, title: str
) -> Figure:
    """Predicted, measured and difference map of each model, one row a model, with its scores.

    All predicted and measured maps share one scale, and so do all differences.

    Parameters
    ----------
    measured : (Y, X) array
        Displacement [mm], row 0 the northernmost.
    predicted : mapping of (Y, X) arrays
        By model.
    mask : (Y, X) array of bool
        Cells that are scored; others stay blank.
    data_range : float
        What the similarity is relative to [mm].
    title : str
        Tile, lead and date.
    """
    known = {name: _shown(said, mask & np.isfinite(measured)) for name, said in predicted.items()}
    truth = _shown(measured, mask)
    differences = {name: said - truth for name, said in known.items()}
    limits = Normalize(*colour_limits(np.stack([truth, *known.values()]), signed=True))
    errors = Normalize(*colour_limits(np.stack([*differences.values()]), signed=True))
    figure = new_figure(3 * SIDE + 0.6, (SIDE + 0.27) * len(known) + 1.0)
    room = 0.2 / float(figure.get_figheight())
    figure.set_layout_engine(ConstrainedLayoutEngine(rect=(0.005, 0.005, 0.99, 0.99 - room)))
    panels = figure.subplots(len(known), 3, squeeze=False)
    for line, (name, said) in zip(panels, known.items(), strict=True):
        shown = (
            map_cells(line[0], said, limits, DISPLACEMENT),
            map_cells(line[2], differences[name], errors, DIFFERENCE),
        )
        map_cells(line[1], truth, limits, DISPLACEMENT)
        name_panel(line[0], name)
        text = "  ".join(_scores(predicted[name], measured, mask, data_range))
        line[2].set_title(text, loc="right", fontsize=7, color=PALETTE["muted"])
    for axes, what in zip(panels[-1], ("predicted", "measured", "predicted less measured"), strict=True):
        axes.set_xlabel(what, fontsize=8, color=PALETTE["ink"])
    below = {"orientation": "horizontal", "extend": "both", "pad": 0.01, "fraction": 0.03}
    key(figure, shown[0], panels[:, :2], "mm", aspect=44, **below)
    key(figure, shown[1], panels[:, 2:], "mm", aspect=22, **below)
    return headline(figure, title)


def plot_region_maps(regions: Sequence[Region], data_range: Mapping[str, float], title: str) -> Figure:
    """Measured over predicted map of each region, with its scores; each region has a scale of its own.

    Parameters
    ----------
    regions : sequence of Region
    data_range : mapping of float
        What the similarity is relative to [mm], by region.
    title : str
        Model, lead, and what it was trained on.
    """
    figure, stacks = stacked_panels(len(regions), (SIDE, SIDE), SIDE + 0.2, labels=1.1)
    for place, (stack, region) in enumerate(zip(stacks, regions, strict=True)):
        truth = _shown(region.measured, region.mask)
        said = _shown(region.predicted, region.mask & np.isfinite(region.measured))
        limits = Normalize(*colour_limits(np.stack([truth, said]), signed=True))
        map_cells(stack[0], truth, limits, DISPLACEMENT)
        image = map_cells(stack[1], said, limits, DISPLACEMENT)
        name_panel(stack[0], region.name)
        scores = _scores(region.predicted, region.measured, region.mask, data_range[region.name])
        text = "\n".join(["  ".join(scores[:2]), "  ".join(scores[2:])])
        stack[1].set_xlabel(text, fontsize=7, color=PALETTE["muted"], linespacing=1.35)
        below = {"orientation": "horizontal", "extend": "both", "pad": 0.01, "fraction": 0.04, "aspect": 26}
        key(figure, image, stack, "mm", **below)
        if place % ACROSS == 0:
            for axes, what in zip(stack, ("measured", "predicted"), strict=True):
                axes.set_ylabel(what, fontsize=8, color=PALETTE["ink"])
    return headline(figure, title)


def plot_outlook_maps(outlooks: Sequence[Outlook], title: str) -> Figure:
    """Change to come of each tile, over half the width of its interval; each tile has scales of its own.

    Parameters
    ----------
    outlooks : sequence of Outlook
    title : str
        Model and date.
    """
    figure, stacks = stacked_panels(len(outlooks), (SIDE, SIDE), SIDE + 0.2, labels=1.35)
    below = {"orientation": "horizontal", "pad": 0.02, "fraction": 0.06, "aspect": 26}
    for stack, outlook in zip(stacks, outlooks, strict=True):
        limits = (
            Normalize(*colour_limits(outlook.change, signed=True)),
            Normalize(*colour_limits(outlook.width, signed=False)),
        )
        maps = zip(stack, (outlook.change, outlook.width), limits, (DISPLACEMENT, WIDTH), strict=True)
        for axes, values, limit, colours in maps:
            key(figure, map_cells(axes, values, limit, colours), np.array([axes]), "mm", extend="both", **below)
        name_panel(stack[0], outlook.name)
    for stack in stacks[::ACROSS]:
        for axes, what in zip(stack, ("change to come", "± of the interval"), strict=True):
            axes.set_ylabel(what, fontsize=8, color=PALETTE["ink"])
    return headline(figure, title)


def _shown(values: Float32, mask: Bool) -> Float32:
    return np.where(mask, values, np.float32(np.nan))


def _scores(predicted: Float32, measured: Float32, mask: Bool, data_range: float) -> list[str]:
    scores = MapScores.of(predicted[None], measured[None], mask[None], data_range)
    parts = (
        f"RMSE {scores.rmse[0]:.2f} mm",
        f"R² {scores.r2[0]:.3f}",
        f"SSIM {scores.ssim[0]:.3f}",
        f"r {scores.correlation[0]:.3f}",
    )
    return [part.replace("-", "−") for part in parts]
