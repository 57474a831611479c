"""Additive Holt-Winters: level, slope and season of each series, all its parameters estimated by least squares."""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from insar_kernels.dispatch import namespace, rows
from insar_kernels.holt_winters_gaps import concentrate_gappy, initial_states
from insar_kernels.holt_winters_innovations import concentrate, first_innovations
from insar_kernels.holt_winters_inputs import Inputs, inputs_of
from insar_kernels.holt_winters_search import gains_of, search
from insar_kernels.holt_winters_starts import NODES, pick
from insar_kernels.holt_winters_states import smooth_states, states_before
from insar_kernels.holt_winters_table import tabulate

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
"""Series searched at once: 10 MB of tables and states."""

BLOCK_ON_GPU = 65536
"""The same there, where a step of all searches is one launch: 1.4 GB for 166 dates, beside the threads' columns."""

NEGLIGIBLE = 1e-6
"""Share of the largest value below which what a line and a season leave is the rounding of float32."""


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
    xp = namespace(values)
    parts = _decompose(xp, rows(values, xp), period, n_fit, xp is np)
    shape = values.shape[:-1]
    return HoltWinters._make(part.reshape((*shape, *part.shape[1:])) for part in parts)


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


def _decompose(xp: ModuleType, series: Any, period: int, n_fit: int | None, compiled: bool) -> HoltWinters:
    n, length = series.shape
    fitted = length if n_fit is None else min(n_fit, length)
    shapes = [(n, length)] * 3 + [(n,)] * 7 + [(n, period)]
    parts = HoltWinters._make([xp.empty(shape, xp.float32) for shape in shapes] + [xp.empty(n, xp.int8)])
    at_once = BLOCK if xp is np else BLOCK_ON_GPU
    for first in range(0, n, at_once):
        block = slice(first, first + at_once)
        found = _decompose_block(xp, series[block], period, fitted, compiled)
        with np.errstate(over="ignore"):  # squares beyond float32 are infinite
            for whole, part in zip(parts, found, strict=True):
                whole[block] = part
    return parts


def _decompose_block(xp: ModuleType, series: Any, period: int, fitted: int, compiled: bool) -> HoltWinters:
    history = xp.ascontiguousarray(series[:, :fitted])
    inputs = inputs_of(xp, history, period, compiled)
    status = _judge(xp, history, inputs, period)
    points = xp.full((len(series), 3), xp.nan, xp.float32)
    start, seasonal = xp.full((len(series), 2), xp.nan), xp.full((len(series), period), xp.nan)
    points[status == NOISELESS] = 0.0
    complete = inputs.n_valid == fitted
    for gappy in (False, True):
        at = xp.flatnonzero((status == OK) & (complete != gappy))
        if at.size:
            points[at], converged = _search(xp, inputs, at, period, gappy, compiled)
            status[at[~converged]] = NOT_CONVERGED
    gains = gains_of(xp, points.astype(xp.float64))
    fitting = (status == OK) | (status == NOT_CONVERGED)
    for at, states in (
        (status == NOISELESS, _states_of_line),
        (fitting & complete, _states_of_complete),
        (fitting & ~complete, _states_of_gappy),
    ):
        at = xp.flatnonzero(at)
        if at.size:
            some = Inputs._make(part[at] for part in inputs)
            level, start[at, 1], season = states(xp, history[at], some, gains[at], compiled)
            mean = season.mean(1)
            start[at, 0], seasonal[at] = level + mean, season - mean[:, None]
    components, final, seasonal, sse = smooth_states(xp, series, gains, start, seasonal, fitted, compiled)
    sse = xp.where(xp.isnan(points[:, 0]), xp.nan, sse)
    sigma = xp.sqrt(sse / xp.maximum(inputs.n_valid - period - 4, 1))
    alpha, beta, gamma = points[:, 0], points[:, 0] * points[:, 1], points[:, 2]
    trend, season, residual = components
    level, slope = final.T
    return HoltWinters(trend, season, residual, alpha, beta, gamma, sse, sigma, level, slope, seasonal, status)


def _judge(xp: ModuleType, history: Any, inputs: Inputs, period: int) -> Any:
    status = xp.zeros(len(history), xp.int8)
    largest = xp.where(xp.isfinite(history), abs(history), 0).max(1) if history.shape[1] else status
    status[inputs.scale <= NEGLIGIBLE * largest] = NOISELESS
    status[inputs.n_phases < period] = UNSEEN_SEASON
    status[inputs.n_valid < period + 5] = TOO_SHORT
    if history.shape[1] < 2 * period:
        status[:] = TOO_SHORT
    status[inputs.n_valid == 0] = NO_DATA
    return status


def _search(
    xp: ModuleType, inputs: Inputs, at: Any, period: int, gappy: bool, compiled: bool
) -> tuple[Any, npt.NDArray[np.bool_]]:
    """The best of the searches from each series' own starts, which a series with gaps takes from the filled one."""
    nodes = xp.asarray(NODES)
    table = tabulate(xp, inputs.differences[at], gains_of(xp, nodes), period, compiled)
    picked = pick(xp, table, compiled)
    owner, place = xp.nonzero(picked >= 0)
    series = at[owner]

    def evaluate(problems: Any, gains: Any) -> Any:
        if gappy:
            return concentrate_gappy(xp, inputs.rest, series[problems], gains, period, compiled)
        return concentrate(xp, inputs.differences, series[problems], gains, period, compiled)

    points, squares, converged = search(xp, evaluate, nodes[picked[owner, place]], compiled)
    least = xp.full(picked.shape, xp.inf, xp.float32)
    least[owner, place] = squares
    number = xp.zeros(picked.shape, xp.int64)
    number[owner, place] = xp.arange(len(owner))
    best = number[xp.arange(len(at)), least.argmin(1)]
    return points[best], converged[best]


def _states_of_line(xp: ModuleType, history: Any, inputs: Inputs, gains: Any, compiled: bool) -> tuple[Any, Any, Any]:
    return -inputs.line, inputs.line, inputs.season


def _states_of_complete(
    xp: ModuleType, history: Any, inputs: Inputs, gains: Any, compiled: bool
) -> tuple[Any, Any, Any]:
    period = inputs.season.shape[1]
    e = first_innovations(xp, inputs.differences, gains.astype(xp.float32), period, compiled)
    return states_before(xp, history, e * inputs.scale[:, None], gains)


def _states_of_gappy(xp: ModuleType, history: Any, inputs: Inputs, gains: Any, compiled: bool) -> tuple[Any, Any, Any]:
    period = inputs.season.shape[1]
    found = initial_states(xp, inputs.rest, gains.astype(xp.float32), period, compiled) * inputs.scale[:, None]
    return -inputs.line, inputs.line + found[:, 0], inputs.season + found[:, 1:]
