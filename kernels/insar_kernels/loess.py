"""STL by local regression, series by series: the definition itself, and what series with gaps are decomposed by.

A missing value has no weight in any regression: a fit takes its nearest *valid* neighbours, as loess is defined.
Cleveland, Cleveland, McRae & Terpenning (1990), STL, Journal of Official Statistics 6, 3-73.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["stl_one_by_one"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

FAR = 1e9
"""Where places are that fill up a window: beyond the reach of any."""

RUN = 32
"""Numbers that one turn of a vector loop takes: what is left over would be worked on one by one."""


def stl_one_by_one(
    series: Float32, period: int, lengths: tuple[int, int, int], degrees: tuple[int, int, int], n_inner: int
) -> Float64:
    """Trend and season of each series, by the inner loop of STL.

    Parameters
    ----------
    series : array of float32, shape (n, T)
        Evenly spaced series; missing is NaN.
    period : int
        Samples in a cycle.
    lengths, degrees : tuple of int
        Neighbours (odd) and degree (0 or 1) of the regressions of season, trend and low pass.
    n_inner : int
        Passes of the inner loop.

    Returns
    -------
    array of float64, shape (2, n, T)
        NaN before the first and after the last valid sample, and where these are less than two periods apart, or a
        phase of the period has no valid sample.
    """
    parts = np.full((2, *series.shape), np.nan)
    _decompose_series(series, period, lengths, degrees, n_inner, parts[0], parts[1])
    return parts


@njit(nogil=True, cache=True, error_model="numpy")
def _decompose_series(series, period, lengths, degrees, n_inner, trends, seasons):  # type: ignore[no-untyped-def]
    n_dates = series.shape[1]
    seasonal = _windows(n_dates + 2 * period, min(lengths[0], n_dates // period + 1), 8)
    trending = _windows(n_dates, min(lengths[1], n_dates), RUN)
    passing = _windows(n_dates, min(lengths[2], n_dates), RUN)
    _weigh_dates(np.arange(n_dates), n_dates, lengths[2], degrees[2], passing[0], passing[1])
    valid, previous = np.empty(n_dates, np.intp), np.empty(n_dates, np.intp)
    order, ends, n_previous = np.empty(n_dates, np.intp), np.empty(period, np.intp), 0
    for i in range(len(series)):
        n_valid = _list_valid(series[i], valid)
        if _differs(valid[:n_valid], previous[:n_previous]):
            n_previous = n_valid
            previous[:n_valid] = valid[:n_valid]
            if _sort_by_phase(valid[:n_valid], n_dates, order, ends):
                _weigh_seasons(valid, order, ends, n_dates, lengths[0], degrees[0], seasonal[0], seasonal[1])
                _weigh_dates(valid[:n_valid], n_dates, lengths[1], degrees[1], trending[0], trending[1])
        whole = n_valid > 0 and ends[0] >= 0 and valid[n_valid - 1] - valid[0] + 1 >= 2 * period
        if whole:
            _iterate(
                series[i], valid[:n_valid], order[:n_valid], period, n_inner, seasonal, trending, passing, trends[i],
                seasons[i],
            )  # fmt: skip


@njit(nogil=True, cache=True)
def _windows(n_targets, length, run):  # type: ignore[no-untyped-def]
    """Weights of each target, filled up to whole runs of the processor, and where its window begins."""
    return np.empty((n_targets, -(-length // run) * run)), np.empty(n_targets, np.intp)


@njit(nogil=True, cache=True)
def _list_valid(series, valid):  # type: ignore[no-untyped-def]
    n_valid = 0
    for t in range(len(series)):
        if not np.isnan(series[t]):
            valid[n_valid] = t
            n_valid += 1
    return n_valid


@njit(nogil=True, cache=True)
def _differs(valid, previous):  # type: ignore[no-untyped-def]
    if len(valid) != len(previous):
        return True
    for k in range(len(valid)):  # noqa: SIM110 - Numba compiles the loop, not any() over a generator
        if valid[k] != previous[k]:
            return True
    return False


@njit(nogil=True, cache=True)
def _sort_by_phase(valid, n_dates, order, ends):  # type: ignore[no-untyped-def]
    """Places in ``valid`` phase by phase, and where each phase ends; false, and ends[0] = -1, if one has no sample."""
    rank = np.full(n_dates, -1)
    for k in range(len(valid)):
        rank[valid[k]] = k
    place = 0
    for phase in range(len(ends)):
        before = place
        for t in range(phase, n_dates, len(ends)):
            if rank[t] >= 0:
                order[place] = rank[t]
                place += 1
        ends[phase] = place
        if place == before:
            ends[0] = -1
            return False
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def _weigh_seasons(valid, order, ends, n_dates, length, degree, weights, begins):  # type: ignore[no-untyped-def]
    """Weights of each phase's samples for every cycle, one before the first and one after the last of them included."""
    period, begin = len(ends), 0
    cycles = np.empty(n_dates // period + 1 + weights.shape[1])
    for phase in range(period):
        count = ends[phase] - begin
        for k in range(count):
            cycles[k] = valid[order[begin + k]] // period
        cycles[count:] = FAR
        last = (n_dates - phase + period - 1) // period - 1.0
        _weigh_targets(cycles, count, -1.0, length, degree, last, phase, period, begin, weights, begins)
        begin = ends[phase]


@njit(nogil=True, cache=True)
def _weigh_dates(valid, n_dates, length, degree, weights, begins):  # type: ignore[no-untyped-def]
    """Weights of the valid samples for every date."""
    places = np.full(len(valid) + weights.shape[1], FAR)
    places[: len(valid)] = valid
    _weigh_targets(places, len(valid), 0.0, length, degree, n_dates - 1.0, 0, 1, 0, weights, begins)


@njit(nogil=True, cache=True, error_model="numpy")
def _weigh_targets(places, n_places, x, length, degree, span, row, step, base, weights, begins):  # type: ignore[no-untyped-def]
    """Weights of the ``length`` nearest places for the targets x, x + 1, ... of every ``step``-th row."""
    width, count, begin = weights.shape[1], min(length, n_places), 0
    for i in range(row, len(weights), step):
        while begin + count < n_places and places[begin + count] - x < x - places[begin]:
            begin += 1
        begins[i] = base + begin
        reach = max(x - places[begin], places[begin + count - 1] - x) + max(length - n_places, 0) // 2
        _weigh(places[begin : begin + width], x, reach, count, degree, span, weights[i])
        x += 1.0


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})
def _weigh(places, x, reach, count, degree, span, weights):  # type: ignore[no-untyped-def]
    """Tricube weights times the line's leverage; they sum to one, and are zero from ``reach`` on."""
    total = moment = square = 0.0
    shrink = 1.0 / reach
    for k in range(np.uintp(places.size)):
        away = places[k] - x
        share = min(abs(away) * shrink, 1.0)
        cube = 1.0 - share * share * share
        weight = cube * cube * cube if share <= 0.999 else 0.0
        weights[k] = weight
        total += weight
        moment += weight * away
        square += weight * away * away
    if total == 0.0:  # two places as far away as each other: they count alike
        weights[:count] = 1.0
        total, moment, square = 2.0, 0.0, 2.0 * reach * reach
    mean, scale = moment / total, 1.0 / total
    spread = square * scale - mean * mean
    slope = -mean / spread if degree > 0 and spread > (0.001 * span) ** 2 else 0.0
    for k in range(np.uintp(places.size)):
        weights[k] *= (1.0 + slope * (places[k] - x - mean)) * scale


@njit(nogil=True, cache=True)
def _iterate(series, valid, order, period, n_inner, seasonal, trending, passing, trend, season):  # type: ignore[no-untyped-def]
    n_dates, n_valid = len(series), len(valid)
    values = np.zeros(n_dates + max(seasonal[0].shape[1], trending[0].shape[1]))
    cycles, smooth = np.empty(n_dates + 2 * period), np.zeros(n_dates + 2 * period + passing[0].shape[1])
    level, low = np.zeros(n_dates), np.empty(n_dates)
    for _ in range(n_inner):
        for k in range(n_valid):
            values[k] = series[valid[order[k]]] - level[valid[order[k]]]
        _smooth(values, seasonal[0], seasonal[1], cycles)
        _average(cycles, period, smooth)
        _average(smooth[: n_dates + period + 1], period, smooth)
        _average(smooth[: n_dates + 2], 3, smooth)
        _smooth(smooth, passing[0], passing[1], low)
        for t in range(n_dates):
            low[t] = cycles[t + period] - low[t]
        for k in range(n_valid):
            values[k] = series[valid[k]] - low[valid[k]]
        _smooth(values, trending[0], trending[1], level)
    for t in range(valid[0], valid[n_valid - 1] + 1):
        trend[t], season[t] = level[t], low[t]


@njit(nogil=True, cache=True)
def _smooth(values, weights, begins, out):  # type: ignore[no-untyped-def]
    width = weights.shape[1]
    for i in range(len(out)):
        out[i] = _dot(weights[i], values[begins[i] : begins[i] + width])


@njit(nogil=True, cache=True, fastmath={"contract", "nsz", "reassoc"})
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = 0.0
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def _average(values, window, out):  # type: ignore[no-untyped-def]
    """Running mean, also in place: what leaves the window is read before it is overwritten."""
    total = 0.0
    for k in range(window):
        total += values[k]
    for t in range(len(values) - window):
        first = values[t]
        out[t] = total / window
        total += values[t + window] - first
    out[len(values) - window] = total / window
