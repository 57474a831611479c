"""The sections of the page of forecast maps; each a function from maps to HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import isnan
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.figure import Figure

from insar_dask.map_metrics import MapScores
from insar_dask.report.error_figures import plot_binned_errors, plot_residual_maps, plot_scatter
from insar_dask.report.figures import place_figure, sentence
from insar_dask.report.hindcasts import Hindcasts
from insar_dask.report.leads import plot_leads
from insar_dask.report.map_figures import Outlook, Region, plot_model_maps, plot_outlook_maps, plot_region_maps
from insar_dask.report.markup import number, percent, table
from insar_dask.report.node_figures import Node, plot_nodes

__all__ = ["errors_section", "nodes_section", "outlook_section", "past_section", "scores_section"]

Float32 = npt.NDArray[np.float32]

NODES, PAST = 6, 40
"""Cells that are followed, and dates of them that are shown before the origin."""

PIXELS = 160
"""Of the page an inch of a figure takes at most."""

SHOWN = {"rmse": "RMSE mm", "mae": "MAE mm", "r2": "R²", "ssim": "SSIM", "correlation": "r"}

SHARE_NOTE = (
    "Believed is how much of what the network adds to the harmonic ridge counts on a tile in this table: as much as "
    "dates before it bear out that the network has not learned from, the tile's own where they suffice, else those of "
    "tiles of training. At 0 % it says what the ridge says. Forecasts beyond the record ask the dates of this table too"
)

RANGE_NOTE = (
    "SSIM is relative to the range of all values that the cells of a tile have had at any date: where ground has moved "
    "far, the range is large, and SSIM near 1 whatever the method. Compare it within a tile alone"
)


def outlook_section(folder: Path, tiles: xr.Dataset, forecast: xr.Dataset, shown: Sequence[str]) -> str:
    """What is to come: change from the last map to the last lead, and how sure it is."""
    outlooks = []
    for name in shown:
        ahead = forecast.sel(tile=name).isel(origin=0, lead=-1).compute()
        known = _last_map(tiles.sel(tile=name))
        wide = (ahead["upper"] - ahead["lower"]) / np.float32(2)
        outlooks.append(Outlook(name, ahead["displacement"].values - known, wide.values))
    day, level = str(forecast["time"].values[0, -1])[:10], float(forecast.attrs["level"])
    title = f"Change up to {day}, {forecast.attrs['method']}"
    moves = [f"{one.name} {np.nanmin(one.change):+.1f} to {np.nanmax(one.change):+.1f}" for one in outlooks]
    alt = f"Forecast change of each cell from the last map to {day}, mm: {'; '.join(moves)}"
    caption = (
        f"<b>Change to come, up to {day}</b> above, from the last map of the record; below it half the width of the "
        f"{level:.0%} interval, mm. Cells without a measured point are blank; each tile has a scale of its own."
    )
    return _rest(forecast, shown) + _place(folder, plot_outlook_maps(outlooks, title), "outlook", alt, caption)


def past_section(folder: Path, past: Hindcasts, seen: Mapping[str, str], shown: Sequence[str]) -> str:
    """Maps that came beside what each method had said, at the last origin and the last lead that was measured."""
    first, method, origin = shown[0], past.methods[0], str(past.origins[-1])[:10]
    found, lead = past.tiles[first], _last_lead(past, [first])
    day = str(past.dates[lead])[:10]
    scored, spread = np.isfinite(found["measured"][lead]), float(found["data_range"])
    said = {name: maps[lead] for name, maps in past.said(first).items()}
    models = plot_model_maps(found["measured"][lead], said, scored, spread, f"{first}, t+{lead + 1}, {day}")
    caption = (
        f"<b>{escape(first)} on {day}</b> t+{lead + 1} of the origin {origin}: what each method had said, what came, "
        "and the difference. All share one scale."
    )
    parts = [_place(folder, models, "maps", f"Predicted, measured and difference maps of {first}", caption)]
    lead = _last_lead(past, shown)
    day = str(past.dates[lead])[:10]
    regions = [_region(past, name, _known(name, seen), lead) for name in shown]
    spreads = {_known(name, seen): float(past.tiles[name]["data_range"]) for name in shown}
    figure = plot_region_maps(regions, spreads, f"{method}, t+{lead + 1}, {day}")
    caption = f"<b>Measured above, {escape(method)} below, {day}</b> t+{lead + 1}; each tile has a scale of its own."
    alt = f"Measured and predicted maps of {', '.join(shown)}"
    parts.append(_place(folder, figure, "regions", alt, caption))
    note = (
        f"No method had seen anything dated {origin} or later when it said this. Networks stopped learning before the "
        "first of the origins that intervals are made at."
    )
    return f"<p class=note>{note}</p>{''.join(parts)}"


def nodes_section(folder: Path, tiles: xr.Dataset, past: Hindcasts, name: str) -> str:
    """Some cells of a tile through time, from the one that moved least to the one that moved most."""
    one, said, came = tiles.sel(tile=name), past.said(name), past.tiles[name]["measured"]
    scored = np.asarray(np.isfinite(came).any(axis=0))
    if not scored.any():
        return f"<p>{escape(name)} has no value at the dates that were forecast from {str(past.origins[-1])[:10]}.</p>"
    maps = one["displacement"].where(one["mask"]).transpose("time", "y", "x").values
    origin = int(np.searchsorted(one["time"].values, past.origins[-1]))
    known = slice(max(origin - PAST, 0), origin)
    # the dates that were asked for need not all be dates of the record
    dates = np.concatenate([one["time"].values[known].astype("datetime64[D]"), past.dates])
    nodes = [
        Node(f"row {row}, column {col}", dates, np.concatenate([maps[known, row, col], came[:, row, col]]),
             origin - known.start, {method: values[:, row, col] for method, values in said.items()})
        for row, col in _cells(maps, scored)
    ]  # fmt: skip
    alt = f"Displacement of {len(nodes)} cells of {name} through time, with what each method had said"
    caption = (
        f"<b>{len(nodes)} cells of {escape(name)}</b> from the one that moved least to the one that moved most: the "
        "line was known, the dots came."
    )
    return _place(folder, plot_nodes(nodes, f"Cells of {name}"), "nodes", alt, caption)


def scores_section(folder: Path, past: Hindcasts, seen: Mapping[str, str], first: str) -> str:
    """Errors by lead, all scores of one tile, and the error of every tile."""
    scores, horizon, method = past.scores(first), len(past.dates), past.methods[0]
    by_lead = {
        "leads": [{"step": lead, "days": lead * past.every} for lead in range(1, horizon + 1)],
        "methods": list(past.methods),
        "default": method,
        "tables": {"honest": {name: {"rmse": found.rmse.tolist()} for name, found in scores.items()}},
    }
    ends = f"{str(past.origins[0])[:10]} to {str(past.origins[-1])[:10]}"
    alt = f"RMSE in mm by lead on {first}: " + "; ".join(
        f"{name} {found.rmse[0]:.2f} to {found.rmse[-1]:.2f}" for name, found in scores.items()
    )
    caption = f"<b>RMSE by lead on {escape(_known(first, seen))}</b> {len(past.origins)} origins from {ends}"
    return "".join(
        [
            _place(folder, plot_leads(by_lead), "leads", alt, caption),
            _all_scores(scores, _known(first, seen)),
            _by_tile(past, seen),
            _verdict(past),
            f"<p class=note>{sentence(RANGE_NOTE)}</p>",
        ]
    )


def errors_section(folder: Path, past: Hindcasts, name: str) -> str:
    """Where and when a tile is forecast well: scatter, residuals, errors by what was measured."""
    measured, said = past.tiles[name]["measured"], past.said(name)
    title = f"{name}, all leads of {str(past.origins[-1])[:10]}"
    residuals = {method: maps - measured for method, maps in said.items()}
    drawn = {
        "scatter": (plot_scatter(measured, said, title), "Predicted against measured values"),
        "residuals": (plot_residual_maps(residuals, title), "Residuals: how many, and where"),
        "binned": (plot_binned_errors(measured, said, title), "Errors by what was measured"),
    }
    figures = [
        _place(folder, figure, kind, f"{what}, {title}", f"<b>{what}</b> {escape(title)}")
        for kind, (figure, what) in drawn.items()
    ]
    return "".join(figures)


def _place(folder: Path, figure: Figure, name: str, alt: str, caption: str) -> str:
    """A figure no wider than its letters can be read at: that of one tile is narrow."""
    wide = round(PIXELS * float(figure.get_figwidth()))
    return f"<div style='max-width:{wide}px'>{place_figure(folder, figure, name, alt, caption)}</div>"


def _all_scores(scores: dict[str, MapScores], tile: str) -> str:
    """Every score at the first, middle and last lead."""
    horizon = len(next(iter(scores.values())).rmse)
    leads = sorted({1, (horizon + 1) // 2, horizon})
    head = [f"{what}<small>t+{lead}</small>" for what in SHOWN.values() for lead in leads]
    rows = [
        (name, [_cell(kind, getattr(found, kind)[lead - 1]) for kind in SHOWN for lead in leads])
        for name, found in scores.items()
    ]
    return table(f"All scores on {escape(tile)}; r is the correlation of maps", head, rows)


def _by_tile(past: Hindcasts, seen: Mapping[str, str]) -> str:
    """RMSE of all leads of every tile and method; how much the chief one's interval held; how far a network counts."""
    chief = past.methods[0]
    shares = {tile: past.share(tile) for tile in past.tiles}
    a_network = not all(map(isnan, shares.values()))
    head = [*map(escape, past.methods), f"in the interval<small>{escape(chief)}</small>"]
    head += [f"believed<small>{escape(chief)}</small>"] if a_network else []
    rows = []
    for tile, share in shares.items():
        errors = [found.overall for found in past.scores(tile).values()]
        cells = [_best(number(x), x == min(errors)) for x in errors] + [percent(past.coverage(tile, chief))]
        rows.append((_known(tile, seen), cells + ([percent(share)] if a_network else [])))
    note = f"<p class=note>{sentence(SHARE_NOTE)}</p>" if a_network else ""
    return table("RMSE of all leads by tile, mm", head, rows) + note


def _verdict(past: Hindcasts) -> str:
    """On how many tiles a simpler method has a lower error than the one that forecasts; nothing where none has."""
    chief, *others = past.methods
    errors = {tile: {name: found.overall for name, found in past.scores(tile).items()} for tile in past.tiles}
    wins, _, name = max(
        (sum(row[name] < row[chief] for row in errors.values()), -sum(row[name] for row in errors.values()), name)
        for name in others
    )
    if not wins:
        return ""
    tiles = "tile" if len(errors) == 1 else "tiles"
    told = f"{name} errs less than {chief} on {wins} of {len(errors)} {tiles}: it is the one to forecast with there"
    return f"<p class=warning>{sentence(told)}</p>"


def _best(text: str, best: bool) -> str:
    return f"<b>{text}</b>" if best else text


def _cell(kind: str, value: float) -> str:
    return number(value) if kind in ("rmse", "mae") else f"{value:.3f}".replace("-", "−")


def _known(tile: str, seen: Mapping[str, str]) -> str:
    return f"{tile}, {seen[tile]}"


def _last_lead(past: Hindcasts, shown: Sequence[str]) -> int:
    """Number of the last lead at which one of some tiles has a value; the last of all where none ever has."""
    came = np.any([np.isfinite(past.tiles[name]["measured"]).any(axis=(1, 2)) for name in shown], axis=0)
    return int(np.flatnonzero(came)[-1]) if came.any() else len(came) - 1


def _region(past: Hindcasts, tile: str, name: str, lead: int) -> Region:
    found = past.tiles[tile]
    measured = found["measured"][lead]
    return Region(name, found["said"][0, lead], measured, np.isfinite(measured))


def _last_map(tile: xr.Dataset) -> Float32:
    """Latest map that has a value, blank where its cells hold no point."""
    late = tile.isel(time=slice(-PAST, None)).transpose("time", "y", "x")
    maps = late["displacement"].where(late["mask"]).values
    given = np.flatnonzero(np.isfinite(maps).any(axis=(1, 2)))
    return np.asarray(maps[given[-1] if given.size else -1])


def _cells(maps: Float32, scored: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Cells that always hold a point, from the one that has moved least to the one that has moved most."""
    held = np.isfinite(maps).all(axis=0) & scored
    held = held if held.any() else scored
    change = np.where(held, np.abs(np.nan_to_num(maps[-1] - maps[0])), np.inf)
    order = np.argsort(change, axis=None, kind="stable")[: int(held.sum())]
    places = np.unique(np.linspace(0, len(order) - 1, min(NODES + 1, len(order))).round().astype(int)[-NODES:])
    return [divmod(int(at), held.shape[1]) for at in order[places]]


def _rest(forecast: xr.Dataset, shown: Sequence[str]) -> str:
    """Which tiles are not drawn."""
    others = forecast.sizes["tile"] - len(shown)
    return f"<p class=note>{len(shown)} of {forecast.sizes['tile']} tiles are drawn.</p>" if others else ""
