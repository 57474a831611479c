"""What a series' past says about its future: a least-squares fit, and how the residuals around it behave.

Every point is fitted from its own valid dates; nothing depends on the points beside it, to the last bit.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import namespace, rows

__all__ = [
    "DEGENERATE",
    "ResidualSummary",
    "combine",
    "least_squares",
    "residual_summary",
    "residuals",
    "solve",
]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

DEGENERATE = 1e-9
"""Share of a column's squared length below which the valid dates cannot tell it from the columns before it."""

HIGHEST_AUTOCORRELATION = 0.99
"""At 1 a residual would never fade."""


class ResidualSummary(NamedTuple):
    """What `residual_summary` returns; arrays of shape (...)."""

    rmse: Any
    recent: Any
    autocorrelation: Any
    last: Any
    age: Any


def least_squares(values: Any, design: Float64, min_dates: int = 0, min_span: int = 0) -> Any:
    """Ordinary least squares of each series on its valid dates.

    With ``design`` = QR, a missing date takes its row's share out of QᵀQ = I, so that the p x p system of each point
    costs p² operations per missing date only.

    Parameters
    ----------
    values : array of float32, shape (..., T)
        Series [mm]; missing is NaN.
    design : array of float64, shape (T, p)
        Columns of the model at the dates.
    min_dates, min_span : int
        Valid dates, and dates from the first to the last of them, that a fit needs; always at least p + 1.

    Returns
    -------
    array of float64, shape (..., p)
        Coefficients; NaN where a series has too few valid dates or where they cannot tell the columns apart.
    """
    basis, inverse = _basis(np.asarray(design, np.float64))
    needs = max(min_dates, len(basis) + 1), min_span
    xp = namespace(values)
    if xp is not np:
        return _fit_on_array(xp, values, xp.asarray(basis), xp.asarray(inverse), *needs)
    return _fit_on_cpu(rows(values), basis, inverse, *needs).reshape(*np.shape(values)[:-1], basis.shape[0])


def residuals(values: Any, design: Float64, coefficients: Any) -> Any:
    """``values - coefficients @ design.T`` in float32, shape (..., T); missing stays NaN."""
    xp = namespace(values)
    if xp is not np:
        return (values - coefficients @ xp.asarray(design).T).astype(xp.float32)
    out = _residuals_on_cpu(rows(values), np.asarray(design, np.float64), _table(coefficients))
    return out.reshape(np.shape(values))


def residual_summary(values: Any, design: Float64, coefficients: Any, recent: int = 12) -> ResidualSummary:
    """Size, persistence and last value of the residuals of each series, in one pass.

    Parameters
    ----------
    values : array of float32, shape (..., T)
        Evenly spaced series [mm]; missing is NaN.
    design : array of float64, shape (T, p)
    coefficients : array of float64, shape (..., p)
    recent : int
        Last dates that ``recent`` is computed from.

    Returns
    -------
    ResidualSummary
        ``rmse`` of all residuals [mm], and of the ``recent`` ones (``rmse`` where all of these are missing);
        ``autocorrelation`` at lag one, sum r_t r_{t+1} / sum r_t² over the pairs of valid neighbours,
        within [0, 0.99], 0 where there is no such pair; ``last`` valid residual [mm], and its ``age`` in steps before
        the end (0 = the last date). NaN, and 0 for the autocorrelation and the age, where there is no fit.
    """
    xp = namespace(values)
    if xp is not np:
        return _summary_on_array(xp, values, xp.asarray(design), coefficients, recent)
    columns = np.ascontiguousarray(np.transpose(design), np.float64)
    summary = _summary_on_cpu(rows(values), columns, _table(coefficients), recent)
    return ResidualSummary(*(column.reshape(np.shape(values)[:-1]) for column in summary.T))


def combine(coefficients: Any, design: Float64) -> Any:
    """``coefficients @ design.T`` in float32, shape (..., h), each row by itself.

    A matrix product may round a row by its place among the others: forecasts would then depend on the cut into shards.
    """
    xp = namespace(coefficients)
    if xp is not np:
        return (coefficients[..., None, :] * xp.asarray(design)).sum(-1).astype(xp.float32)
    out = _combine_on_cpu(_table(coefficients), np.ascontiguousarray(design.T, np.float64))
    return out.reshape(*np.shape(coefficients)[:-1], len(design))


def _table(coefficients: Any) -> Float64:
    array = np.ascontiguousarray(coefficients, np.float64)
    return array.reshape(int(np.prod(array.shape[:-1])), array.shape[-1])


def _basis(design: Float64) -> tuple[Float64, Float64]:
    """Orthonormal columns (p, T) and inverse of their triangle; NaN where the dates cannot tell the columns apart."""
    n_dates, p = design.shape
    if n_dates <= p:
        return np.zeros((p, n_dates)), np.full((p, p), np.nan)
    q, r = np.linalg.qr(design)
    degenerate = np.diag(r) ** 2 <= DEGENERATE * (design**2).sum(axis=0)
    return np.ascontiguousarray(q.T), np.full((p, p), np.nan) if degenerate.any() else np.linalg.inv(r)


@njit(nogil=True, cache=True)
def _fit_on_cpu(series: Float32, basis: Float64, inverse: Float64, min_dates: int, min_span: int) -> Float64:
    n, n_dates = series.shape
    p = basis.shape[0]
    out = np.empty((n, p))
    gram = np.empty((p, p))
    moment = np.empty(p)
    samples = np.empty(n_dates)
    missing = np.empty(n_dates + 1, np.int64)
    for i in range(n):
        gaps = 0
        for t in range(n_dates):
            value = np.float64(series[i, t])
            missing[gaps] = t  # overwritten unless this date is missing: no branch to mispredict
            gaps += value != value
            samples[t] = value if value == value else 0.0
        for a in range(p):
            moment[a] = _dot(basis[a], samples)
        gram[:] = np.eye(p)
        for k in range(gaps):
            for a in range(p):
                for b in range(a + 1):
                    gram[a, b] -= basis[a, missing[k]] * basis[b, missing[k]]
        able = n_dates - gaps >= min_dates and n_dates - _outside(missing[:gaps], n_dates) >= min_span
        if not able or (gaps > 0 and not solve(gram, moment)):
            out[i] = np.nan
            continue
        for a in range(p):
            total = 0.0
            for b in range(a, p):
                total += inverse[a, b] * moment[b]
            out[i, a] = total
    return out


@njit(nogil=True, cache=True)
def _outside(missing: npt.NDArray[np.int64], n_dates: int) -> int:
    """Number of dates before the first valid one and after the last."""
    before = 0
    while before < missing.size and missing[before] == before:
        before += 1
    after = 0
    while after < missing.size - before and missing[missing.size - 1 - after] == n_dates - 1 - after:
        after += 1
    return before + after


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _dot(left: Float64, right: Float64) -> float:
    """Sum of products in whatever order is fastest: eight at a time instead of one after the other."""
    total = 0.0
    for t in range(left.size):
        total += left[t] * right[t]
    return total


@njit(nogil=True, cache=True)
def solve(gram: Float64, moment: Float64) -> bool:
    """Solve ``gram x = moment`` in place by elimination; only the lower triangle is read. False when singular."""
    p = moment.size
    for k in range(p):
        if not gram[k, k] > DEGENERATE:
            return False
        for a in range(k + 1, p):
            factor = gram[a, k] / gram[k, k]
            for b in range(k + 1, a + 1):
                gram[a, b] -= factor * gram[b, k]
            moment[a] -= factor * moment[k]
    for step in range(p):
        a = p - 1 - step
        for b in range(a + 1, p):
            moment[a] -= gram[b, a] * moment[b]
        moment[a] /= gram[a, a]
    return True


@njit(nogil=True, cache=True)
def _combine_on_cpu(coefficients: Float64, columns: Float64) -> Float32:
    n, p = coefficients.shape
    out = np.empty((n, columns.shape[1]), np.float32)
    total = np.empty(columns.shape[1])
    for i in range(n):
        total[:] = 0.0
        for a in range(p):
            for lead in range(total.size):
                total[lead] += coefficients[i, a] * columns[a, lead]
        out[i] = total
    return out


@njit(nogil=True, cache=True)
def _residuals_on_cpu(series: Float32, design: Float64, coefficients: Float64) -> Float32:
    n, n_dates = series.shape
    out = np.empty((n, n_dates), np.float32)
    for i in range(n):
        for t in range(n_dates):
            fitted = 0.0
            for a in range(design.shape[1]):
                fitted += design[t, a] * coefficients[i, a]
            out[i, t] = series[i, t] - fitted
    return out


@njit(nogil=True, cache=True)
def _summary_on_cpu(series: Float32, columns: Float64, coefficients: Float64, recent: int) -> Float32:
    n, n_dates = series.shape
    out = np.empty((n, 5), np.float32)
    start = max(n_dates - recent, 0)
    left = np.empty(n_dates)
    valid = np.empty(n_dates)
    before = np.empty(n_dates - 1)
    for i in range(n):
        out[i] = (np.nan, np.nan, 0.0, np.nan, 0.0)
        if coefficients[i, 0] != coefficients[i, 0]:
            continue
        for t in range(n_dates):
            left[t] = series[i, t]
        for a in range(columns.shape[0]):
            for t in range(n_dates):
                left[t] -= columns[a, t] * coefficients[i, a]
        for t in range(n_dates):
            valid[t] = 1.0 if left[t] == left[t] else 0.0
            left[t] = left[t] if left[t] == left[t] else 0.0
        for t in range(n_dates - 1):
            before[t] = left[t] * valid[t + 1]
        when = n_dates - 1
        while valid[when] == 0.0:
            when -= 1
        first_squares = _dot(before, before)
        phi = _dot(before, left[1:]) / first_squares if first_squares > 0.0 else 0.0
        late = _dot(valid[start:], valid[start:])
        out[i, 0] = np.sqrt(_dot(left, left) / _dot(valid, valid))
        out[i, 1] = np.sqrt(_dot(left[start:], left[start:]) / late) if late > 0.0 else out[i, 0]
        out[i, 2] = min(max(phi, 0.0), HIGHEST_AUTOCORRELATION)
        out[i, 3] = left[when]
        out[i, 4] = n_dates - 1 - when
    return out


def _fit_on_array(xp: ModuleType, values: Any, basis: Any, inverse: Any, min_dates: int, min_span: int) -> Any:
    p = basis.shape[0]
    if not values.shape[-1]:
        return xp.full((*values.shape[:-1], p), xp.nan)
    present = ~xp.isnan(values)
    moment = xp.where(present, values, 0.0).astype(xp.float64) @ basis.T
    # CuPy multiplies the last two first
    gram = xp.einsum("...t,at,bt->...ab", present.astype(xp.float64), basis, basis)
    span = values.shape[-1] - present[..., ::-1].argmax(-1) - present.argmax(-1)
    enough = (present.sum(-1) >= min_dates) & (span >= min_span)
    known = enough & (xp.linalg.eigvalsh(gram)[..., 0] > DEGENERATE)
    gram = xp.where(known[..., None, None], gram, xp.eye(p))
    solved = xp.linalg.solve(gram, moment[..., None])[..., 0] @ inverse.T
    return xp.where(known[..., None], solved, xp.nan)


def _summary_on_array(xp: ModuleType, values: Any, design: Any, coefficients: Any, recent: int) -> ResidualSummary:
    n_dates = values.shape[-1]
    left = values.astype(xp.float64) - coefficients @ design.T
    valid = ~xp.isnan(left)
    known = valid.any(-1)
    zeroed = xp.where(valid, left, 0.0)
    pairs = valid[..., :-1] & valid[..., 1:]
    products = (zeroed[..., :-1] * zeroed[..., 1:]).sum(-1)
    first_squares = xp.where(pairs, zeroed[..., :-1] ** 2, 0.0).sum(-1)
    phi = xp.where(first_squares > 0, products / xp.where(first_squares > 0, first_squares, 1.0), 0.0)
    when = xp.max(xp.where(valid, xp.arange(n_dates), 0), axis=-1)
    last = xp.take_along_axis(left, when[..., None], -1)[..., 0]
    rmse = xp.sqrt((zeroed**2).sum(-1) / xp.maximum(valid.sum(-1), 1))
    late = valid[..., -recent:].sum(-1)
    of_late = xp.sqrt((zeroed[..., -recent:] ** 2).sum(-1) / xp.maximum(late, 1))
    columns = (
        xp.where(known, rmse, xp.nan),
        xp.where(known, xp.where(late > 0, of_late, rmse), xp.nan),
        xp.clip(phi, 0.0, HIGHEST_AUTOCORRELATION),
        xp.where(known, last, xp.nan),
        xp.where(known, n_dates - 1 - when, 0),
    )
    return ResidualSummary(*(column.astype(xp.float32) for column in columns))
