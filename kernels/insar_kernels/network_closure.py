"""Whole cycles that phase unwrapping got wrong, found by loops of three pairs that do not close, point by point."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["close_loops", "triplets"]

Int64 = npt.NDArray[np.int64]

TURN = 2 * np.pi

MOST_TURNS = 127
"""Of one value, as int8 holds them."""


def triplets(first: Int64, second: Int64) -> Int64:
    """Pairs ``(ab, bc, ac)`` of all loops of three, shape (L, 3), in order of ac, then ab.

    >>> triplets(np.array([0, 1, 0]), np.array([1, 2, 2])).tolist()
    [[0, 1, 2]]
    """
    number = {ends: pair for pair, ends in enumerate(zip(first.tolist(), second.tolist(), strict=True))}
    later: dict[int, list[int]] = {}
    for start, end in number:
        later.setdefault(start, []).append(end)
    found = [
        (number[a, b], number[b, c], ac) for (a, c), ac in number.items() for b in sorted(later[a]) if (b, c) in number
    ]
    return np.array(sorted(found, key=lambda loop: (loop[2], loop[0])), np.int64).reshape(-1, 3)


def close_loops(phase: Any, loops: Int64) -> tuple[Any, Any, Any]:
    """Change single values by whole cycles until loops close.

    k(loop) = round((ab + bc - ac) / 2 pi). In each open loop one change of a value by one cycle may lower the sum of
    |k| more than all others there; the best of these is made, the first pair of those equally good in different loops,
    until the sum is zero or no loop has one. Where two values of a loop explain it as well, nobody can tell which is
    wrong, and it is left open: a lone loop always is. So is the fraction of a cycle, which may be physical.

    Parameters
    ----------
    phase : array of float32 or float64, shape (..., P)
        Unwrapped phase [rad]; missing is NaN, and so are its loops.
    loops : array of int, shape (L, 3)
        As `triplets` gives them.

    Returns
    -------
    cycles : array of int8, shape (..., P)
        Turns to add to each value: the corrected phase is ``phase + 2 pi cycles``.
    open : array of bool, shape (..., P)
        Values in a loop that still is open by whole cycles; so are those that more than 127 would close.
    checked : array of bool, shape (..., P)
        Values in any loop at all; the others cannot be checked.
    """
    values = np.ascontiguousarray(phase)
    rows = values.reshape(int(np.prod(values.shape[:-1])), values.shape[-1])
    cycles = np.zeros(rows.shape, np.int8)
    still_open, checked = np.zeros((2, *rows.shape), np.bool_)
    starts, members = _loops_of_pairs(loops, rows.shape[1])
    _close(rows, loops, starts, members, cycles, still_open, checked)
    return tuple(array.reshape(values.shape) for array in (cycles, still_open, checked))  # type: ignore[return-value]


def _loops_of_pairs(loops: Int64, n_pairs: int) -> tuple[Int64, Int64]:
    """Loops of each pair, one pair after the other, and where each pair's begin."""
    flat = loops.ravel()
    order = np.argsort(flat, kind="stable")
    starts = np.searchsorted(flat[order], np.arange(n_pairs + 1))
    return starts.astype(np.int64), (order // 3).astype(np.int64)


@njit(nogil=True, cache=True, error_model="numpy")
def _close(
    rows: npt.NDArray[np.floating], loops: Int64, starts: Int64, members: Int64, cycles: Any, still_open: Any,
    checked: Any,
) -> None:  # fmt: skip
    turns = np.empty(len(loops), np.int64)
    known = np.empty(len(loops), np.bool_)
    for i in range(len(rows)):
        total = 0
        for loop in range(len(loops)):
            ab, bc, ac = loops[loop]
            gap = np.float64(rows[i, ab]) + rows[i, bc] - rows[i, ac]
            known[loop] = gap == gap
            turns[loop] = np.int64(np.round(gap / TURN)) if known[loop] else 0
            total += abs(turns[loop])
            if known[loop]:
                checked[i, ab] = checked[i, bc] = checked[i, ac] = True
        while total > 0:
            gain, pair, sign = _best(turns, known, loops, starts, members)
            if gain <= 0 or abs(np.int64(cycles[i, pair]) + sign) > MOST_TURNS:
                break
            cycles[i, pair] += sign
            for m in range(starts[pair], starts[pair + 1]):
                loop = members[m]
                if known[loop]:
                    turns[loop] += -sign if loops[loop, 2] == pair else sign
            total -= gain
        for loop in range(len(loops)):
            if turns[loop] != 0:
                for side in range(3):
                    still_open[i, loops[loop, side]] = True


@njit(nogil=True, cache=True, error_model="numpy")
def _best(
    turns: Int64, known: npt.NDArray[np.bool_], loops: Int64, starts: Int64, members: Int64
) -> tuple[int, int, int]:
    """The change of one cycle that lowers the sum of |turns| of known loops most: by how much, which pair and way.

    Only one that lowers it more than all others of a loop.
    """
    best, pair, sign = 0, -1, 0
    for loop in range(len(loops)):
        if turns[loop] == 0:
            continue
        top, likely, turned, tied = 0, -1, 0, False
        for side in range(3):
            candidate = loops[loop, side]
            for way in (-1, 1):
                gain = 0
                for m in range(starts[candidate], starts[candidate + 1]):
                    other = members[m]
                    if not known[other]:
                        continue
                    step = -way if loops[other, 2] == candidate else way
                    gain += abs(turns[other]) - abs(turns[other] + step)
                if gain > top:
                    top, likely, turned, tied = gain, candidate, way, False
                elif gain == top:
                    tied = True
        if not tied and (top > best or (top == best and top > 0 and likely < pair)):
            best, pair, sign = top, likely, turned
    return best, pair, sign
