"""Accessible HTML from plain values: a table, a list of facts, numbers as they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["facts", "number", "percent", "signed_percent", "table", "whole"]

MISSING = "·"


def table(
    title: str,
    head: Sequence[str],
    rows: Sequence[tuple[str, Sequence[str]]],
    *,
    default: str | None = None,
    best: Mapping[int, int] | None = None,
    leaking: int | None = None,
    leaks: bool = False,
) -> str:
    """Table that scrolls sideways on a narrow screen.

    Parameters
    ----------
    title : str
        Caption, HTML.
    head : sequence of str
        Column headings, HTML.
    rows : sequence of (str, sequence of str)
        Heading of each row, plain text, and its cells, HTML.
    default : str, optional
        Row to point out.
    best : mapping of int to int, optional
        Column -> row of the cell to point out.
    leaking : int, optional
        Column that has seen the future.
    leaks : bool
        The whole table has.
    """

    def cell(row: int, column: int, text: str) -> str:
        kinds = [("best", (best or {}).get(column) == row), ("leak", column == leaking)]
        classes = " ".join(name for name, on in kinds if on)
        return f"<td class='{classes}'>{text}</td>" if classes else f"<td>{text}</td>"

    header = "".join(
        f"<th scope=col{' class=leak' if column == leaking else ''}>{text}</th>" for column, text in enumerate(head)
    )
    body = "".join(
        f"<tr{' class=default' if name == default else ''}><th scope=row>{escape(name)}"
        f"{' <span class=tag>default</span>' if name == default else ''}</th>"
        f"{''.join(cell(row, column, text) for column, text in enumerate(cells))}</tr>"
        for row, (name, cells) in enumerate(rows)
    )
    return (
        f"<div class=scroll tabindex=0 role=region aria-label='{title}'><table{' class=leaks' if leaks else ''}>"
        f"<caption>{title}</caption><thead><tr><td></td>{header}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def facts(pairs: Mapping[str, Any]) -> str:
    """Definition list of a mapping; empty values are left out. Whole numbers are counts, but in tables and lists."""
    items = "".join(
        f"<dt>{escape(str(key).replace('_', ' '))}</dt><dd>{f'{value:,}' if type(value) is int else _plain(value)}</dd>"
        for key, value in pairs.items()
        if value not in (None, "", {}, [])
    )
    return f"<dl>{items}</dl>"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "<br>".join(f"{escape(str(k))}: {_plain(item)}" for k, item in value.items() if item not in (None, ""))
    if isinstance(value, (list, tuple)):
        return "<br>".join(_plain(item) for item in value)
    return escape(str(value))  # a setting such as crs = 32631 is no count


def number(value: Any) -> str:
    """Two decimals; a dot in the middle where there is none."""
    return _shown(value, "{:.2f}")


def whole(value: Any) -> str:
    """No decimals, thousands apart."""
    return _shown(value, "{:,.0f}")


def percent(value: Any) -> str:
    """Share as per cent with one decimal."""
    return _shown(value, "{:.1%}")


def signed_percent(value: Any) -> str:
    """Share as per cent with its sign."""
    return _shown(value, "{:+.1%}")


def _shown(value: Any, form: str) -> str:
    return MISSING if value is None or value != value else form.format(float(value)).replace("-", "−")
