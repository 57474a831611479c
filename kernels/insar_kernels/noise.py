"""Gaussian noise that is a pure function of (seed, point, date): any block of any scene can be drawn on its own.

Every number comes from a counter, not from a state: SplitMix64 jumped to the place of the number, then the transform of
Box and Muller. So values depend neither on block sizes nor on the order in which blocks are made.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["correlated_noise", "gaussians", "uniforms"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST_FACTOR = np.uint64(0xBF58476D1CE4E5B9)
SECOND_FACTOR = np.uint64(0x94D049BB133111EB)
SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
HALF, LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
TO_UNIT = 2.0**-32


def uniforms(seed: int, stream: int, ids: Int64, n_values: int) -> Float32:
    """Uniform numbers in (0, 1) of each id.

    Parameters
    ----------
    seed, stream : int
        Which scene, and which of its independent streams.
    ids : array of int64, shape (N,)
        Identity of each row; equal ids give equal rows.
    n_values : int
        T.

    Returns
    -------
    array of float32, shape (N, T)
    """
    out = np.empty((ids.size, n_values), np.float32)
    _fill_uniforms(_key(seed, stream), ids, out)
    return out


def gaussians(seed: int, stream: int, ids: Int64, n_values: int) -> Float32:
    """Independent standard normal numbers of each id: as `uniforms`, shape (N, T)."""
    out = np.empty((ids.size, n_values), np.float32)
    _fill_gaussians(_key(seed, stream), ids, out)
    return out


def correlated_noise(
    seed: int, stream: int, ids: Int64, cells: Int64, shares: Float64, memory: tuple[float, float], n_times: int
) -> Float32:
    """Gaussian series of unit variance, correlated in time (ARMA(1, 1)) and between points of one ground cell.

    The innovation of a point is its own with variance ``1 - sum(shares)`` and that of each cell it lies in, so the
    correlation of two points is the sum of the shares of the cells they have in common.

    Parameters
    ----------
    seed, stream : int
        As in `uniforms`; ``len(shares) + 1`` streams are used from ``stream`` on.
    ids : array of int64, shape (N,)
        Identity of each point.
    cells : array of int64, shape (N, K)
        Identity of its cell on each of K levels.
    shares : array of float64, shape (K,)
        Share of the variance on each level.
    memory : tuple of float
        ``(phi, theta)`` of ``x[t] = phi x[t-1] + e[t] + theta e[t-1]``; the first date is already stationary.
    n_times : int
        T.

    Returns
    -------
    array of float32, shape (N, T)

    Notes
    -----
    SplitMix64: Steele, Lea & Flood (2014), doi:10.1145/2660193.2660195. Box & Muller (1958),
    doi:10.1214/aoms/1177706645.
    """
    keys = np.array([_key(seed, stream + level) for level in range(len(shares) + 1)], np.uint64)
    weights = np.sqrt(np.concatenate([[1.0 - shares.sum()], shares]))
    out = np.empty((ids.size, n_times), np.float32)
    _fill_correlated(keys, ids, np.ascontiguousarray(cells), weights, memory[0], memory[1], out)
    return out


def _key(seed: int, stream: int) -> np.uint64:
    return np.uint64(_mixed_key(np.uint64(seed), np.uint64(stream)))  # Numba hands back a signed Python int's width


@njit(nogil=True, cache=True, inline="always")
def _mix(state: np.uint64) -> np.uint64:
    state = (state ^ (state >> SHIFTS[0])) * FIRST_FACTOR
    state = (state ^ (state >> SHIFTS[1])) * SECOND_FACTOR
    return state ^ (state >> SHIFTS[2])


@njit(nogil=True, cache=True)
def _mixed_key(seed: np.uint64, stream: np.uint64) -> np.uint64:
    return _mix(_mix(seed + GOLDEN) + (stream + np.uint64(1)) * GOLDEN)


@njit(nogil=True, cache=True)
def _fill_uniforms(key: np.uint64, ids: Int64, out: Float32) -> None:
    for i in range(ids.size):
        state = _mix(key + np.uint64(ids[i]) * GOLDEN)
        for t in range(out.shape[1]):
            state += GOLDEN
            out[i, t] = ((_mix(state) >> np.uint64(40)) + 0.5) * 2.0**-24


@njit(nogil=True, cache=True)
def _fill_gaussians(key: np.uint64, ids: Int64, out: Float32) -> None:
    for i in range(ids.size):
        _gaussian_row(_mix(key + np.uint64(ids[i]) * GOLDEN), out[i])


@njit(nogil=True, cache=True)
def _gaussian_row(state: np.uint64, row: Float32) -> None:
    for t in range(0, row.size, 2):
        state += GOLDEN
        bits = _mix(state)
        radius = math.sqrt(-2.0 * math.log(((bits >> HALF) + 0.5) * TO_UNIT))
        angle = 2.0 * math.pi * TO_UNIT * (bits & LOW)
        row[t] = radius * math.cos(angle)
        if t + 1 < row.size:
            row[t + 1] = radius * math.sin(angle)


@njit(nogil=True, cache=True)
def _fill_correlated(
    keys: npt.NDArray[np.uint64],
    ids: Int64,
    cells: Int64,
    weights: Float64,
    phi: float,
    theta: float,
    out: Float32,
) -> None:
    n_levels, n_times = cells.shape[1], out.shape[1]
    drawn = np.empty((n_levels + 1, n_times + 1), np.float32)  # the last number starts the series
    innovation = np.empty(n_times + 1)
    sigma = math.sqrt((1.0 - phi * phi) / (1.0 + 2.0 * phi * theta + theta * theta))
    rest = math.sqrt(max(0.0, 1.0 - sigma * sigma))
    for i in range(ids.size):
        _gaussian_row(_mix(keys[0] + np.uint64(ids[i]) * GOLDEN), drawn[0])
        for t in range(n_times + 1):  # loops, not array expressions: they compile in a fifth of the time, 0.5 s
            innovation[t] = weights[0] * drawn[0, t]
        for level in range(n_levels):
            if i == 0 or cells[i, level] != cells[i - 1, level]:  # neighbours in storage mostly share their cells
                state = _mix(keys[level + 1] + np.uint64(cells[i, level]) * GOLDEN)
                _gaussian_row(state, drawn[level + 1])
            for t in range(n_times + 1):
                innovation[t] += weights[level + 1] * drawn[level + 1, t]
        value = sigma * innovation[0] + rest * innovation[n_times]
        out[i, 0] = value
        for t in range(1, n_times):
            value = phi * value + sigma * (innovation[t] + theta * innovation[t - 1])
            out[i, t] = value
