"""Motion parameters and their standard errors: three nested least-squares fits from one orthogonal basis.

The columns 1, cos, sin, t, t^2, t^3 are ordered so that the models of EGMS are their first 4, 5 and 6. With X = QR one
pass over a series gives Q'y, and every coefficient, error and residual of all three models follows from six numbers.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import namespace, rows

__all__ = ["MIN_DATES", "Motion", "motion"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

MIN_DATES = 7
"""Six terms need seven dates: with fewer no residual is left to judge them by."""

DEGENERATE = 1e-9
"""Share of a column's squared length below which it counts as a combination of the columns before it."""


class Motion(NamedTuple):
    """What `motion` returns; arrays of float32 and shape (...), but ``n_dates``, int32."""

    velocity: Any
    velocity_std: Any
    acceleration: Any
    acceleration_std: Any
    seasonality: Any
    seasonality_std: Any
    phase: Any
    rmse: Any
    n_dates: Any


def motion(values: Any, years: Float64) -> Motion:
    """Velocity, acceleration and annual signal of each series with standard errors, as EGMS defines them.

    Ordinary least squares over the valid dates of each series (EGMS Product Description v3, Table 14):

    * velocity: slope of {1, c, s, t}; its error is sqrt(q) times the residual's standard deviation (ddof 1), q being
      the diagonal of the inverse normal matrix;
    * acceleration: coefficient of t^2/2 in {1, c, s, t, t^2/2}; its error likewise;
    * rmse: of {1, c, s, t, t^2, t^3}; seasonality: the length of its (c, s); the error of that is
      sqrt((4 - pi) / 2 * (q_c + q_s) / 2) * rmse;

    with c = cos 2 pi t, s = sin 2 pi t. NaN where a series has fewer than `MIN_DATES` valid dates, or where they cannot
    tell the six terms apart.

    Parameters
    ----------
    values : array of float32, shape (..., T)
        Series [mm]; missing is NaN.
    years : array of float64, shape (T,)
        Dates in years of 365 days.

    Returns
    -------
    Motion
        Arrays of shape (...); velocity in mm/yr, acceleration in mm/yr^2, seasonality and rmse in mm, and ``phase``,
        the year in [0, 1) at which the annual signal peaks.
    """
    basis, inverse = _basis(np.asarray(years, np.float64))
    xp = namespace(values)
    if xp is np:
        fits, n_dates = _on_cpu(rows(values), basis, inverse)
        shape = np.shape(values)[:-1]
        fits, n_dates = fits.reshape(8, *shape), n_dates.reshape(shape)
    else:
        fits, n_dates = _on_array(xp, values, xp.asarray(basis), xp.asarray(inverse))
    velocity, velocity_std, acceleration, acceleration_std, cosine, sine, seasonality_std, rmse = fits
    phase = xp.arctan2(sine, cosine) / np.float32(2 * np.pi) % np.float32(1)
    seasonality = xp.hypot(cosine, sine)
    return Motion(
        velocity, velocity_std, acceleration, acceleration_std, seasonality, seasonality_std, phase, rmse, n_dates
    )


def _basis(years: Float64) -> tuple[Float64, Float64]:
    """Orthonormal columns (6, T) of the largest model, and the inverse of their triangle (6, 6).

    The centre of the time axis keeps the powers of t apart; no coefficient that is read depends on it. Where the dates
    cannot tell the columns apart the inverse is NaN, and so is every parameter.
    """
    angle = 2 * np.pi * years
    t = years - years.mean()
    design = np.stack([np.ones_like(t), np.cos(angle), np.sin(angle), t, t**2, t**3], axis=1)
    if len(years) < MIN_DATES:
        return np.full((6, len(years)), np.nan), np.full((6, 6), np.nan)
    q, r = np.linalg.qr(design)
    degenerate = np.diag(r) ** 2 <= DEGENERATE * (design**2).sum(axis=0)
    inverse = np.full((6, 6), np.nan) if degenerate.any() else np.linalg.inv(r)
    return np.ascontiguousarray(q.T), inverse


@njit(nogil=True, cache=True)
def _on_cpu(series: Float32, basis: Float64, inverse: Float64) -> tuple[Float32, npt.NDArray[np.int32]]:
    n, n_dates = series.shape
    fits = np.empty((8, n), np.float32)
    valid = np.empty(n, np.int32)
    gram = np.empty((6, 6))
    solved = np.empty((3, 6))
    for i in range(n):
        solved[0] = 0.0
        solved[1] = inverse[1]
        solved[2] = inverse[2]
        gram[:] = np.eye(6)
        squares = 0.0
        count = 0
        for t in range(n_dates):
            value = np.float64(series[i, t])
            if value == value:
                count += 1
                squares += value * value
                for a in range(6):
                    solved[0, a] += basis[a, t] * value
            else:
                for a in range(6):
                    for b in range(a + 1):
                        gram[a, b] -= basis[a, t] * basis[b, t]
        valid[i] = count
        _fit(fits[:, i], gram, solved, squares, count, inverse)
    return fits, valid


@njit(nogil=True, cache=True)
def _fit(fit: Float32, gram: Float64, solved: Float64, squares: float, count: int, inverse: Float64) -> None:
    """Eliminate the normal matrix and its right sides [Q'y, row c, row s]; read the parameters off the pivots."""
    fit[:] = np.nan
    if count < MIN_DATES:
        return
    residual = squares
    first = second = 0.0
    cosine = sine = spread = 0.0
    for k in range(6):
        pivot = gram[k, k]
        if not pivot > DEGENERATE:
            return
        residual -= solved[0, k] ** 2 / pivot
        cosine += solved[0, k] * solved[1, k] / pivot
        sine += solved[0, k] * solved[2, k] / pivot
        spread += (solved[1, k] ** 2 + solved[2, k] ** 2) / pivot
        first = residual if k == 3 else first
        second = residual if k == 4 else second
        for a in range(k + 1, 6):
            factor = gram[a, k] / pivot
            for b in range(k + 1, a + 1):
                gram[a, b] -= factor * gram[b, k]
            for side in range(3):
                solved[side, a] -= factor * solved[side, k]
    freedom = count - 1.0
    fit[0] = solved[0, 3] / gram[3, 3] * inverse[3, 3]
    fit[1] = abs(inverse[3, 3]) * np.sqrt(max(first, 0.0) / (freedom * gram[3, 3]))
    fit[2] = 2.0 * solved[0, 4] / gram[4, 4] * inverse[4, 4]
    fit[3] = 2.0 * abs(inverse[4, 4]) * np.sqrt(max(second, 0.0) / (freedom * gram[4, 4]))
    fit[4] = cosine
    fit[5] = sine
    fit[7] = np.sqrt(max(residual, 0.0) / count)
    fit[6] = np.sqrt((4.0 - np.pi) / 4.0 * spread) * fit[7]


def _on_array(xp: ModuleType, values: Any, basis: Any, inverse: Any) -> tuple[Any, Any]:
    present = ~xp.isnan(values)
    series = xp.where(present, values, 0.0).astype(xp.float64)
    count = present.sum(-1)
    gram = xp.einsum("at,bt,...t->...ab", basis, basis, present.astype(xp.float64))
    gram = xp.where((count >= MIN_DATES)[..., None, None], gram, xp.nan)
    moment = series @ basis.T
    cosine, sine = xp.broadcast_to(inverse[1], moment.shape), xp.broadcast_to(inverse[2], moment.shape)
    solved = xp.stack([moment, cosine, sine], axis=-2)
    pivots = []
    for k in range(6):
        pivot = xp.where(gram[..., k, k] > DEGENERATE, gram[..., k, k], xp.nan)
        pivots.append(pivot)
        factor = xp.where(xp.arange(6) > k, gram[..., :, k] / pivot[..., None], 0.0)
        gram = gram - factor[..., :, None] * gram[..., None, k, :]
        solved = solved - factor[..., None, :] * solved[..., :, k, None]
    pivot = xp.stack(pivots, axis=-1)
    fitted = solved[..., 0, :] / pivot
    residual = xp.maximum((series**2).sum(-1)[..., None] - xp.cumsum(solved[..., 0, :] * fitted, axis=-1), 0.0)
    spread = ((solved[..., 1, :] ** 2 + solved[..., 2, :] ** 2) / pivot).sum(-1)
    error = abs(xp.diagonal(inverse)) * xp.sqrt(residual / pivot / xp.maximum(count - 1, 1)[..., None])
    rmse = xp.sqrt(residual[..., 5] / xp.maximum(count, 1))
    fits = [
        fitted[..., 3] * inverse[3, 3],
        error[..., 3],
        2 * fitted[..., 4] * inverse[4, 4],
        2 * error[..., 4],
        (fitted * solved[..., 1, :]).sum(-1),
        (fitted * solved[..., 2, :]).sum(-1),
        xp.sqrt((4 - np.pi) / 4 * spread) * rmse,
        rmse,
    ]
    unknown = xp.isnan(rmse)
    stacked = xp.where(unknown, xp.nan, xp.stack(fits)).astype(xp.float32)
    return stacked, count.astype(xp.int32)
