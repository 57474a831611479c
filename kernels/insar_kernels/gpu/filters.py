"""Running filters along time: what `insar_kernels.smoothing` does, a thread for each value."""

from __future__ import annotations

from typing import Any

import numpy as np

from insar_kernels.dispatch import destination, rows
from insar_kernels.gpu import running

__all__ = ["moving_average", "savgol"]


def savgol(xp: Any, values: Any, basis: Any, out: Any) -> Any:
    """Windows without gaps by their shared weights, and only if others were met, these one by one."""
    filled = destination(values.shape, out, xp)
    series, smooth, gaps = rows(values, xp), rows(filled, xp), xp.zeros(1, xp.int32)
    hat = xp.asarray((basis @ basis.T).astype(np.float32))
    running.over_cells(_weigh, *series.shape, series, hat, smooth, gaps)
    if gaps[0]:
        places = xp.flatnonzero(xp.isnan(smooth) & ~xp.isnan(series))
        n_terms, n_threads = basis.shape[1], running.threads(len(places))
        work = xp.empty((n_terms * (n_terms + 1), n_threads))
        running.over_rows(_fit, len(places), n_threads, places, series, xp.asarray(basis), work, smooth)
    return filled


def moving_average(xp: Any, values: Any, window: int, ahead: int) -> Any:
    """Mean of the valid samples among ``window``, of which ``ahead`` follow."""
    series = rows(values, xp)
    smooth = xp.empty_like(series)
    running.over_cells(_average, *series.shape, series, window, ahead, smooth)
    return smooth.reshape(values.shape)


def _weigh(i: int, t: int, series: Any, hat: Any, smooth: Any, gaps: Any) -> None:
    window = hat.shape[0]
    first = min(max(t - window // 2, 0), series.shape[1] - window)
    total = np.float32(0)
    for k in range(window):
        total += hat[t - first, k] * series[i, first + k]
    smooth[i, t] = total
    if total != total and series[i, t] == series[i, t]:
        gaps[0] = 1  # whoever comes last writes the same


def _fit(place: int, thread: int, places: Any, series: Any, basis: Any, work: Any, smooth: Any) -> None:
    """Least squares over the valid samples of one window; what has too few stays NaN."""
    window, n_terms = basis.shape
    i, t = places[place] // series.shape[1], places[place] % series.shape[1]
    first = min(max(t - window // 2, 0), series.shape[1] - window)
    column = work[:, thread]
    for k in range(n_terms * (n_terms + 1)):
        column[k] = 0.0
    gram, moment = column, column[n_terms * n_terms :]
    present = 0
    for k in range(window):
        y = series[i, first + k]
        if y == y:
            present += 1
            for a in range(n_terms):
                moment[a] += basis[k, a] * y
                for b in range(a + 1):
                    gram[a * n_terms + b] += basis[k, a] * basis[k, b]
    if present >= n_terms:
        for k in range(n_terms):
            for a in range(k + 1, n_terms):
                factor = gram[a * n_terms + k] / gram[k * n_terms + k]
                moment[a] -= factor * moment[k]
                for b in range(k + 1, a + 1):
                    gram[a * n_terms + b] -= factor * gram[b * n_terms + k]
        value = 0.0
        for step in range(n_terms):
            a = n_terms - 1 - step
            for b in range(a + 1, n_terms):
                moment[a] -= gram[b * n_terms + a] * moment[b]
            moment[a] /= gram[a * n_terms + a]
            value += moment[a] * basis[t - first, a]
        smooth[i, t] = value


def _average(i: int, t: int, series: Any, window: int, ahead: int, smooth: Any) -> None:
    total, count = np.float64(0), 0
    for k in range(max(t + ahead - window + 1, 0), min(t + ahead + 1, series.shape[1])):
        y = series[i, k]
        if y == y:
            total += y
            count += 1
    smooth[i, t] = total / count if series[i, t] == series[i, t] else np.nan
