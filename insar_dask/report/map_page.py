"""The page of forecast maps: what is to come, what had been said of what came, and how well, beside simple methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import xarray as xr

from insar_dask.report import map_sections as sections
from insar_dask.report.figures import sentence, unbroken
from insar_dask.report.hindcasts import Hindcasts
from insar_dask.report.markup import facts
from insar_dask.report.page import write_page
from insar_dask.report.places import crs_name
from insar_dask.report.provenance import link, run_section
from insar_dask.report.series import COMPONENT_NAMES
from insar_dask.tiling.checking import shared_ground

__all__ = ["write_map_report"]

MOST = 6
"""Tiles that have maps of their own on the page, those learned from first; the table has all."""


def write_map_report(
    folder: str | Path,
    *,
    tiles: xr.Dataset,
    forecast: xr.Dataset,
    hindcasts: Hindcasts | None,
    learned: Mapping[str, Sequence[float]],
    reason: str = "",
    timings: Sequence[Mapping[str, Any]],
    config_text: str,
    title: str,
    files: Mapping[str, str | Path] | None = None,
) -> Path:
    """Write ``index.html`` and ``figures/*.png`` about forecast maps into ``folder``.

    Of the tile cube and the forecast only the tiles that are drawn are read.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    tiles : xr.Dataset
        Tile cube, lazy or not.
    forecast : xr.Dataset
        Over ``(tile, origin, lead, y, x)``: ``displacement``, ``lower`` and ``upper`` [mm].
    hindcasts : Hindcasts, optional
        Of the same tiles; without them ``reason`` says why there are none.
    learned : mapping
        Extents [m] of the tiles that were learned from, which need not be among these, by name.
    reason : str
    timings, config_text, title, files
        As for `insar_dask.report.write_report`.

    Returns
    -------
    Path
        ``folder / "index.html"``; it appears only when it is whole.
    """
    folder = Path(folder)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    seen = shared_ground(tiles, learned)
    shown = sorted(seen, key=lambda name: seen[name] != "learned from")[:MOST]
    told = {"Forecast": sections.outlook_section(folder, tiles, forecast, shown)}
    if hindcasts is None:
        told["What had been said"] = f"<p>{sentence(reason)}</p>"
    else:
        told["What had been said"] = sections.past_section(folder, hindcasts, seen, shown)
        told["Cells"] = sections.nodes_section(folder, tiles, hindcasts, shown[0])
        told["Scores"] = sections.scores_section(folder, hindcasts, seen, shown[0])
        told["Errors"] = sections.errors_section(folder, hindcasts, shown[0])
    links = "".join(
        f"<dt>{escape(name)}</dt><dd>{link(None, path, folder)}</dd>" for name, path in (files or {}).items()
    )
    told["Data"] = facts(_told_of(tiles, list(learned))) + (f"<h3>Files</h3><dl>{links}</dl>" if links else "")
    told["Run"] = run_section(timings, config_text)
    return write_page(folder, title, f"<p class=lede>{_lede(tiles, forecast)}</p>", told)


def _lede(tiles: xr.Dataset, forecast: xr.Dataset) -> str:
    """One line under the title: quantity, tiles, period, and what it is forecast by."""
    kind = COMPONENT_NAMES.get(str(tiles.attrs.get("component")), str(tiles.attrs.get("component")))
    first, last = (str(tiles["time"].values[at])[:10] for at in (0, -1))
    ahead = str(forecast["time"].values[0, -1])[:10]
    cells = f"{tiles.sizes['y']} x {tiles.sizes['x']} cells of {float(tiles.attrs['cell']):,.0f} m"
    number = tiles.sizes["tile"]
    parts = [
        f"{kind.capitalize()} displacement, positive {tiles.attrs.get('positive')}",
        f"{number} {'tile' if number == 1 else 'tiles'} of {cells}",
        f"{first} to {last}",
        f"forecast by {forecast.attrs['method']} to {ahead}",
    ]
    return unbroken(" · ".join(parts))


def _told_of(tiles: xr.Dataset, learned: Sequence[str]) -> dict[str, Any]:
    """Where the maps come from."""
    names = ("product", "component", "positive", "reference", "reference_date", "release", "track", "pass")
    told = {name.replace("_", " "): tiles.attrs[name] for name in names if name in tiles.attrs}
    listed = {"tiles": ", ".join(map(str, tiles["tile"].values)), "learned from": ", ".join(learned)}
    if "n_begin_later" in tiles.attrs:
        listed["points left out, which begin later than their record"] = f"{tiles.attrs['n_begin_later']:,}"
    return listed | told | {"sources": list(tiles.attrs.get("sources", [])), "CRS": crs_name(tiles)}
