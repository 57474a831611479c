"""A slope with slides that an ascending and a descending track see: known motion to the east and up."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import describe, years_since

__all__ = ["slope_tracks"]

Float64 = npt.NDArray[np.float64]

ORIGIN = (4_500_000.0, 1_700_000.0)
"""South-west corner [m], EPSG:3035."""

SIDE = 2400.0
LOOKS = {"ascending": ("117", 37.0, -9.0), "descending": ("022", 40.0, 191.0)}
"""Track, incidence and heading [degree] of each pass."""

SLIDES = ((700.0, 800.0, 330.0, -30.0, 0.0), (1700.0, 1500.0, 260.0, -16.0, 0.0), (800.0, 1800.0, 220.0, -40.0, 0.55))
"""Easting, northing and radius [m], rate in the middle [mm/yr], and when it began as a share of the record."""

EASTWARD = 0.6
"""Of a slide's motion down, what it moves to the east: the slope falls to the east by 17 degrees."""

FALL = 0.3
SEASON = 2.0
"""Amplitude of the year of all ground [mm]."""


def slope_tracks(n_points: int = 2000, n_dates: int = 90, *, noise: float = 1.5, seed: int = 0) -> list[xr.Dataset]:
    """Two point cubes of a slope that falls to the east, on which three slides move down and out.

    Two of the slides move throughout, the third from the middle of the record on. Points and dates of the tracks are
    their own: 6 or 12 days apart, as Sentinel-1 comes.

    Parameters
    ----------
    n_points : int
        Of each track, on 2.4 x 2.4 km.
    n_dates : int
        Of each track.
    noise : float
        Of a value [mm].
    seed : int

    Returns
    -------
    list of xr.Dataset
        Ascending and descending cube of lines of sight with ``los_east``, ``los_north``, ``los_up``, ``height``,
        ``coherence`` and the truth over ``point``, ``true_east`` and ``true_up``: mean velocities over the record
        [mm yr-1].
    """
    chance = np.random.default_rng([seed, 117])
    steps = chance.choice([6, 12], (2, n_dates - 1))
    span = float(steps.sum(axis=1).max()) / 365
    return [_track(way, n_points, days, span, noise, chance) for way, days in zip(LOOKS, steps, strict=True)]


def _track(
    way: str, n_points: int, steps: npt.NDArray[np.int64], span: float, noise: float, chance: np.random.Generator
) -> xr.Dataset:
    from pyproj import CRS

    name, incidence, heading = LOOKS[way]
    place = chance.uniform(0, SIDE, (n_points, 2))
    days = np.concatenate([[0], np.cumsum(steps)])
    times = np.datetime64("2019-01-03", "ns") + days * np.timedelta64(1, "D")
    years = years_since(times)
    up = _settled(place, years, span)
    east = -EASTWARD * up
    look = _look(incidence, heading)
    season = SEASON * np.cos(2 * np.pi * (years - 0.3))
    values = look[0] * east + look[2] * (up + season) + noise * chance.normal(0, 1, up.shape)
    rates = {"true_east": east[:, -1] / years[-1], "true_up": up[:, -1] / years[-1]}
    columns: dict[str, Any] = {
        "point_id": np.array([f"{name}{k:07d}" for k in range(n_points)]),
        "easting": place[:, 0] + ORIGIN[0],
        "northing": place[:, 1] + ORIGIN[1],
        "height": (900 - FALL * place[:, 0]).astype(np.float32),
        "coherence": np.clip(chance.normal(0.8, 0.08, n_points), 0.3, 1).astype(np.float32),
        **{f"los_{axis}": np.full(n_points, part) for axis, part in zip(("east", "north", "up"), look, strict=True)},
    }
    described = {"point_id", "easting", "northing", "height", "coherence"}
    coords = {key: ("point", column, describe(key) if key in described else {}) for key, column in columns.items()}
    rate = {"units": "mm yr-1"}
    return xr.Dataset(
        {
            "displacement": (("point", "time"), values.astype(np.float32), describe("displacement")),
            **{key: ("point", column.astype(np.float32), rate) for key, column in rates.items()},
        },
        coords={**coords, "time": times, "crs": ((), np.int32(0), {"crs_wkt": CRS(3035).to_wkt(), "epsg": 3035})},
        attrs={
            "component": "los", "positive": "towards the satellite", "reference_date": str(times[0])[:10],
            "reference": "the ground around", "release": "drawn", "track": name, "pass": way, "sees_future": 0,
            "source": f"slope_{name}_{way}.csv",
        },
    )  # fmt: skip


def _settled(place: Float64, years: Float64, span: float) -> Float64:
    """(n, T) motion up of points since the first date [mm]."""
    moved = np.zeros((len(place), len(years)))
    for x, y, radius, rate, begins in SLIDES:
        share = np.clip(1.5 - np.hypot(*(place - (x, y)).T) / radius, 0, 1)
        moved += np.multiply.outer(rate * share, np.maximum(0, years - begins * span))
    return moved


def _look(incidence: float, heading: float) -> Float64:
    i, h = np.radians([incidence, heading])
    return np.array([-np.sin(i) * np.cos(h), np.sin(i) * np.sin(h), np.cos(i)])
