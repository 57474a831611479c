"""Additive Holt-Winters: level, slope and season of each series, all its parameters estimated by least squares."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from insar_kernels.dispatch import namespace, rows
from insar_kernels.holt_winters_gaps import concentrate, gains_of
from insar_kernels.holt_winters_search import search
from insar_kernels.holt_winters_states import smooth_states

__all__ = [
    "NOISELESS",
    "NOT_CONVERGED",
    "NO_DATA",
    "OK",
    "TOO_SHORT",
    "UNSEEN_SEASON",
    "HoltWinters",
    "holt_winters",
    "holt_winters_forecast",
]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

OK, TOO_SHORT, NO_DATA, UNSEEN_SEASON, NOT_CONVERGED, NOISELESS = range(6)

BLOCK = 2048
"""Series searched at once."""


class HoltWinters(NamedTuple):
    """What `holt_winters` returns; float32, but ``status``, int8."""

    trend: Any
    season: Any
    residual: Any
    alpha: Any
    beta: Any
    gamma: Any
    sse: Any
    sigma: Any
    level: Any
    slope: Any
    seasonal: Any
    status: Any


def holt_winters(values: Any, period: int, n_fit: int | None = None) -> HoltWinters:
    """Additive Holt-Winters components of each series, with the parameters that fit it best.

    With e the error of forecasting a date from those before it, e = y - (l + b + s), each date updates level, slope
    and the seasonal index of its phase: l += b + alpha e, b += alpha beta e, s += gamma e (ETS(A,A,A): Hyndman,
    Koehler, Ord & Snyder 2008, doi:10.1007/978-3-540-71918-2). The smoothing parameters (0 <= alpha <= 1,
    0 <= beta <= alpha, 0 <= gamma <= 1 - alpha) and the states before the first date make the sum of e^2 small. At a
    missing date e is 0: the states are those predicted.

    Parameters
    ----------
    values : array of float32, shape (..., T)
        Evenly spaced series [mm]; missing is NaN.
    period : int
        Dates in a season, at least 2.
    n_fit : int, optional
        Parameters and initial states are estimated from the first ``n_fit`` dates alone, by default from all; the
        states at a later date follow from the dates up to it.

    Returns
    -------
    HoltWinters
        ``trend``, ``season`` (..., T): level and seasonal index after each date's update [mm]; ``residual``: what they
        leave, NaN where the series is missing. ``alpha``, ``beta``, ``gamma`` (...), as statsmodels defines them.
        ``sse`` [mm^2]: sum of e^2 over the fitted dates; ``sigma`` [mm]: its root mean, over their number less the
        period + 4 estimated parameters. ``level`` [mm], ``slope`` [mm per date] (...) and ``seasonal`` (..., period)
        [mm] after the last date, ``seasonal[..., 0]`` being that of the next date. The seasonal indices before the
        first date have the mean zero.

        ``status`` (...):

        * `OK`;
        * `TOO_SHORT`: less than two periods, or less than period + 5 valid dates, to fit; all is NaN;
        * `NO_DATA`: not one valid date to fit; all is NaN;
        * `UNSEEN_SEASON`: the valid dates to fit do not determine slope and seasonal indices; all is NaN;
        * `NOT_CONVERGED`: the best that the search came upon;
        * `NOISELESS`: a straight line and a repeated season leave nothing; alpha, beta and gamma are 0.
    """
    if namespace(values) is not np:
        raise NotImplementedError("holt_winters runs on NumPy arrays")
    shape, series = np.shape(values)[:-1], rows(values)
    n, length = series.shape
    fitted = length if n_fit is None else min(n_fit, length)
    components = np.empty((3, n, length), np.float32)
    numbers, seasonal = np.empty((7, n), np.float32), np.empty((n, period), np.float32)
    status = np.empty(n, np.int8)
    for first in range(0, n, BLOCK):
        block = slice(first, first + BLOCK)
        parts = _fit(series[block], period, fitted)
        components[:, block], numbers[:, block], seasonal[block], status[block] = parts
    trend, season, residual = components.reshape(3, *shape, length)
    alpha, beta, gamma, sse, sigma, level, slope = numbers.reshape(7, *shape)
    return HoltWinters(
        trend,
        season,
        residual,
        alpha,
        beta,
        gamma,
        sse,
        sigma,
        level,
        slope,
        seasonal.reshape(*shape, period),
        status.reshape(shape),
    )


def holt_winters_forecast(
    level: Any, slope: Any, seasonal: Any, alpha: Any, beta: Any, gamma: Any, sigma: Any, steps: int
) -> tuple[Any, Any]:
    """Mean and standard error of the next ``steps`` dates from the states after the last date.

    The mean h dates ahead is l + h b + s; the variance of its error sigma^2 (1 + sum c_j^2) over j = 1 ... h - 1, with
    c_j = alpha + alpha beta j + gamma [j is a multiple of the period] (Hyndman, Koehler, Ord & Snyder 2008, class 1,
    doi:10.1007/978-3-540-71918-2). The parameters are taken as known.

    Parameters
    ----------
    level, slope, alpha, beta, gamma, sigma : array of float32, shape (...)
        As `holt_winters` returns them.
    seasonal : array of float32, shape (..., period)
        The first is that of the next date.
    steps : int
        Dates ahead.

    Returns
    -------
    mean, error : array of float32, shape (..., steps)
        [mm]
    """
    xp = namespace(level)
    period = seasonal.shape[-1]
    ahead = xp.arange(1, steps + 1)
    phases = xp.arange(steps) % period
    mean = level[..., None] + slope[..., None] * ahead.astype(xp.float32) + seasonal[..., phases]
    a, c, g = (xp.asarray(x, xp.float64)[..., None] for x in (alpha, alpha * beta, gamma))
    lag = xp.arange(1, steps)
    weight = a + c * lag + g * (lag % period == 0)
    spread = xp.concatenate([xp.ones_like(a), 1.0 + xp.cumsum(weight**2, axis=-1)], axis=-1)
    return mean.astype(xp.float32), (xp.sqrt(spread) * sigma[..., None]).astype(xp.float32)


def _fit(series: Float32, period: int, fitted: int) -> tuple[Float32, Float32, Float32, npt.NDArray[np.int8]]:
    history = np.ascontiguousarray(series[:, :fitted])
    valid = np.isfinite(history).sum(1)
    status = np.where(valid < period + 5, TOO_SHORT, OK).astype(np.int8)
    status[valid == 0] = NO_DATA
    if fitted < 2 * period:
        status[valid > 0] = TOO_SHORT
    usable = np.flatnonzero(status == OK)
    squares, _, _, _ = _squares(history, usable, np.zeros((len(usable), 3)), period)
    status[usable[np.isnan(squares)]] = UNSEEN_SEASON
    scale = np.nanmax(np.abs(history[usable]), axis=1, initial=0.0).astype(np.float64)
    status[usable[squares <= valid[usable] * (1e-6 * scale) ** 2]] = NOISELESS

    shares = np.zeros((len(series), 3))
    search_in = np.flatnonzero(status == OK)
    if search_in.size:
        found, converged = _search(history, search_in, period)
        shares[search_in] = found
        status[search_in[~converged]] = NOT_CONVERGED
    known = np.isin(status, (OK, NOT_CONVERGED, NOISELESS))
    index, gains = np.flatnonzero(known), gains_of(shares)
    squares, _, _, initial = _squares(history, index, shares[index], period)

    sse, start, seasonal = (
        np.full(len(series), np.nan),
        np.full((len(series), 2), np.nan),
        np.full((len(series), period), np.nan),
    )
    sse[index] = squares
    mean = initial[:, 1:].mean(1)
    start[index], seasonal[index] = np.stack([mean, initial[:, 0]], axis=1), initial[:, 1:] - mean[:, None]
    components, final, seasonal = smooth_states(series, gains, start, seasonal)
    alpha, beta, gamma = gains[:, 0], shares[:, 0] * shares[:, 1], gains[:, 2]
    sigma = np.sqrt(sse / np.maximum(valid - period - 4, 1))
    numbers = np.where(known, np.stack([alpha, beta, gamma, sse, sigma, final[:, 0], final[:, 1]]), np.nan)
    return components, numbers.astype(np.float32), seasonal.astype(np.float32), status


def _search(history: Float32, index: npt.NDArray[np.intp], period: int) -> tuple[Float64, npt.NDArray[np.bool_]]:
    def evaluate(at: npt.NDArray[np.intp], shares: Float64) -> tuple[Float64, Float64, Float64]:
        squares, slope, curve, _ = _squares(history, index[at], shares, period)
        a, h, k = shares.T
        chain = np.zeros((len(at), 3, 3))  # of the gains (columns) with respect to the shares (rows)
        chain[:, 0, 0], chain[:, 0, 1], chain[:, 0, 2] = 1.0, 2.0 * h * a, -k
        chain[:, 1, 1], chain[:, 2, 2] = a * a, 1.0 - a
        return squares, np.einsum("npq,nq->np", chain, slope), np.einsum("npq,nqr,nsr->nps", chain, curve, chain)

    starts = np.array([[a, h, k] for a in (0.1, 0.4, 0.8) for h in (0.1, 0.5) for k in (0.1, 0.6)])
    tables = [_squares(history, index, np.tile(start, (len(index), 1)), period)[0] for start in starts]
    shares, _, converged = search(evaluate, starts[np.argmin(tables, axis=0)])
    return shares, converged


def _squares(
    history: Float32, index: npt.NDArray[np.intp], shares: Float64, period: int
) -> tuple[Float64, Float64, Float64, Float64]:
    fits, initial = np.empty((len(index), 10)), np.empty((len(index), period + 1))
    concentrate(history, index, gains_of(shares), period, fits, initial)
    matrix = fits[:, [4, 5, 6, 5, 7, 8, 6, 8, 9]].reshape(-1, 3, 3)
    return fits[:, 0], fits[:, 1:4], matrix, initial
