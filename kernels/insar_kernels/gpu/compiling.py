"""Machine code of a GPU from plain functions, by numba-cuda."""

# mypy: allow-untyped-calls, disable-error-code="attr-defined"
from __future__ import annotations

import math
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np
from numba import cuda

from insar_kernels import lanes
from insar_kernels.gpu import running

__all__ = ["compiled", "launch"]

BLOCK, DATES, READ = running.ALONG, 16, running.READ
"""Rows and dates of a tile, and tiles of a block; rows are 17 numbers apart, so that no two threads meet in a bank."""

APART = DATES + 1
STEP = BLOCK // DATES

cuda.config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # that a few series do not fill a GPU is no news


def launch(kind: str, body: Any, blocks: Any, block: Any, height: int, width: int, arrays: tuple[Any, ...]) -> None:
    """Start a body on CuPy's own stream: what CuPy did before and does after stays in order, and nobody waits.

    Parameters
    ----------
    kind : {"cells", "rows", "series"}
    blocks, block : int, or two
        Blocks of the grid, and threads of each.
    height, width : int
        Places; or rows or series, and the threads that share them.
    arrays : tuple
        CuPy arrays and numbers.
    """
    import cupy

    current = cupy.cuda.get_current_stream().ptr
    stream = cuda.external_stream(current) if current else 0  # 0, CUDA's default, is nobody's own
    given = tuple(cuda.as_cuda_array(a, sync=False) if isinstance(a, cupy.ndarray) else a for a in arrays)
    compiled(kind, body)[blocks, block, stream](height, width, given)


@cache
def compiled(kind: str, body: Any) -> Any:
    """Loop of one thread over its places; what it is compiled for shows when it is first started."""
    at = _on_device(body)

    def over_cells(height, width, arrays):  # type: ignore[no-untyped-def]
        left, top = cuda.grid(2)
        across, down = cuda.gridsize(2)
        for i in range(top, height, down):
            for j in range(left, width, across):
                at(i, j, *arrays)

    def over_rows(n, n_threads, arrays):  # type: ignore[no-untyped-def]
        thread = cuda.grid(1)
        if thread < n_threads:
            for i in range(thread, n, n_threads):
                at(i, thread, *arrays)

    def over_series(n, n_threads, arrays):  # type: ignore[no-untyped-def]
        tiles = cuda.shared.array((READ, BLOCK, APART), np.float32)  # the simulator has one of a line
        rows = cuda.shared.array(BLOCK, np.int64)
        thread, me = cuda.grid(1), cuda.threadIdx.x
        for first in range(thread - me, n, n_threads):  # as often for all of a block, who wait for one another
            rows[me] = min(first + me, n - 1)
            at(rows[me], thread, (tiles, rows), *arrays)

    return cuda.jit({"cells": over_cells, "rows": over_rows, "series": over_series}[kind])


@cache
def _on_device(function: Any) -> Any:
    """A function, and those of this package that it calls, for threads of the GPU."""
    plain = STAND_INS.get(function, function)
    called = {
        name: _on_device(value)
        for name in plain.__code__.co_names
        if isinstance(value := plain.__globals__.get(name), FunctionType)
        and value.__module__.partition(".")[0] == "insar_kernels"
    }
    copy = FunctionType(plain.__code__, plain.__globals__ | called, plain.__name__, plain.__defaults__)
    return cuda.jit(device=True)(copy)


def _load(array: Any, i: Any) -> Any:
    return array[i]


def _store(array: Any, i: Any, x: Any) -> None:
    array[i] = x


def _spread(x: Any) -> Any:
    return np.float32(x)


def _root(x: Any) -> Any:
    return math.sqrt(x)


def _choose(a: Any, b: Any, x: Any, y: Any) -> Any:
    return x if a < b else y


def _date(tiles: Any, of: Any, series: Any, i: Any, t: Any) -> Any:
    """A number of this thread's row, out of a tile that the block fetches at every sixteenth date.

    A warp takes 16 dates of two rows; eight requests of a thread are on their way before the first is waited for.
    """
    kept, rows = tiles
    me, at = cuda.threadIdx.x, t % DATES
    if at == 0:
        cuda.syncthreads()
        row, column = me // DATES, me % DATES
        if t + column < series.shape[1]:
            for first in range(row, BLOCK, 8 * STEP):
                a = series[rows[first], t + column]
                b = series[rows[first + STEP], t + column]
                c = series[rows[first + 2 * STEP], t + column]
                d = series[rows[first + 3 * STEP], t + column]
                e = series[rows[first + 4 * STEP], t + column]
                f = series[rows[first + 5 * STEP], t + column]
                g = series[rows[first + 6 * STEP], t + column]
                h = series[rows[first + 7 * STEP], t + column]
                kept[of, first, column], kept[of, first + STEP, column] = a, b
                kept[of, first + 2 * STEP, column], kept[of, first + 3 * STEP, column] = c, d
                kept[of, first + 4 * STEP, column], kept[of, first + 5 * STEP, column] = e, f
                kept[of, first + 6 * STEP, column], kept[of, first + 7 * STEP, column] = g, h
        cuda.syncthreads()
    return kept[of, me, at]


STAND_INS: dict[Any, Any] = {
    lanes.load: _load,
    lanes.store: _store,
    lanes.spread: _spread,
    lanes.root: _root,
    lanes.choose: _choose,
    running.date: _date,
}
"""What plain functions are on a GPU. A row of lanes is one number of a thread's column: loops that were written for
lanes run as they are."""
