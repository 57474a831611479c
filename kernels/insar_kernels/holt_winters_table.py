"""Least squares of many series at grid points that all share: one factor a point, two filters a series."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.extending import register_jitable

from insar_kernels.gpu import running
from insar_kernels.holt_winters_filters import FAST, backward, forward, solve_lower
from insar_kernels.holt_winters_innovations import scratch_rows, settle
from insar_kernels.lanes import WIDTH, aligned, load, spread, store

__all__ = ["tabulate"]

Float32 = npt.NDArray[np.float32]

AT_ONCE = 256
"""Series that the whole-array body tabulates at once: 0.1 GB at 300 points and 166 dates."""


def tabulate(xp: ModuleType, inputs: Any, gains: Any, period: int, compiled: bool) -> Any:
    """Squares of each series for each of the gains (nodes, 3) that all share: shape (n, nodes)."""
    length, n = inputs.shape[1], period + 1
    if xp is not np:
        return _table_on_gpu(xp, inputs, gains, period)
    if compiled:
        table = np.empty((len(inputs), len(gains)), np.float32)
        work = aligned(scratch_rows(length, period))
        factors = np.empty((len(gains), n * n), np.float32)
        _factors_on_lanes(gains, length, period, work, factors)
        _table_on_lanes(inputs, gains, factors, period, work, table)
        return table
    return _table_on_array(xp, inputs, gains, period)


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def _factors_on_lanes(gains: Float32, length: int, period: int, work: Float32, factors: Float32) -> None:
    n = period + 1
    series, given = work[-length:], work[-length - 3 : -length]
    series[:] = 0.0
    for first in range(0, len(gains), WIDTH):
        for lane in range(WIDTH):
            for p in range(3):
                given[p, lane] = gains[min(first + lane, len(gains) - 1), p]
        settle(series, length, period, given, work)
        for lane in range(min(WIDTH, len(gains) - first)):
            for k in range(n * n):
                factors[first + lane, k] = work[7 * length + k, lane]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def _table_on_lanes(
    inputs: Float32, gains: Float32, factors: Float32, period: int, work: Float32, table: Float32
) -> None:
    length, n = inputs.shape[1], period + 1
    series, given, found = work[-length:], work[-length - 3 : -length], work[-length - 13 : -length - 3]
    e, back = work[:length], work[length:]
    for first in range(0, len(inputs), WIDTH):
        for lane in range(WIDTH):
            for t in range(length):
                series[t, lane] = inputs[min(first + lane, len(inputs) - 1), t]
        for node in range(len(gains)):
            for p in range(3):
                store(given, p, spread(gains[node, p]))
            squares = forward(series, length, period, given, e)
            backward(e, length, period, given, back)
            store(found, 0, squares - _explained(factors[node], n, back))
            for lane in range(min(WIDTH, len(inputs) - first)):
                table[first + lane, node] = found[0, lane]


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _explained(factor: Float32, n: int, side: Any) -> Any:
    """Squares that the initial states take: those of the forward solution with a factor shared by the lanes.

    Four columns at once, so that a value of ``side`` is loaded and stored once for four products.
    """
    squares = load(side, 0) - load(side, 0)
    whole = n - n % 4
    for k in range(0, whole, 4):
        column = k * n
        x = load(side, k) * spread(factor[column + k])
        y = load(side, k + 1) - x * spread(factor[column + k + 1])
        z = load(side, k + 2) - x * spread(factor[column + k + 2])
        w = load(side, k + 3) - x * spread(factor[column + k + 3])
        column += n
        y = y * spread(factor[column + k + 1])
        z, w = z - y * spread(factor[column + k + 2]), w - y * spread(factor[column + k + 3])
        column += n
        z = z * spread(factor[column + k + 2])
        w = (w - z * spread(factor[column + k + 3])) * spread(factor[column + n + k + 3])
        squares = squares + x * x + y * y + z * z + w * w
        for i in range(k + 4, n):
            first = load(side, i) - x * spread(factor[k * n + i]) - y * spread(factor[(k + 1) * n + i])
            store(side, i, first - z * spread(factor[(k + 2) * n + i]) - w * spread(factor[(k + 3) * n + i]))
    for k in range(whole, n):
        x = load(side, k) * spread(factor[k * n + k])
        squares = squares + x * x
        for i in range(k + 1, n):
            store(side, i, load(side, i) - x * spread(factor[k * n + i]))
    return squares


def _table_on_array(xp: ModuleType, inputs: Any, gains: Any, period: int) -> Any:
    """All nodes at once, as the first of two axes of lanes; few series at a time, to bound the memory."""
    length, n, nodes = inputs.shape[1], period + 1, len(gains)
    shared = gains.T[:, :, None]
    work = xp.zeros((scratch_rows(length, period), nodes, 1), xp.float32)
    settle(xp.zeros((length, nodes, 1), xp.float32), length, period, shared, work)
    factor = work[7 * length : 7 * length + n * n].copy()
    table = xp.empty((len(inputs), nodes), xp.float32)
    for first in range(0, len(inputs), AT_ONCE):
        some = inputs[first : first + AT_ONCE]
        e, back = xp.empty((2, length, nodes, len(some)), xp.float32)
        squares = forward(some.T[:, None], length, period, shared, e)
        backward(e, length, period, shared, back)
        solve_lower(factor, n, back)
        table[first : first + AT_ONCE] = (squares - (back[:n] ** 2).sum(0)).T
    return table


def _table_on_gpu(xp: ModuleType, inputs: Any, gains: Any, period: int) -> Any:
    length, n = inputs.shape[1], period + 1
    factors, work = running.room(xp, len(gains), n * n, scratch_rows(length, period))
    nothing = xp.zeros(length, xp.float32)
    running.over_rows(_factorise_on_gpu, len(gains), work.shape[1], nothing, gains, period, work, factors)
    table, work = running.room(xp, len(inputs), len(gains), 2 * length)
    running.over_rows(_tabulate_on_gpu, len(inputs), work.shape[1], inputs, gains, factors, period, work, table)
    return table


def _factorise_on_gpu(node: int, thread: int, nothing: Any, gains: Any, period: int, work: Any, factors: Any) -> None:
    length = nothing.shape[0]
    settle(nothing, length, period, gains[node], work[:, thread])
    for k in range((period + 1) * (period + 1)):
        factors[node, k] = work[7 * length + k, thread]


def _tabulate_on_gpu(
    i: int, thread: int, inputs: Any, gains: Any, factors: Any, period: int, work: Any, table: Any
) -> None:
    length = inputs.shape[1]
    e, back = work[:length, thread], work[length:, thread]
    for node in range(gains.shape[0]):
        squares = forward(inputs[i], length, period, gains[node], e)
        backward(e, length, period, gains[node], back)
        table[i, node] = squares - _explained(factors[node], period + 1, back)
