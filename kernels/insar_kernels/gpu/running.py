"""Run a body at every place of an array on a GPU, a thread for each place.

A body is a plain function ``body(i, j, *arrays)`` that returns nothing. `insar_kernels.gpu.compiling` makes machine
code of it when it is first run; as it stands it runs without a GPU, place after place, which is how its mathematics is
tested. So a body does arithmetic on numbers and no more: no function of NumPy, no memory of its own, no word to other
threads. What it needs besides, the caller lays out as a column for each thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["over_cells", "over_rows", "room", "threads"]

Body = Callable[..., None]

ACROSS, DOWN = 32, 8
"""Threads of a block over cells: a warp takes neighbours of a row, whose memory comes in one piece."""

ALONG = 128
"""Threads of a block over rows."""

TALLEST = 65535
"""Blocks that CUDA takes in the second direction."""

RESIDENT = 256
"""Threads of a multiprocessor that have columns to write in: 0.7 KB of each then stay in its first cache."""


def over_cells(body: Body, height: int, width: int, *arrays: Any) -> None:
    """Run ``body(i, j, *arrays)`` for i < height and j < width, neighbouring j at a time."""
    if height and width:
        blocks = -(-width // ACROSS), min(-(-height // DOWN), TALLEST)
        _launch("cells", body, blocks, (ACROSS, DOWN), height, width, arrays)


def over_rows(body: Body, n: int, n_threads: int, *arrays: Any) -> None:
    """Run ``body(i, thread, *arrays)`` for i < n on so many threads, each of which takes one i after the other."""
    if n:
        _launch("rows", body, -(-n_threads // ALONG), ALONG, n, n_threads, arrays)


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
