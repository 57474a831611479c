"""Which eight points to show: the extremes worth looking at and the ordinary ones, the same for the same products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError

__all__ = ["Chosen", "representative_points"]

Float64 = npt.NDArray[np.float64]
PARAMETERS = ("velocity", "seasonality", "acceleration", "rmse")


@dataclass(frozen=True)
class Chosen:
    """A point to show and why it was picked."""

    number: int
    reason: str


def representative_points(products: xr.Dataset) -> list[Chosen]:
    """Up to eight points, each picked by a rule from the motion parameters; no two are the same, none lacks one.

    In this order: the median point, the most stable, the fastest down and up, the most seasonal, the strongest
    positive and negative acceleration, and the noisiest that is still ordinary (95th percentile of rmse). Extremes are
    the 99.5th percentile, not the record, which is often an outlier. Ties go to the lowest point number.

    Parameters
    ----------
    products : xr.Dataset
        ``velocity``, ``seasonality``, ``acceleration``, ``rmse`` over ``point``.

    Raises
    ------
    CubeError
        If one of the four is missing.
    """
    missing = [name for name in PARAMETERS if name not in products]
    if missing:
        raise CubeError(f"the products lack {missing}: take those that insar_dask.motion returns")
    velocity, season, acceleration, rmse = (np.asarray(products[name].values, dtype=np.float64) for name in PARAMETERS)
    usable = np.isfinite(velocity) & np.isfinite(season) & np.isfinite(acceleration) & np.isfinite(rmse)
    if not usable.any():
        return []
    four = (velocity, season, acceleration, rmse)
    rules: list[tuple[str, Callable[[], Float64]]] = [  # one at a time: eight arrays would be 38 MB for 588,600 points
        ("the median point", lambda: np.asarray(sum(np.abs(_standard(x, usable)) for x in four))),
        ("stable", lambda: np.asarray(sum(np.abs(x) / _scale(x, usable) for x in four))),
        ("fast, negative", lambda: _distance(velocity, 0.5, usable)),
        ("fast, positive", lambda: _distance(velocity, 99.5, usable)),
        ("seasonal", lambda: _distance(season, 99.5, usable)),
        ("accelerating, positive", lambda: _distance(acceleration, 99.5, usable)),
        ("accelerating, negative", lambda: _distance(acceleration, 0.5, usable)),
        ("noisy", lambda: _distance(rmse, 95, usable)),
    ]
    return _first_of_each(rules, usable)


def _first_of_each(rules: list[tuple[str, Callable[[], Float64]]], usable: npt.NDArray[np.bool_]) -> list[Chosen]:
    free, chosen = usable.copy(), []
    for reason, badness in rules:
        if not free.any():
            break
        number = int(np.argmin(np.where(free, badness(), np.inf)))
        free[number] = False
        chosen.append(Chosen(number, reason))
    return chosen


def _standard(values: Float64, usable: npt.NDArray[np.bool_]) -> Float64:
    return np.asarray((values - np.median(values[usable])) / _scale(values, usable))


def _scale(values: Float64, usable: npt.NDArray[np.bool_]) -> float:
    low, high = np.percentile(values[usable], (16, 84))
    return float(high - low) or 1.0


def _distance(values: Float64, percentile: float, usable: npt.NDArray[np.bool_]) -> Float64:
    return np.asarray(np.abs(values - np.percentile(values[usable], percentile)))
