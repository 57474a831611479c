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


def savgol(values: Any, window: int, order: int) -> Any:
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

    Returns
    -------
    array of float32, shape (..., T)
    """
    basis = polynomial_basis(window, order)
    xp = namespace(values)
    if xp is not np:
        return _savgol_on_array(xp, values, xp.asarray(basis))
    return _savgol_on_cpu(rows(values), basis).reshape(np.shape(values))


def polynomial_basis(window: int, order: int) -> Float64:
    """Orthonormal polynomials of degree 0 to ``order`` on ``window`` samples, shape (window, order + 1)."""
    samples = np.linspace(-1.0, 1.0, window)
    return np.ascontiguousarray(np.linalg.qr(np.vander(samples, order + 1, increasing=True))[0])


@njit(nogil=True, cache=True)
def _savgol_on_cpu(series: Float32, basis: Float64) -> Float32:
    n, n_dates = series.shape
    window, n_terms = basis.shape
    half = window // 2
    out = np.empty((n, n_dates), np.float32)
    hat = basis @ basis.T
    for i in range(n):
        for t in range(n_dates):
            first = min(max(t - half, 0), n_dates - window)
            place = t - first
            total = 0.0
            present = 0
            for k in range(window):
                value = series[i, first + k]
                if value == value:
                    present += 1
                    total += hat[place, k] * value
            if present == window:
                out[i, t] = total
            elif series[i, t] != series[i, t] or present < n_terms:
                out[i, t] = np.nan
            else:
                out[i, t] = _fit(series[i, first : first + window], basis, place)
    return out


@njit(nogil=True, cache=True)
def _fit(samples: Float32, basis: Float64, place: int) -> float:
    n_terms = basis.shape[1]
    gram = np.zeros((n_terms, n_terms))
    moment = np.zeros(n_terms)
    for k in range(samples.size):
        if samples[k] == samples[k]:
            for a in range(n_terms):
                moment[a] += basis[k, a] * samples[k]
                for b in range(n_terms):
                    gram[a, b] += basis[k, a] * basis[k, b]
    return np.dot(basis[place], np.linalg.solve(gram, moment))


def _savgol_on_array(xp: ModuleType, values: Any, basis: Any) -> Any:
    window, n_terms = basis.shape
    n_dates = values.shape[-1]
    first = xp.clip(xp.arange(n_dates) - window // 2, 0, n_dates - window)
    samples = values[..., first[:, None] + xp.arange(window)].astype(xp.float64)  # (..., T, window)
    valid = ~xp.isnan(samples)
    enough = ~xp.isnan(values) & (valid.sum(-1) >= n_terms)
    gram = xp.einsum("ka,kb,...k->...ab", basis, basis, valid.astype(xp.float64))
    gram = xp.where(enough[..., None, None], gram, xp.eye(n_terms))
    moment = xp.where(valid, samples, 0.0) @ basis
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
    return _average_on_cpu(rows(values), window, ahead).reshape(np.shape(values))


@njit(nogil=True, cache=True)
def _average_on_cpu(series: Float32, window: int, ahead: int) -> Float32:
    n, n_dates = series.shape
    out = np.empty((n, n_dates), np.float32)
    total = np.empty(n_dates + 1)
    count = np.empty(n_dates + 1)
    total[0] = count[0] = 0.0
    for i in range(n):
        for t in range(n_dates):
            valid = series[i, t] == series[i, t]
            total[t + 1] = total[t] + (series[i, t] if valid else 0.0)
            count[t + 1] = count[t] + (1.0 if valid else 0.0)
        for t in range(n_dates):
            stop = min(t + 1 + ahead, n_dates)
            start = max(t + 1 + ahead - window, 0)
            mean = (total[stop] - total[start]) / max(count[stop] - count[start], 1.0)
            out[i, t] = mean if series[i, t] == series[i, t] else np.nan
    return out


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
