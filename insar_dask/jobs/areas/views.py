"""What the page shows of some areas: the ground about each, the series of its points, and what is forecast for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.detect.areas import Areas
from insar_dask.detect.evidence import points_in
from insar_dask.detect.views import AreaView
from insar_dask.jobs.areas.scene import AreaScene
from insar_dask.jobs.areas.series import Part, points_of
from insar_dask.jobs.areas.tasks import window_maps
from insar_dask.zeros import above_earliest, zero_days

__all__ = ["view_areas"]

AROUND = 8
"""Cells about an area that are shown, or half of its size."""

MOST_POINTS = 400
"""Points of an area whose series are read for a picture: of more, evenly many."""

SPREAD = (10, 90)
"""Percentiles of the points that are shown about their median."""


def view_areas(scene: AreaScene, areas: Areas, numbers: Sequence[int]) -> list[AreaView]:
    """Views of the areas of these numbers; of a scene only what lies about them is read."""
    return [_view(scene, areas.part([number]), number) for number in numbers]


def _view(scene: AreaScene, area: Areas, number: int) -> AreaView:
    grid = scene.grid
    west, south, east, north = area.geometry[0].bounds
    around = max(AROUND, round(max(east - west, north - south) / grid.cell / 2))
    rows, columns = (
        slice(int(low / grid.cell + 0.5), int(high / grid.cell + 0.5))
        for low, high in ((grid.north - north, grid.north - south), (west - grid.west, east - grid.west))
    )
    order = scene.order(rows, columns, around)
    maps, parts = window_maps(order)
    top, bottom, left, right = order["window"]
    window = grid.window(slice(top, bottom), slice(left, right))
    return AreaView(number, maps["velocity"].values, window, **_series(area, parts, order))


def _series(area: Areas, parts: Sequence[Part], order: dict[str, Any]) -> dict[str, Any]:
    """Percentiles of the points' series, and medians of their forecasts, of the product that has most points."""
    inside = [points_in(area, part.points)[0] for part in parts]
    numbers = np.zeros(len(order["products"]), np.int64)
    for part, mine in zip(parts, inside, strict=True):
        numbers[part.product] += mine.size
    if not numbers.any():
        return {}
    most = int(numbers.argmax())
    step = -(-int(numbers[most]) // MOST_POINTS)
    wanted = [
        (part, mine[::step]) for part, mine in zip(parts, inside, strict=True) if part.product == most and mine.size
    ]
    product = order["products"][most]
    raw = points_of(wanted, product, "raw")
    values = np.asarray(raw["displacement"].values, np.float64)
    above = above_earliest(values, zero_days(raw))
    told: dict[str, Any] = {"times": raw["time"].values, "series": _percentiles(values - above)}
    if "forecast" in product["shards"][0][1]:
        ahead = points_of(wanted, product, "forecast").isel(origin=-1)
        shift = above.astype(np.float32)
        medians = [np.nanmedian(ahead[name].values - shift, axis=0) for name in ("displacement", "lower", "upper")]
        told |= {"ahead": ahead["time"].values, "forecast": np.array(medians)}
    return told


def _percentiles(series: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(3, T) lower, middle and upper percentile at each date, NaN where no point is valid."""
    found = np.full((3, series.shape[1]), np.nan)
    some = np.isfinite(series).any(axis=0)
    found[:, some] = np.nanpercentile(series[:, some], (SPREAD[0], 50, SPREAD[1]), axis=0)
    return found
