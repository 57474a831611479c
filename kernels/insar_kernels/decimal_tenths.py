"""Tenths printed with a fixed point, from the bytes of a CSV file to int16.

A product file is almost all of one kind: comma, sign or not, a few digits, point, one digit. Eight bytes are loaded at
once, and such a cell is recognised, checked and turned into tenths without a branch on its content: 2.5 ns a cell,
2 GB/s on one thread (9 ns with a loop over the bytes). A row with any other cell goes through ``plain_decimal``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.cpython.unsafe import numbers as bits_of

from insar_kernels.decimals import MINUS, ODD, PADDING, PLAIN, Verdicts, plain_decimal
from insar_kernels.text_lines import Bytes, Places, line_end

__all__ = ["MISSING", "WIDE", "parse_tenths"]

Words = npt.NDArray[np.uint64]
Tenths = npt.NDArray[np.int16]

MISSING = -32768
"""The int16 of an empty cell."""

WIDE = 2
"""Verdict on a row: understood, but no multiple of 0.1 within +-3276.7."""

LANES = 4  # rows cut into cells at a time

trailing_zeros: Any = bits_of.trailing_zeros
ONE, BYTE, LARGEST, NONE = np.uint64(1), np.uint64(255), np.uint64(-MISSING - 1), np.uint64(MISSING + (1 << 16))
ONES = np.uint64(0x0101010101010101)
HIGH_BITS = np.uint64(0x8080808080808080)
COMMAS = np.uint64(0x2C2C2C2C2C2C2C2C)
ZEROS = np.uint64(0x3030303030303030)
SHAPE = np.uint64(0x302E303030303030)  # 00000.0 from the last byte down
BEYOND = np.uint64(0x767F767676767F7F)  # added to a byte less '0', sets its high bit unless it is 0..9 (0 where 7F)


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
    _parse_tenths(text, _words_of(text), starts, after, lines, tenths, verdicts)
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
            end = line_end(text, starts[line], starts[line + 1])
            out = tenths[row]
            if inside and _short_tenths(heads[lane], lengths[lane], out):
                out[last], stop, verdict = _tenths(text, ends[lane], end)
                verdicts[row] = ODD if verdict == PLAIN and stop != end else verdict
            else:
                verdicts[row] = _any_tenths(text, after[line], end, out)


def _words_of(text: Bytes) -> Words:
    """Eight bytes from every byte of a text on, as a view: ``words[p]`` holds ``text[p:p+8]``, the first one lowest."""
    return np.ndarray((text.size - PADDING + 1,), np.dtype("<u8"), text.data, strides=(1,))


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
    mantissa, decimals, stop, plain = plain_decimal(text, place, end)
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
