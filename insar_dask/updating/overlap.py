"""Two series of the same ground on the dates that they share: offset, drift, and what is left between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import DAYS_PER_YEAR

__all__ = ["OVERLAP", "compare_vintages"]

Float64 = npt.NDArray[np.float64]

OVERLAP = ("offset", "offset_error", "drift", "difference_rms", "gain", "likeness", "n_shared")
"""What is known of each point; NaN, or 0 shared dates, where it has no series in both."""

TIE_DAYS = 365.0
"""A newer series is tied to the older one over the last year of the dates they share: yearly signals cancel, and a
drift that lies years back does not count."""

FEWEST_TIED = 10
"""Dates of a tie; a constant of fewer has no error that could be told."""

MEMORY = 4.4
"""Dates of real products that count as one: (1 + r)/(1 - r) for the autocorrelation 0.63 of L3; L2b has 2.0."""

MEDIAN_COST = 1.57
"""Variance of a median in units of that of a mean: pi/2 (Kenney and Keeping, 1962)."""


def compare_vintages(
    older: npt.NDArray[np.float32] | None, newer: npt.NDArray[np.float32], days: npt.NDArray[np.int64]
) -> dict[str, npt.NDArray[Any]]:
    """Compare series on shared dates.

    Parameters
    ----------
    older, newer : (n, m) array of float32 [mm]
        Of the same points and dates; missing is NaN. None: no point is in the older product.
    days : (m,) array of int
        The dates, in days, increasing.

    Returns
    -------
    dict
        Of each point: ``offset`` [mm], the median of newer minus older over the last year; its error ``offset_error``,
        NaN of fewer than 10 dates;
        ``drift`` [mm yr-1] of the difference; ``difference_rms`` [mm] about the offset; ``gain``, the slope of newer
        on older, and ``likeness``, their correlation; ``n_shared`` dates.
    """
    new = np.asarray(newer, np.float64)
    old = np.full(new.shape, np.nan) if older is None else np.asarray(older, np.float64)
    difference = new - old
    given = np.isfinite(difference)
    offset, tied = _tie(difference, given, days)
    rest = difference - offset[:, None]
    left = _root(_mean(rest**2, tied))
    years = np.asarray(days, np.float64) / DAYS_PER_YEAR
    gain, likeness = _alike(old, new, given)
    found = {
        "offset": offset,
        "offset_error": left * np.sqrt(MEDIAN_COST * MEMORY / np.maximum(tied.sum(axis=1), 1)),
        "drift": _slope(np.broadcast_to(years, new.shape), rest, given),
        "difference_rms": _root(_mean(rest**2, given)),
        "gain": gain,
        "likeness": likeness,
    }
    found["offset_error"][tied.sum(axis=1) < FEWEST_TIED] = np.nan
    told = {name: values.astype(np.float32) for name, values in found.items()}
    return {**told, "n_shared": given.sum(axis=1).astype(np.int32)}


def _tie(difference: Float64, given: npt.NDArray[np.bool_], days: npt.NDArray[np.int64]) -> tuple[Float64, Any]:
    """Median difference over the last year of shared dates, or over all of too few; and over which of them."""
    recent = given & (np.asarray(days) > days[-1] - TIE_DAYS if len(days) else False)
    used = np.where((recent.sum(axis=1) >= FEWEST_TIED)[:, None], recent, given)
    offset, some = np.full(len(difference), np.nan), used.any(axis=1)
    if some.any():
        offset[some] = np.nanmedian(np.where(used, difference, np.nan)[some], axis=1)
    return offset, used


def _alike(old: Float64, new: Float64, given: npt.NDArray[np.bool_]) -> tuple[Float64, Float64]:
    one, other = (values - _mean(values, given)[:, None] for values in (old, new))
    across = _mean(one * other, given)
    spread, spread_of_new = _mean(one**2, given), _mean(other**2, given)
    return _ratio(across, spread), _ratio(across, _root(spread * spread_of_new))


def _slope(years: Float64, values: Float64, given: npt.NDArray[np.bool_]) -> Float64:
    times = years - _mean(years, given)[:, None]
    return _ratio(_mean(times * values, given), _mean(times**2, given))


def _mean(values: Float64, given: npt.NDArray[np.bool_]) -> Float64:
    return _ratio(np.where(given, values, 0.0).sum(axis=1), given.sum(axis=1).astype(np.float64))


def _ratio(one: Float64, other: Float64) -> Float64:
    out = np.full(one.shape, np.nan)
    np.divide(one, other, out=out, where=other > 0)
    return out


def _root(values: Float64) -> Float64:
    return np.sqrt(np.maximum(values, 0.0))
