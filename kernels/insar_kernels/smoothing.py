"""Running filters along time: Savitzky-Golay and moving average, both aware of missing values."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import namespace, rows

__all__ = ["moving_average", "savgol"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]

ROWS = 16
"""Series filtered as one run of numbers: long enough for vector instructions, short enough for the first cache."""

SLOTS = 2048
"""Remembered patterns of missing samples: with 5 % missing in a window of 11 nearly every one is met again."""

LONGEST_KEY = 57
"""Samples whose pattern fits into 64 bits beside the place in the window."""


def savgol(values: Any, window: int, order: int, out: Float32 | None = None) -> Any:
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
        C-contiguous array to fill, other than ``values``; large fresh memory costs as much as the filter.

    Returns
    -------
    array of float32, shape (..., T)
    """
    basis = _polynomials(window, order)
    xp = namespace(values)
    if xp is not np:
        return _savgol_on_array(xp, values, xp.asarray(basis))
    smooth = np.empty(np.shape(values), np.float32) if out is None else out
    hat = (basis @ basis.T).astype(np.float32)
    half = window // 2
    taps = tuple(hat[half, half:])  # a tuple: its length is known when the loop over it is compiled
    ends = np.stack([hat[:half].T, hat[half + 1 :].T])
    _savgol_on_cpu(rows(values), taps, ends, basis, rows(smooth))
    return smooth


def _polynomials(window: int, order: int) -> Float64:
    """Orthonormal polynomials of degree 0 to ``order`` on ``window`` samples, shape (window, order + 1)."""
    samples = np.linspace(-1.0, 1.0, window)
    return np.ascontiguousarray(np.linalg.qr(np.vander(samples, order + 1, increasing=True))[0])


@njit(nogil=True, cache=True, error_model="numpy")
def _savgol_on_cpu(
    series: Float32, taps: tuple[np.float32, ...], ends: Float32, basis: Float64, smooth: Float32
) -> None:
    n, n_dates = series.shape
    window = len(basis)
    half = window // 2
    keys = np.full(SLOTS, ~np.uint64(0))
    weights = np.empty((SLOTS, window), np.float32)
    filled = np.empty(n_dates, np.float32)
    flat, result = series.reshape(-1), smooth.reshape(-1)
    for first in range(0, n, ROWS):
        last = min(first + ROWS, n)
        span = slice(first * n_dates, last * n_dates)
        _convolve(flat[span], result[span], taps)  # wrong where two rows meet, which the ends overwrite
        for i in range(first, last):
            start = i * n_dates
            _multiply(flat, start, ends[0], result, start, taps)
            _multiply(flat, start + n_dates - window, ends[1], result, start + n_dates - half, taps)
        if _any_missing(result[span]):
            for i in range(first, last):
                _refit(series[i], basis, keys, weights, filled, smooth[i])


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz"})
def _convolve(series: Float32, smooth: Float32, taps: tuple[np.float32, ...]) -> None:
    half = len(taps) - 1
    inner = smooth[half : smooth.size - half]
    for j in range(np.uintp(inner.size)):
        total = taps[0] * series[j + np.uintp(half)]
        for k in range(1, half + 1):
            total += taps[k] * (series[j + np.uintp(half - k)] + series[j + np.uintp(half + k)])
        inner[j] = total


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz"})
def _multiply(
    series: Float32, start: int, matrix: Float32, smooth: Float32, place: int, taps: tuple[np.float32, ...]
) -> None:
    """Values of the polynomial of one window of ``2 len(taps) - 1`` samples at its outer half."""
    for p in range(np.uintp(len(taps) - 1)):
        total = matrix[0, p] * series[np.uintp(start)]
        for k in range(1, 2 * len(taps) - 1):
            total += matrix[np.uintp(k), p] * series[np.uintp(start + k)]
        smooth[np.uintp(place) + p] = total


@njit(nogil=True, cache=True, error_model="numpy")
def _any_missing(values: Float32) -> bool:
    count = 0
    for j in range(np.uintp(values.size)):
        count += values[j] != values[j]
    return count > 0


@njit(nogil=True, cache=True, error_model="numpy")
def _refit(
    series: Float32, basis: Float64, keys: Keys, weights: Float32, filled: Float32, smooth: Float32
) -> None:
    """Fit the windows that miss a sample, with the weights of their pattern; those of the usual ones are remembered."""
    window = len(basis)
    start, pattern = 0, np.uint64(0)
    for t in range(series.size):
        filled[t] = series[t] if series[t] == series[t] else np.float32(0)
    for k in range(window):
        pattern |= np.uint64(series[k] != series[k]) << np.uint64(k & 63)
    for t in range(series.size):
        if start < min(t - window // 2, series.size - window):
            start += 1
            entering = series[start + window - 1]
            pattern = pattern >> np.uint64(1) | np.uint64(entering != entering) << np.uint64((window - 1) & 63)
        if smooth[t] == smooth[t] or series[t] != series[t]:
            continue
        key = pattern | np.uint64(t - start) << np.uint64(LONGEST_KEY + 1 & 63)
        slot = key * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(53)
        if window > LONGEST_KEY or keys[slot] != key:
            keys[slot] = key
            _weigh(series[start : start + window], basis, t - start, weights[slot])
        total = np.float32(0)
        for k in range(np.uintp(window)):
            total += weights[slot, k] * filled[np.uintp(start) + k]
        smooth[t] = total


@njit(nogil=True, cache=True, error_model="numpy")
def _weigh(samples: Float32, basis: Float64, place: int, weights: Float32) -> None:
    """Weights of the valid samples in the value fitted at ``place``; NaN where they are too few."""
    window, n_terms = basis.shape
    gram, solved = np.zeros((n_terms, n_terms)), basis[place].copy()
    present = 0
    for k in range(window):
        if samples[k] == samples[k]:
            present += 1
            for a in range(n_terms):
                for b in range(n_terms):
                    gram[a, b] += basis[k, a] * basis[k, b]
    for k in range(n_terms):
        for a in range(k + 1, n_terms):
            factor = gram[a, k] / gram[k, k]
            solved[a] -= factor * solved[k]
            for b in range(k, n_terms):
                gram[a, b] -= factor * gram[k, b]
    for a in range(n_terms - 1, -1, -1):
        for b in range(a + 1, n_terms):
            solved[a] -= gram[a, b] * solved[b]
        solved[a] /= gram[a, a]
    for k in range(window):
        weight = 0.0 if present >= n_terms else np.nan
        if samples[k] == samples[k]:
            for a in range(n_terms):
                weight += basis[k, a] * solved[a]
        weights[k] = weight


def _savgol_on_array(xp: ModuleType, values: Any, basis: Any) -> Any:
    """Sum the normal equations of all windows sample by sample, then solve them at once."""
    window, n_terms = basis.shape
    n_dates = values.shape[-1]
    first = xp.clip(xp.arange(n_dates) - window // 2, 0, n_dates - window)
    known = ~xp.isnan(values)
    gram = xp.zeros((*values.shape, n_terms, n_terms))
    moment = xp.zeros((*values.shape, n_terms))
    present = xp.zeros(values.shape, xp.int64)
    for k in range(window):
        valid = known[..., first + k]
        present += valid
        gram += valid[..., None, None] * basis[k][:, None] * basis[k]
        moment += xp.where(valid, values[..., first + k], 0.0)[..., None] * basis[k]
    enough = known & (present >= n_terms)
    gram = xp.where(enough[..., None, None], gram, xp.eye(n_terms))
    fitted = (xp.linalg.solve(gram, moment[..., None])[..., 0] * basis[xp.arange(n_dates) - first]).sum(-1)
    return xp.where(enough, fitted, xp.nan).astype(xp.float32)


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
        return _average_on_array(xp, values, window, ahead)
    out = np.empty(np.shape(values), np.float32)
    _average_on_cpu(rows(values), window, ahead, rows(out))
    return out


@njit(nogil=True, cache=True, error_model="numpy")
def _average_on_cpu(series: Float32, window: int, ahead: int, out: Float32) -> None:
    """Differences of running sums, in float64: they neither drift nor carry one window's rounding into the next."""
    n, n_dates = series.shape
    total, count = np.zeros(n_dates + 1), np.zeros(n_dates + 1)
    for i in range(n):
        for t in range(n_dates):
            valid = series[i, t] == series[i, t]
            total[t + 1] = total[t] + (series[i, t] if valid else 0.0)
            count[t + 1] = count[t] + (1.0 if valid else 0.0)
        for t in range(n_dates):
            stop = min(t + 1 + ahead, n_dates)
            start = max(t + 1 + ahead - window, 0)
            mean = (total[stop] - total[start]) / (count[stop] - count[start])
            out[i, t] = mean if series[i, t] == series[i, t] else np.nan


def _average_on_array(xp: ModuleType, values: Any, window: int, ahead: int) -> Any:
    n_dates = values.shape[-1]
    valid = ~xp.isnan(values)
    start = [(0, 0)] * (values.ndim - 1) + [(1, 0)]
    total = xp.pad(xp.cumsum(xp.where(valid, values, 0.0).astype(xp.float64), -1), start)
    count = xp.pad(xp.cumsum(valid.astype(xp.float64), -1), start)
    stop = xp.minimum(xp.arange(n_dates) + 1 + ahead, n_dates)
    begin = xp.maximum(xp.arange(n_dates) + 1 + ahead - window, 0)
    mean = (total[..., stop] - total[..., begin]) / xp.maximum(count[..., stop] - count[..., begin], 1.0)
    return xp.where(valid, mean, xp.nan).astype(xp.float32)
