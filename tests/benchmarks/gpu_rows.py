"""Rows of what `gpu.py` measures: where one part breaks off, the others are measured all the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["Row", "broken", "guarded"]

Row = dict[str, Any]


def guarded(what: str, rows: Iterator[Row]) -> Iterator[Row]:
    """The same rows, and one more where they break off, so that all others are still measured."""
    try:
        yield from rows
    except Exception as error:  # of CuPy, numba-cuda, torch and drivers: each has kinds of its own
        yield broken(what, error)


def broken(what: str, error: Exception) -> Row:
    """The row of what could not be measured."""
    note = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return {"what": what, "note": note, "bar": False, "wanted": "that it runs"}
