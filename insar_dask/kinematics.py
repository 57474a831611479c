"""Velocity, acceleration, annual signal and their standard errors, as EGMS defines them."""

from __future__ import annotations

import insar_kernels
import numpy as np
import xarray as xr

from insar_dask.cube import DAYS_PER_YEAR, check_series, describe, years_since

__all__ = ["motion"]

NAMES = (
    "velocity",
    "velocity_std",
    "acceleration",
    "acceleration_std",
    "seasonality",
    "seasonality_std",
    "phase",
    "rmse",
    "n_dates",
)


def motion(cube: xr.Dataset) -> xr.Dataset:
    """Motion parameters of every point."""
    check_series(cube)
    times = cube["time"].values
    results = xr.apply_ufunc(
        insar_kernels.motion,
        cube["displacement"],
        xr.DataArray(years_since(times), dims="time"),
        input_core_dims=[["time"], ["time"]],
        output_core_dims=[[]] * len(NAMES),
        dask="parallelized",
        output_dtypes=[np.float32] * (len(NAMES) - 1) + [np.int32],
    )
    fits = dict(zip(NAMES, results, strict=True))
    start = times[0].astype("datetime64[D]")
    first_day = int((start - start.astype("datetime64[Y]")) / np.timedelta64(1, "D"))
    fits["phase"] = (fits["phase"] * DAYS_PER_YEAR + first_day) % DAYS_PER_YEAR + 1
    keep = cube.drop_vars([name for name in cube.variables if name in NAMES or "time" in cube[name].dims])
    products = keep.assign({name: fit.astype(fit.dtype).assign_attrs(describe(name)) for name, fit in fits.items()})
    return products.assign_attrs(sees_future=-1)
