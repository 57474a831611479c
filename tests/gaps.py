"""Cubes in memory of which some values are missing."""

from typing import Any

import numpy as np
import xarray as xr


def with_gaps(cube: xr.Dataset, *where: Any) -> xr.Dataset:
    """The cube, loaded, without the values that the indices into ``(point, time)`` name."""
    made = cube.compute().copy(deep=True)
    for index in where:
        made["displacement"].values[index] = np.nan
    return made
