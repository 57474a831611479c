"""Scores of one forecaster on every tile: at the test origins by lead and by origin, and about an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.maps.holdout import Holdout
from insar_dask.forecast.maps.map_material import Material
from insar_dask.map_metrics import MapScores

__all__ = ["Forecast", "score_tiles", "value_range"]

Float32 = npt.NDArray[np.float32]
Forecast = Callable[[int, Sequence[int]], Float32]
"""Maps (o, h, Y, X) [mm] of a tile at some origins."""


def score_tiles(
    material: Material, holdout: Holdout, forecast: Forecast, events: Mapping[str, np.datetime64]
) -> tuple[dict[str, Any], dict[str, Float32]]:
    """Score a forecaster on the tiles of both sides.

    Cells that never hold a point are not scored, nor are those of a held-out tile near one of training. The similarity
    of maps is relative to the range of what the tile's cells have been at any date.

    Parameters
    ----------
    material : Material
    holdout : Holdout
    forecast : callable
    events : mapping
        Day of an event by the name of its tile, such as an earthquake.

    Returns
    -------
    scores : dict
        JSON-able: by tile ``test``, scores of `insar_dask.map_metrics.MapScores`, ``origins``, the RMSE [mm] at each
        origin, and, where the tile has an event, the scores of origins ``before``, ``across`` and ``known``: see
        `insar_dask.forecast.maps.map_material.Material.origins_about`.
    forecasts : dict of (o, h, Y, X) arrays
        At the test origins, by tile [mm].
    """
    scores: dict[str, Any] = {}
    forecasts = {}
    for tile in (*holdout.trained, *holdout.held):
        name, counted = material.names[tile], holdout.counted(material, tile)
        origins = material.origins("test").tolist()
        said, asked = forecast(tile, origins), _asked(material, tile, origins, counted)
        spread = value_range(material, tile)
        squares = ((said - asked) ** 2).reshape(len(origins), -1)
        forecasts[name] = said
        scores[name] = {
            "test": _scores(said, asked, spread),
            "origins": np.sqrt(np.nanmean(squares, axis=1)).round(4).tolist(),
        }
        phases = material.origins_about(events[name]) if name in events else {}
        for phase, about in phases.items():
            if about.size:
                at = about.tolist()
                scores[name][phase] = _scores(forecast(tile, at), _asked(material, tile, at, counted), spread)
    return scores, forecasts


def _asked(material: Material, tile: int, origins: Sequence[int], counted: npt.NDArray[np.bool_]) -> Float32:
    maps = np.stack([material.targets(tile, origin) for origin in origins])
    return np.where(counted, maps, np.float32(np.nan))


def _scores(said: Float32, asked: Float32, spread: float) -> dict[str, Any]:
    return MapScores.of(said, asked, np.isfinite(asked), spread).to_json()


def value_range(material: Material, tile: int) -> float:
    """Distance between the least and the largest value [mm] of a tile's cells at any date."""
    held = material.asked[tile][material.mask[tile]]
    return float(np.nanmax(held) - np.nanmin(held))
