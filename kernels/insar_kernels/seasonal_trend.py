"""STL, the decomposition into trend and season by local regression, as the linear operator that it is.

Without robustness weights every value of trend and season is a fixed sum over the series. The operator commutes with
time reversal, so it falls into one matrix for the symmetric and one for the antisymmetric half of a series: half the
work of a matrix product. Series with gaps have an operator each and are decomposed one by one (`insar_kernels.loess`).
"""

from __future__ import annotations

import math
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import namespace, rows
from insar_kernels.loess import stl_one_by_one
from insar_kernels.loess_matrices import stl_by_matrices

__all__ = ["Decomposition", "stl"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Three = tuple[int, int, int]

LANES = 4
"""Series multiplied at a time, and samples added at a time: 16 products to 12 loads and stores."""

PANEL = 48
"""Columns of a panel. A width known to the compiler makes vector instructions of the loop."""

BLOCK = 1024
"""Series with gaps decomposed at a time; bounds what is held in float64."""

MATRICES = 2**25
"""Numbers of the matrices of series with gaps that are held at a time on a GPU: 0.3 GB each, some ten of them."""

ONE, TWO, THREE, FOUR = np.uintp(1), np.uintp(2), np.uintp(3), np.uintp(4)


class Decomposition(NamedTuple):
    """What `stl` returns: float32 arrays of the shape of the series, which they sum to."""

    trend: Any
    season: Any
    residual: Any


def stl(
    values: Any,
    period: int,
    seasonal: int = 7,
    trend: int | None = None,
    low_pass: int | None = None,
    degrees: Three = (1, 1, 1),
    n_inner: int = 5,
) -> Decomposition:
    """Seasonal-trend decomposition by loess, without robustness weights.

    ``n_inner`` times: smooth each phase of the detrended series over its cycles, take the low pass of that away (moving
    averages of ``period``, ``period`` and 3, then loess) and smooth the deseasonalised series. Cleveland, Cleveland,
    McRae & Terpenning (1990), Journal of Official Statistics 6, 3-73. Complete series give statsmodels'
    ``STL(robust=False)``.

    Parameters
    ----------
    values : array of float32, shape (..., T)
        Evenly spaced series [mm]; missing is NaN and has no weight in any regression, which then takes its nearest
        valid neighbours.
    period : int
        Samples in a cycle, at least 2; T is at least two periods.
    seasonal, trend, low_pass : int
        Odd numbers of neighbours in the regressions; by default 7 cycles, the next from
        1.5 period / (1 - 1.5 / seasonal) on, and the next above the period.
    degrees : tuple of int
        0 or 1, of the local polynomials of season, trend and low pass.
    n_inner : int
        Passes of the inner loop.

    Returns
    -------
    Decomposition
        Arrays (..., T) [mm]. Trend and season go on through gaps, the residual is NaN there. All are NaN before the
        first and after the last valid sample, and where these are less than two periods apart, or where a phase of the
        period was never sampled.
    """
    lengths = stl_lengths(period, seasonal, trend, low_pass)
    xp = namespace(values)
    if xp is not np:
        return _on_array(xp, values, period, lengths, degrees, n_inner)
    series = rows(values)
    parts = np.empty((3, *series.shape), np.float32)
    gaps = np.zeros(len(series), bool)
    even, odd = _operator(series.shape[1], period, lengths, degrees, n_inner)
    _on_cpu(series, even, odd, parts[0], parts[1], parts[2], gaps)
    gappy = np.flatnonzero(gaps)
    for start in range(0, len(gappy), BLOCK):
        at = gappy[start : start + BLOCK]
        level, season = stl_one_by_one(series[at], period, lengths, degrees, n_inner)
        parts[0, at], parts[1, at], parts[2, at] = level, season, series[at] - (level + season)
    return Decomposition(*parts.reshape(3, *np.shape(values)))


def stl_lengths(period: int, seasonal: int = 7, trend: int | None = None, low_pass: int | None = None) -> Three:
    """Neighbours in the regressions of season, trend and low pass; what is None is chosen as Cleveland et al. advise.

    >>> stl_lengths(30)
    (7, 59, 31)
    """
    if trend is None:
        trend = math.ceil(1.5 * period / (1 - 1.5 / seasonal)) | 1
    return seasonal, trend, period + 1 | 1 if low_pass is None else low_pass


@lru_cache(maxsize=8)
def _responses(n_dates: int, period: int, lengths: Three, degrees: Three, n_inner: int) -> Float64:
    """Trend and season (2, T, T) of each unit vector: the operator; 10 ms for 166 dates."""
    return stl_one_by_one(np.eye(n_dates, dtype=np.float32), period, lengths, degrees, n_inner)


@lru_cache(maxsize=8)
def _operator(n_dates: int, period: int, lengths: Three, degrees: Three, n_inner: int) -> tuple[Float32, Float32]:
    """Panels of the matrices of the symmetric and the antisymmetric half, trend beside season."""
    responses = _responses(n_dates, period, lengths, degrees, n_inner)
    half = -(-n_dates // 2)
    ahead, back = responses[:, :half, :half], responses[:, ::-1][:, :half, :half]
    even, odd = ahead + back, ahead - back
    if n_dates % 2:
        even[:, -1] /= 2  # the middle of the series is its own mirror image
    return _panels(even), _panels(odd)


def _panels(matrices: Float64) -> Float32:
    """Columns of the trend's and then of the season's matrix, cut into panels; filled up with zeros."""
    _, half, _ = matrices.shape
    n_panels = -(-half // PANEL)
    table = np.zeros((2, -(-half // LANES) * LANES, n_panels * PANEL), np.float32)
    table[:, :half, :half] = matrices
    panels = table.reshape(2, -1, n_panels, PANEL).swapaxes(1, 2)
    return np.ascontiguousarray(panels.reshape(2 * n_panels, -1))


@njit(nogil=True, cache=True, error_model="numpy")
def _on_cpu(
    series: Float32,
    even: Float32,
    odd: Float32,
    trend: Float32,
    season: Float32,
    residual: Float32,
    gaps: npt.NDArray[np.bool_],
) -> None:
    """Every lane does the same sums in the same order, and the last lanes repeat the last series where there is none.

    So a series' bits depend on nothing but the series; a library's matrix product does not promise that.
    """
    n = len(series)
    halves = np.zeros((2, even.shape[1] // PANEL * LANES), np.float32)
    sums = np.empty((2, len(even), LANES * PANEL), np.float32)
    middle = len(even) // 2
    for first in range(0, n, LANES):
        for lane in range(LANES):
            _split(series[min(first + lane, n - 1)], np.uintp(lane), halves[0], halves[1])
        for panel in range(len(even)):
            _multiply(halves[0], even[panel], sums[0, panel])
            _multiply(halves[1], odd[panel], sums[1, panel])
        for lane in range(min(LANES, n - first)):
            i, at = first + lane, slice(lane * PANEL, (lane + 1) * PANEL)
            _join(sums[0, :middle, at], sums[1, :middle, at], series[i, 0], trend[i])
            _join(sums[0, middle:, at], sums[1, middle:, at], np.float32(0), season[i])
            gaps[i] = _subtract(series[i], trend[i], season[i], residual[i])


@njit(nogil=True, cache=True, error_model="numpy")
def _split(series: Float32, lane: np.uintp, even: Float32, odd: Float32) -> None:
    """Symmetric and antisymmetric half of a series, lanes interleaved.

    The first value is taken away, and added to the trend: 200 mm of it would cost 4e-4 mm in float32.
    """
    last, base = np.uintp(series.size - 1), series[0]
    for t in range(np.uintp((series.size + 1) // 2)):
        ahead, back = series[t] - base, series[last - t] - base
        even[t * FOUR + lane] = np.float32(0.5) * (ahead + back)
        odd[t * FOUR + lane] = np.float32(0.5) * (ahead - back)


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz"})
def _multiply(samples: Float32, panel: Float32, sums: Float32) -> None:
    """Sum of samples times rows of the panel: four rows at a time, for four series at a time."""
    width = np.uintp(PANEL)
    for k in range(sums.size):
        sums[k] = np.float32(0)
    for k in range(np.uintp(samples.size // (LANES * LANES))):
        x, row = samples[k * FOUR * FOUR : (k + ONE) * FOUR * FOUR], panel[k * FOUR * width : (k + ONE) * FOUR * width]
        a, b, c, d = x[0], x[1], x[2], x[3]
        e, f, g, h = x[4], x[5], x[6], x[7]
        p, q, r, s = x[8], x[9], x[10], x[11]
        u, v, w, z = x[12], x[13], x[14], x[15]
        for j in range(width):
            first, second, third, fourth = row[j], row[j + width], row[j + TWO * width], row[j + THREE * width]
            one, two, three = j + width, j + TWO * width, j + THREE * width
            sums[j] = (((sums[j] + a * first) + e * second) + p * third) + u * fourth
            sums[one] = (((sums[one] + b * first) + f * second) + q * third) + v * fourth
            sums[two] = (((sums[two] + c * first) + g * second) + r * third) + w * fourth
            sums[three] = (((sums[three] + d * first) + h * second) + s * third) + z * fourth


@njit(nogil=True, cache=True, error_model="numpy")
def _join(even: Float32, odd: Float32, base: np.float32, out: Float32) -> None:
    """Symmetric plus antisymmetric half, and their mirror image."""
    half = (out.size + 1) // 2
    for panel in range(len(even)):
        ahead, back = even[panel], odd[panel]
        first = np.uintp(panel * PANEL)
        last = np.uintp(out.size - 1) - first
        for j in range(np.uintp(min(PANEL, half - panel * PANEL))):
            out[last - j] = base + (ahead[j] - back[j])
            out[first + j] = base + (ahead[j] + back[j])


@njit(nogil=True, cache=True, error_model="numpy")
def _subtract(series: Float32, trend: Float32, season: Float32, residual: Float32) -> bool:
    missing = np.int32(0)
    for t in range(np.uintp(series.size)):
        residual[t] = series[t] - (trend[t] + season[t])
        missing += np.int32(series[t] != series[t])
    return bool(missing > 0)


def _on_array(xp: ModuleType, values: Any, period: int, lengths: Three, degrees: Three, n_inner: int) -> Decomposition:
    """Complete series by one product with the operator; series with gaps by the regressions as matrices of each."""
    series = rows(values, xp)
    first = series[:, :1]  # 200 mm of it would cost 4e-4 mm in float32
    responses = _responses(series.shape[1], period, lengths, degrees, n_inner)
    level, season = (xp.matmul(series - first, xp.asarray(part.astype(np.float32))) for part in responses)
    parts = xp.stack([level + first, season, series])
    gappy = xp.flatnonzero(xp.isnan(series).any(1))
    at_once = max(int(MATRICES / series.shape[1] ** 2), 1)
    for start in range(0, len(gappy), at_once):
        at = gappy[start : start + at_once]
        parts[0, at], parts[1, at] = stl_by_matrices(xp, series[at], period, lengths, degrees, n_inner)
    parts[2] -= parts[0] + parts[1]
    return Decomposition(*parts.reshape(3, *values.shape))
