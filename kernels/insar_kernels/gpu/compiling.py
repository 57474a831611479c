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

__all__ = ["compiled", "launch"]


def launch(kind: str, body: Any, blocks: Any, block: Any, height: int, width: int, arrays: tuple[Any, ...]) -> None:
    """Start a body on CuPy's own stream: what CuPy did before and does after stays in order, and nobody waits.

    Parameters
    ----------
    kind : {"cells", "rows"}
    blocks, block : int, or two
        Blocks of the grid, and threads of each.
    height, width : int
        Places; or rows, and the threads that share them.
    arrays : tuple
        CuPy arrays and numbers.
    """
    import cupy

    cuda.dispatcher.config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # that a few series do not fill a GPU is no news
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

    return cuda.jit({"cells": over_cells, "rows": over_rows}[kind])


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


STAND_INS: dict[Any, Any] = {
    lanes.load: _load,
    lanes.store: _store,
    lanes.spread: _spread,
    lanes.root: _root,
    lanes.choose: _choose,
}
"""A row of lanes is one number of a thread's column: loops that were written for lanes run as they are."""
