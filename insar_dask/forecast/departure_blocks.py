"""Departures of a block of points, in steps: found, counted, judged, and raised as alarms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import describe
from insar_dask.forecast.conformal import classify
from insar_dask.forecast.departures import chance, departures, leads_of, sustained
from insar_dask.forecast.naive import harmonic_fit
from insar_dask.forecast.registry import Arrays
from insar_dask.forecast.tallies import windows_of
from insar_dask.forecast.timetable import Plan

__all__ = [
    "UNLIKELY",
    "common_shift",
    "count_departures",
    "find_departures",
    "flag_departures",
    "judge_departures",
    "worth",
]

Float32 = npt.NDArray[np.float32]

SHIFTS = np.linspace(-100.0, 100.0, 2002)
"""Edges [mm] of the histogram from which the median of a date is read, 0.1 mm each; zero lies amid a bin."""

UNLIKELY = 0.5
"""Rate beyond which it is not told how likely an alarm would be false."""


def find_departures(
    observed: Float32, forecast: Mapping[str, Float32], history: Arrays, plan: Plan, table: Arrays,
    edges: npt.NDArray[Any], tie_error: Float32, days: npt.NDArray[np.int64],
) -> dict[str, npt.NDArray[Any]]:  # fmt: skip
    """New observations of some points minus the forecast that was made before they came.

    Parameters
    ----------
    observed : (n, T) array of float32 [mm]
        At the new dates, in the frame of the older product; missing is NaN.
    forecast : mapping
        ``displacement``, ``lower``, ``upper`` (n, h) [mm].
    history : mapping
        ``displacement`` (n, dates), ``easting`` and ``northing`` (n,) of the older product: say how noisy a point is.
    plan : Plan
        Of the forecast.
    table : mapping
        Of `insar_dask.forecast.departures.tail_table`.
    edges : array
        Between the classes of noise.
    tie_error : (n,) array [mm]
    days : (T,) array of int
        The new dates as days since 1970-01-01, none after the last lead.

    Returns
    -------
    dict
        ``departure`` and ``half_width`` (point, time) [mm], ``noise_class`` (point): -1 without a forecast.
    """
    leads = leads_of(days, plan.target_days(plan.future))
    spots = np.stack([history[name] for name in ("easting", "northing")], axis=1)
    context = windows_of(history["displacement"], plan, "honest", spots).context(plan.future)
    classes = classify(harmonic_fit(context)[1].rmse, edges)
    found, half = departures(observed, forecast, leads, tie_error, table["width"][classes][:, leads.after])
    return {"departure": found, "half_width": half, "noise_class": classes}


def count_departures(block: xr.Dataset) -> dict[str, npt.NDArray[Any]]:
    """Histogram of the departures of each date, additive over blocks."""
    values = np.clip(block["departure"].values, SHIFTS[0], SHIFTS[-1])
    counts = [np.histogram(column[np.isfinite(column)], SHIFTS)[0] for column in values.T]
    return {"departures": np.array(counts, np.int64).reshape(len(counts), len(SHIFTS) - 1)}


def common_shift(partials: Iterable[Arrays]) -> npt.NDArray[np.float64]:
    """Median departure (T,) [mm] of all points on each date, to a tenth; 0 on a date without any."""
    counts = sum(part["departures"] for part in partials)
    middles = (SHIFTS[1:] + SHIFTS[:-1]) / 2
    below = np.cumsum(counts, axis=1)
    at = np.argmax(2 * below >= below[:, -1:], axis=1)
    return np.where(below[:, -1] > 0, np.round(middles[at], 1), 0.0)


def judge_departures(block: xr.Dataset, state: Arrays, dates: int) -> xr.Dataset:
    """How likely departures are by chance, each and over the last ``dates`` values of a point.

    Parameters
    ----------
    block : xr.Dataset
        Of `find_departures`.
    state : mapping
        `tail_table`, ``lead`` (T,) that each date is held against, and ``shift`` (T,) [mm] that all points share.
    dates : int

    Returns
    -------
    xr.Dataset
        ``departure`` [mm] without what the scene shares, ``excess`` in half intervals, ``p_value`` (point, time);
        ``p_lasting`` (point).
    """
    own = block["departure"].values - state["shift"].astype(np.float32)
    excess = own / block["half_width"].values
    p_values = chance(excess, block["noise_class"].values, state["lead"], state)
    lasting = sustained(p_values, own, dates)
    return block.drop_vars(["departure", "half_width", "noise_class"]).assign(
        departure=(("point", "time"), own, describe("departure")),
        excess=(("point", "time"), excess.astype(np.float32), describe("excess")),
        p_value=(("point", "time"), p_values.astype(np.float32), describe("p_value")),
        p_lasting=("point", lasting.astype(np.float32), describe("p_lasting")),
    )


def flag_departures(block: xr.Dataset, state: Arrays, rate: float, dates: int) -> xr.Dataset:
    """Raise alarms, given what each p-value is worth among all.

    Parameters
    ----------
    block : xr.Dataset
        Of `judge_departures`.
    state : mapping
        ``p``, ascending, and ``q``, the rate at which each of them is a discovery; larger ones are none.
    rate : float
        Share of false ones that is allowed among the alarms.
    dates : int
        Last values of a point that its departure is told from.

    Returns
    -------
    xr.Dataset
        Over ``point``: ``alarm`` 0 or 1, -1 where nothing could be judged; ``q_value``; ``departure`` [mm] and
        ``excess``, medians of the last ``dates`` values; ``lasting``, how many last values in a row lie outside the
        interval on one side; ``since`` [d], when the first of them came, counted from the first new date.
    """
    p_value = block["p_lasting"].values
    at = np.minimum(np.searchsorted(state["p"], p_value), max(len(state["p"]) - 1, 0))
    q_value = np.full(p_value.shape, np.nan, np.float32)
    if len(state["p"]):
        q_value = np.where(state["p"][at] == p_value, state["q"][at], np.nan).astype(np.float32)
    alarm = np.where(np.isnan(p_value), -1, q_value <= rate).astype(np.int8)
    last = _last(np.isfinite(block["excess"].values), dates)
    lasting, first = _run_out(block["excess"].values)
    days = (block["time"].values - block["time"].values[:1]) / np.timedelta64(1, "D")
    told: dict[str, Any] = {
        name: ("point", _median(block[name].values, last), describe(name)) for name in ("departure", "excess")
    }
    since = np.where(lasting > 0, days[first], np.nan).astype(np.float32)
    places = block.drop_vars(["departure", "excess", "p_value", "time"])
    return places.assign(
        alarm=("point", alarm, describe("alarm")),
        q_value=("point", q_value, describe("q_value")),
        lasting=("point", lasting.astype(np.int16), describe("lasting")),
        since=("point", since, describe("since")),
        **told,
    )


def worth(p_values: npt.NDArray[Any], q_values: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """The state of `flag_departures`: every p-value that may matter, once."""
    known = q_values <= UNLIKELY
    p, first = np.unique(p_values[known], return_index=True)
    return {"p": p, "q": q_values[known][first]}


def _last(given: npt.NDArray[np.bool_], dates: int) -> npt.NDArray[np.bool_]:
    """Marks the last values of each point."""
    return given & (given[:, ::-1].cumsum(axis=1)[:, ::-1] <= dates)


def _median(values: Float32, used: npt.NDArray[np.bool_]) -> Float32:
    out, some = np.full(len(values), np.nan, np.float32), used.any(axis=1)
    if some.any():
        out[some] = np.nanmedian(np.where(used, values, np.nan)[some], axis=1)
    return out


def _run_out(excess: Float32) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """How many last values in a row lie outside to one side, and the column of the first of them."""
    length, first = np.zeros((2, len(excess)), np.int64)
    side, going = np.zeros(len(excess)), np.ones(len(excess), bool)
    for column in range(excess.shape[1] - 1, -1, -1):
        value = excess[:, column]
        given = np.isfinite(value)
        out = given & (np.abs(np.nan_to_num(value)) > 1) & ((side == 0) | (np.sign(np.nan_to_num(value)) == side))
        going &= out | ~given
        more = going & out
        length += more
        first[more] = column
        side = np.where(more, np.sign(np.nan_to_num(value)), side)
    return length, first
