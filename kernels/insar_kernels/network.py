"""Displacement at each date from pairs of dates: one small network a point, each with its own missing pairs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.network_band import MISSING, accumulate, eliminate, invert_band, solve, substitute
from insar_kernels.network_offsets import join_by_model, join_by_velocities

__all__ = ["JOINED", "Network", "invert_network"]

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating]

JOINED = ("connected", "by_velocities", "by_model", "model_undetermined", "too_few_pairs", "no_pairs")
"""How the components of a point's network were joined, or why it has no series; ``Network.joined`` counts in it."""

CONNECTED, BY_VELOCITIES, BY_MODEL, UNDETERMINED, TOO_FEW, NO_PAIRS = range(6)


class Network(NamedTuple):
    """What `invert_network` returns."""

    displacement: Any
    """(..., T): 0 at the first date that the point has; NaN at dates without a pair."""
    cofactor: Any
    """(..., T): variance of displacement against the first date of its component, for pairs of variance 1/weight; NaN
    with displacement, and everywhere unless asked for."""
    component: Any
    """(..., T) int16: which component of its network a date is in, counted by their first dates; -1 in none."""
    sum_squares: Any
    """(...): weighted sum of the squared residuals."""
    residual_rms: Any
    """(...): root mean square of the residuals, in the unit of the values."""
    coherence: Any
    """(...): modulus of the mean of exp(2 pi j residual / cycle); NaN without a ``cycle``."""
    n_pairs: Any
    """(...) int32: valid pairs."""
    rank: Any
    """(...) int32: dates with a pair, less components."""
    joined: Any
    """(...) int8: place in `JOINED`."""


def invert_network(
    values: Any,
    first: Int64,
    second: Int64,
    days: Float64,
    weights: Any = None,
    *,
    model: Float64 | None = None,
    fill: bool = False,
    cofactors: bool = True,
    cycle: float = 0.0,
    min_pairs: int = 1,
    order: Int64 | None = None,
) -> Network:
    """Least-squares displacement of each date, for each point from the pairs that it has.

    Minimises sum over pairs of w (d - (x[second] - x[first]))^2 in displacement x. Per point the normal matrix, of as
    narrow a band as the most dates that a pair spans, is summed up and factored in float64; dates in several components
    are joined by the smallest velocities, or by a ``model`` of displacement where one is given.

    Parameters
    ----------
    values : array of float32 or float64, shape (..., P)
        Change of displacement from the first date of each pair to its second; missing is NaN.
    first, second : array of int, shape (P,)
        Places of the pair's dates in ``days``, first < second.
    days : array of float64, shape (T,)
        Dates, increasing, in any unit.
    weights : array, shape (P,) or (..., P), optional
        Inverse variance of each pair; a pair whose weight is NaN or not positive is missing. Default: all 1.
    model : array of float64, shape (T, K), optional
        Columns of a model of displacement at the dates, a constant among them, each of order one. It joins components
        and changes nothing within one.
    fill : bool
        Fill dates without a pair by the model.
    cofactors : bool
        Whether variances are wanted.
    cycle : float
        What changes a residual by a cycle of phase, half a wavelength, for ``coherence``.
    min_pairs : int
        Points with fewer have no series.
    order : array of int, shape (T,), optional
        Dates in the order in which they are eliminated, one that makes the band narrow; default: from the last to the
        first.

    Returns
    -------
    Network
        Arrays of the dtype of ``values`` where none is named.

    Notes
    -----
    Small baselines: Berardino et al. (2002), doi:10.1109/TGRS.2002.803792. Temporal coherence: Pepe & Lanari (2006),
    doi:10.1109/TGRS.2006.873207.
    """
    values = np.ascontiguousarray(values)
    shape, n_dates = values.shape[:-1], len(days)
    rows = values.reshape(int(np.prod(shape)), values.shape[-1])
    weighted = (
        np.ones((1, rows.shape[1]), values.dtype) if weights is None else np.ascontiguousarray(weights, values.dtype)
    )
    weighted = weighted.reshape(-1, rows.shape[1])
    place = np.empty(n_dates, np.int64)
    place[np.arange(n_dates)[::-1] if order is None else order] = np.arange(n_dates)
    ends = np.sort(np.stack([place[second], place[first]]), axis=0)
    sign = np.where(place[second] < place[first], 1.0, -1.0).astype(values.dtype)
    width = int((ends[1] - ends[0]).max(initial=0)) + 1
    squares = np.concatenate([[0.0], np.cumsum(np.diff(days) ** 2)])
    columns = np.empty((n_dates, 0)) if model is None else np.ascontiguousarray(model, np.float64)
    out = _room(len(rows), n_dates if cofactors else 0, n_dates, values.dtype)
    settings = fill, cofactors, 1.0 / cycle if cycle else np.nan, max(min_pairs, 1), width
    _invert(rows, weighted, ends[0], ends[1], sign, place, squares, columns, *settings, *out)
    if not cofactors:
        out = out._replace(cofactor=np.broadcast_to(np.array(np.nan, values.dtype), out.displacement.shape))
    return out._replace(**{name: a.reshape(*shape, *a.shape[1:]) for name, a in out._asdict().items()})


def _room(n: int, n_cofactors: int, n_dates: int, dtype: np.dtype[Any]) -> Network:
    return Network(
        displacement=np.empty((n, n_dates), dtype),
        cofactor=np.empty((n, n_cofactors), dtype),
        component=np.empty((n, n_dates), np.int16),
        sum_squares=np.empty(n, dtype),
        residual_rms=np.empty(n, dtype),
        coherence=np.empty(n, dtype),
        n_pairs=np.empty(n, np.int32),
        rank=np.empty(n, np.int32),
        joined=np.empty(n, np.int8),
    )


@njit(nogil=True, cache=True, error_model="numpy")
def _invert(
    rows: Floats, weights: Floats, low: Int64, high: Int64, sign: Floats, place: Int64, squares: Float64,
    model: Float64, fill: bool, cofactors: bool, cycles: float, min_pairs: int, width: int,
    displacement: Floats, cofactor: Floats, component: Any, sum_squares: Floats, residual_rms: Floats,
    coherence: Floats, n_pairs: Any, rank: Any, joined: Any,
) -> None:  # fmt: skip
    """All points, one after the other, in the same few arrays."""
    n_dates = place.size
    column, inverse, right = np.empty((n_dates, width)), np.empty((n_dates, width)), np.empty(n_dates)
    mass, solution, series, filled = np.empty(n_dates), np.empty(n_dates), np.empty(n_dates), np.empty(n_dates)
    parent, tree, own_component = np.empty(n_dates, np.int64), np.empty(n_dates, np.int64), np.empty(n_dates, np.int64)
    matrix = np.empty((n_dates // 2 + model.shape[1], n_dates // 2 + model.shape[1]))
    offsets = np.empty(len(matrix))
    signed, residuals, kept = np.empty(low.size), np.empty(low.size), np.empty(low.size, np.int64)
    for i in range(len(rows)):
        own = weights[i if len(weights) > 1 else 0]
        for p in range(low.size):
            signed[p] = rows[i, p] * sign[p]
        count = accumulate(signed, own, low, high, column, right, mass, kept)
        n_pairs[i] = count
        if count < min_pairs:
            joined[i], rank[i] = TOO_FEW if count else NO_PAIRS, 0
            sum_squares[i] = residual_rms[i] = coherence[i] = np.nan
            displacement[i], cofactor[i], component[i] = np.nan, np.nan, MISSING
            continue
        eliminate(column, right, parent)
        n_components = substitute(column, right, mass, parent, solution, tree)
        left = residuals[:count]
        sum_squares[i] = _residuals(signed, own, low, high, kept, solution, left)
        residual_rms[i] = np.sqrt(_squares(left) / count)
        coherence[i] = _coherence(left, cycles) if cycles == cycles else np.nan
        rank[i] = _in_time(solution, tree, place, series, own_component) - n_components
        joined[i] = CONNECTED
        modelled = False
        if model.shape[1] > 0 and (n_components > 1 or fill):
            modelled = join_by_model(series, own_component, model, matrix, offsets, n_components, filled)
        if n_components > 1:
            joined[i] = BY_MODEL if modelled else UNDETERMINED if model.shape[1] > 0 else BY_VELOCITIES
            if not modelled:
                join_by_velocities(series, own_component, squares, matrix, offsets, n_components)
        if cofactors:
            invert_band(column, parent, inverse)
            _variances(column, inverse, parent, place, own_component, solution, cofactor[i])
        for t in range(n_dates):
            component[i, t] = own_component[t]
            missing = filled[t] if fill and modelled else np.nan
            displacement[i, t] = series[t] if own_component[t] != MISSING else missing


@njit(nogil=True, cache=True, error_model="numpy")
def _residuals(
    values: Float64, weights: Floats, low: Int64, high: Int64, kept: Int64, solution: Float64, residuals: Float64
) -> float:
    """What displacement leaves of each valid pair; returns the weighted sum of squares."""
    total = 0.0
    for j in range(residuals.size):
        p = kept[j]
        residual = values[p] - solution[low[p]] + solution[high[p]]
        residuals[j] = residual
        total += weights[p] * residual * residual
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def _in_time(solution: Float64, tree: Int64, place: Int64, series: Float64, component: Int64) -> int:
    """Displacement in order of time, 0 at the first date of each component; returns how many dates have a pair."""
    known, found = 0, 0
    start, number = np.empty(place.size), np.full(place.size, MISSING)
    for t in range(place.size):
        u = place[t]
        component[t] = MISSING
        if tree[u] == MISSING:
            continue
        if number[tree[u]] == MISSING:
            number[tree[u]] = found
            start[tree[u]] = solution[u]
            found += 1
        component[t] = number[tree[u]]
        series[t] = solution[u] - start[tree[u]]
        known += 1
    return known


@njit(nogil=True, cache=True, error_model="numpy")
def _variances(
    column: Float64, inverse: Float64, parent: Int64, place: Int64, component: Int64, to_first: Float64,
    variance: Floats,
) -> None:  # fmt: skip
    """Variances against the first date f of each component: Z_tt + Z_ff - 2 Z_tf, in an array that is passed.

    Z is zero at the date of a component that is eliminated last; where that is the first one, Z_tt is all.
    """
    known, moved = 0, False
    first = np.empty(place.size, np.int64)
    to_first[:] = 0.0
    for t in range(place.size):
        if component[t] == known:
            first[known] = place[t]
            if parent[place[t]] != MISSING:
                to_first[place[t]], moved = 1.0, True
            known += 1
    if moved:
        solve(column, to_first)
    for t in range(place.size):
        if component[t] == MISSING:
            variance[t] = np.nan
            continue
        u, f = place[t], first[component[t]]
        variance[t] = inverse[u, 0] + (to_first[f] - 2 * to_first[u]) if u != f else 0.0


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})
def _squares(values: Float64) -> float:
    total = 0.0
    for k in range(np.uintp(values.size)):
        total += values[k] * values[k]
    return total


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})
def _coherence(residuals: Float64, cycles: float) -> float:
    """Modulus of the mean phasor.

    Sine and cosine of half the angle, within a quarter of a turn, are Taylor polynomials with an error below 1e-9, all
    of which is a vector operation: calls of sin and cos would cost more than the whole inversion.
    """
    real = imaginary = 0.0
    for k in range(np.uintp(residuals.size)):
        turn = residuals[k] * cycles
        half = np.pi * (turn - np.floor(turn + 0.5))
        q = half * half
        sine = half * (
            1 - q / 6 * (1 - q / 20 * (1 - q / 42 * (1 - q / 72 * (1 - q / 110 * (1 - q / 156 * (1 - q / 210))))))
        )
        cosine = 1 - q / 2 * (1 - q / 12 * (1 - q / 30 * (1 - q / 56 * (1 - q / 90 * (1 - q / 132 * (1 - q / 182))))))
        real += cosine * cosine - sine * sine
        imaginary += 2 * sine * cosine
    return float(np.sqrt(real * real + imaginary * imaginary) / residuals.size)
