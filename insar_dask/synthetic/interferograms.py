"""Interferograms with known truth: what moves the ground, and all that the radar adds to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import describe

__all__ = ["air_temperature", "pair_cube"]

Float64 = npt.NDArray[np.float64]

WAVELENGTH = 0.05546576
"""Sentinel-1 [m]."""

SLANT_RANGE, INCIDENCE = 850e3, 38.0
PIXEL = 40.0
CORNER = (500_000.0, 3_700_000.0)
RELIEF = 350.0
"""Difference between the highest and the lowest ground [m]."""


def pair_cube(
    rows: int = 40,
    columns: int = 50,
    n_dates: int = 60,
    *,
    longest: float = 50.0,
    lost: tuple[float, float] | None = None,
    season: Sequence[float] | None = None,
    velocity: float = 10.0,
    season_size: float = 8.0,
    height_error: float = 5.0,
    baseline: float = 40.0,
    atmosphere: float = 4.0,
    decorrelation: float = 2.0,
    ramps: float = 0.0,
    stratified: float = 0.0,
    unwrapping: float = 0.0,
    missing: float = 0.0,
    seed: int = 0,
) -> xr.Dataset:
    """Draw a pair cube of Sentinel-1 over a hilly scene with a bowl that sinks.

    d(pair) = x(second) - x(first) + decorrelation, x(t) = v t + E s(t) + k b(t) dz + atmosphere + ramp + delay, with
    k = 1000 / (R sin(incidence)) mm per metre of baseline and of height error.

    Parameters
    ----------
    rows, columns, n_dates : int
        Size; dates are 12 days apart from 2018-01-05 on, one in twenty is missing.
    longest : float
        Days that a pair spans at most; all such pairs are made.
    lost : (float, float), optional
        Days from the first date between which there is no date.
    season : sequence of float, optional
        s at the dates; default: one minus cosine of the year, halved.
    velocity, season_size : float
        Of the bowl's centre [mm/yr], sinking, and standard deviation of E [mm].
    height_error, baseline : float
        Standard deviation of dz and of the dates' perpendicular baselines [m].
    atmosphere, decorrelation : float
        Standard deviation of white noise of each date, and of each pair [mm].
    ramps : float
        Standard deviation of each date's slope over half the scene [mm].
    stratified : float
        Amplitude of an annual delay over half the relief [mm].
    unwrapping, missing : float
        Share of values that are a cycle wrong, and that are missing.
    seed : int

    Returns
    -------
    xr.Dataset
        Pair cube in memory, in the order of the pixels, with ``coherence``, ``height``, ``incidence_angle``, and the
        truth: ``true_velocity`` [mm/yr of 365.25 days], ``true_season`` [mm], ``true_height_error`` [m] over point,
        ``true_season_shape`` and ``true_bperp`` over ``date``, ``true_cycles`` (point, pair).
    """
    rng = np.random.default_rng(seed)
    days = _days(n_dates, lost, rng)
    years, n_dates = days / 365.25, days.size
    first, second = np.triu_indices(n_dates, 1)
    near = days[second] - days[first] <= longest
    first, second = first[near], second[near]
    shape = 0.5 - 0.5 * np.cos(2 * np.pi * years) if season is None else np.asarray(season, np.float64)
    row, col = (part.ravel() for part in np.mgrid[:rows, :columns])
    x, y = 2 * col / max(columns - 1, 1) - 1, 2 * row / max(rows - 1, 1) - 1
    n = row.size
    height = 5000 + RELIEF / 2 * np.sin(2.2 * x + 0.5) * np.cos(1.7 * y)
    rate = -velocity * np.exp(-((x - 0.2) ** 2 + (y + 0.1) ** 2) / 0.18)
    size, dz = rng.normal(0, season_size, n), rng.normal(0, height_error, n)
    bperp = np.concatenate([[0.0], rng.normal(0, baseline, n_dates - 1)])
    per_metre = 1000 / (SLANT_RANGE * np.sin(np.radians(INCIDENCE)))
    series = rate[:, None] * years + size[:, None] * shape + per_metre * dz[:, None] * bperp
    series += rng.normal(0, 1, (n, n_dates)) * atmosphere
    slopes = rng.normal(0, 1, (2, n_dates)) * ramps
    series += x[:, None] * slopes[0] + y[:, None] * slopes[1]
    series += stratified * ((height - 5000) / (RELIEF / 2))[:, None] * np.cos(2 * np.pi * (years - 0.55))
    d = series[:, second] - series[:, first] + rng.normal(0, 1, (n, first.size)) * decorrelation
    cycles = np.where(rng.random(d.shape) < unwrapping, rng.choice([-1, 1], d.shape), 0).astype(np.int8)
    phase = -d * 4 * np.pi / (1000 * WAVELENGTH) + 2 * np.pi * cycles
    phase[rng.random(phase.shape) < missing] = np.nan
    noise = (4 * np.pi / (1000 * WAVELENGTH) * max(decorrelation, 0.1)) ** 2
    dates = np.datetime64("2018-01-05", "ns") + (days * 86400e9).astype("timedelta64[ns]")
    over_points = {
        "true_velocity": (rate, "mm yr-1"), "true_season": (size, "mm"), "true_height_error": (dz, "m"),
    }  # fmt: skip
    return xr.Dataset(
        {
            "phase": (("point", "pair"), phase.astype(np.float32), {"units": "radian"}),
            "coherence": (("point", "pair"), np.full(d.shape, 1 / np.sqrt(1 + 2 * 10 * noise), np.float32)),
            "true_cycles": (("point", "pair"), cycles),
            **{name: ("point", values, {"units": units}) for name, (values, units) in over_points.items()},
            "true_season_shape": ("date", shape),
            "true_bperp": ("date", bperp, {"units": "m"}),
        },
        coords={
            "first": ("pair", dates[first]),
            "second": ("pair", dates[second]),
            "bperp": ("pair", bperp[second] - bperp[first], {"units": "m"}),
            **_places(row, col, rows, columns, height),
        },
        attrs={
            "component": "los", "positive": "towards the satellite", "reference_date": str(dates[0])[:10],
            "reference": "none: a synthetic scene", "release": f"synthetic, seed {seed}", "track": "063",
            "pass": "descending", "sees_future": 0, "wavelength": WAVELENGTH, "phase_sign": 1,
            "slant_range": SLANT_RANGE,
        },
    )  # fmt: skip


def air_temperature(
    first: str, n_days: int, seed: int = 0, *, mean: float = -5.0, amplitude: float = 13.0
) -> xr.DataArray:
    """Daily air temperature of a cold plateau [degree C], (day): a year's wave, coldest in mid-January, and weather.

    Weather is AR(1) of 0.8 a day and 3 degrees.
    """
    rng = np.random.default_rng(seed)
    times = np.datetime64(first, "D") + np.arange(n_days)
    year = (times - times.astype("datetime64[Y]")).astype(np.float64) / 365.25
    shocks, weather = rng.normal(0, 3 * np.sqrt(1 - 0.8**2), n_days), np.empty(n_days)
    weather[0] = rng.normal(0, 3)
    for day in range(1, n_days):
        weather[day] = 0.8 * weather[day - 1] + shocks[day]
    values = mean - amplitude * np.cos(2 * np.pi * (year - 15 / 365.25)) + weather
    return xr.DataArray(values, {"day": times.astype("datetime64[ns]")}, ("day",), attrs={"units": "degree_Celsius"})


def _days(n_dates: int, lost: tuple[float, float] | None, rng: np.random.Generator) -> Float64:
    every = 12.0 * np.arange(n_dates + max(n_dates // 20, 1))
    gone = rng.choice(np.arange(2, every.size - 2), every.size - n_dates, replace=False)
    days: Float64 = np.delete(every, gone)
    return days if lost is None else days[(days < lost[0]) | (days > lost[1])]


def _places(
    row: npt.NDArray[np.intp], col: npt.NDArray[np.intp], rows: int, columns: int, height: Float64
) -> dict[str, object]:
    from pyproj import CRS

    crs = CRS(32644).to_wkt()
    grid = {"rows": rows, "columns": columns, "x_first": CORNER[0], "x_step": PIXEL, "y_first": CORNER[1],
            "y_step": -PIXEL, "crs_wkt": crs}  # fmt: skip
    return {
        "point_id": ("point", [f"R{r:04d}C{c:04d}" for r, c in zip(row.tolist(), col.tolist(), strict=True)]),
        "easting": ("point", CORNER[0] + PIXEL * col, describe("easting")),
        "northing": ("point", CORNER[1] - PIXEL * row, describe("northing")),
        "height": ("point", height.astype(np.float32), describe("height")),
        "incidence_angle": ("point", np.full(row.size, INCIDENCE, np.float32), describe("incidence_angle")),
        "row": ("point", row.astype(np.int32)),
        "col": ("point", col.astype(np.int32)),
        "crs": ((), np.int32(0), {"crs_wkt": crs, "epsg": 32644}),
        "grid": ((), np.int32(0), grid),
    }
