"""A small CSV table with a header, of days and numbers, which a person has made: temperature, baselines."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from insar_dask.cube import CubeError

__all__ = ["read_rows", "to_number"]


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Where each row stands, as ``table.csv, line 2``, and what it has in some columns.

    Raises
    ------
    FileNotFoundError
        No such file.
    CubeError
        When it is no such text, or lacks a column, or a row a value; it names the line.
    """
    wanted = ",".join(columns)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file, strict=True)
            head = [name.strip() for name in next(lines, [])]
            if not set(columns) <= set(head):
                raise CubeError(f"{path.name} has the columns {head}, wanted {wanted}")
            if twice := sorted({name for name in columns if head.count(name) > 1}):
                raise CubeError(f"{path.name} has {', '.join(twice)} in several columns: remove all but one")
            places = [head.index(name) for name in columns]
            for row in lines:
                where = f"{path.name}, line {lines.line_num}"
                if row and len(row) <= max(places):
                    raise CubeError(f"{where} has {len(row)} values, wanted {wanted}")
                if row:
                    yield where, [row[place].strip() for place in places]
    except (UnicodeDecodeError, csv.Error) as error:
        raise CubeError(f"{path.name} is no CSV table {wanted} in UTF-8: {error}") from None


def to_number(text: str, what: str) -> float:
    """A finite number; CubeError saying ``what`` should be one.

    >>> to_number("-12.5", "table.csv, line 2: bperp [m]")
    -12.5
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise CubeError(f"{what} is {text[:40]!r}, wanted a number")
    return number
