"""Run a body at every place of an array on a GPU, a thread for each place.

A body is a plain function ``body(i, j, *arrays)`` that returns nothing. `insar_kernels.gpu.compiling` makes machine
code of it when it is first run; as it stands it runs without a GPU, place after place, which is how its mathematics is
tested. So a body does arithmetic on numbers and no more: no function of NumPy, no memory of its own, no word to other
threads. What it needs besides, the caller lays out as a column for each thread. One thing only do threads do together:
those of a body over series fetch each other's numbers, by `date`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = [
    "ALONG",
    "ON_SERIES",
    "READ",
    "date",
    "over_cells",
    "over_rows",
    "over_series",
    "room",
    "series_threads",
    "threads",
]

Body = Callable[..., None]

ACROSS, DOWN = 32, 8
"""Threads of a block over cells: a warp takes neighbours of a row, whose memory comes in one piece."""

ALONG = 128
"""Threads of a block over rows or series."""

TALLEST = 65535
"""Blocks that CUDA takes in the second direction."""

RESIDENT = 256
"""Threads of a multiprocessor that have columns to write in: 0.7 KB of each then stay in its first cache."""

ON_SERIES = 7 * ALONG
"""Threads of a multiprocessor over series: their 72 registers fill it, and their requests keep the memory busy."""

READ = 3
"""Arrays that a body over series may read."""


def over_cells(body: Body, height: int, width: int, *arrays: Any) -> None:
    """Run ``body(i, j, *arrays)`` for i < height and j < width, neighbouring j at a time."""
    if height and width:
        blocks = -(-width // ACROSS), min(-(-height // DOWN), TALLEST)
        _launch("cells", body, blocks, (ACROSS, DOWN), height, width, arrays)


def over_rows(body: Body, n: int, n_threads: int, *arrays: Any) -> None:
    """Run ``body(i, thread, *arrays)`` for i < n on so many threads, each of which takes one i after the other."""
    if n:
        _launch("rows", body, -(-n_threads // ALONG), ALONG, n, n_threads, arrays)


def over_series(body: Body, n: int, *arrays: Any) -> None:
    """Run ``body(i, thread, tiles, *arrays)`` for i < n on `series_threads` of them; it reads row i by `date` alone.

    The last row is worked on by several threads, which write the same: a body changes nothing that it reads.
    """
    if n:
        n_threads = series_threads(n)
        _launch("series", body, n_threads // ALONG, ALONG, n, n_threads, arrays)


def date(tiles: Any, of: int, series: Any, i: int, t: int) -> Any:
    """``series[i, t]``, float32, in a body over series; ``of`` counts its arrays, 0 to `READ` - 1.

    Threads that each read a row of their own ask the memory for as many lines at every date. So on a GPU the threads of
    a block fetch 16 dates of all their rows together, into its ``tiles`` (`insar_kernels.gpu.compiling`), and a body
    reads each array from its first date to its last, whatever it finds there.
    """
    return series[i, t]


def series_threads(n: int) -> int:
    """How many threads work on ``n`` series: those of whole blocks, at most `ON_SERIES` to a multiprocessor."""
    return threads(-(-n // ALONG) * ALONG, ON_SERIES)


def threads(n: int, resident: int | None = None) -> int:
    """How many threads work on ``n`` rows: one each, but at most `RESIDENT`, or so many, to a multiprocessor."""
    import cupy

    most = RESIDENT if resident is None else resident
    return min(n, most * int(cupy.cuda.Device().attributes["MultiProcessorCount"]))


def room(xp: Any, n: int, width: int, rows: int) -> tuple[Any, Any]:
    """What ``n`` rows give, (n, width), and a column for each thread to work in, (rows, threads); both float32."""
    return xp.empty((n, width), xp.float32), xp.empty((rows, threads(n)), xp.float32)


def _launch(kind: str, body: Body, blocks: Any, block: Any, height: int, width: int, arrays: tuple[Any, ...]) -> None:
    from insar_kernels.gpu import compiling  # takes CUDA along, which others shall not pay for

    compiling.launch(kind, body, blocks, block, height, width, arrays)
