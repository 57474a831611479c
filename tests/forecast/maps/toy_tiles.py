"""Small tile cubes with trends, seasons and noise that neighbours share in part."""

import numpy as np
import xarray as xr
from pyproj import CRS

CELL = 1562.5


def toy_tiles(names=("E32N34", "E39N30"), side=8, n_dates=240, seed=0, corners=None):
    rng = np.random.default_rng(seed)
    times = np.datetime64("2020-01-03", "ns") + 6 * np.timedelta64(1, "D") * np.arange(n_dates)
    years = np.arange(n_dates) * 6 / 365
    shape = (len(names), 1, side, side)
    trend = rng.normal(0, 6, shape) * years[:, None, None]
    season = rng.normal(0, 3, shape) * np.cos(2 * np.pi * years[:, None, None] - rng.uniform(0, 6, shape))
    shared = np.cumsum(rng.normal(0, 0.6, (len(names), n_dates, 1, 1)), axis=1)
    values = trend + season + shared + rng.normal(0, 1, (len(names), n_dates, side, side))
    mask = np.broadcast_to(rng.random(shape) < 0.8, values.shape)
    corners = corners or [(100_000.0 * int(n[1:3]), 100_000.0 * int(n[4:6])) for n in names]
    steps = CELL * (np.arange(side) + 0.5)
    return xr.Dataset(
        {
            "displacement": (("tile", "time", "y", "x"), values.astype(np.float32)),
            "mask": (("tile", "time", "y", "x"), mask),
            "egms_velocity": (("tile", "y", "x"), trend[:, -1].astype(np.float32)),
            "egms_acceleration": (("tile", "y", "x"), rng.normal(0, 1, (len(names), side, side)).astype(np.float32)),
            "egms_seasonality": (("tile", "y", "x"), np.abs(season).max(axis=1).astype(np.float32)),
            "crs": ((), 0, {"epsg": 3035, "crs_wkt": CRS.from_epsg(3035).to_wkt()}),
        },
        coords={
            "tile": list(names),
            "time": times,
            "easting": (("tile", "x"), np.array([west + steps for west, _ in corners])),
            "northing": (("tile", "y"), np.array([south + steps[::-1] for _, south in corners])),
        },
        attrs={
            "component": "up", "positive": "up", "reference_date": "2020-01-03", "reference": "none", "release": "toy",
            "cell": CELL,
        },
    )  # fmt: skip
