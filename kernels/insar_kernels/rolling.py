"""How a least-squares fit would have done at earlier origins: its residuals before and its errors after each of them.

One pass over a series carries the normal equations along; at each origin they are solved and the window is written.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import namespace, rows
from insar_kernels.history import DEGENERATE, solve

__all__ = ["cross_products", "rolling_residuals"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Steps = npt.NDArray[np.int64]


def rolling_residuals(
    values: Any,
    design: Float64,
    steps: npt.ArrayLike,
    before: int,
    after: int,
    min_dates: int = 0,
    min_span: int = 0,
) -> Any:
    """Residuals around each origin of the fit on the dates before it; a missing one counts as 0.

    Parameters
    ----------
    values : array of float32, shape (..., T)
        Series [mm]; missing is NaN.
    design : array of float64, shape (T, p)
        Columns of the model at the dates.
    steps : array of int, shape (m,)
        Origins, increasing: the first date that the fit does not see; ``before <= step <= T - after``.
    before, after : int
        Dates of a window before its origin and from it on.
    min_dates, min_span : int
        Valid dates, and dates from the first to the last of them, that a fit needs; always at least p + 1.

    Returns
    -------
    array of float64, shape (..., m, before + after)
        All 0 where a point has too few valid dates before the origin, or where they cannot tell the columns apart.
    """
    origins = np.asarray(steps, np.int64)
    basis = np.linalg.qr(np.asarray(design, np.float64))[0]
    grams = np.cumsum(basis[:, :, None] * basis[:, None, :], axis=0)[origins - 1]
    needs = max(min_dates, basis.shape[1] + 1), min_span
    xp = namespace(values)
    if xp is not np:
        return _on_array(xp, values, xp.asarray(basis), origins, before, after, *needs)
    out = _on_cpu(rows(values), basis, grams, _inverses(grams), origins, before, after, *needs)
    return out.reshape(*np.shape(values)[:-1], origins.size, before + after)


def cross_products(windows: Any, before: int) -> Any:
    """Sum over all windows of the products of their first ``before`` columns with all columns.

    A matrix product does it as fast, but its last bits depend on the number of BLAS threads.

    Parameters
    ----------
    windows : array of float64, shape (..., w)
    before : int

    Returns
    -------
    array of float64, shape (before, w)
    """
    flat = windows.reshape(-1, windows.shape[-1])
    if namespace(windows) is not np:
        return flat[:, :before].T @ flat
    return _products_on_cpu(np.ascontiguousarray(flat), before)


def _inverses(grams: Float64) -> Float64:
    """Inverses of the normal matrices (m, p, p), NaN where the dates cannot tell the columns apart."""
    able = np.linalg.eigvalsh(grams)[:, :1, None] > DEGENERATE
    return np.where(able, np.linalg.inv(np.where(able, grams, np.eye(grams.shape[-1]))), np.nan)


@njit(nogil=True, cache=True)
def _on_cpu(
    series: Float32,
    basis: Float64,
    grams: Float64,
    inverses: Float64,
    origins: Steps,
    before: int,
    after: int,
    min_dates: int,
    min_span: int,
) -> Float64:
    n = series.shape[0]
    p = basis.shape[1]
    out = np.zeros((n, origins.size, before + after))
    moment = np.empty(p)
    missing = np.empty((p, p))
    coefficients = np.empty(p)
    for i in range(n):
        moment[:] = 0.0
        missing[:] = 0.0
        count = start = first = last = 0
        for k in range(origins.size):
            for t in range(start, origins[k]):
                value = np.float64(series[i, t])
                if value == value:
                    first = t if count == 0 else first
                    last = t
                    count += 1
                    for a in range(p):
                        moment[a] += basis[t, a] * value
                else:
                    for a in range(p):
                        for b in range(a + 1):
                            missing[a, b] += basis[t, a] * basis[t, b]
            start = origins[k]
            if count < min_dates or last - first + 1 < min_span:
                continue
            if _coefficients(coefficients, moment, missing, grams[k], inverses[k], count == start):
                _window(out[i, k], series[i, start - before : start + after], basis[start - before :], coefficients)
    return out


@njit(nogil=True, cache=True)
def _products_on_cpu(windows: Float64, before: int) -> Float64:
    out = np.zeros((before, windows.shape[1]))
    for i in range(windows.shape[0]):
        for a in range(before):
            for b in range(windows.shape[1]):
                out[a, b] += windows[i, a] * windows[i, b]
    return out


@njit(nogil=True, cache=True)
def _coefficients(
    out: Float64, moment: Float64, missing: Float64, gram: Float64, inverse: Float64, complete: bool
) -> bool:
    """Coefficients of the fit so far; False where there is none."""
    p = moment.size
    if complete:
        for a in range(p):
            total = 0.0
            for b in range(p):
                total += inverse[a, b] * moment[b]
            out[a] = total
        return bool(inverse[0, 0] == inverse[0, 0])
    out[:] = moment
    return bool(solve(gram - missing, out))


@njit(nogil=True, cache=True)
def _window(out: Float64, samples: Float32, basis: Float64, coefficients: Float64) -> None:
    for t in range(samples.size):
        residual = np.float64(samples[t])
        for a in range(coefficients.size):
            residual -= basis[t, a] * coefficients[a]
        out[t] = residual if residual == residual else 0.0


def _on_array(
    xp: ModuleType,
    values: Any,
    basis: Any,
    origins: Steps,
    before: int,
    after: int,
    min_dates: int,
    min_span: int,
) -> Any:
    p = basis.shape[1]
    windows = []
    for step in origins.tolist():
        known, seen = values[..., :step], basis[:step]
        present = ~xp.isnan(known)
        moment = xp.where(present, known, 0.0).astype(xp.float64) @ seen
        # CuPy multiplies the last two first
        gram = xp.einsum("...t,ta,tb->...ab", present.astype(xp.float64), seen, seen)
        span = step - present[..., ::-1].argmax(-1) - present.argmax(-1)
        enough = (present.sum(-1) >= min_dates) & (span >= min_span)
        able = enough & (xp.linalg.eigvalsh(gram)[..., 0] > DEGENERATE)
        gram = xp.where(able[..., None, None], gram, xp.eye(p))
        fit = xp.linalg.solve(gram, moment[..., None])[..., 0]
        around = slice(step - before, step + after)
        residual = values[..., around].astype(xp.float64) - fit @ basis[around].T
        windows.append(xp.where(able[..., None] & ~xp.isnan(residual), residual, 0.0))
    shape = (*values.shape[:-1], len(windows), before + after)
    return xp.stack(windows, axis=-2) if windows else xp.zeros(shape)
