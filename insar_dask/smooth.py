"""Filters along time: Savitzky-Golay and moving average."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

import insar_kernels
from insar_dask.cube import check_even, check_series
from insar_dask.foresight import looks_ahead

__all__ = ["moving_average", "savgol"]

DAY = np.timedelta64(1, "D")


def savgol(cube: xr.Dataset, window: int = 11, order: int = 2) -> xr.Dataset:
    """Smooth every series by the polynomials fitted to its running windows (Savitzky-Golay).

    Equal to ``scipy.signal.savgol_filter(..., mode="interp")`` where nothing is missing. Where something is, the
    polynomial is fitted to the valid samples of the window; a missing value stays missing, and so does one whose
    window holds fewer than ``order + 1`` valid samples. Savitzky & Golay (1964), doi:10.1021/ac60214a047.

    Parameters
    ----------
    cube : xr.Dataset
        Point or grid cube with evenly spaced dates; in memory or lazy.
    window : int
        Odd number of dates, at most those of the cube.
    order : int
        Degree of the polynomials, less than ``window``.

    Returns
    -------
    xr.Dataset
        The cube with ``displacement`` [mm] smoothed. Its filter sees the future: half a window in general, a whole one
        at the first date, which is what the attribute ``sees_future`` grows by.

    Raises
    ------
    CubeError
        If the dates are not evenly spaced: use `regularise` first.
    ValueError
        If window or order are out of range.
    """
    check_series(cube)
    n_dates = cube.sizes["time"]
    if window % 2 == 0 or not 1 <= window <= n_dates:
        raise ValueError(
            f"window is {window}; wanted an odd number of samples, at most the {n_dates} dates of the cube: take a "
            "smaller window, or dates closer together"
        )
    if not 0 <= order < window:
        raise ValueError(f"order is {order}; wanted 0 <= order < window = {window}")
    kernel = partial(insar_kernels.savgol, window=window, order=order)
    return _filtered(cube, kernel, (window - 1) * int(np.ceil(check_even(cube) / DAY)))


def moving_average(cube: xr.Dataset, window: int = 3, centred: bool = False) -> xr.Dataset:
    """Average the valid ones of the last ``window`` samples (default), or of those around each (``centred``).

    The trailing average sees no future but lags behind by half a window. The centred one does not lag and **sees
    the future**: ``window // 2`` samples, which the attribute ``sees_future`` counts in days. At the ends of the record
    the window holds what there is; a missing value stays missing.

    Parameters
    ----------
    cube : xr.Dataset
        Point or grid cube; in memory or lazy. The window counts samples, so dates should be evenly spaced.
    window : int
        Number of samples; odd where ``centred``.
    centred : bool
        True for the samples around each date, False for those up to it.

    Returns
    -------
    xr.Dataset
        The cube with ``displacement`` [mm] averaged.

    Raises
    ------
    ValueError
        If the window is not positive, or even though ``centred``.
    """
    check_series(cube)
    if window < 1 or (centred and window % 2 == 0):
        raise ValueError(f"window is {window}; wanted a positive number of samples, odd where centred")
    kernel = partial(insar_kernels.moving_average, window=window, centred=centred)
    times = cube["time"].values
    half = min(window // 2, len(times) - 1) if centred else 0
    ahead = (times[half:] - times[: len(times) - half]).max() / DAY
    return _filtered(cube, kernel, int(np.ceil(ahead)))


def _filtered(cube: xr.Dataset, kernel: partial, ahead: int) -> xr.Dataset:  # type: ignore[type-arg]
    displacement = xr.apply_ufunc(
        kernel,
        cube["displacement"],
        input_core_dims=[["time"]],
        output_core_dims=[["time"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        keep_attrs=True,
    )
    return cube.assign(displacement=displacement).assign_attrs(sees_future=looks_ahead(cube, ahead))
