"""A band of lines to rows: the kernels read what is plainly printed, Python the odd row, and a reason says why not.

The date cells of a row are parsed only when its point is asked for.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.readers.csv_bands import Band
from insar_dask.readers.egms_names import EgmsHeader
from insar_dask.tenths import NODATA, NotTenthsError
from insar_kernels import decimals
from insar_kernels.decimal_tenths import parse_tenths
from insar_kernels.text_lines import line_starts

__all__ = ["EMPTY", "NUMBER", "BadRowError", "RowParser", "Rows", "Selector", "careful_number"]

Floats = npt.NDArray[np.float64]
Selector = Callable[[Mapping[str, Floats]], npt.NDArray[np.bool_]]

EASTINGS, NORTHINGS = (-150_000.0, 7_900_000.0), (190_000.0, 7_000_000.0)
"""Reach of EPSG:3035 [m]: its area of use (EPSG registry), projected."""

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
EMPTY = frozenset(("", "nan", "na", "null"))
WHOLE_LAST_CELL = re.compile(rb"""(?:^|,)[ "]*[+-]?\d*\.\d+[ "]*\Z""")


class BadRowError(ValueError):
    """A row that cannot be understood; the message says why."""


@dataclass(frozen=True)
class Rows:
    """Rows of one band, in file order.

    ``values`` are tenths (int16) or millimetres (float32), ``lines`` the line of each row, the band's first being 0,
    ``rejected`` pairs of line and reason, ``n_lines`` and ``n_rows`` all of the band (blank lines are no rows),
    ``n_careful`` the rows that Python had to read, ``reach`` the least and greatest easting and northing of valid rows.
    """

    point_ids: npt.NDArray[np.bytes_]
    numbers: Floats
    values: npt.NDArray[Any]
    lines: npt.NDArray[np.int64]
    rejected: list[tuple[int, str]]
    n_lines: int
    n_rows: int
    n_careful: int
    reach: tuple[float, float, float, float]


@dataclass
class _Marks:
    """What is found out about the lines of a band beyond the kernels' answers."""

    careful: dict[int, tuple[str, list[float], list[float]]] = field(default_factory=dict)
    rejected: dict[int, str] = field(default_factory=dict)
    blank: set[int] = field(default_factory=set)


class RowParser:
    """Parse bands of one file; safe to call from several threads.

    Parameters
    ----------
    header : EgmsHeader
        Columns of the file.
    select : callable
        Takes the point columns by name, (rows,), and says which rows are wanted.
    wide : bool
        Whether values become float32 instead of int16 tenths.
    """

    def __init__(self, header: EgmsHeader, select: Selector, *, wide: bool) -> None:
        self._header, self._select, self._wide = header, select, wide
        self.numbers = [name for name in header.columns if name != "point_id"]
        self._n_leading = int(header.date_places.min())
        self._kinds = np.full(self._n_leading, decimals.SKIP)
        self._kinds[header.columns["point_id"]] = decimals.LABEL
        for k, name in enumerate(self.numbers):
            self._kinds[header.columns[name]] = k
        self._n_dates = header.dates.size
        self._in_order = None if header.sorted_in_file else header.date_places - self._n_leading

    def __call__(self, band: Band) -> Rows:
        """Rows of a band that are understood and wanted; raises NotTenthsError unless ``wide``."""
        starts = line_starts(band.text, band.used)
        numbers, labels, after, verdicts = decimals.parse_leading(band.text, starts, self._kinds, len(self.numbers))
        if band.last and _cut_off(band.text, band.used):
            verdicts[-1] = decimals.ODD
        marks = _Marks()
        for line in np.flatnonzero(verdicts).tolist():
            self._read_with_care(band, starts, line, marks)
            if line in marks.careful:
                numbers[line] = marks.careful[line][1]
        valid = self._check_place(numbers, marks)
        reach = _reach(numbers[valid], self.numbers)
        wanted = valid & self._select({name: numbers[:, k] for k, name in enumerate(self.numbers)})
        lines = np.flatnonzero(wanted)
        values = self._values(band, starts, after, lines, marks)
        kept = ~np.isin(lines, list(marks.rejected))
        lines, values = (lines, values) if kept.all() else (lines[kept], values[kept])
        return Rows(
            point_ids=_point_ids(band.text, labels, lines, marks),
            numbers=numbers[lines],
            values=values if self._in_order is None else values[:, self._in_order],
            lines=lines,
            rejected=sorted(marks.rejected.items()),
            n_lines=starts.size - 1,
            n_rows=starts.size - 1 - len(marks.blank),
            n_careful=len(marks.careful) + len(marks.rejected),
            reach=reach,
        )

    def _values(
        self,
        band: Band,
        starts: npt.NDArray[np.int64],
        after: npt.NDArray[np.int64],
        lines: npt.NDArray[np.int64],
        marks: _Marks,
    ) -> npt.NDArray[Any]:
        parse = decimals.parse_floats if self._wide else parse_tenths
        values = band.memory.values((lines.size, self._n_dates), np.float32 if self._wide else np.int16)
        verdicts = parse(band.text, starts, after, lines, self._n_dates, values)[1]
        if marks.careful:
            verdicts[np.isin(lines, list(marks.careful))] = decimals.ODD
        for row in np.flatnonzero(verdicts).tolist():
            line = int(lines[row])
            if line not in marks.careful:
                self._read_with_care(band, starts, line, marks)
            if line in marks.careful:
                cells = marks.careful[line][2]
                values[row] = cells if self._wide else self._tenths(cells)
        return values

    def _tenths(self, cells: list[float]) -> npt.NDArray[np.int16]:
        exact = np.array(cells)
        missing = np.isnan(exact)
        tenths = np.rint(np.where(missing, 0.0, exact) * 10)
        bad = ~missing & ((tenths / 10 != exact) | (np.abs(tenths) >= -NODATA))
        if bad.any():
            cell = int(np.argmax(bad))
            name = self._header.names[self._n_leading + cell]
            raise NotTenthsError(f"column {name}: {cells[cell]} is no multiple of 0.1 mm within +-3276.7")
        return np.where(missing, NODATA, tenths).astype(np.int16)

    def _read_with_care(self, band: Band, starts: npt.NDArray[np.int64], line: int, marks: _Marks) -> None:
        """What the kernels do not read: quotes, exponents, words for a missing value; or the reason against the row."""
        raw = band.text[starts[line] : starts[line + 1]].tobytes()
        if not raw.strip():
            marks.blank.add(line)
            return
        at_end = band.last and line == starts.size - 2 and _cut_off(band.text, band.used)
        try:
            if at_end:
                raise BadRowError("the file is cut off in this line, which has no line break and no whole last number")
            marks.careful[line] = self._cells(raw)
        except (BadRowError, csv.Error) as reason:
            marks.rejected[line] = str(reason)

    def _cells(self, raw: bytes) -> tuple[str, list[float], list[float]]:
        try:
            cells = next(csv.reader([raw.decode("utf-8").rstrip("\r\n")], skipinitialspace=True))
        except UnicodeDecodeError:
            raise BadRowError("not UTF-8 text") from None
        names = self._header.names
        if len(cells) != len(names):
            raise BadRowError(f"{len(cells)} columns, wanted {len(names)}")
        label = cells[self._header.columns["point_id"]].strip()
        if not label or not (label.isascii() and label.isprintable()):
            raise BadRowError(f"column pid: {label!r} is no identifier")
        places = [self._header.columns[name] for name in self.numbers]
        numbers = [careful_number(cells[place], names[place]) for place in places]
        dates = [careful_number(cells[place], names[place]) for place in range(self._n_leading, len(names))]
        return label, numbers, dates

    def _check_place(self, numbers: Floats, marks: _Marks) -> npt.NDArray[np.bool_]:
        """Which lines have a place on EPSG:3035's map; the others are rejected."""
        valid = np.ones(len(numbers), bool)
        valid[list(marks.rejected) + list(marks.blank)] = False
        for name, (least, most) in (("easting", EASTINGS), ("northing", NORTHINGS)):
            column = numbers[:, self.numbers.index(name)]
            outside = valid & ~((column >= least) & (column <= most))
            for line in np.flatnonzero(outside).tolist():
                found = "empty" if np.isnan(column[line]) else f"{column[line]:.15g} m"
                marks.rejected[line] = f"column {name}: {found}, EPSG:3035 reaches from {least:.0f} to {most:.0f} m"
            valid &= ~outside
        return valid


def careful_number(cell: str, name: str) -> float:
    """Number of a cell, NaN where it is empty or says so; raises BadRowError naming the column when it is none."""
    text = cell.strip()
    if text.lower() in EMPTY:
        return float("nan")
    if NUMBER.fullmatch(text) and np.isfinite(float(text)):
        return float(text)
    what = "is infinite" if INFINITE.fullmatch(text) or NUMBER.fullmatch(text) else "is not a number"
    raise BadRowError(f"column {name}: {text[:40]!r} {what}")


def _cut_off(text: npt.NDArray[np.uint8], used: int) -> bool:
    """Whether a text ends within a number: no line break, and no digit after a point."""
    tail = text[max(used - 64, 0) : used].tobytes()
    return not tail.endswith((b"\n", b"\r")) and WHOLE_LAST_CELL.search(tail) is None


def _reach(numbers: Floats, names: list[str]) -> tuple[float, float, float, float]:
    if not len(numbers):
        return np.inf, np.inf, -np.inf, -np.inf
    easting, northing = numbers[:, names.index("easting")], numbers[:, names.index("northing")]
    return float(easting.min()), float(northing.min()), float(easting.max()), float(northing.max())


def _point_ids(
    text: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], lines: npt.NDArray[np.int64], marks: _Marks
) -> npt.NDArray[np.bytes_]:
    """Identifiers of the rows; those read with care are put in their place."""
    careful = {line: row[0] for line, row in marks.careful.items()}
    width = max(int(labels[:, 1].max(initial=1)), max(map(len, careful.values()), default=1))
    point_ids = decimals.cut_labels(text, labels[lines], width)
    for row in np.flatnonzero(np.isin(lines, list(careful))).tolist() if careful else []:
        point_ids[row] = careful[int(lines[row])].encode("ascii")
    return point_ids
