"""What is shown of an area: the ground about it, the series of its points, what is forecast for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.detect.areas import MapGrid

__all__ = ["AreaView"]

Dates = npt.NDArray[np.datetime64]


@dataclass(frozen=True, eq=False)
class AreaView:
    """Plain values; a series is there where points are, a forecast where the product has one."""

    number: int
    """Of the area among all."""
    velocity: npt.NDArray[np.floating[Any]]
    """(rows, columns) [mm/yr] about the area."""
    grid: MapGrid
    times: Dates | None = None
    series: npt.NDArray[np.float64] | None = None
    """(3, T) lower, middle and upper percentile of the points' displacement [mm]."""
    ahead: Dates | None = None
    forecast: npt.NDArray[np.float64] | None = None
    """(3, leads) median over the points of forecast and of both ends of its interval [mm]."""
