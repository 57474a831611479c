"""Trend, season and residual of every series: Holt-Winters smoothing and STL."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

import insar_kernels
from insar_dask.cube import DAYS_PER_YEAR, CubeError, check_even, check_series, describe
from insar_dask.foresight import known_dates, looks_ahead, sees_future
from insar_kernels.holt_winters_fit import NO_DATA, NOISELESS, NOT_CONVERGED, OK, TOO_SHORT, UNSEEN_SEASON

__all__ = ["holt_winters", "stl"]

DAY = np.timedelta64(1, "D")

PARTS = ("trend", "season", "residual")
NUMBERS = ("alpha", "beta", "gamma", "sse", "sigma", "final_level", "final_slope")

MEANINGS = {
    OK: "ok",
    TOO_SHORT: "too_short",
    NO_DATA: "no_data",
    UNSEEN_SEASON: "season_not_seen",
    NOT_CONVERGED: "not_converged",
    NOISELESS: "noiseless",
}


def stl(
    cube: xr.Dataset, period: int = 30, seasonal: int = 7, trend: int | None = None, low_pass: int | None = None
) -> xr.Dataset:
    """Decompose every series by local regression (STL, without robustness weights).

    Complete series give statsmodels' ``STL(robust=False)``. A missing value has no weight in any regression, which
    then takes its nearest valid neighbours; such series cost 15 to 25 times as much. Cleveland, Cleveland, McRae &
    Terpenning (1990), STL, Journal of Official Statistics 6, 3-73.

    Parameters
    ----------
    cube : xr.Dataset
        Point or grid cube with evenly spaced dates, at least two periods of them; in memory or lazy.
    period : int
        Dates in a season: 30 of 12 days are 360 days.
    seasonal, trend, low_pass : int
        Odd numbers of neighbours in the regressions of season (in cycles, at least 3), trend and low pass (in dates,
        more than the period); what is None is chosen as Cleveland et al. advise.

    Returns
    -------
    xr.Dataset
        ``trend``, ``season`` and ``residual`` [mm] over the points and ``time``, which sum to ``displacement`` and
        take its place. Trend and season go on through gaps; all three are NaN before the first and after the last
        valid date of a series, and everywhere if these are less than two periods apart, or if a phase of the period
        has no valid date. ``sees_future`` is -1.

    Raises
    ------
    CubeError
        If the dates are not evenly spaced, or fewer than two periods.
    ValueError
        If a number of neighbours or the period is out of range.
    """
    _check_dates(cube, period)
    _check_lengths(period, seasonal, trend, low_pass)
    parts = xr.apply_ufunc(
        insar_kernels.stl,
        cube["displacement"].variable,
        kwargs={"period": period, "seasonal": seasonal, "trend": trend, "low_pass": low_pass},
        input_core_dims=[["time"]],
        output_core_dims=[["time"]] * len(PARTS),
        dask="parallelized",
        output_dtypes=[np.float32] * len(PARTS),
    )
    return _replaced(cube, dict(zip(PARTS, parts, strict=True))).assign_attrs(sees_future=-1, period=period)


def holt_winters(
    cube: xr.Dataset, period: int = 30, until: str | np.datetime64 | None = None, seasonal: str = "add"
) -> xr.Dataset:
    """Decompose every series by additive Holt-Winters smoothing with the parameters that fit it best.

    Level, slope and season follow the series date by date (`insar_kernels.holt_winters` has the formulas). Their three
    smoothing parameters and the states before the first date are estimated from all dates, so every value has seen
    the whole series; or, with ``until``, from the dates before it alone, and values at later dates then follow from
    the dates up to theirs.

    Parameters
    ----------
    cube : xr.Dataset
        Point or grid cube with evenly spaced dates, at least two periods of them; in memory or lazy.
    period : int
        Dates in a season: 30 of 12 days are 360 days.
    until : str or datetime64, optional
        Date from which on nothing may be known to parameters and initial states, such as the first origin: they are
        fitted on the dates before it, less ``attrs["sees_future"]`` days.
    seasonal : {"add"}
        A multiplicative season is refused: displacement is counted from an arbitrary date and crosses zero, where a
        season in proportion to it would vanish and change its sign.

    Returns
    -------
    xr.Dataset
        In the place of ``displacement``, over the points and ``time``: ``trend``, ``season``, ``residual`` [mm], which
        sum to it; at a missing date the states are those predicted, and the residual is NaN. Over the points:
        ``alpha``, ``beta``, ``gamma``; ``sse`` [mm2] and ``sigma`` [mm] of the one-step errors; ``status``, whose
        ``flag_meanings`` tell why a series is NaN; and what `insar_dask.holt_winters_forecast` needs: ``final_level``
        [mm], ``final_slope`` [mm yr-1], and ``final_season`` [mm] of the ``ahead`` dates after the last one.

        ``sees_future`` is -1; with ``until`` the days from the first date to the last one fitted, ``fitted_until``,
        which is what the values up to it see. A value at a later date sees ``sees_future_after_fit`` days, which is
        what the cube itself saw: where that is 0, an origin from ``until`` on may know all values before it.

    Raises
    ------
    CubeError
        If the dates are not evenly spaced, or fewer than two periods, or with ``until`` if every value has seen the
        whole series.
    ValueError
        If the period is none, ``until`` leaves fewer than two periods, or the season is multiplicative.
    """
    if seasonal != "add":
        raise ValueError(
            f"seasonal is {seasonal!r}, wanted 'add': displacement crosses zero, where a multiplicative season is "
            "undefined (it would divide by the level)"
        )
    step = _check_dates(cube, period)
    n_fit = _n_fit(cube, period, until)
    results = xr.apply_ufunc(
        _smooth,
        cube["displacement"].variable,
        kwargs={"period": period, "n_fit": n_fit, "per_year": DAYS_PER_YEAR / (step / DAY)},
        input_core_dims=[["time"]],
        output_core_dims=[["time"]] * len(PARTS) + [[]] * len(NUMBERS) + [["ahead"], []],
        dask="parallelized",
        dask_gufunc_kwargs={"output_sizes": {"ahead": period}},
        output_dtypes=[np.float32] * (len(PARTS) + len(NUMBERS) + 1) + [np.int8],
    )
    names = (*PARTS, *NUMBERS, "final_season", "status")
    parts = _replaced(cube, dict(zip(names, results, strict=True)))
    ahead = xr.Variable("ahead", np.arange(1, period + 1), {"long_name": "dates after the last one", "units": "1"})
    return parts.assign_coords(ahead=ahead).assign_attrs(period=period, **_what_they_know(cube, n_fit))


def _smooth(values: Any, period: int, n_fit: int, per_year: float) -> tuple[Any, ...]:
    fit = insar_kernels.holt_winters(values, period, n_fit)
    slope = fit.slope * np.float32(per_year)
    numbers = fit.alpha, fit.beta, fit.gamma, fit.sse, fit.sigma, fit.level, slope
    return fit.trend, fit.season, fit.residual, *numbers, fit.seasonal, fit.status


def _check_dates(cube: xr.Dataset, period: int) -> np.timedelta64:
    """Spacing of the dates of a cube that can be decomposed with this period."""
    check_series(cube)
    step, n_dates = check_even(cube), cube.sizes["time"]
    if not np.issubdtype(type(period), np.integer) or period < 2:
        raise ValueError(f"period is {period!r}; wanted a whole number of dates in a season, at least 2")
    if n_dates < 2 * period:
        raise CubeError(
            f"the cube has {n_dates} dates, wanted at least two periods of {period}: take a longer record, a shorter "
            f"period, or fewer dates a year (regularise(cube, every=...)); {_year(step)}"
        )
    return step


def _year(step: np.timedelta64) -> str:
    days = step / DAY
    return f"a year has {DAYS_PER_YEAR / days:.0f} dates of {days:g} days" if days else "one date has no spacing"


def _n_fit(cube: xr.Dataset, period: int, until: str | np.datetime64 | None) -> int:
    n_fit = known_dates(cube, until)
    if n_fit < 2 * period:
        least = cube["time"].values[2 * period - 1] + (1 + sees_future(cube)) * DAY
        raise ValueError(
            f"until={str(until)!r} leaves {n_fit} dates to fit, wanted at least two periods of {period}: "
            f"until={str(least.astype('datetime64[D]'))!r} or later, or a shorter period"
        )
    return n_fit


def _what_they_know(cube: xr.Dataset, n_fit: int) -> dict[str, Any]:
    """Attributes of what is estimated from the first ``n_fit`` dates and then follows the series."""
    times = cube["time"].values
    if n_fit == len(times):
        return {"sees_future": -1}
    span = int(np.ceil((times[n_fit - 1] - times[0]) / DAY))
    return {
        "sees_future": looks_ahead(cube, span),
        "sees_future_after_fit": sees_future(cube),
        "fitted_until": str(times[n_fit - 1].astype("datetime64[D]")),
    }


def _check_lengths(period: int, seasonal: int, trend: int | None, low_pass: int | None) -> None:
    least = {"seasonal": (seasonal, 3), "trend": (trend, period + 1), "low_pass": (low_pass, period + 1)}
    for name, (length, bound) in least.items():
        if length is not None and (length % 2 == 0 or length < bound):
            raise ValueError(f"{name} is {length}; wanted an odd number of neighbours, at least {bound | 1}")


def _replaced(cube: xr.Dataset, variables: dict[str, xr.Variable]) -> xr.Dataset:
    """The cube with these variables in the place of its displacement."""
    mapping = {k: v for k, v in cube["displacement"].attrs.items() if k == "grid_mapping"}
    for name, variable in variables.items():
        variable.attrs = _flags() if name == "status" else describe(name) | mapping
    taken = [name for name in cube.variables if name in variables]
    return cube.drop_vars([*taken, "displacement"]).assign(variables)


def _flags() -> dict[str, Any]:
    return {
        "long_name": "whether the series was decomposed",
        "flag_values": np.array(list(MEANINGS), np.int8),
        "flag_meanings": " ".join(MEANINGS.values()),
    }
