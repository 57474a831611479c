"""Tables in Markdown, and scores with their spread over seeds as cells of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["cell_number", "cell_text", "markdown_table"]

LEAST = 1e-6
"""Share of a mean below which its spread is one of last bits."""


def cell_text(value: Mapping[str, float | None]) -> str:
    """``mean ± spread``, the spread left out where there is one seed, a dash where there is no score."""
    mean, spread = value["mean"], value["spread"]
    if mean is None:
        return "–"
    if spread is None:
        return f"{mean:.3g}"
    return f"{mean:.3g} ± {0.0 if spread < LEAST * abs(mean) else spread:.2g}"


def cell_number(cell: str) -> float:
    """The mean of a cell again, infinite where there is none."""
    return float("inf") if cell == "–" else float(cell.split(" ")[0])


def markdown_table(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], note: str = "", above: str = ""
) -> str:
    """A table under its title, a line of text below it, and one above."""
    lines = [f"### {title}", "", *([above, ""] if above else []), f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", note] if note else lines)
