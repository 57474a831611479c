"""Printed numbers, from the bytes of a CSV file to arrays, without the interpreter in between: any plain decimal.

The columns before the dates are parsed byte by byte, and so are dates as float32; ``decimal_tenths`` parses dates of
one decimal eight bytes at a time. What is no plain decimal (quotes, exponents, words) marks its row ``ODD`` for the
caller to read with care.

Texts are arrays of uint8 with at least ``PADDING`` bytes more than are in use. Rows do not depend on each other, so
callers parse bands of a file in threads (``nogil``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.text_lines import Bytes, Places, line_end

__all__ = [
    "LABEL",
    "ODD",
    "PADDING",
    "PLAIN",
    "SKIP",
    "cut_labels",
    "parse_floats",
    "parse_leading",
    "plain_decimal",
]

Verdicts = npt.NDArray[np.uint8]

PADDING = 8
"""Bytes that must follow the text in its array: cells are read eight bytes at a time."""

PLAIN, ODD = 0, 1
"""Verdict on a row: understood; not understood."""

SKIP, LABEL = -1, -2
"""Kinds of a column that is no number: ignored; the text that names the row."""

COMMA, SPACE, QUOTE, DELETE = 44, 32, 34, 127
PLUS, MINUS, POINT, ZERO, NINE = 43, 45, 46, 48, 57
MOST_DIGITS = 15  # a float64 holds any integer of 15 digits, so mantissa / 10^decimals is rounded once, as float() does
POWERS = 10.0 ** np.arange(MOST_DIGITS + 1)


@njit(nogil=True, cache=True)
def plain_decimal(text: Bytes, place: int, end: int) -> tuple[int, int, int, bool]:
    """Mantissa, number of decimals (-1: an empty cell), the end of the cell, whether it is a plain decimal."""
    while place < end and text[place] == SPACE:
        place += 1
    negative = place < end and text[place] == MINUS
    if place < end and (negative or text[place] == PLUS):
        place += 1
    signed = place
    mantissa, digits, decimals, after_point = 0, 0, 0, 0
    while place < end:
        byte = text[place]
        if ZERO <= byte <= NINE:
            mantissa = mantissa * 10 + (byte - ZERO)
            digits += 1
            decimals += after_point
        elif byte == POINT and after_point == 0:
            after_point = 1
        else:
            break
        place += 1
        if digits > MOST_DIGITS:
            return 0, 0, place, False
    stopped = place
    while place < end and text[place] == SPACE:
        place += 1
    closed = place == end or text[place] == COMMA
    if digits == 0:
        bare = stopped == signed and (stopped == 0 or (text[stopped - 1] != MINUS and text[stopped - 1] != PLUS))
        return 0, -1, place, closed and bare
    return -mantissa if negative else mantissa, decimals, place, closed


@njit(nogil=True, cache=True)
def _number(text: Bytes, place: int, end: int) -> tuple[float, int, bool]:
    mantissa, decimals, place, plain = plain_decimal(text, place, end)
    if decimals < 0:
        return np.nan, place, plain
    return mantissa / POWERS[decimals], place, plain


@njit(nogil=True, cache=True)
def _label(text: Bytes, place: int, end: int) -> tuple[int, int, int, bool]:
    """First byte of a text cell, its length, the end of the cell, whether it is plain ASCII (or quoted)."""
    start = place
    while place < end and text[place] != COMMA:
        place += 1
    stop = place
    while start < stop and text[start] == SPACE:
        start += 1
    while stop > start and text[stop - 1] == SPACE:
        stop -= 1
    if stop - start >= 2 and text[start] == QUOTE and text[stop - 1] == QUOTE:
        start, stop = start + 1, stop - 1
    plain = stop > start
    for k in range(start, stop):
        plain &= (SPACE <= text[k] < DELETE) & (text[k] != QUOTE)
    return start, stop - start, place, plain


def cut_labels(text: Bytes, labels: Places, width: int) -> npt.NDArray[np.bytes_]:
    """Labels of ``parse_leading`` as byte strings of at most ``width``; (lines,)."""
    found = np.zeros((len(labels), width), np.uint8)
    _cut_labels(text, labels, found)
    return found.view(f"S{width}").ravel()


@njit(nogil=True, cache=True)
def _cut_labels(text: Bytes, labels: Places, found: npt.NDArray[np.uint8]) -> None:
    for line in range(labels.shape[0]):
        for k in range(labels[line, 1]):
            found[line, k] = text[labels[line, 0] + k]


def parse_leading(
    text: Bytes, starts: Places, kinds: Places, n_numbers: int
) -> tuple[npt.NDArray[np.float64], Places, Places, Verdicts]:
    """Parse the columns of every line that come before its dates.

    Parameters
    ----------
    text : ndarray of uint8
        Lines, and ``PADDING`` bytes more.
    starts : ndarray of int64, (lines + 1,)
        As of ``line_starts``.
    kinds : ndarray of int64, (columns,)
        What each leading column is: ``LABEL``, ``SKIP``, or the place among the numbers returned.
    n_numbers : int
        How many numbers a line has.

    Returns
    -------
    numbers : ndarray of float64, (lines, n_numbers)
        Equal to ``float(cell)``; NaN where empty.
    labels : ndarray of int64, (lines, 2)
        Offset and length of the label.
    after : ndarray of int64, (lines,)
        Offset of the first date's cell.
    verdicts : ndarray of uint8, (lines,)
        ``PLAIN`` or ``ODD``.
    """
    lines = starts.size - 1
    numbers = np.full((lines, n_numbers), np.nan)
    labels, after = np.zeros((lines, 2), np.int64), np.zeros(lines, np.int64)
    verdicts = np.zeros(lines, np.uint8)
    _parse_leading(text, starts, kinds, numbers, labels, after, verdicts)
    return numbers, labels, after, verdicts


@njit(nogil=True, cache=True)
def _parse_leading(
    text: Bytes,
    starts: Places,
    kinds: Places,
    numbers: npt.NDArray[np.float64],
    labels: Places,
    after: Places,
    verdicts: Verdicts,
) -> None:
    for line in range(starts.size - 1):
        place = starts[line]
        end = line_end(text, place, starts[line + 1])
        plain = True
        for kind in kinds:
            if kind >= 0:
                numbers[line, kind], place, good = _number(text, place, end)
                plain &= good
            else:
                start, length, place, good = _label(text, place, end)
                if kind == LABEL:
                    labels[line, 0], labels[line, 1] = start, length
                    plain &= good
            plain &= place < end
            if not plain:
                break
            place += 1
        after[line] = place
        verdicts[line] = PLAIN if plain else ODD


def parse_floats(
    text: Bytes,
    starts: Places,
    after: Places,
    lines: Places,
    n_cells: int,
    out: npt.NDArray[np.float32] | None = None,
) -> tuple[npt.NDArray[np.float32], Verdicts]:
    """Parse the dates of some lines as float32, NaN where empty; as ``parse_tenths``, and never ``WIDE``."""
    values = np.empty((lines.size, n_cells), np.float32) if out is None else out
    verdicts = np.zeros(lines.size, np.uint8)
    _parse_floats(text, starts, after, lines, values, verdicts)
    return values, verdicts


@njit(nogil=True, cache=True)
def _parse_floats(
    text: Bytes, starts: Places, after: Places, lines: Places, values: npt.NDArray[Any], verdicts: Verdicts
) -> None:
    for row in range(lines.size):
        place = after[lines[row]]
        end = line_end(text, starts[lines[row]], starts[lines[row] + 1])
        plain = True
        for cell in range(values.shape[1]):
            values[row, cell], place, good = _number(text, place, end)
            plain &= good & ((place == end) == (cell == values.shape[1] - 1))
            if not plain:
                break
            place += 1
        verdicts[row] = PLAIN if plain else ODD
