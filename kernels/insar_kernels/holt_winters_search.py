"""Least squares over a box for many series at once: Levenberg-Marquardt on the three shares, whole arrays a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["search"]

Float64 = npt.NDArray[np.float64]

TOLERANCE = 1e-4
"""A search ends once a step would lower the squares by less than this share of them."""

MAX_STEPS = 60

Evaluate = Callable[[npt.NDArray[np.intp], Float64], tuple[Float64, Float64, Float64]]


def search(evaluate: Evaluate, shares: Float64) -> tuple[Float64, Float64, npt.NDArray[np.bool_]]:
    """Shares (n, 3) in [0, 1] that make the squares small, from the given ones; the squares; whether it converged.

    ``evaluate(index, shares)`` returns squares (n,), half their gradient (n, 3) and the Gauss-Newton matrix (n, 3, 3)
    with respect to the shares.
    """
    best = shares.copy()
    index = np.arange(len(shares))
    squares, slope, curve = evaluate(index, best)
    damping = np.full(len(best), 1e-3)
    active = np.isfinite(squares)
    converged = np.zeros(len(best), bool)
    for _ in range(MAX_STEPS):
        step, gain = _step(best, slope, curve, damping)
        converged |= active & (gain <= TOLERANCE * squares)
        active &= ~converged
        at = index[active]
        if not at.size:
            break
        tried = np.clip(best[at] + step[at], 0.0, 1.0)
        new, new_slope, new_curve = evaluate(at, tried)
        better = new < squares[at]
        damping[at] *= np.where(better, 0.1, 10.0)
        taken = at[better]
        best[taken], squares[taken] = tried[better], new[better]
        slope[taken], curve[taken] = new_slope[better], new_curve[better]
    return best, squares, converged


def _step(shares: Float64, slope: Float64, curve: Float64, damping: Float64) -> tuple[Float64, Float64]:
    """Damped Gauss-Newton step of the shares that are free to move, and the decrease of the squares it promises."""
    held = ((shares <= 0) & (slope >= 0)) | ((shares >= 1) & (slope <= 0))
    diagonal = np.diagonal(curve, axis1=1, axis2=2)
    floor = 1e-12 * diagonal.max(1, keepdims=True) + 1e-300
    damped = curve + np.eye(3) * (damping[:, None] * diagonal + floor)[:, None, :]
    damped = np.where(held[:, :, None] | held[:, None, :], np.eye(3), damped)
    damped = np.where(np.isfinite(damped), damped, np.eye(3))
    side = np.where(held | ~np.isfinite(slope), 0.0, -slope)
    step = np.linalg.solve(damped, side[:, :, None])[:, :, 0]
    step = np.clip(shares + step, 0.0, 1.0) - shares
    gain: Any = -2.0 * (step * slope).sum(1) - np.einsum("ni,nij,nj->n", step, curve, step)
    return step, np.where(np.isfinite(gain), gain, 0.0)
