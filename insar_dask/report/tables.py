"""The tables of the page: scores by method, lead and kind of motion, coverage, timings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from insar_dask.report.markup import number, percent, signed_percent, table, whole

__all__ = ["coverage_table", "leads_table", "strata_table", "summary_table", "timings_table"]

Scores = Mapping[str, Any]
STRATA = ("stable", "seasonal", "trending", "accelerating")
FIFTHS = ("calmest fifth", "second", "third", "fourth", "noisiest fifth")
MEASURES = {
    "rmse": ("RMSE by lead, mm", number),
    "mae": ("MAE by lead, mm", number),
    "coverage": ("Coverage by lead", percent),
    "interval_width": ("Width of the interval by lead, mm", number),
    "n": ("Number of scored values", whole),
}


def summary_table(scores: Scores) -> str:
    """One row a method: honest RMSE with its interval, skill, coverage, and the leaking RMSE beside it."""
    honest, leaks = scores["tables"]["honest"], scores["tables"].get("as_published")
    head = ["RMSE", "bootstrap interval", "skill", "coverage", "interval width"]
    head += ["LEAKS: RMSE as published"] if leaks else []
    rows = []
    for method in scores["methods"]:
        row = honest.get(method, {})
        cells = [
            number(row.get("rmse_all")),
            "–".join(number(bound) for bound in row.get("rmse_ci") or (None,)),
            signed_percent(row.get("skill")),
            percent(row.get("coverage_all")),
            number(_mean(row.get("interval_width"))),
        ]
        cells += [number(leaks.get(method, {}).get("rmse_all"))] if leaks else []
        rows.append((method, cells))
    best = _smallest([[honest.get(method, {}).get("rmse_all")] for method in scores["methods"]])
    default = scores.get("default")
    return table("All leads together, mm", head, rows, default=default, best=best, leaking=5 if leaks else None)


def leads_table(scores: Scores, kind: str, measure: str = "rmse") -> str:
    """One measure of every method at every lead.

    Parameters
    ----------
    scores : mapping
    kind : {"honest", "as_published"}
    measure : {"rmse", "mae", "coverage", "interval_width", "n"}

    Returns
    -------
    str
        HTML, empty where no method has the measure.
    """
    methods = scores["tables"][kind]
    values = {name: methods[name][measure] for name in scores["methods"] if methods.get(name, {}).get(measure)}
    title, form = MEASURES[measure]
    rows = [(name, [form(value) for value in row]) for name, row in values.items()]
    if not rows:
        return ""
    if kind != "honest":
        return table(f"LEAKS: {title}, as published", _lead_heads(scores), rows, leaks=True)
    best = _smallest(list(values.values())) if measure in ("rmse", "mae") else None
    return table(title, _lead_heads(scores), rows, default=scores.get("default"), best=best)


def strata_table(scores: Scores) -> str:
    """RMSE of every method on stable, seasonal, trending and accelerating points."""
    strata = {name: row["strata"] for name, row in scores["tables"]["honest"].items() if row.get("strata")}
    found = {kind for row in strata.values() for kind in row}
    kinds = [kind for kind in STRATA if kind in found] + sorted(found - set(STRATA))
    if not kinds:
        return ""
    first = next(iter(strata.values()))
    head = [f"{escape(kind)}<small>n {whole(first.get(kind, {}).get('n'))}</small>" for kind in kinds]
    values = {
        name: [strata[name].get(k, {}).get("rmse") for k in kinds] for name in scores["methods"] if name in strata
    }
    rows = [(name, [number(value) for value in row]) for name, row in values.items()]
    best = _smallest(list(values.values()))
    return table("RMSE by kind of motion, mm", head, rows, default=scores.get("default"), best=best)


def coverage_table(scores: Scores, method: str) -> str:
    """Coverage of the interval in each fifth of the points by rmse, at each lead; beyond ±5 % it is marked."""
    fifths = scores.get("coverage_by_quintile", {}).get(method)
    if not fifths:
        return ""
    level = float(scores.get("level", 0.9))
    rows = [(name, [_mark_outside(x, level) for x in row]) for name, row in zip(FIFTHS, fifths, strict=True)]
    title = f"Coverage of the {level:.0%} interval by rmse and lead, {escape(method)}"
    return table(title, _lead_heads(scores), rows)


def timings_table(timings: Sequence[Mapping[str, Any]]) -> str:
    """Stages with seconds, points a second and megabytes written, and a bar for the share of the time."""
    total = sum(float(timing.get("seconds") or 0) for timing in timings)
    rows = []
    for timing in timings:
        seconds = float(timing.get("seconds") or 0)
        bar = f"<span class=bar style='width:{100 * seconds / (total or 1):.1f}%'></span>"
        kept = timing.get("computed") == 0  # a resumed run: nothing was computed, so there is no rate
        rate = "kept from before" if kept else whole(timing.get("points_per_second"))
        size = number(None if kept else timing.get("megabytes"))
        there = ", on GPUs" * ("gpu" in timing.get("steps", ()))
        rows.append((str(timing.get("stage", "")).rsplit("/", 1)[-1] + there, [number(seconds), bar, rate, size]))
    rows.append(("total", [number(total), "", "", ""]))
    return table("Seconds by stage", ["seconds", "share", "points/s", "MB written"], rows)


def _lead_heads(scores: Scores) -> list[str]:
    return [f"{lead['step']}<small>{lead['days']:g} d</small>" for lead in scores["leads"]]


def _smallest(rows: Sequence[Sequence[float | None]]) -> dict[int, int]:
    """Column -> row of its smallest number."""
    best = {}
    for column in range(min((len(row) for row in rows), default=0)):
        numbers = [(x, row) for row, cells in enumerate(rows) if (x := cells[column]) is not None and x == x]
        if numbers:
            best[column] = min(numbers)[1]
    return best


def _mean(values: Sequence[float | None] | None) -> float | None:
    numbers = [float(x) for x in values or () if x is not None and x == x]
    return sum(numbers) / len(numbers) if numbers else None


def _mark_outside(value: float | None, level: float) -> str:
    text = percent(value)
    outside = value is not None and value == value and abs(float(value) - level) > 0.05
    return f"<em title='more than 5 points off'>{text}</em>" if outside else text
