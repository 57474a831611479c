"""Numbers printed with a fixed point, from the bytes of a CSV file to arrays, without the interpreter in between.

A product file is almost all of one kind: comma, sign or not, a few digits, point, one digit. Eight bytes are loaded at
once, and such a cell is recognised, checked and turned into tenths without a branch on its content: 2.5 ns a cell,
2 GB/s on one thread (9 ns with a loop over the bytes). A row with any other cell goes through ``_decimal``; what that
does not understand either (quotes, exponents, words) marks its row ``ODD`` for the caller to read with care.

Texts are arrays of uint8 with at least ``PADDING`` bytes more than are in use. Rows do not depend on each other, so
callers parse bands of a file in threads (``nogil``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.cpython.unsafe import numbers as bits_of

__all__ = [
    "LABEL",
    "MISSING",
    "ODD",
    "PADDING",
    "PLAIN",
    "SKIP",
    "WIDE",
    "cut_labels",
    "line_starts",
    "parse_floats",
    "parse_leading",
    "parse_tenths",
]

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]
Verdicts = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Tenths = npt.NDArray[np.int16]

PADDING = 8
"""Bytes that must follow the text in its array: cells are read eight bytes at a time."""

MISSING = -32768
"""The int16 of an empty cell."""

PLAIN, ODD, WIDE = 0, 1, 2
"""Verdict on a row: understood; not understood; understood, but no multiple of 0.1 within +-3276.7."""

SKIP, LABEL = -1, -2
"""Kinds of a column that is no number: ignored; the text that names the row."""

COMMA, NEWLINE, RETURN, SPACE, QUOTE, DELETE = 44, 10, 13, 32, 34, 127
PLUS, MINUS, POINT, ZERO, NINE = 43, 45, 46, 48, 57
MOST_DIGITS = 15  # a float64 holds any integer of 15 digits, so mantissa / 10^decimals is rounded once, as float() does
LANES = 4  # rows cut into cells at a time
BLOCK = 64  # bytes looked at together for a line break

trailing_zeros: Any = bits_of.trailing_zeros
POWERS = 10.0 ** np.arange(MOST_DIGITS + 1)
ONE, BYTE, LARGEST, NONE = np.uint64(1), np.uint64(255), np.uint64(-MISSING - 1), np.uint64(MISSING + (1 << 16))
ONES = np.uint64(0x0101010101010101)
HIGH_BITS = np.uint64(0x8080808080808080)
COMMAS = np.uint64(0x2C2C2C2C2C2C2C2C)
ZEROS = np.uint64(0x3030303030303030)
SHAPE = np.uint64(0x302E303030303030)  # 00000.0 from the last byte down
BEYOND = np.uint64(0x767F767676767F7F)  # added to a byte less '0', sets its high bit unless it is 0..9 (0 where 7F)


def line_starts(text: Bytes, used: int) -> Places:
    r"""Offsets at which the lines of a text begin, with the end of the text as the last entry.

    Parameters
    ----------
    text : ndarray of uint8
        Bytes of whole lines; the last one may lack its line break.
    used : int
        Number of bytes in use.

    Returns
    -------
    ndarray of int64, (lines + 1,)

    >>> line_starts(np.frombuffer(b"a,1\nb,2\n", np.uint8), 8)
    array([0, 4, 8])
    """
    starts: Places = _line_starts(text[:used])
    return starts


@njit(nogil=True, cache=True)
def _line_starts(text: Bytes) -> Places:
    breaks = 0
    for byte in text:
        breaks += byte == NEWLINE
    whole = text.size == 0 or text[text.size - 1] == NEWLINE
    starts = np.empty(breaks + (1 if whole else 2), np.int64)
    starts[0] = 0
    line = 1
    for block in range(0, text.size, BLOCK):
        part = text[block : block + BLOCK]
        found = 0
        for byte in part:
            found += byte == NEWLINE
        if found:
            for place in range(part.size):
                if part[place] == NEWLINE:
                    starts[line] = block + place + 1
                    line += 1
    starts[starts.size - 1] = text.size
    return starts


def words_of(text: Bytes) -> Words:
    """Eight bytes from every byte of a text on, as a view: ``words[p]`` holds ``text[p:p+8]``, the first one lowest."""
    return np.ndarray((text.size - PADDING + 1,), np.dtype("<u8"), text.data, strides=(1,))


@njit(nogil=True, cache=True)
def _line_end(text: Bytes, start: int, stop: int) -> int:
    if stop > start and text[stop - 1] == NEWLINE:
        stop -= 1
    if stop > start and text[stop - 1] == RETURN:
        stop -= 1
    return stop


@njit(nogil=True, cache=True)
def _decimal(text: Bytes, place: int, end: int) -> tuple[int, int, int, bool]:
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
    mantissa, decimals, place, plain = _decimal(text, place, end)
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
        end = _line_end(text, place, starts[line + 1])
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


def parse_tenths(
    text: Bytes, starts: Places, after: Places, lines: Places, n_cells: int, out: Tenths | None = None
) -> tuple[npt.NDArray[np.int16], Verdicts]:
    """Parse the dates of some lines as tenths.

    Parameters
    ----------
    text, starts, after
        As of ``parse_leading``.
    lines : ndarray of int64, (rows,)
        Lines to parse.
    n_cells : int
        Cells from ``after`` to the end of each line.
    out : ndarray of int16, (rows, n_cells), optional
        Where to put the tenths.

    Returns
    -------
    tenths : ndarray of int16, (rows, n_cells)
        Ten times each value, exactly; ``MISSING`` where empty. Undefined in rows that are not ``PLAIN``.
    verdicts : ndarray of uint8, (rows,)
        ``PLAIN``, ``ODD`` (also a wrong number of cells) or ``WIDE``.
    """
    tenths = np.empty((lines.size, n_cells), np.int16) if out is None else out
    verdicts = np.zeros(lines.size, np.uint8)
    _parse_tenths(text, words_of(text), starts, after, lines, tenths, verdicts)
    return tenths, verdicts


@njit(nogil=True, cache=True)
def _parse_tenths(
    text: Bytes, words: Words, starts: Places, after: Places, lines: Places, tenths: Tenths, verdicts: Verdicts
) -> None:
    most, last = lines.size - 1, tenths.shape[1] - 1
    heads, lengths = np.empty((LANES, last), np.uint64), np.empty((LANES, last), np.uint64)
    ends = np.empty(LANES, np.int64)
    rows = np.empty(LANES, np.int64)
    for first in range(0, lines.size, LANES):
        inside = True
        for lane in range(LANES):
            rows[lane] = min(first + lane, most)
            ends[lane] = after[lines[rows[lane]]]
            # cutting a row that is none may run on for eight bytes a cell
            inside &= ends[lane] + PADDING * (last + 1) < words.size
        if inside:
            _cut_cells(words, ends, heads, lengths)
        for lane in range(LANES):
            row, line = rows[lane], lines[rows[lane]]
            end = _line_end(text, starts[line], starts[line + 1])
            out = tenths[row]
            if inside and _short_tenths(heads[lane], lengths[lane], out):
                out[last], stop, verdict = _tenths(text, ends[lane], end)
                verdicts[row] = ODD if verdict == PLAIN and stop != end else verdict
            else:
                verdicts[row] = _any_tenths(text, after[line], end, out)


@njit(nogil=True, cache=True)
def _cut_cells(words: Words, places: Places, heads: Words, lengths: Words) -> None:
    """Cut the cells of four rows at their commas: the eight bytes from each cell's start, and its length.

    The comma is the lowest zero byte of ``word ^ COMMAS`` (Mycroft's carry trick, 1987). A cell begins where the one
    before it ends, a chain of 17 cycles a cell: four rows at a time fill the waits (0.15 s for 313 MB, one row 0.29).
    ``places`` become the starts of the cells after these.
    """
    a, b, c, d = np.uint64(places[0]), np.uint64(places[1]), np.uint64(places[2]), np.uint64(places[3])
    for cell in range(heads.shape[1]):
        word = words[a]
        heads[0, cell], lengths[0, cell] = word, _to_comma(word)
        a += lengths[0, cell] + ONE
        word = words[b]
        heads[1, cell], lengths[1, cell] = word, _to_comma(word)
        b += lengths[1, cell] + ONE
        word = words[c]
        heads[2, cell], lengths[2, cell] = word, _to_comma(word)
        c += lengths[2, cell] + ONE
        word = words[d]
        heads[3, cell], lengths[3, cell] = word, _to_comma(word)
        d += lengths[3, cell] + ONE
    places[0], places[1], places[2], places[3] = a, b, c, d


@njit(nogil=True, inline="always")
def _to_comma(word: Any) -> Any:
    """Bytes before the first comma of a word; 8 or more where it has none (7 to a comma that would be its eighth)."""
    gap = word ^ COMMAS
    return np.uint64(trailing_zeros((gap - ONES) & ~gap & HIGH_BITS)) >> np.uint64(3)


@njit(nogil=True, cache=True)
def _short_tenths(heads: Words, lengths: Words, tenths: Tenths) -> bool:
    """Tenths of the cells of a row, all but the last; whether all are like ``-0000.0`` or empty.

    The cell is shifted against the top of its word, the sign out of it, '0' put below: its bytes must now look like
    00000.0. No branch, so that the loop runs on eight cells at once where the CPU has the registers.
    """
    strange = np.uint64(0)
    for cell in range(heads.size):
        word, length = heads[cell], lengths[cell]
        negative = np.uint64((word & BYTE) == np.uint64(MINUS))
        free = ((np.uint64(8) - length + negative) << np.uint64(3)) & np.uint64(63)
        digits = ((word >> (negative << np.uint64(3))) << free) | (ZEROS >> ((np.uint64(64) - free) & np.uint64(63)))
        digits ^= SHAPE
        odd = (digits | (digits + BEYOND)) & HIGH_BITS
        pairs = (digits >> np.uint64(16)) & np.uint64(0xFFFFFFFF)
        pairs = (pairs << np.uint64(3)) + (pairs << ONE) + (pairs >> np.uint64(8))
        size = (pairs & BYTE) * np.uint64(1000) + ((pairs >> np.uint64(16)) & BYTE) * np.uint64(10)
        size += digits >> np.uint64(56)
        odd |= np.uint64(length < np.uint64(3)) | np.uint64(length > np.uint64(7)) | np.uint64(size > LARGEST)
        empty = np.uint64(0) - np.uint64(length == np.uint64(0))
        strange |= odd & ~empty
        signed = (size ^ (np.uint64(0) - negative)) + negative
        tenths[cell] = np.int16((signed & ~empty) | (NONE & empty))
    return bool(strange == 0)


@njit(nogil=True, cache=True)
def _any_tenths(text: Bytes, place: int, end: int, tenths: Tenths) -> int:
    """Tenths of a row cell by cell, the verdict on it."""
    last = tenths.size - 1
    for cell in range(tenths.size):
        tenths[cell], stop, verdict = _tenths(text, place, end)
        if verdict == PLAIN and (stop == end) != (cell == last):
            verdict = ODD
        if verdict != PLAIN:
            return verdict
        place = stop + 1
    return PLAIN


@njit(nogil=True, cache=True)
def _tenths(text: Bytes, place: Any, end: int) -> tuple[int, int, int]:
    """Tenths of any plain decimal, the end of its cell, the verdict on it."""
    mantissa, decimals, stop, plain = _decimal(text, place, end)
    if not plain:
        return 0, stop, ODD
    if decimals < 0:
        return MISSING, stop, PLAIN
    if decimals == 0:
        mantissa *= 10
    while decimals > 1 and mantissa % 10 == 0:
        mantissa //= 10
        decimals -= 1
    if decimals > 1 or abs(mantissa) >= -MISSING:
        return 0, stop, WIDE
    return mantissa, stop, PLAIN


def parse_floats(
    text: Bytes,
    starts: Places,
    after: Places,
    lines: Places,
    n_cells: int,
    out: npt.NDArray[np.float32] | None = None,
) -> tuple[npt.NDArray[np.float32], Verdicts]:
    """Parse the dates of some lines as float32, NaN where empty; otherwise as ``parse_tenths``, and never ``WIDE``."""
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
        end = _line_end(text, starts[lines[row]], starts[lines[row] + 1])
        plain = True
        for cell in range(values.shape[1]):
            values[row, cell], place, good = _number(text, place, end)
            plain &= good & ((place == end) == (cell == values.shape[1] - 1))
            if not plain:
                break
            place += 1
        verdicts[row] = PLAIN if plain else ODD
