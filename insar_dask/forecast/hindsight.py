"""How good a forecast was, once what it was of has come."""

from __future__ import annotations

import numpy as np
import xarray as xr

from insar_dask.cube import CubeError, check_finite

__all__ = ["error_since"]


def error_since(forecast: xr.Dataset, cube: xr.Dataset) -> float:
    """Root mean square error [mm] of a forecast at the dates that a later cube of the same points really has.

    Parameters
    ----------
    forecast : xr.Dataset
        Forecast cube of one origin.
    cube : xr.Dataset
        Raw point cube, points in the same order.

    Raises
    ------
    CubeError
        When none of its values is one that is forecast, or one of them is infinite.
    """
    times = cube["time"].values.astype("datetime64[D]")
    targets = forecast["time"].values[0].astype("datetime64[D]")
    real = cube["observed"].values if "observed" in cube else np.ones(len(times), bool)
    met = np.flatnonzero(np.isin(targets, times[real]))
    if met.size == 0:
        raise CubeError(
            f"the cube has none of the dates forecast, {targets[0]} to {targets[-1]}: score on a later record"
        )
    later = check_finite(cube.isel(time=np.searchsorted(times, targets[met])).load())
    came = later["displacement"].values.astype(np.float64)
    errors = forecast["displacement"].values[0][:, met] - came
    if not np.isfinite(errors).any():
        first, last = targets[met[0]], targets[met[-1]]
        raise CubeError(f"no point has both a forecast and a value from {first} to {last}: there is nothing to score")
    return float(np.sqrt(np.nanmean(errors**2)))
