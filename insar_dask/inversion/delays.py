"""Delays of the atmosphere from a weather model, taken off the interferograms."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.inversion.pairs import Timeline, check_pairs, timeline

__all__ = ["correct_delays", "scatter_ratio", "without_delays"]

Float64 = npt.NDArray[np.float64]

AT_ONCE = 4096
"""Points corrected at once, lest what is subtracted takes more than the phase."""


def correct_delays(pairs: xr.Dataset, delays: xr.DataArray, *, allow_missing: bool = False) -> xr.Dataset:
    """Take d(pair) = (delay(second) - delay(first)) / cos(incidence) off each interferogram.

    Parameters
    ----------
    pairs : xr.Dataset
        Pair cube, in memory or lazy.
    delays : xr.DataArray
        Delay [mm] over ``(date, point)`` of the same points, or ``(date, y, x)`` on a regular grid, between whose nodes
        it is interpolated bilinearly; its coordinates are in ``attrs["crs_wkt"]``, or else in the CRS of the points.
        ``attrs["direction"]`` says whether along the "zenith" or the line of sight, "los". A longer path is positive.
    allow_missing : bool
        Leave pairs uncorrected of which a date is missing. Default: an error.

    Returns
    -------
    xr.Dataset
        Pair cube; ``n_without_delay`` counts pairs left as they were. A warning says so where the spread of most
        interferograms has grown, of pairs in memory. Refer and flatten the pairs afterwards.

    Raises
    ------
    CubeError
        When dates are missing, the direction is not said, there is no incidence angle for a zenith delay, points lie
        outside the grid, or a point has no delay at some date.
    """
    corrected = without_delays(pairs, delays, allow_missing=allow_missing)
    if not hasattr(corrected["phase"].data, "dask"):
        ratio = scatter_ratio(pairs["phase"].values, corrected["phase"].values)
        if ratio > 1:
            warnings.warn(
                f"with these delays interferograms scatter {ratio:.2f} times as much (median): is their sign, "
                "direction or place right?",
                stacklevel=2,
            )
    return corrected


def without_delays(pairs: xr.Dataset, delays: xr.DataArray, *, allow_missing: bool = False) -> xr.Dataset:
    """As `correct_delays`, and without a word on whether it helped."""
    check_pairs(pairs)
    line = timeline(pairs)
    direction = delays.attrs.get("direction")
    if direction not in ("zenith", "los"):
        raise CubeError(f"attrs['direction'] of the delays is {direction!r}: set 'zenith' or 'los'")
    there, at = _dates_of(delays, line, allow_missing)
    field = _at_points(delays, pairs)[at]
    if direction == "zenith":
        if "incidence_angle" not in pairs.variables:
            raise CubeError("zenith delays need the coordinate 'incidence_angle' of the points; or give los ones")
        field = field / np.cos(np.radians(np.asarray(pairs["incidence_angle"].values, np.float64)))
    field[~there] = 0.0
    if (gaps := np.isnan(field)).any():
        raise CubeError(
            f"{gaps.any(axis=0).sum()} points have no delay at {gaps.any(axis=1).sum()} dates, which would take their "
            "phase away: fill the delays, or leave these points out"
        )
    both = there[line.first] & there[line.second]
    per_mm = pairs.attrs["phase_sign"] * 4 * np.pi / (1000 * float(pairs.attrs["wavelength"]))
    found = xr.apply_ufunc(
        _subtract, pairs["phase"].variable, xr.Variable(("point", "date"), field.T * per_mm),
        kwargs={"line": line, "both": both}, input_core_dims=[["pair"], ["date"]], output_core_dims=[["pair"]],
        dask="parallelized", output_dtypes=[np.float32], dask_gufunc_kwargs={"allow_rechunk": True},
    )  # fmt: skip
    found.attrs = pairs["phase"].attrs
    return pairs.assign(phase=found).assign_attrs(n_without_delay=int((~both).sum()))


def scatter_ratio(before: Any, after: Any) -> float:
    """Median over interferograms of their standard deviation after a correction by that before; 1 where none changed.

    Parameters
    ----------
    before, after : (point, pair) arrays
        Phase of some points [rad].
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of pairs without any value
        first, last = np.nanstd(before, axis=0), np.nanstd(after, axis=0)
        changed = np.isfinite(first) & np.isfinite(last) & (first != last) & (first > 0)
    return float(np.median(last[changed] / first[changed])) if changed.any() else 1.0


def _dates_of(delays: xr.DataArray, line: Timeline, allow_missing: bool) -> tuple[npt.NDArray[np.bool_], Any]:
    """Whether each date of the network has a delay, and its place (0 where it has none)."""
    if "date" not in delays.dims:
        raise CubeError(f"delays have dims {delays.dims}, wanted (date, point) or (date, y, x)")
    own, wanted = delays["date"].values.astype("datetime64[D]"), line.dates.astype("datetime64[D]")
    there = np.isin(wanted, own)
    if not there.all() and not allow_missing:
        lacking = ", ".join(map(str, wanted[~there][:3]))
        raise CubeError(f"delays lack {(~there).sum()} of {there.size} dates ({lacking}): pass allow_missing=True")
    order = np.argsort(own)
    return there, np.where(there, order[np.minimum(np.searchsorted(own[order], wanted), own.size - 1)], 0)


def _at_points(delays: xr.DataArray, pairs: xr.Dataset) -> Float64:
    """(date, point) delays."""
    if "point" in delays.dims:
        if delays.sizes["point"] != pairs.sizes["point"]:
            raise CubeError(f"delays are of {delays.sizes['point']} points, the pairs of {pairs.sizes['point']}")
        return np.asarray(delays.transpose("date", "point").values, np.float64)
    from scipy.interpolate import RegularGridInterpolator

    grid = delays.transpose("date", "y", "x").sortby(["y", "x"])
    easting, northing = _places(delays, pairs)
    x, y = np.asarray(grid["x"].values), np.asarray(grid["y"].values)
    outside = (easting < x[0]) | (easting > x[-1]) | (northing < y[0]) | (northing > y[-1])
    if outside.any():
        raise CubeError(
            f"{outside.sum()} points lie outside the grid of delays, x {x[0]:.6g} to {x[-1]:.6g}, y {y[0]:.6g} to "
            f"{y[-1]:.6g}: is it in the CRS of the points?"
        )
    found = RegularGridInterpolator((y, x), np.moveaxis(np.asarray(grid.values, np.float64), 0, -1))
    return np.asarray(found(np.stack([northing, easting], axis=1)).T)


def _places(delays: xr.DataArray, pairs: xr.Dataset) -> tuple[Float64, Float64]:
    """Easting and northing of the points in the CRS of the delays."""
    easting, northing = (np.asarray(pairs[name].values, np.float64) for name in ("easting", "northing"))
    wkt = delays.attrs.get("crs_wkt")
    if wkt is not None:
        from pyproj import CRS, Transformer

        own, theirs = CRS.from_wkt(pairs["crs"].attrs["crs_wkt"]), CRS.from_wkt(wkt)
        if own != theirs:
            easting, northing = Transformer.from_crs(own, theirs, always_xy=True).transform(easting, northing)
    return easting, northing


def _subtract(phase: Any, field: Any, *, line: Timeline, both: npt.NDArray[np.bool_]) -> Any:
    corrected = np.empty(phase.shape, np.float32)
    for start in range(0, len(phase), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        change = np.where(both, field[some, line.second] - field[some, line.first], 0.0)
        corrected[some] = phase[some] - change
    return corrected
