"""Small data sets of every kind that the report takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from pyproj import CRS

from insar_dask.cube import describe


def make_cube(easting: np.ndarray, northing: np.ndarray, n_times: int = 80, epsg: int = 3035) -> xr.Dataset:
    """Trend, year and noise; every fifth value missing, all of the last point's."""
    rng = np.random.default_rng(4)
    times = np.datetime64("2020-01-03", "ns") + np.arange(n_times) * np.timedelta64(12, "D")
    years = np.arange(n_times) * 12 / 365
    slope = rng.normal(0, 5, (easting.size, 1))
    values = (slope * years + 2 * np.cos(2 * np.pi * years) + rng.normal(0, 1, (easting.size, n_times))).round(1)
    values[:, ::5] = np.nan
    values[-1] = np.nan
    return xr.Dataset(
        {"displacement": (("point", "time"), values.astype(np.float32), describe("displacement"))},
        coords={
            "time": times,
            "point_id": ("point", np.array([f"P{i:05d}é" for i in range(easting.size)])),
            "easting": ("point", easting, describe("easting")),
            "northing": ("point", northing, describe("northing")),
            "crs": ((), np.int32(0), {"crs_wkt": CRS.from_epsg(epsg).to_wkt(), "epsg": epsg}),
        },
        attrs={
            "component": "up",
            "positive": "up",
            "reference_date": "2020-01-03",
            "reference": "GNSS",
            "release": "2020-2024",
            "product": "TEST",
        },
    )


def make_products(cube: xr.Dataset) -> xr.Dataset:
    rng = np.random.default_rng(5)
    n_points = cube.sizes["point"]
    drawn = {
        "velocity": rng.normal(-1, 4, n_points),
        "acceleration": rng.normal(0, 1, n_points),
        "seasonality": rng.gamma(2, 1, n_points),
        "rmse": rng.gamma(9, 0.3, n_points),
    }
    products = cube.drop_vars(["displacement", "time"])
    for name, values in drawn.items():
        values[-1] = np.nan
        products[name] = ("point", values.astype(np.float32), describe(name))
        products[f"{name}_std"] = ("point", np.full(n_points, 0.2, np.float32), {"units": describe(name)["units"]})
    return products


def make_forecast(cube: xr.Dataset, n_leads: int = 6) -> xr.Dataset:
    last = cube["time"].values[-1]
    steps = np.arange(1, n_leads + 1) * np.timedelta64(12, "D")
    origins = np.array([last - np.timedelta64(120, "D"), last])
    middle = np.zeros((2, cube.sizes["point"], n_leads), np.float32)
    dims = ("origin", "point", "lead")
    return xr.Dataset(
        {"displacement": (dims, middle), "lower": (dims, middle - 3), "upper": (dims, middle + 3)},
        coords={
            "origin": origins,
            "lead": np.arange(1, n_leads + 1),
            "time": (("origin", "lead"), origins[:, None] + steps),
        },
        attrs={"level": 0.9},
    )


def make_scores(n_leads: int = 6) -> dict[str, Any]:
    methods = ["persistence", "harmonic", "gaussian"]

    def table(factor: float) -> dict[str, Any]:
        return {
            method: {
                "rmse": [factor * (3 - number + 0.1 * lead) for lead in range(n_leads)],
                "mae": [1.0] * n_leads,
                "n": [100] * n_leads,
                "rmse_all": factor * (3.25 - number),
                "rmse_ci": [factor * 2, factor * 4],
                "skill": 0.1 * number,
                "coverage": [0.9] * n_leads,
                "coverage_all": 0.9,
                "interval_width": [6.0] * n_leads,
                "strata": {"stable": {"rmse": factor * (2 - 0.5 * number), "n": 12}},
            }
            for number, method in enumerate(methods)
        }

    return {
        "product": "TEST",
        "component": "up",
        "horizon": n_leads,
        "level": 0.9,
        "every_days": 12,
        "origins": ["2023-01-01", "2023-06-01"],
        "leads": [{"step": step, "days": 12 * step} for step in range(1, n_leads + 1)],
        "default": "gaussian",
        "reason": "lowest RMSE in the validation <by far>",
        "methods": methods,
        "tables": {"honest": table(1.0), "as_published": table(0.3)},
        "coverage_by_quintile": {"gaussian": [[0.9] * n_leads] * 4 + [[0.8] * n_leads]},
        "protocol": {"honest": "Honest sentence.", "as_published": "LEAKS: leaking sentence."},
        "notes": ["A note."],
    }


def make_parts(cube: xr.Dataset) -> xr.Dataset:
    """A bent line, a yearly wave and noise; the last point has none, as its status says."""
    rng = np.random.default_rng(8)
    n_points = cube.sizes["point"]
    years = (cube["time"].values - cube["time"].values[0]) / np.timedelta64(365, "D")
    values = {
        "trend": rng.normal(-3, 8, (n_points, 1)) * years + 0.4 * years**2,
        "season": rng.gamma(3, 1, (n_points, 1)) * np.sin(2 * np.pi * years - 0.6),
        "residual": rng.normal(0, 1, (n_points, years.size)),
    }
    parts = cube.drop_vars("displacement")
    for name, drawn in values.items():
        drawn[-1] = np.nan
        parts[name] = (("point", "time"), drawn.astype(np.float32), {"units": "mm"})
    status = np.zeros(n_points, np.int8)
    status[-1] = 2
    flags = {"flag_values": np.arange(3, dtype=np.int8), "flag_meanings": "ok too_short no_data"}
    parts["status"] = ("point", status, flags)
    parts["alpha"] = ("point", np.full(n_points, 0.5, np.float32))
    return parts.assign_attrs(sees_future=-1, period=30)


def make_patterns(cube: xr.Dataset, n_patterns: int = 4) -> xr.Dataset:
    """Labels in stripes along the easting; the last point has none."""
    n_points = cube.sizes["point"]
    labels = (np.argsort(np.argsort(cube["easting"].values)) * n_patterns // n_points).astype(np.int8)
    labels[-1] = -1
    years = (cube["time"].values - cube["time"].values[0]) / np.timedelta64(365, "D")
    speeds = np.linspace(-20, 4, n_patterns) if n_patterns > 1 else np.array([-2.0])
    patterns = cube.drop_vars("displacement")
    patterns["cluster"] = ("point", labels)
    patterns["centroid"] = (("pattern", "time"), (speeds[:, None] * years + np.sin(6.28 * years)).astype(np.float32))
    patterns["centroid_velocity"] = ("pattern", speeds.astype(np.float32))
    patterns["cluster_size"] = ("pattern", np.bincount(labels[labels >= 0], minlength=n_patterns))
    return patterns.assign_attrs(sees_future=-1)
