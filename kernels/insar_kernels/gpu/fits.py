"""Least squares of each series: what `insar_kernels.harmonic` and `insar_kernels.variances` do, a thread a series."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from insar_kernels.dispatch import rows
from insar_kernels.gpu import running
from insar_kernels.gpu.running import date
from insar_kernels.nested_models import DEGENERATE, MIN_DATES

__all__ = ["COLUMN", "component_variances", "motion"]

TERMS = 6
"""Columns of the models."""

COLUMN = TERMS * (TERMS + 3)
"""Numbers in float64 that a thread works in: normal equations, and three right sides."""


def motion(xp: Any, values: Any, basis: Any, inverse: Any) -> tuple[Any, Any]:
    """The eight numbers of a fit (8, ...) and how many dates it has, as `insar_kernels.harmonic` defines them."""
    series = rows(values, xp)
    n = len(series)
    fits, n_dates = xp.empty((8, n), xp.float32), xp.empty(n, xp.int32)
    work = xp.empty((COLUMN, running.series_threads(n)))
    running.over_series(_fit, n, series, xp.asarray(basis), xp.asarray(inverse), work, fits, n_dates)
    shape = values.shape[:-1]
    return fits.reshape(8, *shape), n_dates.reshape(shape)


def component_variances(xp: Any, trend: Any, season: Any, residual: Any) -> Any:
    """Variances of three parts and of their sum, (..., 4)."""
    parts = [rows(part, xp) for part in (trend, season, residual)]
    found = xp.empty((len(parts[0]), 4), xp.float32)
    running.over_series(_vary, len(found), *parts, found)
    return found.reshape(*trend.shape[:-1], 4)


def _fit(
    i: int, thread: int, tiles: Any, series: Any, basis: Any, inverse: Any, work: Any, fits: Any, n_dates: Any
) -> None:
    """Normal equations over the valid dates with three right sides, eliminated; rows of a column: gram, then sides.

    The basis is orthonormal over all dates: a series without a gap has nothing to eliminate, and writes no gram.
    """
    gram = work[:, thread]
    moments, first_side, second_side = gram[36:], gram[42:], gram[48:]
    count, squares = 0, np.float64(0)
    b0 = b1 = b2 = b3 = b4 = b5 = np.float64(0)
    for t in range(series.shape[1]):
        y = np.float64(date(tiles, 0, series, i, t))
        if y == y:
            count += 1
            squares += y * y
            b0 += basis[0, t] * y
            b1 += basis[1, t] * y
            b2 += basis[2, t] * y
            b3 += basis[3, t] * y
            b4 += basis[4, t] * y
            b5 += basis[5, t] * y
        else:
            if count == t:  # the first gap
                for k in range(TERMS * TERMS):
                    gram[k] = 1.0 if k % (TERMS + 1) == 0 else 0.0
            for a in range(TERMS):
                for b in range(a, TERMS):
                    gram[a * TERMS + b] -= basis[a, t] * basis[b, t]
    n_dates[i] = count
    gaps = count < series.shape[1]
    moments[0], moments[1], moments[2], moments[3], moments[4], moments[5] = b0, b1, b2, b3, b4, b5
    for a in range(TERMS):
        first_side[a], second_side[a] = inverse[1, a], inverse[2, a]
    cosine = sine = spread = np.float64(0)
    left, able = squares, count >= MIN_DATES
    for k in range(TERMS):
        pivot = gram[k * TERMS + k] if gaps else 1.0
        able = able and pivot > DEGENERATE
        share = 1.0 / pivot if able else np.nan
        for a in range(k + 1, TERMS if gaps else 0):
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


def _vary(i: int, thread: int, tiles: Any, trend: Any, season: Any, residual: Any, found: Any) -> None:
    """Once over the dates that have all three, about the first of them: squares about zero would cancel.

    About a value of the series itself the mean square is at most as many times the variance as there are dates.
    """
    count = a = b = c = aa = bb = cc = ss = np.float64(0)
    first = second = third = np.float64(0)
    for t in range(trend.shape[1]):
        x = np.float64(date(tiles, 0, trend, i, t))
        y = np.float64(date(tiles, 1, season, i, t))
        z = np.float64(date(tiles, 2, residual, i, t))
        if x + y + z == x + y + z:
            if count == 0.0:
                first, second, third = x, y, z
            count += 1.0
            x, y, z = x - first, y - second, z - third
            a, b, c = a + x, b + y, c + z
            aa, bb, cc, ss = aa + x * x, bb + y * y, cc + z * z, ss + (x + y + z) * (x + y + z)
    most, known = max(count, 1.0), 1.0 / count if count >= 2.0 else np.nan
    found[i, 0], found[i, 1] = (aa - a * a / most) * known, (bb - b * b / most) * known
    found[i, 2], found[i, 3] = (cc - c * c / most) * known, (ss - (a + b + c) * (a + b + c) / most) * known
