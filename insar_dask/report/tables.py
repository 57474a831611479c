"""Numbers as accessible HTML tables: scores, strata, coverage, timings, plain facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["coverage_table", "facts", "leads_table", "strata_table", "summary_table", "timings_table"]

Scores = Mapping[str, Any]
STRATA = ("stable", "seasonal", "trending", "accelerating")


def facts(pairs: Mapping[str, Any]) -> str:
    """Definition list of a mapping; empty values are left out."""
    items = "".join(
        f"<dt>{escape(str(key).replace('_', ' '))}</dt><dd>{_plain(value)}</dd>"
        for key, value in pairs.items()
        if value not in (None, "")
    )
    return f"<dl>{items}</dl>"


def summary_table(scores: Scores) -> str:
    """One row a method: honest RMSE with its interval, skill, coverage, and the leaking RMSE beside it."""
    honest, leaks = scores["tables"]["honest"], scores["tables"].get("as_published")
    head = ["RMSE", "bootstrap interval", "skill", "coverage", "interval width"]
    if leaks:
        head.append("LEAKS: RMSE as published")
    rows = []
    for method in scores["methods"]:
        row = honest.get(method, {})
        cells = [
            _number(row.get("rmse_all")),
            "–".join(_number(x) for x in row.get("rmse_ci") or ()) or "·",
            _signed_percent(row.get("skill")),
            _percent(row.get("coverage_all")),
            _number(_mean(row.get("interval_width"))),
        ]
        if leaks:
            cells.append(_number(leaks.get(method, {}).get("rmse_all")))
        rows.append((method, cells))
    best = _best_columns([[honest.get(method, {}).get("rmse_all")] for method in scores["methods"]])
    return _table(
        "All leads together, mm", head, rows, default=scores.get("default"), best=best, leaking=5 if leaks else None
    )


def leads_table(scores: Scores, kind: str) -> str:
    """RMSE of every method at every lead; ``kind`` is ``honest`` or ``as_published``."""
    table = scores["tables"][kind]
    head = [f"{lead['step']}<small>{lead['days']:g} d</small>" for lead in scores["leads"]]
    rows = [(method, [_number(x) for x in table[method]["rmse"]]) for method in scores["methods"] if method in table]
    title = "RMSE by lead, mm" if kind == "honest" else "LEAKS: RMSE by lead as published, mm"
    if kind != "honest":
        return _table(title, head, rows, leaks=True)
    best = _best_columns([table[m]["rmse"] for m, _ in rows])
    return _table(title, head, rows, default=scores.get("default"), best=best)


def strata_table(scores: Scores) -> str:
    """RMSE of every method on stable, seasonal, trending and accelerating points."""
    table = scores["tables"]["honest"]
    found = {name for row in table.values() for name in row.get("strata", {})}
    names = [name for name in STRATA if name in found] + sorted(found - set(STRATA))
    if not names:
        return ""
    first = next(row["strata"] for row in table.values() if row.get("strata"))
    head = [f"{escape(name)}<small>n {first.get(name, {}).get('n', 0):,}</small>" for name in names]
    values = {
        m: [table[m].get("strata", {}).get(n, {}).get("rmse") for n in names] for m in scores["methods"] if m in table
    }
    rows = [(m, [_number(x) for x in row]) for m, row in values.items()]
    return _table(
        "RMSE by kind of motion, mm",
        head,
        rows,
        default=scores.get("default"),
        best=_best_columns(list(values.values())),
    )


def coverage_table(scores: Scores, method: str) -> str:
    """Coverage of the interval in each fifth of the points by rmse, at each lead; beyond ±5 % it is marked."""
    quintiles = scores.get("coverage_by_quintile", {}).get(method)
    if not quintiles:
        return ""
    level = float(scores.get("level", 0.9))
    head = [f"{lead['step']}<small>{lead['days']:g} d</small>" for lead in scores["leads"]]
    names = ["calmest fifth", "second", "third", "fourth", "noisiest fifth"]
    rows = [(name, [_mark_outside(x, level) for x in row]) for name, row in zip(names, quintiles, strict=True)]
    return _table(f"Coverage of the {level:.0%} interval by rmse and lead, {escape(method)}", head, rows)


def timings_table(timings: Sequence[Mapping[str, Any]]) -> str:
    """Stages with seconds, points a second and memory, and a bar for the share of the time."""
    total = sum(float(t.get("seconds") or 0) for t in timings) or 1.0
    rows = []
    for timing in timings:
        seconds = float(timing.get("seconds") or 0)
        bar = f"<span class=bar style='width:{100 * seconds / total:.1f}%'></span>"
        rows.append((
            str(timing.get("stage", "")).rsplit("/", 1)[-1],
            [_number(seconds), bar, _whole(timing.get("points_per_second")), _number(timing.get("megabytes"))],
        ))  # fmt: skip
    rows.append(("total", [_number(total), "", "", ""]))
    return _table("Seconds by stage", ["seconds", "share", "points/s", "MB"], rows)


def _table(
    title: str,
    head: Sequence[str],
    rows: Sequence[tuple[str, Sequence[str]]],
    *,
    default: str | None = None,
    best: Mapping[int, int] | None = None,
    leaking: int | None = None,
    leaks: bool = False,
) -> str:
    def cell(row: int, column: int, text: str) -> str:
        names = [("best", (best or {}).get(column) == row), ("leak", column == leaking)]
        classes = " ".join(name for name, on in names if on)
        return f"<td class='{classes}'>{text}</td>" if classes else f"<td>{text}</td>"

    header = "".join(
        f"<th scope=col{' class=leak' if column == leaking else ''}>{text}</th>" for column, text in enumerate(head)
    )
    body = "".join(
        f"<tr{' class=default' if name == default else ''}><th scope=row>{escape(name)}"
        f"{' <span class=tag>default</span>' if name == default else ''}</th>"
        + "".join(cell(number, column, text) for column, text in enumerate(cells))
        + "</tr>"
        for number, (name, cells) in enumerate(rows)
    )
    kind = " class=leaks" if leaks else ""
    return (
        f"<div class=scroll tabindex=0 role=region aria-label='{title}'><table{kind}><caption>{title}</caption>"
        f"<thead><tr><td></td>{header}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _best_columns(rows: Sequence[Sequence[float | None]]) -> dict[int, int]:
    """Column -> row of its smallest value."""
    best = {}
    for column in range(min((len(row) for row in rows), default=0)):
        values = [(row[column], number) for number, row in enumerate(rows) if row[column] is not None]
        if values:
            best[column] = min(values)[1]
    return best


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "<br>".join(
            f"{escape(str(key))}: {_plain(item)}" for key, item in value.items() if item not in (None, "")
        )
    if isinstance(value, (list, tuple)):
        return "<br>".join(escape(str(item)) for item in value)
    return escape(f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value))


def _number(value: Any) -> str:
    return "·" if value is None or value != value else f"{float(value):.2f}"


def _whole(value: Any) -> str:
    return "·" if value is None or value != value else f"{float(value):,.0f}"


def _percent(value: Any) -> str:
    return "·" if value is None or value != value else f"{float(value):.1%}"


def _signed_percent(value: Any) -> str:
    return "·" if value is None or value != value else f"{float(value):+.1%}".replace("-", "−")


def _mean(values: Sequence[float] | None) -> float | None:
    numbers = [float(x) for x in values or () if x is not None and x == x]
    return sum(numbers) / len(numbers) if numbers else None


def _mark_outside(value: Any, level: float) -> str:
    text = _percent(value)
    outside = value is not None and value == value and abs(float(value) - level) > 0.05
    return f"<em title='more than 5 points off'>{text}</em>" if outside else text
