"""Rows of a table of persistent scatterers, as its columns are declared; or in quarantine with a reason."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.readers.csv_bands import Band, one_line
from insar_dask.readers.csv_rows import EMPTY, NUMBER, BadRowError, Rows, careful_number
from insar_dask.readers.declared import sorted_days
from insar_kernels import decimals
from insar_kernels.text_lines import line_starts

__all__ = ["PsiHeader", "PsiParser", "parse_psi_header"]

Floats = npt.NDArray[np.float64]

COMMA = ord(",")
TAIL = 65_536
"""Bytes before the end of a file that are compared with it."""
PADDED = b" \t\0"
"""What some programs fill the last block of a file with."""

DEGREES = {"longitude": (-180.0, 360.0), "latitude": (-90.0, 90.0)}
METRES = {"easting": (-(2.0**24), 2.0**24), "northing": (-(2.0**24), 2.0**24)}


@dataclass(frozen=True)
class PsiHeader:
    """Header line: ``names`` as printed, place of each of our ``columns``, dates in order with the place of each."""

    names: tuple[str, ...]
    columns: Mapping[str, int]
    dates: npt.NDArray[np.datetime64]
    date_places: npt.NDArray[np.int64]
    ignored: tuple[str, ...]

    @property
    def limits(self) -> Mapping[str, tuple[float, float]]:
        """Reach of the coordinates that say the place."""
        return DEGREES if "longitude" in self.columns else METRES


def parse_psi_header(line: str, columns: Mapping[str, str], dates: str, source: str) -> PsiHeader:
    """Find the declared columns, and the columns whose names are dates in the format ``dates``.

    Raises
    ------
    CubeError
        When a declared column is missing or comes twice; when no column is a date, one looks like it and is none, or a
        date comes twice.
    """
    names = tuple(next(csv.reader([one_line(line, source)]), []))
    names = tuple(name.strip() for name in names)
    if len(names) == 1:
        raise CubeError(f"{source}, line 1: one column, {names[0][:60]!r}; columns must be separated by commas")
    count = Counter(names)
    if twice := [name for name, times in Counter(columns.values()).items() if times > 1]:
        raise CubeError(f"{source}: column {twice[0]!r} is declared as two things: {dict(columns)}")
    for ours, theirs in columns.items():
        if count[theirs] != 1:
            what = f"{count[theirs]} columns" if count[theirs] else "no column"
            near = ", ".join(names[:8])
            raise CubeError(f"{source}, line 1: {what} {theirs!r} (declared as {ours}) among {near} ...")
    days = {place: day for place, name in enumerate(names) if (day := _day(name, dates)) is not None}
    shapes = {_shape(names[place]) for place in days}
    for place, name in enumerate(names):
        if place not in days and _shape(name) in shapes and any(c.isdigit() for c in name):
            raise CubeError(f"{source}, line 1, column {place + 1}: {name!r} is no date in the format {dates!r}")
    if not days:
        raise CubeError(
            f"{source}, line 1: no column is a date in the format {dates!r}: pass dates= such as 'd_%Y%m%d'"
        )
    printed = [f"column {place + 1}" for place in days]
    times, order = sorted_days(np.array(list(days.values()), "datetime64[D]"), printed, f"{source}, line 1")
    used = {*days, *(names.index(name) for name in columns.values())}
    ignored = tuple(name for place, name in enumerate(names) if place not in used)
    places = {ours: names.index(theirs) for ours, theirs in columns.items()}
    return PsiHeader(names, places, times, np.array(list(days), np.int64)[order], ignored)


class PsiParser:
    """Parse bands of one file.

    Parameters
    ----------
    header : PsiHeader
        Columns of the file.
    factor : float
        Millimetres in the unit of displacement.
    """

    def __init__(self, header: PsiHeader, factor: float) -> None:
        self._header, self._factor = header, factor
        self.numbers = [name for name in header.columns if name != "point_id"]
        self._wanted = [*(header.columns[name] for name in self.numbers), *header.date_places.tolist()]
        self._label = header.columns["point_id"]
        self._kinds = np.full(len(header.names), decimals.SKIP)
        self._kinds[self._label] = decimals.LABEL
        self._kinds[self._wanted] = np.arange(len(self._wanted))

    def __call__(self, band: Band) -> Rows:
        """Rows of a band that are understood; values are float32 mm."""
        starts = line_starts(band.text, band.used)
        numbers, labels, odd = self._plainly(band, starts)
        cut = self.ending(band) == "cut"
        odd[-1:] |= cut
        blank, careful, rejected = set(), {}, {}
        for line in np.flatnonzero(odd).tolist():
            raw = band.text[starts[line] : starts[line + 1]].tobytes()
            last = cut and line == starts.size - 2
            if not raw.strip():
                blank.add(line)
                continue
            try:
                careful[line], numbers[line] = self._with_care(raw, last)
            except (BadRowError, csv.Error) as reason:
                rejected[line] = str(reason)
        valid = np.ones(starts.size - 1, bool)
        valid[[*blank, *rejected]] = False
        rejected |= self._misplaced(numbers, valid)
        valid[list(rejected)] = False
        lines, n_numbers = np.flatnonzero(valid), len(self.numbers)
        return Rows(
            point_ids=_labels(band.text, labels, lines, careful),
            numbers=numbers[lines, :n_numbers],
            values=(numbers[lines, n_numbers:] * self._factor).astype(np.float32),
            lines=lines,
            rejected=sorted(rejected.items()),
            n_lines=starts.size - 1,
            n_rows=starts.size - 1 - len(blank),
            n_careful=len(careful) + len(rejected),
            reach=(np.inf, np.inf, -np.inf, -np.inf),
        )

    def ending(self, band: Band) -> Literal["whole", "cut", "unknown"]:
        """Whether the last number of the file is whole, by those above it where no line break follows it.

        It is where it has as many decimals as they have, and was cut where it has fewer; where theirs vary, or it has
        more, nobody knows.
        """
        text = band.text[: band.used].tobytes().rstrip(PADDED) if band.last else b""
        if not text or text.endswith((b"\n", b"\r")):
            return "whole"
        lines = text[-TAIL:].split(b"\n")[1 if len(text) > TAIL else 0 :]
        if not lines:  # one line longer than what is looked at
            return "unknown"
        *above, last = (line.rpartition(b",")[2].decode("utf-8", "replace").strip(' "\r').lower() for line in lines)
        known = {_n_decimals(cell) for cell in above}
        (usual, *others), found = known or {None}, _n_decimals(last)
        if usual is not None and not others and "e" not in last and (found is None or found <= usual):
            return "whole" if found == usual else "cut"
        if self._kinds[-1] == decimals.SKIP:
            return "whole"
        readable = (NUMBER.fullmatch(last) and last[-1] != ".") or (last in EMPTY and last in above)
        return "unknown" if readable else "cut"

    def _plainly(
        self, band: Band, starts: npt.NDArray[np.int64]
    ) -> tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """What the kernels read, and which lines they do not."""
        text, kinds = band.text, self._kinds
        numbers, labels, after, verdicts = decimals.parse_leading(text, starts, kinds[:-1], len(self._wanted))
        commas = np.flatnonzero(text[: band.used] == COMMA)
        odd = (verdicts != decimals.PLAIN) | (np.diff(np.searchsorted(commas, starts)) != len(kinds) - 1)
        if kinds[-1] >= 0:
            cells: npt.NDArray[Any] = np.empty((starts.size - 1, 1))
            odd |= decimals.parse_floats(text, starts, after, np.arange(starts.size - 1), 1, cells)[1] != decimals.PLAIN
            numbers[:, kinds[-1]] = cells[:, 0]
        odd |= kinds[-1] == decimals.LABEL
        return numbers, labels, odd

    def _with_care(self, raw: bytes, at_end: bool) -> tuple[str, list[float]]:
        """What the kernels do not read: quotes, exponents, words for a missing value; or the reason against the row."""
        if at_end:
            raise BadRowError("the file is cut off in this line: no line break, no last number like those above it")
        try:
            text = raw.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise BadRowError("not UTF-8 text") from None
        cells, names = next(csv.reader([text], skipinitialspace=True)), self._header.names
        if len(cells) != len(names):
            raise BadRowError(f"{len(cells)} columns, wanted {len(names)}")
        label = cells[self._label].strip()
        if not label or not (label.isascii() and label.isprintable()):
            raise BadRowError(f"column {names[self._label]}: {label!r} is no identifier")
        wanted = [cells[place] for place in self._wanted]
        # other programs print 7e-05: most rows of some files come here, and float alone is ten times as fast
        try:
            numbers = [float(cell) for cell in wanted]
        except ValueError:
            numbers = [math.nan]
        if not (raw.isascii() and b"_" not in raw and all(map(math.isfinite, numbers))):
            numbers = [careful_number(cell, names[place]) for cell, place in zip(wanted, self._wanted, strict=True)]
        return label, numbers

    def _misplaced(self, numbers: Floats, valid: npt.NDArray[np.bool_]) -> dict[int, str]:
        """Reasons against rows without a place on Earth."""
        reasons: dict[int, str] = {}
        for name, (least, most) in self._header.limits.items():
            column, printed = numbers[:, self.numbers.index(name)], self._header.names[self._header.columns[name]]
            for line in np.flatnonzero(valid & ~((column >= least) & (column <= most))).tolist():
                found = "empty" if np.isnan(column[line]) else f"{column[line]:.15g}"
                reasons.setdefault(line, f"column {printed}: {found}, {name} reaches from {least:.0f} to {most:.0f}")
        return reasons


def _day(name: str, dates: str) -> np.datetime64 | None:
    try:
        found = datetime.strptime(name, dates)
    except ValueError:
        return None
    return np.datetime64(found, "D") if found.strftime(dates) == name else None


def _n_decimals(cell: str) -> int | None:
    return len(cell.partition(".")[2]) if NUMBER.fullmatch(cell) and "e" not in cell else None


def _shape(name: str) -> str:
    return "".join("0" if c.isdigit() else c for c in name)


def _labels(
    text: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], lines: npt.NDArray[np.int64], careful: Mapping[int, Any]
) -> npt.NDArray[np.bytes_]:
    width = max([1, *(len(label) for label in careful.values()), int(labels[lines, 1].max(initial=1))])
    point_ids = decimals.cut_labels(text, labels[lines], width)
    for row in np.flatnonzero(np.isin(lines, list(careful))).tolist() if careful else []:
        point_ids[row] = careful[int(lines[row])].encode("ascii")
    return point_ids
