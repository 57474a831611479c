"""The page of moving areas: how many, where, how they grew, and the evidence for the largest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.detect.areas import Areas, MapGrid
from insar_dask.detect.counting import growth, inventory
from insar_dask.detect.rules import FLATTENED
from insar_dask.detect.views import AreaView
from insar_dask.report import area_sections as sections
from insar_dask.report.figures import sentence, unbroken
from insar_dask.report.markup import facts
from insar_dask.report.page import write_page
from insar_dask.report.provenance import link, run_section

__all__ = ["largest", "write_area_report"]


def write_area_report(
    folder: str | Path,
    *,
    areas: Areas,
    earlier: Mapping[str, Areas],
    overview: tuple[npt.NDArray[Any], MapGrid],
    views: Sequence[AreaView],
    worst: int = 3,
    threshold: float | None = None,
    level: float | None = None,
    timings: Sequence[Mapping[str, Any]],
    config_text: str,
    title: str,
    files: Mapping[str, str | Path] | None = None,
) -> Path:
    """Write ``index.html`` and ``figures/*.png`` about moving areas into ``folder``.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    areas : Areas
        With names, as `insar_dask.jobs.areas.area_jobs.save_areas` gives them.
    earlier : mapping of str to Areas
        Vintages before, the oldest first.
    overview : array, MapGrid
        Map of the velocity [mm/yr] and its cells.
    views : sequence of AreaView
        Of the areas whose evidence is shown, in that order.
    worst : int
        Last quality class on the map.
    threshold, level : float, optional
        Displacement [mm] whose passing is foretold, and level of the forecast's interval.
    timings, config_text, title, files
        As for `insar_dask.report.write_report`.

    Returns
    -------
    Path
        ``folder / "index.html"``; it appears only when it is whole.
    """
    folder = Path(folder)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    vintage, shown = str(areas.attrs["vintage"]), sections.shown_areas(areas, worst)
    marked = [_place(shown, areas, view.number) for view in views]
    told = {
        "Inventory": sections.inventory_section({**earlier, vintage: areas}, areas)
        if len(areas)
        else "<p>No area moves by more than the rule asks for.</p>",
        "Map": sections.map_section(folder, *overview, shown, marked, len(areas) - len(shown)),
    }
    if earlier and len(areas):
        before, older = list(earlier.items())[-1]
        try:
            told["Growth"] = sections.growth_section(growth(older, areas), before, vintage)
        except CubeError as error:  # as of outlines that were judged, or do not say their cells
            told["Growth"] = f"<p>{sentence(f'From {before} to {vintage}, growth is not told: {error}')}</p>"
    if views:
        told["Evidence"] = sections.cards_section(folder, views, areas, threshold, level)
    links = "".join(
        f"<dt>{escape(name)}</dt><dd>{link(None, path, folder)}</dd>" for name, path in (files or {}).items()
    )
    told["Data"] = facts(_about(areas)) + (f"<h3>Files</h3><dl>{links}</dl>" if links else "")
    told["Run"] = run_section(timings, config_text)
    return write_page(folder, title, f"<p class=lede>{_lede(areas, vintage)}</p>{_key(areas)}", told)


def largest(areas: Areas, most: int, worst: int) -> list[int]:
    """Numbers of the largest areas that the map shows."""
    sizes = np.array([outline.area for outline in areas.geometry])
    if "quality" in areas.columns:
        sizes = np.where(areas["quality"] <= worst, sizes, -1.0)
    order = np.argsort(-sizes, kind="stable")[:most]
    return [int(k) for k in order if sizes[k] > 0]


def _place(shown: Areas, areas: Areas, number: int) -> int:
    return int(np.flatnonzero(shown["area_id"] == areas["area_id"][number])[0])


def _lede(areas: Areas, vintage: str) -> str:
    """One line under the title: what moves which way, of what, when."""
    rule = areas.attrs["rule"]
    ways = {"away": "sinking or moving away", "towards": "rising or coming nearer", "both": "moving either way"}
    judged = areas.attrs.get("inventory")
    how = f"outlines of {judged}" if judged else f"rule {rule['method']}: {ways[rule['sign']]}"
    parts = [how, f"component {areas.attrs.get('component')}", f"vintage {vintage}", f"scene {areas.attrs['scene']}"]
    return unbroken(" · ".join(parts))


def _key(areas: Areas) -> str:
    if not len(areas):
        return ""
    counted = inventory(areas)
    numbers = [
        (f"{counted.n_areas:,}", "areas"),
        (f"{counted.area_km2:,.2f}", "km²"),
        (f"{counted.over_10:,}", "beyond 10 mm yr⁻¹ on average"),
        (f"{counted.over_20:,}", "beyond 20 mm yr⁻¹"),
    ]
    return "<div class=key>" + "".join(f"<div><b>{n}</b><span>{escape(t)}</span></div>" for n, t in numbers) + "</div>"


def _about(areas: Areas) -> dict[str, Any]:
    """Where the areas come from, and how they were found."""
    attrs = areas.attrs
    background = attrs["background"][0]
    ended = attrs.get("ended", [])
    return {
        "source": attrs.get("source"),
        "reference": attrs.get("reference"),
        "inventory": attrs.get("inventory"),
        "rule": ", ".join(f"{name} {value}" for name, value in attrs["rule"].items()),
        "seed": None if attrs.get("inventory") else _seed(attrs["rule"]),
        "not judged": [sentence(what) for what in attrs.get("not_judged", [])],
        "cells": f"{attrs['cell']:g} m",
        "season of still ground": f"{background:.2f} mm" if np.isfinite(background) else "not known",
        "smallest error of a velocity": ", ".join(f"{floor:.2f}" for floor in attrs["velocity_std_floor"]) + " mm/yr",
        "ended since the vintage before": ", ".join(map(str, ended)) if ended else None,
        "recipe": attrs.get("recipe"),
    }


def _seed(rule: Mapping[str, Any]) -> str | None:
    """What an area holds by its rule, in words."""
    if rule["method"] == "paper":
        return None
    return f"{FLATTENED * rule['seed']:g} mm/yr on the map of medians, {FLATTENED:.0%} of what the rule says"
