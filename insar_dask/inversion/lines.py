"""Straight lines through series: the mean velocity that programmes of interferometry publish."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import check_series
from insar_dask.inversion.pairs import DAYS_PER_YEAR

__all__ = ["line_fit"]


def line_fit(cube: xr.Dataset) -> xr.Dataset:
    """Straight line through each series by least squares over its valid dates, without a season.

    x(t) = a + v t; the error of v is sqrt(SSE / (n - 2) / sum (t - mean t)^2), that of white noise. A year has 365.25
    days, where `insar_dask.motion` follows EGMS with 365 and an annual signal.

    Parameters
    ----------
    cube : xr.Dataset
        Point or grid cube, in memory or lazy.

    Returns
    -------
    xr.Dataset
        Over the points ``velocity`` and ``velocity_std`` [mm yr-1], ``intercept`` [mm] at the first date, float64, and
        ``n_dates``; NaN where fewer than two dates are valid, the error where fewer than three. ``sees_future`` is -1.

    Raises
    ------
    CubeError
        If the cube is none.
    """
    check_series(cube)
    times = cube["time"].values
    years = (times - times[0]) / np.timedelta64(1, "D") / DAYS_PER_YEAR
    results = xr.apply_ufunc(
        _fit, cube["displacement"].variable, kwargs={"years": years}, input_core_dims=[["time"]],
        output_core_dims=[[]] * 4, dask="parallelized", output_dtypes=[np.float64] * 3 + [np.int32],
    )  # fmt: skip
    names = {"velocity": "mm yr-1", "velocity_std": "mm yr-1", "intercept": "mm", "n_dates": "1"}
    for (name, units), variable in zip(names.items(), results, strict=True):
        variable.attrs = {"long_name": f"{name.replace('_', ' ')} of the straight line", "units": units}
    gone = [name for name in cube.variables if name in names or "time" in cube[name].dims]
    found = cube.drop_vars(gone).assign(dict(zip(names, results, strict=True)))
    return found.assign_attrs(sees_future=-1, days_per_year=DAYS_PER_YEAR)


def _fit(values: Any, *, years: npt.NDArray[np.float64]) -> tuple[Any, Any, Any, Any]:
    valid = ~np.isnan(values)
    count = valid.sum(axis=-1)
    n = np.where(count >= 2, count, np.nan)
    time = np.where(valid, years, 0.0)
    series = np.where(valid, values, 0.0).astype(np.float64)
    middle, mean = time.sum(axis=-1) / n, series.sum(axis=-1) / n
    from_middle = np.where(valid, years - middle[..., None], 0.0)
    spread = np.where(count >= 2, (from_middle**2).sum(axis=-1), np.nan)
    slope = (from_middle * series).sum(axis=-1) / spread
    intercept = mean - slope * middle
    rest = np.where(valid, series - intercept[..., None] - slope[..., None] * years, 0.0)
    freedom = np.where(count >= 3, count - 2.0, np.nan)
    error = np.sqrt((rest**2).sum(axis=-1) / freedom / spread)
    return slope, error, intercept, count.astype(np.int32)
