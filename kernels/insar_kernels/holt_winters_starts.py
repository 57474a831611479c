"""Where to search: the lowest points of a grid of smoothing parameters that all series share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["MOST", "NODES", "pick"]

Float32 = npt.NDArray[np.float32]

ALPHAS = (0.004, 0.012, 0.03, 0.07, 0.15, 0.3, 0.45, 0.65, 0.85, 0.98)
BETAS = (0.0, 0.02, 0.06, 0.15, 0.4, 1.0)
"""As shares of alpha."""
GAMMAS = (0.0, 0.1, 0.4, 1.0)
"""As shares of 1 - alpha. The edge at 1 is a basin of its own: without it 2 % of hard series end elsewhere."""

SHAPE = (len(ALPHAS), len(BETAS), len(GAMMAS))

NODES = np.array([(a, h, k * (1.0 - a)) for a in ALPHAS for h in BETAS for k in GAMMAS], np.float32)
"""Points (alpha, beta / alpha, gamma)."""

MOST = 3
"""Starts of a series; each further one finds a lower minimum in less than 0.2 % of the series."""


def pick(xp: Any, table: Any, compiled: bool) -> Any:
    """Nodes of the lowest local minima of each row of ``table`` (n, nodes), lowest first; -1 where there are fewer.

    A node is a local minimum if none of its neighbours along one parameter is lower.
    """
    if compiled:
        picked = np.empty((len(table), MOST), np.int32)
        _pick_on_cpu(table, SHAPE, picked)
        return picked
    return _pick_on_array(xp, table)


@njit(nogil=True, cache=True, error_model="numpy")
def _pick_on_cpu(table: Float32, shape: tuple[int, int, int], picked: npt.NDArray[np.int32]) -> None:
    n_b, n_c = shape[1], shape[2]
    for i in range(len(table)):
        row = table[i]
        picked[i] = -1
        for node in range(row.size):
            a, b, c = node // (n_b * n_c), node // n_c % n_b, node % n_c
            value = row[node]
            if not value < np.inf:
                continue
            if (
                (a > 0 and row[node - n_b * n_c] <= value)
                or (b > 0 and row[node - n_c] <= value)
                or (c > 0 and row[node - 1] <= value)
                or (a < shape[0] - 1 and row[node + n_b * n_c] < value)
                or (b < n_b - 1 and row[node + n_c] < value)
                or (c < n_c - 1 and row[node + 1] < value)
            ):
                continue
            place = MOST
            while place > 0 and (picked[i, place - 1] < 0 or value < row[picked[i, place - 1]]):
                place -= 1
            for k in range(MOST - 1, place, -1):
                picked[i, k] = picked[i, k - 1]
            if place < MOST:
                picked[i, place] = node


def _pick_on_array(xp: Any, table: Any) -> Any:
    n = len(table)
    values = xp.where(xp.isnan(table), xp.float32(xp.inf), table).reshape(n, *SHAPE)
    lowest = xp.isfinite(values)
    for axis in (1, 2, 3):
        inner, outer = [slice(None)] * 4, [slice(None)] * 4
        inner[axis], outer[axis] = slice(1, None), slice(None, -1)
        lowest[tuple(inner)] &= values[tuple(inner)] < values[tuple(outer)]
        lowest[tuple(outer)] &= values[tuple(outer)] <= values[tuple(inner)]
    left, all_rows = xp.where(lowest, values, xp.inf).reshape(n, -1), xp.arange(n)
    picked = xp.empty((n, MOST), xp.int32)
    for k in range(MOST):
        node = left.argmin(1)
        picked[:, k] = xp.where(xp.isfinite(left[all_rows, node]), node, -1)
        left[all_rows, node] = xp.inf
    return picked
