"""How much of the ground moves: shares of points and of area beyond given velocities, each way apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.report.colours import ways
from insar_dask.report.markup import percent, table, whole

__all__ = ["THRESHOLDS", "moving_table"]

THRESHOLDS = (10.0, 20.0)
"""Velocities [mm/yr] that the published system counts thaw slumps by (doi:10.3390/rs16111891)."""

CELL = 100.0
"""Side of a cell [m]: that of an EGMS Level 3 product."""


def moving_table(products: xr.Dataset, thresholds: Sequence[float] = THRESHOLDS, cell: float = CELL) -> str:
    """Table of points and area whose velocity is beyond each threshold.

    The area is that of square cells with at least one point, whose velocity is the mean of their points': ground
    without points is not counted, neither as moving nor as still.

    Parameters
    ----------
    products : xr.Dataset
        ``velocity`` [mm/yr], ``easting``, ``northing`` [m] over ``point``.
    thresholds : sequence of float
        In mm/yr.
    cell : float
        Side of a cell [m], its edges on multiples of it.
    """
    velocity = products["velocity"].values.astype(np.float64)
    good = np.isfinite(velocity)
    velocity = velocity[good]
    means = _cell_means(velocity, products["easting"].values[good], products["northing"].values[good], cell)
    less, more = ways(products.attrs.get("component"))
    area = cell**2 / 1e6
    rows = [
        (f"points {less}", [whole((velocity < -limit).sum()) for limit in thresholds]),
        (f"points {more}", [whole((velocity > limit).sum()) for limit in thresholds]),
        ("share of points", [percent(_share(velocity, limit)) for limit in thresholds]),
        (f"km² {less}", [_area((means < -limit).sum() * area) for limit in thresholds]),
        (f"km² {more}", [_area((means > limit).sum() * area) for limit in thresholds]),
        ("share of area", [percent(_share(means, limit)) for limit in thresholds]),
    ]
    head = [f"|velocity| > {limit:g}<small>mm yr⁻¹</small>" for limit in thresholds]
    title = (
        f"Moving ground: {velocity.size:,} points, {means.size:,} cells of {cell:g} m that hold them "
        f"({means.size * area:,.2f} km²)"
    )
    note = "A cell moves as its points do on average; ground without points counts neither as moving nor as still."
    return f"{table(title, head, rows)}<p class=note>{note}</p>"


def _area(square_kilometres: float) -> str:
    return f"{square_kilometres:,.2f}"


def _share(velocity: npt.NDArray[np.float64], limit: float) -> float | None:
    return float(np.mean(np.abs(velocity) > limit)) if velocity.size else None


def _cell_means(
    velocity: npt.NDArray[np.float64], easting: npt.NDArray[np.float64], northing: npt.NDArray[np.float64], cell: float
) -> npt.NDArray[np.float64]:
    """Mean velocity of each cell that has a point."""
    if velocity.size == 0:
        return velocity
    column, row = np.floor(easting / cell).astype(np.int64), np.floor(northing / cell).astype(np.int64)
    keys = (column - column.min()) * (int(np.ptp(row)) + 1) + (row - row.min())
    _, index = np.unique(keys, return_inverse=True)
    return np.asarray(np.bincount(index, weights=velocity) / np.bincount(index))
