"""How much frost weighs in an index of frost and thaw: as the series themselves say."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError, check_series
from insar_dask.inversion.season import composite_index

__all__ = ["fit_weight", "fit_weight_to", "series_moments"]

Float64 = npt.NDArray[np.float64]

WEIGHTS = np.linspace(0.3, 1.3, 51)
"""Tried; the parabola through the best one and its neighbours says the weight."""


def series_moments(cube: xr.Dataset) -> dict[str, npt.NDArray[Any]]:
    """Sums over the points that have every date: ``products`` (T, T) [mm2] and ``count``; they add."""
    values = check_series(cube)["displacement"].values.astype(np.float64)
    whole = values[np.isfinite(values).all(axis=1)]
    return {"products": whole.T @ whole, "count": np.array([len(whole)])}


def fit_weight(temperature: xr.DataArray, cube: xr.Dataset) -> float:
    """Weight of frost between 0.3 and 1.3 whose index leaves the least of the series, all points together.

    Of each weight an index is made, and a constant, a line and the index are fitted to every series; what they leave is
    summed over the points, sum y'(1 - P) y = trace (1 - P) sum y y'.

    Parameters
    ----------
    temperature : xr.DataArray
        As of `insar_dask.inversion.composite_index`.
    cube : xr.Dataset
        Point cube whose dates lie within those of the temperature; points that lack a date do not count.

    Returns
    -------
    float
        A warning says so where the best weight is one of the ends.

    Raises
    ------
    CubeError
        When no point has every date; what `composite_index` says.
    """
    return fit_weight_to(temperature, cube["time"].values, [series_moments(cube)])


def fit_weight_to(
    temperature: xr.DataArray, dates: npt.NDArray[np.datetime64], moments: Iterable[Mapping[str, Any]]
) -> float:
    """As `fit_weight`, from what `series_moments` says of parts of the points."""
    products: Any = 0.0
    count = 0
    for part in moments:
        products, count = products + part["products"], count + int(part["count"][0])
    if not count:
        raise CubeError("no point has a value at every date, so the weight of frost cannot be fitted: pass a number")
    left = np.array([_left(products, dates, composite_index(temperature, dates, float(w)).values) for w in WEIGHTS])
    best = int(np.argmin(left))
    if best in (0, len(WEIGHTS) - 1):
        warnings.warn(
            f"the weight of frost that fits best is the end of what was tried, {WEIGHTS[best]:.2f}: do these series "
            "have a season of frost and thaw?",
            stacklevel=2,
        )
        return float(WEIGHTS[best])
    before, least, after = left[best - 1 : best + 2]
    bend = before - 2 * least + after
    shift = 0.5 * (before - after) / bend if bend > 0 else 0.0
    return float(WEIGHTS[best] + shift * (WEIGHTS[1] - WEIGHTS[0]))


def _left(products: Float64, dates: npt.NDArray[np.datetime64], index: Float64) -> float:
    """Sum of squares that a constant, a line and an index leave."""
    days = (dates - dates[0]) / np.timedelta64(1, "D")
    columns = np.stack([np.ones(len(dates)), days / max(days[-1], 1.0), index], axis=1)
    basis = np.linalg.qr(columns)[0]
    return float(np.trace(products) - np.trace(basis.T @ products @ basis))
