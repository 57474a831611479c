"""Least squares of each series: what `insar_kernels.harmonic` and `insar_kernels.variances` do, a thread a series."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from insar_kernels.gpu import running
from insar_kernels.nested_models import DEGENERATE, MIN_DATES

__all__ = ["component_variances", "motion"]

TERMS = 6
"""Columns of the models."""


def motion(xp: Any, values: Any, basis: Any, inverse: Any) -> tuple[Any, Any]:
    """The eight numbers of a fit (8, ...) and how many dates it has, as `insar_kernels.harmonic` defines them."""
    series = xp.ascontiguousarray(values, xp.float32).reshape(-1, values.shape[-1])
    n = len(series)
    fits, n_dates = xp.empty((8, n), xp.float32), xp.empty(n, xp.int32)
    n_threads = running.threads(n)
    work = xp.empty((TERMS * (TERMS + 3), n_threads))
    running.over_rows(_fit, n, n_threads, series, xp.asarray(basis), xp.asarray(inverse), work, fits, n_dates)
    shape = values.shape[:-1]
    return fits.reshape(8, *shape), n_dates.reshape(shape)


def component_variances(xp: Any, trend: Any, season: Any, residual: Any) -> Any:
    """Variances of three parts and of their sum, (..., 4)."""
    parts = [xp.ascontiguousarray(part, xp.float32).reshape(-1, part.shape[-1]) for part in (trend, season, residual)]
    found = xp.empty((len(parts[0]), 4), xp.float32)
    running.over_rows(_vary, len(found), len(found), *parts, found)
    return found.reshape(*trend.shape[:-1], 4)


def _fit(i: int, thread: int, series: Any, basis: Any, inverse: Any, work: Any, fits: Any, n_dates: Any) -> None:
    """Normal equations over the valid dates with three right sides, eliminated; rows of a column: gram, then sides."""
    gram = work[:, thread]
    moments, first_side, second_side = gram[36:], gram[42:], gram[48:]
    for a in range(TERMS):
        moments[a], first_side[a], second_side[a] = 0.0, inverse[1, a], inverse[2, a]
        for b in range(TERMS):
            gram[a * TERMS + b] = 1.0 if a == b else 0.0
    count, squares = 0, np.float64(0)
    for t in range(series.shape[1]):
        y = np.float64(series[i, t])
        if y == y:
            count += 1
            squares += y * y
            for a in range(TERMS):
                moments[a] += basis[a, t] * y
        else:
            for a in range(TERMS):
                for b in range(a, TERMS):
                    gram[a * TERMS + b] -= basis[a, t] * basis[b, t]
    n_dates[i] = count
    cosine = sine = spread = np.float64(0)
    left, able = squares, count >= MIN_DATES
    for k in range(TERMS):
        pivot = gram[k * TERMS + k]
        able = able and pivot > DEGENERATE
        share = 1.0 / pivot if able else np.nan
        for a in range(k + 1, TERMS):
            factor = gram[k * TERMS + a] * share
            for b in range(a, TERMS):
                gram[a * TERMS + b] -= factor * gram[k * TERMS + b]
            moments[a] -= factor * moments[k]
            first_side[a] -= factor * first_side[k]
            second_side[a] -= factor * second_side[k]
        moment, u, v = moments[k], first_side[k], second_side[k]
        left -= moment * moment * share
        able = able and left == left
        cosine += moment * u * share
        sine += moment * v * share
        spread += (u * u + v * v) * share
        error = abs(inverse[k, k]) * math.sqrt(max(left, 0.0) * share / (count - 1.0)) if able else np.nan
        if k == 3:
            fits[0, i], fits[1, i] = moment * share * inverse[k, k], error
        elif k == 4:
            fits[2, i], fits[3, i] = 2.0 * moment * share * inverse[k, k], 2.0 * error
    if able:
        rmse = math.sqrt(max(left, 0.0) / count)
        fits[4, i], fits[5, i], fits[7, i] = cosine, sine, rmse
        fits[6, i] = math.sqrt((4.0 - math.pi) / 4.0 * spread) * rmse
    else:
        for k in range(8):
            fits[k, i] = np.nan


def _vary(i: int, thread: int, trend: Any, season: Any, residual: Any, found: Any) -> None:
    """Twice over the dates that have all three: squares about zero would cancel."""
    count = a = b = c = np.float64(0)
    for t in range(trend.shape[1]):
        x, y, z = np.float64(trend[i, t]), np.float64(season[i, t]), np.float64(residual[i, t])
        if x + y + z == x + y + z:
            count += 1.0
            a += x
            b += y
            c += z
    known = 1.0 / count if count >= 2.0 else np.nan
    a, b, c = a / max(count, 1.0), b / max(count, 1.0), c / max(count, 1.0)
    aa = bb = cc = ss = np.float64(0)
    for t in range(trend.shape[1]):
        x, y, z = np.float64(trend[i, t]) - a, np.float64(season[i, t]) - b, np.float64(residual[i, t]) - c
        if x + y + z == x + y + z:
            aa += x * x
            bb += y * y
            cc += z * z
            ss += (x + y + z) * (x + y + z)
    found[i, 0], found[i, 1], found[i, 2], found[i, 3] = aa * known, bb * known, cc * known, ss * known
