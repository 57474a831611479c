"""Levenberg-Marquardt for many three-parameter problems at once, each step the best one within the bounds.

A point is (alpha, h, gamma) with beta = h alpha; the bounds alpha >= 0, gamma >= 0, alpha + gamma <= 1, 0 <= h <= 1
make a prism. Most optima lie on its faces and edges, and a step that is merely clipped there stalls short of them: on
smoothed series from 112 starts each, the optimum was missed by one series in six. So each step minimises the damped
quadratic model over the whole prism: the best of the stationary points of the interior, the faces, edges and corners.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.extending import register_jitable

from insar_kernels.gpu import running
from insar_kernels.lanes import WIDTH, aligned, choose, load, spread, store

__all__ = ["search"]

Float32 = npt.NDArray[np.float32]
Index = npt.NDArray[np.intp]

FAST = {"contract", "nsz"}

TOLERANCE = 2e-5
"""A search ends once a step promises to lower the squares by less than this share of them."""

MAX_STEPS = 300
"""Seven of 588,600 searches take over 60, along narrow valleys."""

HUGE = 1e30

POINT, SQUARES, SLOPE, CURVE, DAMPING, TRIAL, PROMISE, DONE, STATE = 0, 3, 4, 7, 13, 14, 17, 18, 19
"""Places of what a search remembers: best point, its squares and their model, damping, next point, what it promises."""


def search(
    xp: Any, evaluate: Callable[[Any, Any], Any], starts: Any, compiled: bool
) -> tuple[Any, Any, npt.NDArray[np.bool_]]:
    """Points (k, 3) of small squares, searched for from ``starts``; their squares; whether each search converged.

    ``evaluate(at, gains)`` returns the fits (len(at), 10) of the problems ``at``: squares, half their gradient and the
    Gauss-Newton matrix with respect to the gains (alpha, alpha beta, gamma).
    """
    state = xp.zeros((len(starts), STATE), xp.float32)
    state[:, SQUARES], state[:, DAMPING], state[:, TRIAL : TRIAL + 3], state[:, PROMISE] = HUGE, 5e-3, starts, 1.0
    at = xp.arange(len(starts))
    for _ in range(MAX_STEPS):
        fits = evaluate(at, gains_of(xp, state[at, TRIAL : TRIAL + 3]))
        if xp is not np:
            running.over_rows(_advance_on_gpu, len(at), len(at), state, at, fits)
        elif compiled:
            _advance_on_lanes(state, at, fits, aligned(STATE + 10))
        else:
            rows = state[at].T
            _advance(rows, fits.T)
            state[at] = rows.T
        at = at[state[at, DONE] == 0.0]
        if not at.size:
            break
    squares = state[:, SQUARES]
    return state[:, POINT : POINT + 3], squares, (state[:, DONE] > 0.0) & (squares < HUGE)


def gains_of(xp: Any, points: Any) -> Any:
    """(alpha, alpha beta, gamma) of (alpha, beta / alpha, gamma)."""
    a, h, g = points[:, 0], points[:, 1], points[:, 2]
    return xp.stack([a, h * a * a, g], axis=1)


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def _advance_on_lanes(state: Float32, at: Index, fits: Float32, work: Float32) -> None:
    states, found = work[:STATE], work[STATE:]
    for first in range(0, len(at), WIDTH):
        for lane in range(WIDTH):
            i = min(first + lane, len(at) - 1)
            for p in range(STATE):
                states[p, lane] = state[at[i], p]
            for p in range(10):
                found[p, lane] = fits[i, p]
        _advance(states, found)
        for lane in range(min(WIDTH, len(at) - first)):
            for p in range(STATE):
                state[at[first + lane], p] = states[p, lane]


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _advance(state: Any, fits: Any) -> None:
    """Judge the trial by its fit, take it if it is better, and choose the next one."""
    _judge(state, fits)
    _take_if_better(state, fits)
    _propose(state)


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _judge(state: Any, fits: Any) -> None:
    old, new, damping = load(state, SQUARES), load(fits, 0), load(state, DAMPING)
    ratio = (old - new) / load(state, PROMISE)
    milder = choose(spread(0.75), ratio, damping * spread(0.2), damping)
    milder = choose(ratio, spread(0.25), damping * spread(4.0), milder)
    harder = choose(damping, spread(1e-3), spread(4e-3), damping * spread(4.0))
    store(state, DAMPING, choose(new, old, milder, harder))


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _take_if_better(state: Any, fits: Any) -> None:
    """The model in alpha, h, gamma follows from that in alpha, c = h alpha^2, gamma by the chain rule."""
    a, h = load(state, TRIAL), load(state, TRIAL + 1)
    by_a, by_h = h * a + h * a, a * a
    slope_c, ac, cc, cg = load(fits, 2), load(fits, 5), load(fits, 7), load(fits, 8)
    old, new = load(state, SQUARES), load(fits, 0)
    for p in range(3):
        store(state, POINT + p, choose(new, old, load(state, TRIAL + p), load(state, POINT + p)))
    store(state, SLOPE, choose(new, old, load(fits, 1) + by_a * slope_c, load(state, SLOPE)))
    store(state, SLOPE + 1, choose(new, old, by_h * slope_c, load(state, SLOPE + 1)))
    store(state, SLOPE + 2, choose(new, old, load(fits, 3), load(state, SLOPE + 2)))
    aa = load(fits, 4) + by_a * (ac + ac + by_a * cc)
    store(state, CURVE, choose(new, old, aa, load(state, CURVE)))
    store(state, CURVE + 1, choose(new, old, by_h * (ac + by_a * cc), load(state, CURVE + 1)))
    store(state, CURVE + 2, choose(new, old, load(fits, 6) + by_a * cg, load(state, CURVE + 2)))
    store(state, CURVE + 3, choose(new, old, by_h * by_h * cc, load(state, CURVE + 3)))
    store(state, CURVE + 4, choose(new, old, by_h * cg, load(state, CURVE + 4)))
    store(state, CURVE + 5, choose(new, old, load(fits, 9), load(state, CURVE + 5)))
    store(state, SQUARES, choose(new, old, new, old))


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _propose(state: Any) -> None:
    """Least of the damped model over the prism, as the next trial."""
    zero, one = spread(0.0), spread(1.0)
    a, h, g = load(state, POINT), load(state, POINT + 1), load(state, POINT + 2)
    slope_a, slope_h, slope_g = load(state, SLOPE), load(state, SLOPE + 1), load(state, SLOPE + 2)
    aa, ah, ag = load(state, CURVE), load(state, CURVE + 1), load(state, CURVE + 2)
    hh, hg, gg = load(state, CURVE + 3), load(state, CURVE + 4), load(state, CURVE + 5)
    largest = choose(aa, hh, hh, aa)
    floor = choose(largest, gg, gg, largest) * spread(1e-7) + spread(1e-30)
    more = one + load(state, DAMPING)
    daa, dhh, dgg = aa * more + floor, hh * more + floor, gg * more + floor

    least = spread(HUGE) + (a - a)
    best_a, best_h, best_g = a, h, g
    for face in range(3):  # h free, 0, 1
        if face == 0:
            maa, mag, mgg = daa - ah * ah / dhh, ag - ah * hg / dhh, dgg - hg * hg / dhh
            pull_a, pull_g = slope_a - ah * slope_h / dhh, slope_g - hg * slope_h / dhh
        else:
            step_h = (zero if face == 1 else one) - h
            maa, mag, mgg, pull_a, pull_g = daa, ag, dgg, slope_a + ah * step_h, slope_g + hg * step_h
        for edge in range(4):  # of the triangle: none, alpha = 0, gamma = 0, alpha + gamma = 1
            if edge == 0:
                scale = one / (maa * mgg - mag * mag)
                x, z = a - (mgg * pull_a - mag * pull_g) * scale, g - (maa * pull_g - mag * pull_a) * scale
            elif edge == 1:
                x, z = zero + (a - a), _clip(g - (pull_g - mag * a) / mgg)
            elif edge == 2:
                x, z = _clip(a - (pull_a - mag * g) / maa), zero + (a - a)
            else:
                rest = one - a - g
                x = _clip(a - (pull_a - pull_g + (mag - mgg) * rest) / (maa - mag - mag + mgg))
                z = one - x
            if face == 0:
                y = h - (slope_h + ah * (x - a) + hg * (z - g)) / dhh
            else:
                y = (zero if face == 1 else one) + (a - a)
            u, v, w = x - a, y - h, z - g
            value = slope_a * u + slope_h * v + slope_g * w + ah * u * v + ag * u * w + hg * v * w
            value = value + spread(0.5) * (daa * u * u + dhh * v * v + dgg * w * w)
            value = _bar(_bar(_bar(value, y), one - y), x) if face == 0 else _bar(value, x)
            value = _bar(_bar(value, z), spread(1.000001) - x - z)
            best_a, best_h = choose(value, least, x, best_a), choose(value, least, y, best_h)
            best_g = choose(value, least, z, best_g)
            least = choose(value, least, value, least)

    store(state, TRIAL, best_a)
    store(state, TRIAL + 1, best_h)
    store(state, TRIAL + 2, best_g)
    u, v, w = best_a - a, best_h - h, best_g - g
    linear = slope_a * u + slope_h * v + slope_g * w
    cross = ah * u * v + ag * u * w + hg * v * w
    promise = -(linear + linear + cross + cross + aa * u * u + hh * v * v + gg * w * w)
    store(state, PROMISE, promise)
    store(state, DONE, choose(spread(TOLERANCE) * load(state, SQUARES), promise, zero, one))


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _clip(x: Any) -> Any:
    zero, one = spread(0.0), spread(1.0)
    x = choose(x, zero, zero, x)
    return choose(one, x, one, x)


@register_jitable(fastmath=FAST, error_model="numpy", boundscheck=False)
def _bar(value: Any, distance: Any) -> Any:
    """``value`` within the bound, no choice beyond it."""
    return choose(distance, spread(0.0), spread(HUGE), value)


def _advance_on_gpu(k: int, thread: int, state: Any, at: Any, fits: Any) -> None:
    _advance(state[at[k]], fits[k])
