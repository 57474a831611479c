"""Lines of a text given as bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["Bytes", "Places", "line_end", "line_starts"]

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

NEWLINE, RETURN = 10, 13
BLOCK = 64  # bytes looked at together for a line break


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


@njit(nogil=True, cache=True)
def line_end(text: Bytes, start: int, stop: int) -> int:
    """Where the last cell of a line ends that begins at ``start``, the next one at ``stop``: before its line break."""
    if stop > start and text[stop - 1] == NEWLINE:
        stop -= 1
    if stop > start and text[stop - 1] == RETURN:
        stop -= 1
    return stop
