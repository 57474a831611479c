"""Scores of one forecaster on every tile: at the test origins by lead, by origin and by part, and about an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.correction.gate import fit_gate, products
from insar_dask.forecast.maps.holdout import Holdout
from insar_dask.forecast.maps.lattice import PARTS, part_of
from insar_dask.forecast.maps.map_material import Material
from insar_dask.map_metrics import MapScores

__all__ = ["Forecast", "circumstances", "score_tiles", "tile_gate", "value_range"]

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
        JSON-able: by tile ``test``, scores of `insar_dask.map_metrics.MapScores`; number of errors and sum of their
        squares by test origin, of each of the tile's ``parts`` and of its ``leads``; and, where the tile has an event,
        the scores of origins ``before``, ``across`` and ``known``: see
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
        forecasts[name] = said
        scores[name] = {"test": _scores(said, asked, spread), **_sums(said - asked)}
        phases = material.origins_about(events[name]) if name in events else {}
        for phase, about in phases.items():
            if about.size:
                at = about.tolist()
                scores[name][phase] = _scores(forecast(tile, at), _asked(material, tile, at, counted), spread)
    return scores, forecasts


def tile_gate(material: Material, holdout: Holdout, said: Forecast, footing: Forecast, tile: int) -> float:
    """How much of what a forecaster adds to another one to believe on a tile, 0 to 1.

    As much as the tile's own validation origins bear out, which come before those of the test and which, on a tile that
    is held out, nothing was learned from: see `insar_dask.forecast.correction.gate.fit_gate`.
    """
    origins = material.origins("validation").tolist()
    below = footing(tile, origins)
    asked = _asked(material, tile, origins, holdout.counted(material, tile))
    added, errors = said(tile, origins) - below, asked - below
    gains = [[products(a[:, part], e[:, part]) for a, e in zip(added, errors, strict=True)] for part in _parts(asked)]
    return fit_gate(np.array(gains), [(origin - origins[0]) // material.horizon for origin in origins])


def circumstances(material: Material, holdout: Holdout) -> dict[str, Any]:
    """What scores of `score_tiles` were made under, JSON-able.

    Names of the tiles that are ``trained`` on and ``held`` out, ``buffer`` between them [m], and ``overlap``, the
    number of successive test origins that share target dates.
    """
    origins = material.origins("test")
    apart = int(np.diff(origins).min()) if len(origins) > 1 else material.horizon
    return {
        "protocol": material.protocol,
        "trained": [material.names[tile] for tile in holdout.trained],
        "held": [material.names[tile] for tile in holdout.held],
        "buffer": holdout.buffer,
        "overlap": -(-material.horizon // apart),
    }


def _asked(material: Material, tile: int, origins: Sequence[int], counted: npt.NDArray[np.bool_]) -> Float32:
    maps = np.stack([material.targets(tile, origin) for origin in origins])
    return np.where(counted, maps, np.float32(np.nan))


def _scores(said: Float32, asked: Float32, spread: float) -> dict[str, Any]:
    return MapScores.of(said, asked, np.isfinite(asked), spread).to_json()


def _sums(errors: Float32) -> dict[str, Any]:
    """Number of errors (o, h, Y, X) and sum of their squares, (o, parts, 2) and (o, h, 2)."""
    known = np.isfinite(errors)
    both = np.stack([known, np.where(known, errors, 0).astype(np.float64) ** 2], axis=-1)
    of_parts = np.einsum("pyx,oyxs->ops", _parts(errors).astype(np.float64), both.sum(axis=1))
    return {"parts": _short(of_parts), "leads": _short(both.sum(axis=(2, 3)))}


def _parts(maps: Float32) -> npt.NDArray[np.bool_]:
    """Which cells (parts, Y, X) of maps (..., Y, X) lie in each part of a tile."""
    rows, columns = (np.arange(side) for side in maps.shape[-2:])
    return np.asarray(np.arange(PARTS**2)[:, None, None] == part_of(rows[:, None], columns, len(columns)))


def _short(sums: npt.NDArray[np.float64]) -> list[list[list[float]]]:
    """Counts as they are, sums of squares to a hundredth."""
    return [[[int(n), round(float(total), 2)] for n, total in row] for row in sums]


def value_range(material: Material, tile: int) -> float:
    """Distance between the least and the largest value [mm] of a tile's cells at any date."""
    held = material.asked[tile][material.mask[tile]]
    return float(np.nanmax(held) - np.nanmin(held))
