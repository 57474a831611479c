"""Results of `tests.benchmarks.accuracy` as text: a product's, and tables of all; run as a module it prints these."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.accuracy_scores import ORACLE

__all__ = ["lines_of", "markdown"]

ALL, EACH = (0.88, 0.92), (0.85, 0.95)
"""Between these an interval of 90 % shall cover over all, and in each quintile, at each lead, and in each of both."""

DEFAULT = "kriging"
"""What forecasts where nothing else is asked for."""


def lines_of(result: Mapping[str, Any]) -> list[str]:
    """RMSE by lead of a product, what lies above (+) or below the better linear one beyond doubt, and coverage."""
    lines = [f"\n{result['product']}: {result['n_points']:,} points, {len(result['origins'])} origins; RMSE mm by lead"]
    lines.append(f"{'':22}" + "".join(f"{lead!s:>9}" for lead in result["leads"]) + "   removed")
    for name, scores in result["methods"].items():
        low, high = scores["minus_better_90"]
        marks = ["-" if b < 0 else "+" if a > 0 else " " for a, b in zip(low, high, strict=True)]
        cells = "".join(f"{value:8.3f}{mark}" for value, mark in zip(scores["rmse"], marks, strict=True))
        share = f"   {scores['removed_all']:.1%} {scores['removed_all_90']}" if "removed_all" in scores else ""
        lines.append(f"{name:22}{cells}{share}")
    lines.append("coverage: all, by lead; by quintile; least and most of each quintile at each lead")
    for name, held in result["coverage"].items():
        leads, quintiles = (" ".join(marked(share, EACH) for share in held[by]) for by in ("by_lead", "by_quintile"))
        ends = " ".join(marked(share, EACH) for share in least_and_most(held)) or "–"
        lines.append(f"{name:22}{marked(held['all'], ALL)}  {leads};  {quintiles};  {ends}")
    return lines


def least_and_most(held: Mapping[str, Any]) -> list[float]:
    """Of the coverage of all quintiles at all leads."""
    shares = [share for leads in held["by_cell"] for share in leads if not math.isnan(share)]
    return [min(shares), max(shares)] if shares else []


def marked(share: float, bar: tuple[float, float]) -> str:
    """Share in per cent, with a mark where it is outside its bar."""
    return f"{100 * share:.1f}" + (" " if bar[0] <= share <= bar[1] else "!")


def markdown(results: Mapping[str, Mapping[str, Any]]) -> str:
    """RMSE over all leads, the lowest in bold; and of the default its RMSE over the oracle's, which is the noise floor,
    the share of the excess that it removes, and coverage of its intervals.
    """
    names = list(dict.fromkeys(name for result in results.values() for name in result["methods"] if "seed" not in name))
    head = ["RMSE mm", *names, "over oracle", "removed", "coverage", "by lead", "by quintile", "by both"]
    rows = [head, ["---"] * len(head)]
    for product, result in results.items():
        rmse = {name: result["methods"][name]["rmse"][-1] for name in names if name in result["methods"]}
        lowest = min(value for name, value in rmse.items() if name != ORACLE)
        bold = {name: "**" if value == lowest else "" for name, value in rmse.items()}
        cells = [f"{bold[name]}{rmse[name]:.3f}{bold[name]}" if name in rmse else "" for name in names]
        scores, held = result["methods"][DEFAULT], result["coverage"][DEFAULT]
        low, high = scores.get("removed_all_90", (0, 0))
        floor = f"{scores['rmse_by_oracle'][-1]:.3f}" if "rmse_by_oracle" in scores else ""
        removed = f"{scores['removed_all']:.0%} ({low:.0%} to {high:.0%})" if "removed_all" in scores else ""
        spans = [f"{100 * min(held[by]):.0f}-{100 * max(held[by]):.0f}" for by in ("by_lead", "by_quintile")]
        ends = "-".join(f"{100 * share:.0f}" for share in least_and_most(held)) or "–"
        rows.append([product, *cells, floor, removed, f"{100 * held['all']:.1f} %", *spans, ends])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


if __name__ == "__main__":
    folder = Path(__file__).with_name("results") / "accuracy"
    print(markdown({path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}))
