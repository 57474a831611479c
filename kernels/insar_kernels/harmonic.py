"""Motion parameters and their standard errors: three nested least-squares fits from one pass over each series.

With X = QR (`insar_kernels.nested_models`) the pass gives Q'y, and every coefficient, error and residual of all three
models follows from six numbers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import namespace, rows
from insar_kernels.gpu import fits as nested_fits
from insar_kernels.nested_models import DEGENERATE, MIN_DATES, PACKED, basis_of, packed_products

__all__ = ["MIN_DATES", "Motion", "motion"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


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
    basis, inverse = basis_of(np.asarray(years, np.float64))
    xp = namespace(values)
    if xp is np:
        shape = np.shape(values)[:-1]
        series = rows(values)
        fits, n_dates = np.empty((8, len(series)), np.float32), np.empty(len(series), np.int32)
        _on_cpu(series, basis, packed_products(basis), inverse, fits, n_dates)
        fits, n_dates = fits.reshape(8, *shape), n_dates.reshape(shape)
    else:
        fits, n_dates = nested_fits.motion(xp, values, basis, inverse)
    velocity, velocity_std, acceleration, acceleration_std, cosine, sine, seasonality_std, rmse = fits
    return Motion(
        velocity,
        velocity_std,
        acceleration,
        acceleration_std,
        xp.hypot(cosine, sine),
        seasonality_std,
        xp.arctan2(sine, cosine) * np.float32(0.5 / np.pi) % np.float32(1),
        rmse,
        n_dates,
    )


@njit(nogil=True, cache=True, error_model="numpy")
def _on_cpu(
    series: Float32,
    basis: Float64,
    products: Float64,
    inverse: Float64,
    fits: Float32,
    n_dates: npt.NDArray[np.int32],
) -> None:
    """One pass over each series; only one with gaps, to which the basis is not orthogonal, needs an elimination."""
    length = series.shape[1]
    ones, whole, packed = np.ones(6), inverse[1:3].copy(), np.empty(PACKED)
    gram, shares, sides, moments = np.empty((6, 6)), np.empty(6), np.empty((2, 6)), np.empty(7)
    filled, absent, missing = np.empty(length, np.float32), np.empty(length, np.uint8), np.empty(length + 1, np.uintp)
    for i in range(len(series)):
        gaps = _fill(series[i], filled, absent)
        n_dates[i] = length - gaps
        _project(filled, basis, moments)
        if gaps == 0:
            _read_off(fits[:, i], moments, ones, whole, inverse, length)
        else:
            _list(absent, missing)
            _take_out(products, missing[:gaps], packed, gram)
            _eliminate(gram, moments, whole, sides, shares)
            _read_off(fits[:, i], moments, shares, sides, inverse, length - gaps)


@njit(nogil=True, cache=True, error_model="numpy")
def _fill(series: Float32, filled: Float32, absent: npt.NDArray[np.uint8]) -> int:
    gaps = np.int32(0)
    for t in range(np.uintp(series.size)):
        valid = series[t] == series[t]
        filled[t] = series[t] if valid else np.float32(0)
        absent[t] = not valid
        gaps += np.int32(not valid)
    return int(gaps)


@njit(nogil=True, cache=True, error_model="numpy")
def _list(absent: npt.NDArray[np.uint8], missing: npt.NDArray[np.uintp]) -> None:
    m = np.uintp(0)
    for t in range(np.uintp(absent.size)):
        missing[m] = t  # overwritten unless this date is missing: no branch to mispredict
        m += np.uintp(absent[t])


@njit(nogil=True, cache=True, error_model="numpy")
def _take_out(products: Float64, missing: npt.NDArray[np.uintp], packed: Float64, gram: Float64) -> None:
    """Gram matrix of the basis over the valid dates: the identity less q q' of each missing one."""
    for k in range(np.uintp(packed.size)):
        packed[k] = 0.0
    for m in range(np.uintp(missing.size)):
        start = missing[m] * np.uintp(PACKED)
        for k in range(np.uintp(packed.size)):
            packed[k] += products[start + k]
    place = np.uintp(0)
    for a in range(np.uintp(6)):
        for b in range(a, np.uintp(6)):
            gram[a, b] = (1.0 if a == b else 0.0) - packed[place]
            place += np.uintp(1)


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})
def _project(series: Float32, basis: Float64, moments: Float64) -> None:
    """Q'y, and y'y last; sums may be reordered, which makes them vector operations."""
    a = b = c = d = e = f = squares = 0.0
    for t in range(np.uintp(series.size)):
        y = np.float64(series[t])
        a += basis[0, t] * y
        b += basis[1, t] * y
        c += basis[2, t] * y
        d += basis[3, t] * y
        e += basis[4, t] * y
        f += basis[5, t] * y
        squares += y * y
    moments[0], moments[1], moments[2], moments[3], moments[4], moments[5] = a, b, c, d, e, f
    moments[6] = squares


@njit(nogil=True, cache=True, error_model="numpy")
def _eliminate(gram: Float64, moments: Float64, whole: Float64, sides: Float64, shares: Float64) -> None:
    """Gaussian elimination of the Gram matrix with three right sides; ``shares`` are the inverse pivots."""
    for k in range(np.uintp(6)):
        sides[0, k], sides[1, k] = whole[0, k], whole[1, k]
    for k in range(np.uintp(6)):
        shares[k] = 1.0 / gram[k, k] if gram[k, k] > DEGENERATE else np.nan
        for a in range(k + np.uintp(1), np.uintp(6)):
            factor = gram[k, a] * shares[k]
            for b in range(a, np.uintp(6)):
                gram[a, b] -= factor * gram[k, b]
            moments[a] -= factor * moments[k]
            sides[0, a] -= factor * sides[0, k]
            sides[1, a] -= factor * sides[1, k]


@njit(nogil=True, cache=True, error_model="numpy")
def _read_off(fit: Float32, moments: Float64, shares: Float64, sides: Float64, inverse: Float64, count: int) -> None:
    """Read all parameters off the eliminated system; each model's residual is what its columns leave of y'y."""
    first = moments[6]
    for k in range(4):
        first -= moments[k] * moments[k] * shares[k]
    second = first - moments[4] * moments[4] * shares[4]
    third = second - moments[5] * moments[5] * shares[5]
    cosine = sine = spread = 0.0
    for k in range(6):
        cosine += moments[k] * sides[0, k] * shares[k]
        sine += moments[k] * sides[1, k] * shares[k]
        spread += (sides[0, k] * sides[0, k] + sides[1, k] * sides[1, k]) * shares[k]
    known = 1.0 if count >= MIN_DATES and third == third else np.nan
    rmse = known * np.sqrt(max(third, 0.0) / count)
    fit[0] = known * moments[3] * shares[3] * inverse[3, 3]
    fit[1] = known * abs(inverse[3, 3]) * np.sqrt(max(first, 0.0) * shares[3] / (count - 1.0))
    fit[2] = known * 2.0 * moments[4] * shares[4] * inverse[4, 4]
    fit[3] = known * 2.0 * abs(inverse[4, 4]) * np.sqrt(max(second, 0.0) * shares[4] / (count - 1.0))
    fit[4] = known * cosine
    fit[5] = known * sine
    fit[6] = np.sqrt((4.0 - np.pi) / 4.0 * spread) * rmse
    fit[7] = rmse
