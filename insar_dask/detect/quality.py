"""How good an area is: whether its points' series are smooth, and whether they move together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

__all__ = ["CUTS", "quality_class", "spatial_quality", "temporal_quality"]

Float64 = npt.NDArray[np.float64]

CUTS = (0.5, 0.3)
"""Temporal and spatial index from which each counts as high."""

NEIGHBOURS = 8
FEWEST_DATES = 8


def temporal_quality(series: Float64, years: Float64, coherence: npt.ArrayLike | None = None) -> float:
    """Median temporal coherence of an area's points; without it, median share of the variance that line and year take.

    Parameters
    ----------
    series : (n, T) float64 [mm]
        NaN is missing.
    years : (T,) float64
    coherence : (n,) array_like, optional
    """
    known = np.asarray(coherence, np.float64) if coherence is not None else np.empty(0)
    known = known[np.isfinite(known)]
    if known.size:
        return float(np.median(known))
    left, whole = (_without(series, years, season=season) for season in (True, None))
    fitted = np.isfinite(left).any(axis=1)  # a line and a year take more dates than a mean
    spread = np.nanvar(whole[fitted], axis=1)
    moving = spread > 0
    if not moving.any():
        return float("nan")
    return float(np.median(1 - np.nanvar(left[fitted], axis=1)[moving] / spread[moving]))


def spatial_quality(series: Float64, years: Float64, place: Float64) -> float:
    """Median over the points of how each one's series correlates with the mean of its nearest neighbours in the area.

    Series are taken without their line, so that moving alike all the time is not enough: ground that moves as one has
    its seasons and its starts together, and noise has nothing.

    Parameters
    ----------
    series : (n, T) float64 [mm]
    years : (T,) float64
    place : (n, 2) float64 [m]
    """
    if len(series) < 3 or series.shape[1] < FEWEST_DATES:
        return float("nan")
    left = _without(series, years, season=False)
    count = min(NEIGHBOURS, len(series) - 1)
    nearest = np.asarray(cKDTree(place).query(place, count + 1)[1])
    found = []
    for point, others in enumerate(nearest):
        others = others[others != point][:count]
        both = np.isfinite(left[point]) & np.isfinite(left[others]).any(axis=0)
        if both.sum() < FEWEST_DATES:
            continue
        mean = np.nanmean(left[others][:, both], axis=0)
        spreads = left[point, both].std() * mean.std()
        if spreads > 0:
            found.append(
                float(np.mean((left[point, both] - left[point, both].mean()) * (mean - mean.mean())) / spreads)
            )
    return float(np.median(found)) if found else float("nan")


def quality_class(temporal: float, spatial: float, cuts: tuple[float, float] = CUTS) -> int:
    """1 where both indices are high, 2 where one is, 3 where both are at least half of it, 4 elsewhere; 0 of neither.

    >>> [quality_class(*both) for both in ((0.8, 0.6), (0.8, 0.1), (0.3, 0.2), (0.1, 0.2), (float("nan"), 0.6))]
    [1, 2, 3, 4, 2]
    >>> quality_class(float("nan"), float("nan"))
    0
    """
    if np.isnan(temporal) and np.isnan(spatial):
        return 0
    high = int(temporal >= cuts[0]) + int(spatial >= cuts[1])
    if high:
        return 3 - high
    return 3 if temporal >= cuts[0] / 2 and spatial >= cuts[1] / 2 else 4


def _without(series: Float64, years: Float64, season: bool | None) -> Float64:
    """Series without their line, and their year where that is asked for; of None without their mean alone.

    NaN where there are no more dates than terms.
    """
    angle = 2 * np.pi * years
    columns = [np.ones_like(years)]
    if season is not None:
        columns.append(years - years.mean())
    if season:
        columns += [np.cos(angle), np.sin(angle)]
    design = np.stack(columns, axis=1)
    left = np.full(series.shape, np.nan)
    for row, values in enumerate(series):
        valid = np.isfinite(values)
        if valid.sum() > len(columns):
            fit = np.linalg.lstsq(design[valid], values[valid], rcond=None)[0]
            left[row, valid] = values[valid] - design[valid] @ fit
    return left
