"""New observations beside the forecast that was made before they came: how far off, and how likely that is by chance.

A departure is measured by the errors that forecasts of the same kind made at earlier origins, in the point's class of
noise and at the same lead: its rank among them is a conformal p-value. Vovk, Gammerman and Shafer (2005), Algorithmic
Learning in a Random World, chapter 2; Bates et al. (2023), Testing for outliers with conformal p-values,
doi:10.1214/22-AOS2244.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.conformal import quantiles
from insar_kernels.counting import bin_edges

__all__ = ["Leads", "chance", "departures", "leads_of", "sustained", "tail_table"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

TAIL = 0.01
"""Share of the errors beyond which their histogram is continued: ranks end at 1 / (n + 1), and among a million points
a departure has to be rarer than that."""

FEWEST_FAR = 100
"""Errors beyond the start of a tail that its exponent is told from, to a tenth of its value."""

MOST_OFF = 0.05
"""Share of them that may lie beyond the histogram, where nobody knows how far."""


class Leads(NamedTuple):
    """Between which leads of a forecast each new date lies."""

    before: npt.NDArray[np.int64]
    after: npt.NDArray[np.int64]
    share: Float64
    """Of the lead after; 1 on a date that was forecast."""


def leads_of(days: npt.NDArray[np.int64], forecast_days: npt.NDArray[np.int64]) -> Leads:
    """Leads about some days, none of them after the last lead; a day before the first lead takes that.

    >>> leads_of(np.array([9, 12, 15]), np.array([10, 20])).share.tolist()
    [1.0, 0.2, 0.5]
    """
    after = np.searchsorted(forecast_days, days)
    before = np.maximum(after - 1, 0)
    gap = forecast_days[after] - forecast_days[before]
    into = np.maximum(days - forecast_days[before], 0)
    return Leads(before, after, np.where(gap > 0, into / np.maximum(gap, 1), 1.0))


def departures(
    observed: Float32, forecast: Mapping[str, Float32], leads: Leads, tie_error: Float32, scales: Float64
) -> tuple[Float32, Float32]:
    """Departure and half the width of the interval (n, T) [mm] at new dates.

    Parameters
    ----------
    observed : (n, T) array [mm]
        In the forecast's frame; missing is NaN.
    forecast : mapping
        ``displacement``, ``lower`` and ``upper`` (n, h) [mm]. Between two leads both are taken on the line.
    leads : Leads
    tie_error : (n,) array [mm]
        Standard error of the constant that put the observations into that frame: it widens the interval. Where it is
        NaN nothing is judged.
    scales : (n, T) array
        How many scales half an interval is; `tail_table` has them.
    """
    mean = _between(forecast["displacement"], leads)
    half = _between((forecast["upper"] - forecast["lower"]) / 2, leads)
    wider = np.hypot(half, scales * tie_error[:, None])
    departure = np.where(np.isnan(wider), np.nan, observed - mean)
    return departure.astype(np.float32), wider.astype(np.float32)


def tail_table(ratios: npt.NDArray[Any], level: float) -> dict[str, Float64]:
    """What `chance` looks up, from histograms (classes, h, N_BINS) of |error| / scale at earlier origins.

    Returns
    -------
    dict
        ``width`` (classes, h): scales that half an interval of ``level`` is; NaN where nobody knows. ``tail`` (classes,
        h, N_BINS): share of the errors in a bin or beyond, (1 + their number) / (1 + all). ``start`` (classes, h),
        ``exponent`` (classes,): beyond the ratio that one error in a hundred passes, shares fall as its power, fitted
        to the largest hundredth of its class at all leads (Hill, 1975, doi:10.1214/aos/1176343247), less two standard
        errors; with 0, of too few errors, no p-value is smaller than 0.01, nor than the rank of the largest error where
        there are fewer than 99. Normal errors fall faster than any power, so rare departures look less rare than they
        are.
    """
    counts = np.asarray(ratios, np.float64)
    counts = np.where(counts.sum(axis=-1, keepdims=True) > 0, counts, counts.sum(axis=0))
    beyond = counts[..., ::-1].cumsum(axis=-1)[..., ::-1]
    total = counts.sum(axis=-1, keepdims=True)
    start = quantiles(ratios, 1 - TAIL)
    start = np.where(np.isnan(start) & (total[..., 0] > 0), bin_edges()[-2], start)  # of the last bin its lower edge
    return {
        "width": quantiles(ratios, level),
        "tail": (1 + beyond) / (1 + total),
        "start": start,
        "exponent": _exponents(counts, start),
    }


def chance(
    excess: Float32, classes: npt.NDArray[np.int8], lead: npt.NDArray[np.int64], table: Mapping[str, Any]
) -> Float64:
    """P-value (n, T): share of earlier errors that were as large, in units of half an interval.

    Parameters
    ----------
    excess : (n, T) array
        Departures in half intervals, of either sign.
    classes : (n,) array
        Class of noise of each point; NaN comes of a negative one.
    lead : (T,) array
        Lead whose errors they are held against.
    table : mapping
        Of `tail_table`.
    """
    ratio = np.abs(excess.astype(np.float64)) * table["width"][classes][:, lead]
    edges, n_bins = bin_edges(), table["tail"].shape[-1]
    place = np.clip(np.searchsorted(edges, np.nan_to_num(ratio), "right") - 1, 0, n_bins - 1)
    share = table["tail"][classes[:, None], lead[None, :], place]
    start = table["start"][classes][:, lead]
    # of fewer than 99 errors none is as rare as TAIL, nor is what lies in the last bin with more than that
    least = np.maximum(table["tail"][..., -1], TAIL)[classes][:, lead]
    with np.errstate(invalid="ignore", divide="ignore"):
        far = least * (ratio / start) ** -table["exponent"][classes][:, None]
        value = np.where(ratio > start, far, np.maximum(share, least))
    return np.where(np.isfinite(ratio) & (classes >= 0)[:, None], value, np.nan)


def sustained(p_values: Float64, departure: Float32, dates: int) -> Float64:
    """P-value (n,) of a departure that lasts: the largest of the last ``dates`` ones, all of them to the same side.

    A point whose last departures are to both sides has 1, and one with fewer values NaN. The largest of several
    p-values of given dates is one itself, whatever their dependence: it is small only when all of them are.
    """
    given = np.isfinite(p_values)
    rank = given[:, ::-1].cumsum(axis=1)[:, ::-1]  # 1 is the last value that a point has
    used = given & (rank <= dates)
    largest = np.where(used, p_values, 0.0).max(axis=1, initial=0.0)
    side = np.where(used, np.sign(departure), 0.0).sum(axis=1)
    value = np.where(np.abs(side) == dates, largest, 1.0)
    return np.where(used.sum(axis=1) == dates, value, np.nan)


def _between(values: npt.NDArray[np.floating[Any]], leads: Leads) -> Float64:
    one, other = (values[:, at].astype(np.float64) for at in (leads.before, leads.after))
    # not the plain sum: where a date is a lead, a missing one beside it does not matter
    return np.where(leads.share == 1, other, (1 - leads.share) * one + leads.share * other)


def _exponents(counts: Float64, start: Float64) -> Float64:
    """Hill's estimate (classes,) over all leads, less two of its standard errors; 0: ranks alone are to be trusted.

    A bin counts as its upper edge, so that tails come out heavier. A class with few errors out there takes that of all
    classes; where those are few too, or many lie beyond the histogram, there is no tail.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        over = np.log(bin_edges()[1:] / start[..., None])
    far = counts * (over > 0)
    number, total = far.sum(axis=(1, 2)), (far * np.nan_to_num(over, posinf=0.0)).sum(axis=(1, 2))
    off = far[..., -1].sum(axis=1)
    few = number < FEWEST_FAR
    number, total, off = (np.where(few, one.sum(), one) for one in (number, total, off))
    told = (number >= FEWEST_FAR) & (total > 0) & (off <= MOST_OFF * number)
    estimate = np.divide(number, total, out=np.zeros(len(total)), where=told)
    return np.asarray(estimate * (1 - 2 / np.sqrt(np.maximum(number, FEWEST_FAR))))
