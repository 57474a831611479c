"""Running filters along time: Savitzky-Golay and moving average, both aware of missing values."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import destination, namespace, rows
from insar_kernels.gap_fits import fit_around_gaps
from insar_kernels.gpu import filters

__all__ = ["moving_average", "savgol"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Index = npt.NDArray[np.uintp]

TAPS = 5
"""Taps to a pass, and end values to a pass: as many as the registers hold."""

ONE, TWO, THREE, FOUR = np.uintp(1), np.uintp(2), np.uintp(3), np.uintp(4)

ROWS = 16
"""Series filtered as one run of numbers: long enough for vector instructions, short enough for the first cache."""


def savgol(values: Any, window: int, order: int, out: Any = None) -> Any:
    """Savitzky-Golay filter: each value becomes that of the polynomial fitted to its window.

    Least squares over the valid samples of the ``window`` samples around it; the first and last half windows take the
    polynomial of the first and last whole window (SciPy's ``mode="interp"``). A missing sample stays missing, and so
    does one whose window holds fewer than ``order + 1`` valid samples. Savitzky & Golay (1964),
    doi:10.1021/ac60214a047.

    Parameters
    ----------
    values : array of float32, shape (..., T)
        Evenly spaced series [mm]; missing is NaN.
    window : int
        Odd number of samples, at most T.
    order : int
        Degree of the polynomial, less than ``window``.
    out : array of float32, shape (..., T), optional
        C-contiguous array to fill, of the library of ``values`` and other than these; large fresh memory costs as much
        as the filter.

    Returns
    -------
    array of float32, shape (..., T)
    """
    basis = _polynomials(window, order)
    xp = namespace(values)
    if xp is not np:
        return filters.savgol(xp, values, basis, out)
    smooth = destination(np.shape(values), out)
    hat, half = (basis @ basis.T).astype(np.float32), window // 2
    spare = np.zeros(TAPS, np.float32)  # completes the last pass
    taps = np.concatenate([hat[half, half:], spare])
    ends = np.concatenate([hat[:half], np.tile(spare[:, None], window)])
    series, result = rows(values), rows(smooth)
    gaps = np.zeros(len(series), bool)
    _savgol_on_cpu(series, taps, ends, result, gaps)
    if gaps.any():
        fit_around_gaps(series, basis, gaps, result)
    return smooth


def _polynomials(window: int, order: int) -> Float64:
    """Orthonormal polynomials of degree 0 to ``order`` on ``window`` samples, shape (window, order + 1)."""
    samples = np.linspace(-1.0, 1.0, window)
    return np.ascontiguousarray(np.linalg.qr(np.vander(samples, order + 1, increasing=True))[0])


@njit(nogil=True, cache=True, error_model="numpy")
def _savgol_on_cpu(series: Float32, taps: Float32, ends: Float32, smooth: Float32, gaps: npt.NDArray[np.bool_]) -> None:
    half, end = ends.shape[1] // 2, np.uintp(series.shape[1] - 1)
    for first in range(0, len(series), ROWS):
        last = min(first + ROWS, len(series))
        # as one run of numbers: the values where two rows meet are wrong, and overwritten by the ends
        missing = _convolve(series[first:last].reshape(-1), taps, half, smooth[first:last].reshape(-1))
        for i in range(np.uintp(first), np.uintp(last)):
            _fit_ends(series, i, ends, half, smooth)
            # of long windows the first pass does not reach the ends of a run, but the ends that are fitted do
            if missing > 0 or smooth[i, 0] != smooth[i, 0] or smooth[i, end] != smooth[i, end]:
                gaps[i] = _any_missing(smooth[i])


@njit(nogil=True, cache=True, error_model="numpy")
def _any_missing(values: Float32) -> bool:
    count = np.int32(0)
    for t in range(np.uintp(values.size)):
        count += np.int32(values[t] != values[t])
    return bool(count > 0)


@njit(nogil=True, cache=True, error_model="numpy")
def _convolve(series: Float32, taps: Float32, half: int, smooth: Float32) -> int:
    """Symmetric filter, `TAPS` taps to a pass over the run; the number of NaN made by the first one."""
    inner = smooth[half : smooth.size - half]
    gaps = 0
    for first in range(1, max(half, 1) + 1, TAPS):
        reach = np.empty(TAPS, np.uintp)
        for k in range(TAPS):
            reach[k] = min(first + k, half)
        if first == 1:
            gaps = _start(series, taps[0], taps[1:], reach, np.uintp(half), inner)
        else:
            _add(series, taps[first:], reach, np.uintp(half), inner)
    return gaps


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz"})
def _start(series: Float32, tap: np.float32, taps: Float32, reach: Index, half: np.uintp, inner: Float32) -> int:
    a, b, c, d, e = taps[0], taps[1], taps[2], taps[3], taps[4]
    i, j, k, m, n = reach[0], reach[1], reach[2], reach[3], reach[4]
    gaps = np.int32(0)
    for t in range(half, half + np.uintp(inner.size)):
        total = tap * series[t]
        total += a * (series[t - i] + series[t + i])
        total += b * (series[t - j] + series[t + j])
        total += c * (series[t - k] + series[t + k])
        total += d * (series[t - m] + series[t + m])
        total += e * (series[t - n] + series[t + n])
        inner[t - half] = total
        gaps += np.int32(total != total)
    return int(gaps)


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz"})
def _add(series: Float32, taps: Float32, reach: Index, half: np.uintp, inner: Float32) -> None:
    a, b, c, d, e = taps[0], taps[1], taps[2], taps[3], taps[4]
    i, j, k, m, n = reach[0], reach[1], reach[2], reach[3], reach[4]
    for t in range(half, half + np.uintp(inner.size)):
        total = a * (series[t - i] + series[t + i])
        total += b * (series[t - j] + series[t + j])
        total += c * (series[t - k] + series[t + k])
        total += d * (series[t - m] + series[t + m])
        total += e * (series[t - n] + series[t + n])
        inner[t - half] += total


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz"})
def _fit_ends(series: Float32, row: int, ends: Float32, half: int, smooth: Float32) -> None:
    """First and last values, five of each at once: the last window is the first one seen in a mirror.

    A view of the row would cost a reference counted up and down, 5 % of the whole filter.
    """
    last = np.uintp(series.shape[1] - 1)
    for first in range(0, half, TAPS):
        p = np.uintp(first)
        a = b = c = d = e = np.float32(0)
        f = g = h = i = j = np.float32(0)
        for k in range(np.uintp(ends.shape[1])):
            left, right = series[row, k], series[row, last - k]
            u, v, w, x, y = ends[p, k], ends[p + ONE, k], ends[p + TWO, k], ends[p + THREE, k], ends[p + FOUR, k]
            a, b, c, d, e = a + u * left, b + v * left, c + w * left, d + x * left, e + y * left
            f, g, h, i, j = f + u * right, g + v * right, h + w * right, i + x * right, j + y * right
        smooth[row, p], smooth[row, last - p] = a, f
        if half > first + 1:
            smooth[row, p + ONE], smooth[row, last - p - ONE] = b, g
        if half > first + 2:
            smooth[row, p + TWO], smooth[row, last - p - TWO] = c, h
        if half > first + 3:
            smooth[row, p + THREE], smooth[row, last - p - THREE] = d, i
        if half > first + 4:
            smooth[row, p + FOUR], smooth[row, last - p - FOUR] = e, j


def moving_average(values: Any, window: int, centred: bool) -> Any:
    """Mean of the valid samples among the last ``window`` ones, or among the ``window`` around each.

    At the ends the window holds what there is. A missing sample stays missing.

    Parameters
    ----------
    values : array of float32, shape (..., T)
        Series [mm]; missing is NaN.
    window : int
        Number of samples; odd where ``centred``.
    centred : bool
        True looks ``window // 2`` samples ahead; False looks back only.

    Returns
    -------
    array of float32, shape (..., T)
    """
    ahead = window // 2 if centred else 0
    xp = namespace(values)
    if xp is not np:
        return filters.moving_average(xp, values, window, ahead)
    out = np.empty(np.shape(values), np.float32)
    _average_on_cpu(rows(values), window, ahead, rows(out))
    return out


@njit(nogil=True, cache=True, error_model="numpy")
def _average_on_cpu(series: Float32, window: int, ahead: int, out: Float32) -> None:
    """Differences of running sums, in float64: they neither drift nor carry one window's rounding into the next.

    The sums go on at both ends as if nothing were there, so that every date takes the same difference.
    """
    dates, first = np.uintp(series.shape[1]), np.uintp(window - ahead)
    total, count = np.zeros(series.shape[1] + window + 1), np.zeros(series.shape[1] + window + 1)
    stop_total, stop_count = total[window:], count[window:]
    for i in range(np.uintp(len(series))):
        values, valid_values = 0.0, 0.0
        for t in range(dates):
            valid = series[i, t] == series[i, t]
            values += series[i, t] if valid else 0.0
            valid_values += 1.0 if valid else 0.0
            total[first + t], count[first + t] = values, valid_values
        for t in range(first + dates, np.uintp(total.size)):
            total[t], count[t] = values, valid_values
        for t in range(dates):
            mean = (stop_total[t] - total[t]) / (stop_count[t] - count[t])
            out[i, t] = mean if series[i, t] == series[i, t] else np.nan
