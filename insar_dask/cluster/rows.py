"""What is clustered: the series of a cube or some of its features as rows, and a sample of them drawn by place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError, check_cube
from insar_dask.foresight import known_dates, sees_future
from insar_dask.zeros import ZERO, begin_later
from insar_kernels import namespace

__all__ = ["PLACE", "axis_of", "check_known", "check_rows", "drawn", "names_of", "rows_of"]

Words = npt.NDArray[np.uint64]

DAY = np.timedelta64(1, "D")
FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


PLACE = "easting", "northing"
"""What a point is drawn by."""


def check_rows(cube: xr.Dataset, features: Sequence[str] | None, until: str | None) -> None:
    """Raise a CubeError, with its cure, unless rows can be taken from the cube; nothing is computed."""
    if features is None:
        known_dates(check_cube(cube), until)
        return
    if until is not None:
        raise CubeError(
            "features have no dates to cut off: compute them from history alone, as in "
            f"insar_dask.motion(cube.sel(time=slice(None, {until!r}))), and leave `until` out"
        )
    if isinstance(features, str) or not features:
        raise CubeError(f"features is {features!r}; wanted names, as in ('velocity', 'seasonality'), or None")
    for name in (*features, *PLACE):
        if name not in cube.variables or cube[name].dims != ("point",):
            raise CubeError(f"wanted {name!r} over ('point',); the data set has {sorted(map(str, cube.variables))}")


def check_known(cube: xr.Dataset, times: npt.NDArray[Any], until: str) -> None:
    """Raise a CubeError if values at any of ``times`` have seen something from ``until`` on."""
    if np.isin(times, cube["time"].values[known_dates(cube, until) :]).any():
        raise CubeError(
            f"the values of this cube have seen {sees_future(cube)} days ahead, those of the fit fewer: not all of its "
            f"dates are known at {until}; label the series that the clusters were fitted on"
        )


def axis_of(cube: xr.Dataset, features: Sequence[str] | None, until: str | None) -> dict[str, npt.NDArray[Any]]:
    """What names the columns of the rows: ``times`` (T,), up to the last that is known, or ``features`` (T,)."""
    if features is not None:
        return {"features": np.array(list(features), np.str_)}
    return {"times": cube["time"].values[: known_dates(cube, until)].astype("datetime64[ns]")}


def names_of(cube: xr.Dataset, features: Sequence[str] | None) -> tuple[str, ...]:
    """Variables over ``point`` that rows are made of."""
    if features is not None:
        return tuple(features)
    return ("displacement", ZERO) if ZERO in cube.variables else ("displacement",)


def rows_of(cube: xr.Dataset, axis: Mapping[str, npt.NDArray[Any]]) -> xr.Variable:
    """Rows ``(point, time)`` [mm] at given dates, or ``(point, feature)``; float32, lazy where the cube is.

    Series of points that begin later than their record count from another zero than the others, and are NaN.

    Raises
    ------
    CubeError
        When the cube lacks one of the dates.
    """
    if "features" in axis:
        columns = [cube[str(name)].variable.astype(np.float32) for name in axis["features"]]
        table: xr.Variable = xr.Variable.concat(columns, "feature")  # type: ignore[no-untyped-call]
        rows = table.transpose("point", "feature")
        return rows.chunk(feature=-1) if rows.chunks else rows
    own, times = cube["time"].values, axis["times"]
    places = np.searchsorted(own, times).clip(max=len(own) - 1)
    if (lacking := own[places] != times).any():
        raise CubeError(
            f"the clusters were fitted on {len(times)} dates; this cube lacks {lacking.sum()} of them, the first being "
            f"{np.datetime_as_string(times[lacking][0], 'D')}: bring it onto the same dates with insar_dask.regularise"
        )
    together = places[-1] - places[0] == len(places) - 1
    # a slice copies nothing
    rows = cube["displacement"].variable.isel(time=slice(places[0], places[-1] + 1) if together else places)
    later = begin_later(cube)
    if not later.any():
        return rows
    kept = xr.Variable("point", namespace(rows.data).asarray(~later))
    masked: xr.Variable = rows.where(kept)  # type: ignore[no-untyped-call]
    return masked


def drawn(block: xr.Dataset, share: float, seed: int) -> tuple[npt.NDArray[np.int64], Words]:
    """Places of the points drawn, and the hashes that drew them.

    A point is drawn when the SplitMix64 hash of its coordinates and ``seed`` lies below ``share`` of all hashes: by
    itself, not by who its neighbours are or how points are cut into blocks. In the order of their hashes points are
    shuffled.
    """
    hashes = np.full(block.sizes["point"], seed, np.uint64)
    for axis in PLACE:
        hashes = _mixed(hashes ^ np.ascontiguousarray(block[axis].values, np.float64).view(np.uint64))
    chosen = np.flatnonzero(hashes < share * 2.0**64) if share < 1 else np.arange(len(hashes))
    return chosen, hashes[chosen]


def _mixed(words: Words) -> Words:
    words = words + GOLDEN
    words = (words ^ (words >> SHIFTS[0])) * FACTORS[0]
    words = (words ^ (words >> SHIFTS[1])) * FACTORS[1]
    return words ^ (words >> SHIFTS[2])
