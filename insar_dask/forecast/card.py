"""What there is to know of a fitted forecaster: its data, settings, scores, and what it has and has not seen."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import xarray as xr

from insar_dask.forecast.audit import POINTS
from insar_dask.forecast.catalogue import COMPONENTS, CORRECTING, MAPPED
from insar_dask.forecast.components.history import first_unknown
from insar_dask.forecast.maps.lattice import cells_across
from insar_dask.forecast.scores import Scores
from insar_dask.forecast.timetable import Plan
from insar_dask.foresight import sees_future

__all__ = ["describe_data", "leak_statement", "markdown", "versions"]

PACKAGES = ("insar-dask", "numpy", "scipy", "numba", "xarray", "torch")


def describe_data(cube: xr.Dataset, fingerprint: str) -> dict[str, Any]:
    """What was learned from, as plain values."""
    first, last = (str(day) for day in cube["time"].values[[0, -1]].astype("datetime64[D]"))
    named = ("product", "component", "source", "release")
    told: dict[str, Any] = {name: str(cube.attrs.get(name, "")) for name in named}
    if cells := cells_across(cube):
        told |= {"cells": cells, "tiles": {name: list(extent) for name, extent in cube.attrs["tiles"].items()}}
    if days := sees_future(cube):
        told["sees_future"] = days
    return {
        **told,
        "n_points": cube.sizes["point"],
        "n_dates": cube.sizes["time"],
        "first_date": first,
        "last_date": last,
        "sha256": fingerprint,
    }


def versions() -> dict[str, str]:
    """Versions of what computed; a package that is not installed took no part."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def leak_statement(plan: Plan, method: str, seen: int = 0) -> str:
    """What the forecaster has seen, in a paragraph.

    Each part of it was fitted on dates before a day of its own, and the audit of every block has tried that. ``seen``
    are the days by which the series themselves have seen ahead; those of inverted cubes have seen the whole record.
    """
    first, last = (_day(plan.date(origin)) for origin in (plan.validation[0], plan.validation[-1]))
    tests = [_day(plan.date(origin)) for origin in (plan.test[0], plan.test[-1])]
    return (
        f"{_learning(plan, method)} "
        f"Interval widths come from forecasts at {len(plan.validation)} origins from {first} to {last}, made with "
        f"weights learned from dates before {first}. Scores come from forecasts at {len(plan.test)} origins from "
        f"{tests[0]} to {tests[1]}, made with weights learned from dates before {tests[0]}, against raw values at "
        f"really observed dates. In every block the future of {POINTS} points was overwritten with nonsense: neither "
        f"what was learned nor the forecasts at the first and the last origin changed in any bit. {_ahead(seen)}"
    )


def _ahead(seen: int) -> str:
    """What the series themselves have seen."""
    if not seen:
        return (
            "Nothing was filtered, clustered or scaled by a whole record: a cube that has seen the future is refused."
        )
    return (
        "But the series were inverted from interferograms, and each value follows from those of the whole record: at "
        "all these origins more was known than on their day, so that the scores LEAK and intervals may be too narrow. "
        "The forecast beyond the record has seen nothing of what it tells: inverted as of an earlier day (`as_of`), "
        "the series give one that later dates judge honestly."
    )


def _learning(plan: Plan, method: str) -> str:
    """What a method learned from which dates."""
    first, last = _day(plan.date(plan.validation[0])), _day(plan.days[-1])
    if method == COMPONENTS:
        end = _day(first_unknown(plan))
        return (
            f"The networks end on {end}, at every later origin and beyond the record: their weights and scales, the "
            f"patterns of motion and the parameters that a series is taken apart by come from dates before it, and "
            f"training was checked and stopped on dates from then to {first}. After {end} trend, season and residual "
            "follow the values up to the origin."
        )
    trained = (
        f"The network was trained on dates before {first} alone, and kept; how much of it is believed was fitted "
        "at the origins that interval widths come from. "
        if method == CORRECTING or method in MAPPED
        else ""
    )
    return f"{trained}Linear weights for forecasts beyond the record were learned from all dates up to {last}."


def markdown(card: Mapping[str, Any], scores: Scores) -> str:
    """The card as a page."""
    data, settings = card["data"], {k: v for k, v in card["parameters"].items() if v is not None}
    unnamed = f"tiles {', '.join(data['tiles'])}" if "tiles" in data else "an unnamed source"
    source = f"{data['source'] or unnamed} ({data['product'] or 'no product'}, {data['component']})"
    lines = [
        f"# {card['method']} forecaster",
        "",
        f"Forecasts of ground motion [mm], {scores.horizon} steps of {scores.every_days} days ahead, with "
        f"{scores.level:.0%} intervals. Read it with `insar_dask.forecast.Forecaster.load(folder)`.",
        "",
        "## Learned from",
        "",
        f"{data['n_points']:,} points x {data['n_dates']} dates, {data['first_date']} to {data['last_date']}, of "
        f"{source}.  ",
        f"SHA-256 of dates, places and values: `{data['sha256']}`",
        "",
        "## Scores",
        "",
        "```",
        scores.table("honest"),
        "```",
        *(f"* {note}" for note in scores.notes),
        "",
        "## What it has seen",
        "",
        card["leak_statement"],
        "",
        *_networks(card.get("networks", [])),
        "## Settings",
        "",
        *(f"* {name} = {value!r}" for name, value in settings.items()),
        "",
        "## Versions",
        "",
        ", ".join(f"{name} {number}" for name, number in card["versions"].items()),
    ]
    return "\n".join(lines) + "\n"


def _networks(accounts: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each of several networks saw, and what came of it; none where there is one, or none."""
    if not accounts:
        return []
    rows = [
        f"| {one['component']} | {one['pattern']} | {one['points']:,} | {one['steps']:,} | {one['best_step']:,} | "
        f"{one['best_loss']:.4g} | {'yes' if one['still_falling'] else 'no'} |"
        for one in accounts
    ]
    return [
        "## Networks",
        "",
        "Mean squared error on the dates that training was checked on, in units of each network's scale; pattern 0 is "
        "the one that sinks fastest.",
        "",
        "| component | pattern | points | steps | best step | least error | still falling |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def _day(day: int) -> str:
    return str(np.datetime64(int(day), "D"))
