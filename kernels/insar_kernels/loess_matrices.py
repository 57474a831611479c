"""STL of some series at once, by regressions written as matrices: the whole-array twin of `insar_kernels.loess`."""

from __future__ import annotations

from types import ModuleType
from typing import Any

__all__ = ["stl_by_matrices"]

Three = tuple[int, int, int]


def stl_by_matrices(
    xp: ModuleType, series: Any, period: int, lengths: Three, degrees: Three, n_inner: int
) -> tuple[Any, Any]:
    """Trend and season (n, T) in float64 of series (n, T) on any array library; a matrix a series and regression.

    Arguments and what is NaN as in `insar_kernels.loess.stl_one_by_one`.
    """
    n, n_dates = series.shape
    n_cycles = -(-n_dates // period)
    valid = ~xp.isnan(series)
    values = xp.where(valid, series, 0.0).astype(xp.float64)
    padding = ((0, 0), (0, n_cycles * period - n_dates))

    def phases(array: Any) -> Any:
        return xp.pad(array, padding).reshape(n, n_cycles, period).swapaxes(1, 2)

    dates, cycles = xp.arange(n_dates), xp.arange(-1, n_cycles + 1)
    span = (n_dates - xp.arange(period) + period - 1) // period - 1
    seasonal = _regression(xp, phases(valid), cycles, lengths[0], degrees[0], span[:, None])
    trending = _regression(xp, valid, dates, lengths[1], degrees[1], n_dates - 1)
    passing = _regression(xp, xp.ones((1, n_dates), bool), dates, lengths[2], degrees[2], n_dates - 1)[0]
    level = xp.zeros((n, n_dates))
    for _ in range(n_inner):
        smooth = (seasonal @ phases(xp.where(valid, values - level, 0.0))[..., None])[..., 0]
        smooth = smooth.swapaxes(1, 2).reshape(n, -1)[:, : n_dates + 2 * period]
        low = _average(xp, _average(xp, _average(xp, smooth, period), period), 3) @ passing.T
        season = smooth[:, period : period + n_dates] - low
        level = (trending @ xp.where(valid, values - season, 0.0)[..., None])[..., 0]
    first, last = xp.argmax(valid, axis=1)[:, None], n_dates - 1 - xp.argmax(valid[:, ::-1], axis=1)[:, None]
    whole = phases(valid).any(-1).all(-1)[:, None] & (last - first + 1 >= 2 * period)
    known = whole & (dates >= first) & (dates <= last)
    return xp.where(known, level, xp.nan), xp.where(known, season, xp.nan)


def _regression(xp: ModuleType, valid: Any, targets: Any, length: int, degree: int, span: Any) -> Any:
    """Matrix (..., targets, samples) of the local regression on the valid samples; zero where there is none."""
    places = xp.arange(valid.shape[-1])
    distance = xp.where(valid[..., None, :], abs(targets[:, None] - places) * 1.0, xp.inf)
    count = valid.sum(-1)[..., None, None]
    nearest = xp.sort(distance, axis=-1)
    reach = xp.take_along_axis(nearest, xp.broadcast_to(xp.clip(count, 1, length) - 1, (*nearest.shape[:-1], 1)), -1)
    reach = xp.where(count > 0, reach + xp.maximum(length - count, 0) // 2, 1.0)
    share = distance / reach
    weights = xp.where(share <= 0.999, (1 - xp.minimum(share, 1.0) ** 3) ** 3, 0.0)
    weights = xp.where(weights.sum(-1, keepdims=True) == 0, xp.where(share <= 1, 1.0, 0.0), weights)
    weights = weights / xp.maximum(weights.sum(-1, keepdims=True), 1e-300)
    mean = (weights * places).sum(-1, keepdims=True)
    away = places - mean
    spread = (weights * away**2).sum(-1, keepdims=True)
    sloped = (xp.sqrt(spread) > 0.001 * xp.asarray(span)[..., None]) & (degree > 0)
    slope = xp.where(sloped, (targets[:, None] - mean) / xp.where(sloped, spread, 1.0), 0.0)
    return weights * (1 + slope * away)


def _average(xp: ModuleType, values: Any, window: int) -> Any:
    total = xp.cumsum(xp.pad(values, ((0, 0), (1, 0))), axis=-1)
    return (total[:, window:] - total[:, :-window]) / window
