from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from insar_dask.cube import describe

Scattered = Callable[..., xr.Dataset]


@pytest.fixture(scope="session")
def scattered() -> Scattered:
    """Points at random places of a square of 5 km, north of (4,000 km, 3,000 km)."""

    def draw(n_points: int = 600, n_dates: int = 6, missing: float = 0.0, seed: int = 0) -> xr.Dataset:
        chance = np.random.default_rng(seed)
        place = chance.uniform(0, 5000, (2, n_points)) + np.array([[4e6], [3e6]])
        values = chance.normal(0, 10, (n_points, n_dates)).astype(np.float32)
        values[chance.random(values.shape) < missing] = np.nan
        return cube_of(place, values)

    return draw


def cube_of(place: np.ndarray, values: np.ndarray) -> xr.Dataset:
    n_points, n_dates = values.shape
    return xr.Dataset(
        {"displacement": (("point", "time"), values, describe("displacement"))},
        coords={
            "time": np.datetime64("2020-01-03", "ns") + np.arange(n_dates) * np.timedelta64(6, "D"),
            "point_id": ("point", [f"{i:06d}" for i in range(n_points)]),
            "easting": ("point", place[0]),
            "northing": ("point", place[1]),
            "crs": ((), np.int32(0), {"crs_wkt": 'LOCAL_CS["metres"]'}),
        },
        attrs={
            "component": "up",
            "positive": "up",
            "reference_date": "2020-01-03",
            "reference": "none",
            "release": "2020-2024",
            "source": "site.csv",
        },
    )
