"""Velocity, acceleration, annual signal and their standard errors, as EGMS defines them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

import insar_kernels
from insar_dask.cube import DAYS_PER_YEAR, check_series, describe, years_since
from insar_kernels.harmonic import Motion

__all__ = ["motion"]

NAMES = Motion._fields


def motion(cube: xr.Dataset) -> xr.Dataset:
    """Velocity, acceleration and annual signal of every series, with their standard errors.

    Ordinary least squares over the valid dates of each series, as EGMS defines its columns (Product Description v3,
    Table 14; `insar_kernels.harmonic.motion` has the formulas). A year has 365 days. The errors are those of white
    noise; displacement is not white, so true errors are larger.

    Parameters
    ----------
    cube : xr.Dataset
        Point or grid cube; in memory or lazy.

    Returns
    -------
    xr.Dataset
        Over the points: ``velocity`` and ``velocity_std`` [mm yr-1], ``acceleration`` and ``acceleration_std``
        [mm yr-2], ``seasonality``, ``seasonality_std`` and ``rmse`` [mm], ``phase`` (day of the year in [1, 366) at
        which the annual signal peaks, in the year of the first date), ``n_dates``; with the coordinates and attributes
        of the cube, but a coordinate of the same name, such as a product's own ``rmse``, gives way. NaN where fewer
        than seven dates are valid, or where they cannot tell trend from season. ``sees_future`` is -1.

    Raises
    ------
    CubeError
        If the cube is none.
    """
    check_series(cube)
    times = cube["time"].values
    results = xr.apply_ufunc(
        _fit,
        cube["displacement"].variable,
        kwargs={"years": years_since(times), "first_day": _day_of_year(times[0])},
        input_core_dims=[["time"]],
        output_core_dims=[[]] * len(NAMES),
        dask="parallelized",
        output_dtypes=[np.float32] * (len(NAMES) - 1) + [np.int32],
    )
    for name, fit in zip(NAMES, results, strict=True):
        fit.attrs = describe(name)
    replaced = [name for name in cube.variables if name in NAMES or "time" in cube[name].dims]
    return cube.drop_vars(replaced).assign(dict(zip(NAMES, results, strict=True))).assign_attrs(sees_future=-1)


def _fit(values: Any, years: npt.NDArray[np.float64], first_day: int) -> Motion:
    """Parameters in the order of `NAMES`, the phase as a day of the year."""
    fit: Motion = insar_kernels.motion(values, years)
    year = np.float32(DAYS_PER_YEAR)
    return fit._replace(phase=(fit.phase * year + np.float32(first_day - 1)) % year + np.float32(1))


def _day_of_year(date: np.datetime64) -> int:
    """1 on the first of January."""
    return int((date.astype("datetime64[D]") - date.astype("datetime64[Y]")) / np.timedelta64(1, "D")) + 1
