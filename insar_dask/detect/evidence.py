"""What the series of an area's points tell: how it came, since when, how good it is, what is to come."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.stats import f as f_distribution

from insar_dask.cube import CubeError, check_cube, years_since
from insar_dask.detect.areas import Areas, shapely_of
from insar_dask.detect.cards import median_of
from insar_dask.detect.quality import quality_class, spatial_quality, temporal_quality
from insar_dask.zeros import above_earliest, of_earliest, zero_days

__all__ = ["Onset", "exceedances", "histories", "onset_of"]

Float64 = npt.NDArray[np.float64]

FEWEST_DATES = 12
"""On either side of a break."""

MOST_POINTS = 2000
"""Points of an area whose series are looked at: of more, evenly many along its own order."""

SURE = 0.95

N_FITTED = 5
"""Offset, rate, season and change of rate."""

MOST_MEMORY = 0.99
"""Correlation of neighbouring dates, beyond which a series counts as one of this."""


class Onset(NamedTuple):
    """When a rate changed; NaT and 1 where it did not."""

    date: np.datetime64
    first: np.datetime64
    """The change lies between this date and the next with 95 % confidence; see `onset_of` for what that is worth."""
    last: np.datetime64
    p_value: float
    """How likely steady motion makes such a break."""


def histories(areas: Areas, cube: xr.Dataset) -> Areas:
    """Areas with what the series of their points tell.

    Parameters
    ----------
    areas : Areas
        In the CRS of the cube.
    cube : xr.Dataset
        Point cube; of a lazy one only the areas' points are read.

    Returns
    -------
    Areas
        With the columns ``cumulative_mm`` (of the median series, from its first date to its last), ``onset``,
        ``onset_first``, ``onset_last`` (days, "" for none) and ``onset_p`` (see `onset_of`), and ``temporal``,
        ``spatial`` and ``quality`` (see `insar_dask.detect.quality`). Series of points that begin later than others
        (``zero_day`` of `insar_dask.invert`) are brought to the zero of these before the median
        (`insar_dask.zeros.above_earliest`); those that share no date with them, nor by way of others, are not in it.

    Raises
    ------
    CubeError
        When it is no cube, or no point lies in any area.
    """
    check_cube(cube)
    times, years = cube["time"].values, years_since(cube["time"].values)
    members = points_in(areas, cube)
    if len(areas) and not any(mine.size for mine in members):
        raise CubeError("no point of the cube lies in any area: are both in one CRS, and of one place?")
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    place, zero = np.stack([cube["easting"].values, cube["northing"].values], axis=1), zero_days(cube)
    for mine in members:
        mine = mine[:: max(-(-mine.size // MOST_POINTS), 1)]
        series = cube["displacement"].isel(point=mine).values.astype(np.float64)
        middle = _median(series - above_earliest(series, zero[mine]))
        onset = onset_of(middle, times)
        valid = np.flatnonzero(np.isfinite(middle))
        coherence = cube["coherence"].isel(point=mine).values if "coherence" in cube.variables else None
        temporal = temporal_quality(series, years, coherence)
        spatial = spatial_quality(series, years, place[mine])
        row = {
            "cumulative_mm": float(middle[valid[-1]] - middle[valid[0]]) if valid.size else np.nan,
            "onset": _day(onset.date),
            "onset_first": _day(onset.first),
            "onset_last": _day(onset.last),
            "onset_p": onset.p_value,
            "temporal": temporal,
            "spatial": spatial,
            "quality": quality_class(temporal, spatial),
        }
        for name, value in row.items():
            columns[name].append(value)
    return areas.with_columns({name: np.array(values) for name, values in columns.items()})


def onset_of(series: npt.ArrayLike, times: npt.ArrayLike) -> Onset:
    """Date at which the rate of a series changed once.

    Of all dates with twelve valid ones on either side the one where {1, t, cos, sin} with a change of rate, max(0, t -
    t_b), leaves least. What is left remembers: w = (1 - r) / (1 + r) of n dates count as independent (Bayley and
    Hammersley 1946, doi:10.2307/2983560), r being the correlation of what is left at neighbouring valid dates. F =
    w (R0 - R1) / (R1 / (n - 5)) with 1 and w n - 5 degrees of freedom, whose p-value is multiplied by the number of
    dates tried (Bonferroni). The range ends beside the dates at which R1 is not larger than the least by more than F
    allows at 95 %: a rate changes between dates. Of 180 dates it holds the true day in 97 to 98 % of cases where r is
    0, in 92 to 95 % where it is 0.5 and in 92 to 96 % where it is 0.8, the more the clearer the change.

    Of steady motion with a memory of r from date to date this many have an onset: at 180 dates 0, 1, 2 % where r is 0,
    0.5 to 0.8, 0.9; at 60, too few to know a long memory by, 1, 2 to 8, 11 %.

    Parameters
    ----------
    series : (T,) array_like [mm]
        NaN is missing.
    times : (T,) array_like of datetime64

    Returns
    -------
    Onset
        Without a date where p is above 0.05, or there are too few.
    """
    values, dates = np.asarray(series, np.float64), np.asarray(times, "datetime64[ns]")
    valid = np.isfinite(values)
    values, dates = values[valid], dates[valid]
    none = Onset(np.datetime64("NaT"), np.datetime64("NaT"), np.datetime64("NaT"), 1.0)
    n = len(values)
    if n < 2 * FEWEST_DATES + 1:
        return none
    t = years_since(dates)
    design = np.stack([np.ones(n), t, np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)], axis=1)
    basis = np.linalg.qr(design)[0]
    left = values - basis @ (basis.T @ values)
    tried = np.arange(FEWEST_DATES, n - FEWEST_DATES)
    bends = np.maximum(0.0, t[:, None] - t[tried])
    bends -= basis @ (basis.T @ bends)
    gains = (bends.T @ left) ** 2 / np.maximum((bends**2).sum(axis=0), 1e-12)
    k, before = int(np.argmax(gains)), float((left**2).sum())
    after = max(before - float(gains[k]), 1e-12 * max(before, 1e-12))
    bend = bends[:, k]
    share = _independent(left - bend * (bend @ left) / max(float(bend @ bend), 1e-12))
    freedom, unit = max(share * n - N_FITTED, 1.0), after / (n - N_FITTED) / share
    p_value = float(min(f_distribution.sf(gains[k] / unit, 1, freedom) * len(tried), 1.0))
    if p_value > 1 - SURE:
        return none._replace(p_value=p_value)
    near = tried[gains[k] - gains <= unit * f_distribution.ppf(SURE, 1, freedom)]
    return Onset(dates[tried[k]], dates[near[0] - 1], dates[near[-1] + 1], p_value)


def exceedances(areas: Areas, forecast: xr.Dataset) -> Areas:
    """Areas with what is forecast for their points.

    Parameters
    ----------
    areas : Areas
    forecast : xr.Dataset
        Over (origin, point, lead): ``displacement``, ``lower`` and ``upper`` [mm], and ``exceedance`` where a threshold
        was asked for; the last origin and lead count.

    Returns
    -------
    Areas
        With ``forecast_mm``, ``forecast_lower_mm``, ``forecast_upper_mm``: medians over the points, of an area whose
        points count from several zeros (``zero_day`` of `insar_dask.invert`) over those of the earliest; and
        ``exceedance``, the largest probability of any of them, each counted from its own zero.

    Raises
    ------
    CubeError
        When the forecast has none of these.
    """
    wanted = {"displacement": "forecast_mm", "lower": "forecast_lower_mm", "upper": "forecast_upper_mm"}
    if missing := [name for name in wanted if name not in forecast]:
        raise CubeError(f"the forecast lacks {missing}; wanted what a Forecaster's predict gives")
    last = {dim: -1 for dim in ("origin", "lead") if dim in forecast.dims}
    at_end, members, zero = forecast.isel(last), points_in(areas, forecast), zero_days(forecast)
    columns = {}
    for name, column in wanted.items():
        values = np.asarray(at_end[name].values, np.float64)
        columns[column] = np.array([median_of(values[mine[of_earliest(zero[mine])]]) for mine in members])
    if "exceedance" in at_end:
        values = np.asarray(at_end["exceedance"].values, np.float64)
        columns["exceedance"] = np.array([np.fmax.reduce(values[mine], initial=np.nan) for mine in members])
    return areas.with_columns(columns)


_COLUMNS = ("cumulative_mm", "onset", "onset_first", "onset_last", "onset_p", "temporal", "spatial", "quality")


def points_in(areas: Areas, data: xr.Dataset) -> list[npt.NDArray[np.int64]]:
    """Numbers of the points in each area, those on its edge too."""
    shapely = shapely_of()
    x, y = (np.asarray(data[axis].values, np.float64) for axis in ("easting", "northing"))
    order = np.argsort(x, kind="stable")
    found = []
    for outline in areas.geometry:
        west, south, east, north = outline.bounds
        near = order[np.searchsorted(x[order], west) : np.searchsorted(x[order], east, side="right")]
        near = near[(y[near] >= south) & (y[near] <= north)]
        shapely.prepare(outline)
        found.append(np.sort(near[shapely.intersects_xy(outline, x[near], y[near])]))
    return found


def _independent(left: Float64) -> float:
    """Share of dates that count as independent in what a fit has left, (1 - r) / (1 + r).

    The five terms of the fit take the slow part of the noise with them, so that the correlation of what is left falls
    short of r by about (5 + 8 r) / n: each term takes 1 / n of the spectrum's height at its foot, (1 + r) / (1 - r),
    and the ratio itself 3 r / n.
    """
    n = len(left)
    found = float(left[1:] @ left[:-1]) / max(float(left @ left), 1e-300)
    r = min(max((found + N_FITTED / n) / (1 - (N_FITTED + 3) / n), 0.0), MOST_MEMORY)
    return (1 - r) / (1 + r)


def _median(series: Float64) -> Float64:
    """Median over the points at each date, NaN where none is valid."""
    some = np.isfinite(series).any(axis=0)
    middle = np.full(series.shape[1], np.nan)
    if some.any():
        middle[some] = np.nanmedian(series[:, some], axis=0)
    return middle


def _day(date: np.datetime64) -> str:
    return "" if np.isnat(date) else str(date.astype("datetime64[D]"))
