"""What every forecaster of a plan had said of a tile at the test origins, beside what came."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.forecast.catalogue import MAPPED
from insar_dask.forecast.conformal import classify
from insar_dask.forecast.maps.gridded import gridded
from insar_dask.forecast.maps.lattice import as_points
from insar_dask.forecast.naive import harmonic_fit
from insar_dask.forecast.registry import Arrays, Device, fitted, methods_of
from insar_dask.forecast.tallies import block_places, block_values, forecast_with_scale, windows_of
from insar_dask.forecast.timetable import Plan
from insar_dask.map_metrics import MapScores

__all__ = ["hindcast_tile"]

Float32 = npt.NDArray[np.float32]


def hindcast_tile(
    tiles: xr.Dataset, plan: Plan, state: Arrays, trained: Arrays | None = None, device: Device = "cpu"
) -> dict[str, npt.NDArray[Any]]:
    """Forecasts of one tile by all methods from the test origins, which they had not seen, scored by map.

    Methods are scored on the values that all of them forecast.

    Parameters
    ----------
    tiles : xr.Dataset
        Tile cube of one tile.
    plan, state, trained, device
        As for `insar_dask.forecast.protocol.calibrate_partial`, calibrated; the plan's dates are the tile's.

    Returns
    -------
    dict of arrays
        At the last origin ``said`` (methods, h, Y, X) and ``measured`` (h, Y, X) [mm], NaN in cells without a point;
        of all origins ``errors`` (methods, h, sums) and ``alike`` (methods, h, 4), the sums of
        `insar_dask.map_metrics.MapScores`, relative to ``data_range``, the range [mm] of all the tile's values;
        ``inside`` (methods, h, 2): how many values lay in the interval, and how many had one; ``share`` (methods,):
        how much of what a network adds is believed on this tile, NaN of others.
    """
    cells = as_points(tiles).load()
    values, places, side = block_values(cells, plan), block_places(cells), tiles.sizes["y"]
    methods, windows = methods_of(plan, "honest"), windows_of(values, plan, "honest", places)
    models = {method: fitted(method, "honest", "test", {**state, **(trained or {})}, device) for method in methods}
    first = windows.context(plan.test[0])
    classes = classify(harmonic_fit(first)[1].rmse, state["honest.test.edges"])
    known = classes[:, None] >= 0
    widths = {name: np.where(known, state[f"honest.{name}.quantiles"][classes], np.nan) for name in methods}
    spread = float(np.nanmax(values) - np.nanmin(values)) or 1.0
    scores = {method: MapScores.none(plan.horizon, spread) for method in methods}
    inside = {method: np.zeros((plan.horizon, 2)) for method in methods}
    said: dict[str, Float32] = {}
    measured = np.empty(0, np.float32)
    for origin in plan.test:
        context, came = windows.context(origin, first), windows.targets(origin)
        forecasts = {method: forecast_with_scale(model, context) for method, model in models.items()}
        # compared on what all of them forecast, as `insar_dask.forecast.tallies` has it
        shared = np.logical_and.reduce([np.isfinite(mean) for mean, _ in forecasts.values()])
        compared = np.where(shared, came, np.float32(np.nan))
        measured, scored = gridded(came, places, side), np.isfinite(gridded(compared, places, side))
        for method, (mean, scale) in forecasts.items():
            said[method] = gridded(mean, places, side)
            scores[method] += MapScores.of(said[method], measured, scored, spread)
            inside[method] += _inside(mean - compared, widths[method] * scale)
    return {
        "said": np.stack(list(said.values())),
        "measured": measured,
        "errors": np.stack([[sums.values for sums in of.errors] for of in scores.values()]),
        "alike": np.stack([of.alike for of in scores.values()]),
        "data_range": np.array(spread),
        "inside": np.stack(list(inside.values())),
        "share": np.array([cast("Any", m).share(first) if name in MAPPED else np.nan for name, m in models.items()]),
    }


def _inside(errors: Float32, half: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """By lead (h, 2), how many errors (n, h) are at most half an interval, and how many have one."""
    given = np.isfinite(errors) & np.isfinite(half)
    return np.stack([(given & (np.abs(errors) <= half)).sum(axis=0), given.sum(axis=0)], axis=1).astype(np.float64)
