from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS

from insar_dask.cube import describe, years_since

Tracks = Callable[..., list[xr.Dataset]]

LOOKS = {"ascending": (37.0, -9.0), "descending": (40.0, 191.0)}
"""Incidence and heading [degree]."""


def look(way: str) -> np.ndarray:
    i, h = np.radians(LOOKS[way])
    return np.array([-np.sin(i) * np.cos(h), np.sin(i) * np.sin(h), np.cos(i)])


def moved(place: np.ndarray, years: np.ndarray, north: float) -> np.ndarray:
    """(3, n, T) east, north and up [mm] of places: smooth in space, a trend, a season and an acceleration in time."""
    x, y = (place - place.min(axis=0)).T / 1000
    season = np.cos(2 * np.pi * years)
    east = np.multiply.outer(8 - 3 * x, years) + np.multiply.outer(1 + y, season)
    up = np.multiply.outer(-12 + 2 * y, years) + np.multiply.outer(2 + x, season) - 2 * years**2
    return np.stack([east, np.broadcast_to(north * years, east.shape), up])


def track_of(
    way: str, place: np.ndarray, times: np.ndarray, values: np.ndarray, name: str = "117", **coords: Any
) -> xr.Dataset:
    to_east, to_north, to_up = look(way)
    n = len(place)
    columns = {
        "point_id": np.array([f"{name}{i:06d}" for i in range(n)]),
        "easting": place[:, 0],
        "northing": place[:, 1],
        "height": np.full(n, 12.5, np.float32),
        "los_east": np.full(n, to_east),
        "los_north": np.full(n, to_north),
        "los_up": np.full(n, to_up),
        **coords,
    }
    return xr.Dataset(
        {"displacement": (("point", "time"), values.astype(np.float32), describe("displacement"))},
        coords={
            **{k: ("point", v) for k, v in columns.items()},
            "time": times,
            "crs": ((), np.int32(0), {"crs_wkt": CRS(3035).to_wkt()}),
        },
        attrs={
            "component": "los", "positive": "towards the satellite", "reference_date": str(times[0])[:10],
            "reference": "a GNSS model", "release": "2020-2024", "track": name, "pass": way, "sees_future": 0,
            "source": f"EGMS_L2b_{name}_0001_IW2_VV.csv",
        },
    )  # fmt: skip


@pytest.fixture(scope="session")
def two_tracks() -> Tracks:
    """Ascending and descending points in random order on 1 km of ground, dates 6 or 12 days apart, both on the first:
    the truth is a plane in space within a cell only where ``places`` puts all points of a cell on one spot."""

    def draw(
        n_points: int = 400, n_dates: int = 50, noise: float = 0.0, north: float = 0.0, missing: float = 0.0,
        seed: int = 0, same_days: bool = False,
    ) -> list[xr.Dataset]:  # fmt: skip
        chance = np.random.default_rng(seed)
        cubes = []
        for number, way in enumerate(LOOKS):
            place = np.floor(chance.uniform(0, 1000, (n_points, 2)) / 100) * 100 + 50 + np.array([4.5e6, 1.7e6])
            steps = np.full(n_dates, 6) if same_days else chance.choice([6, 12], n_dates)
            days = np.concatenate([[0], np.cumsum(steps)])[:n_dates]
            times = np.datetime64("2020-01-03", "ns") + days * np.timedelta64(1, "D")
            values = np.tensordot(look(way), moved(place, years_since(times), north), 1)
            values = values + noise * chance.normal(0, 1, values.shape)
            values[chance.random(values.shape) < missing] = np.nan
            cubes.append(track_of(way, place, times, values, f"{117 + number}"))
        return cubes

    return draw
