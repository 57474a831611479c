"""Which points of a cube count displacement from another date than the others, and what averages make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "CURE",
    "SETTINGS",
    "ZERO",
    "above_earliest",
    "begin_later",
    "counted",
    "of_common_zero",
    "of_earliest",
    "zero_days",
]

Float64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.integer]

ZERO = "zero_day"
"""Variable over ``point``: days from a record's first date to that at which the point's displacement is 0; -1 for no
series. `insar_dask.invert` writes it; a cube without it has one zero."""

CURE = (
    "invert anew with method='nsbas' and fill='model', or only pairs from a date on at which most points have one, as "
    "in pairs.isel(pair=pairs['first'].values >= np.datetime64('2021-01-01'))"
)

SETTINGS = 'method = "nsbas" with fill = "model" under [inversion] has them all'


def zero_days(cube: xr.Dataset, scheduler: str | None = None) -> Whole:
    """(n,) what `ZERO` is of each point, 0 where a cube does not say it; ``scheduler`` is Dask's."""
    if ZERO not in cube.variables:
        return np.zeros(cube.sizes["point"], np.int32)
    return np.asarray(cube[ZERO].variable.compute(scheduler=scheduler).values)


def begin_later(cube: xr.Dataset, scheduler: str | None = None) -> Bools:
    """(n,) whether each point's displacement is 0 at a later date than the record's first."""
    return zero_days(cube, scheduler) > 0


def of_common_zero(cube: xr.Dataset, scheduler: str | None = None) -> tuple[xr.Dataset, int]:
    """A cube without the points that begin later, and how many these are; as it is where there are none.

    Raises
    ------
    CubeError
        When no other points are left.
    """
    later = begin_later(cube, scheduler)
    if not later.any():
        return cube, 0
    if later.all():
        raise CubeError(
            f"all {later.size:,} points have no value at the first date of their record and count displacement from "
            f"dates of their own: {CURE}"
        )
    return cube.isel(point=np.flatnonzero(~later)), int(later.sum())


def counted(n_later: int) -> str:
    """End of a message on too few points, where others were left out."""
    return f" ({n_later:,} more begin later than their record, and are left out: {CURE})" if n_later else ""


def of_earliest(zero: Whole) -> Bools:
    """(n,) whether each of some points counts from the earliest zero among them, or has no series."""
    return np.asarray(zero <= zero[zero >= 0].min(initial=np.iinfo(zero.dtype).max))


def above_earliest(series: Float64, zero: Whole) -> Float64:
    """What each series lies above one that counts from the earliest zero among them; take it off before a median.

    Least squares of x[p, t] = c[p] + m[t] over all values, with c = 0 for points of the earliest zero: a later one is
    where those that were there before have come to. Exact where the points move alike.

    Parameters
    ----------
    series : (n, T) float64 [mm]
        NaN is missing.
    zero : (n,) array of int
        `zero_days` of the points.

    Returns
    -------
    (n, 1) array [mm]
        0 where the zero is the earliest; NaN where no date is shared with such a point, nor with one that shares some.
    """
    found, own, valid = np.zeros((len(series), 1)), ~of_earliest(zero), np.isfinite(series)
    if not own.any():
        return found
    joined = ~own
    while (more := ~joined & valid[:, valid[joined].any(axis=0)].any(axis=1)).any():
        joined |= more
    found[~joined] = np.nan
    dates = valid[joined].any(axis=0)
    later = own & joined
    there, values = valid[joined][:, dates].astype(np.float64), np.nan_to_num(series[joined][:, dates])
    late, moved = valid[later][:, dates].astype(np.float64), np.nan_to_num(series[later][:, dates])
    # c of each point is eliminated, m stays
    shares = late / late.sum(axis=1, keepdims=True)
    normal = np.diag(there.sum(axis=0)) - shares.T @ late
    middle = np.linalg.solve(normal, values.sum(axis=0) - shares.T @ moved.sum(axis=1))
    found[later, 0] = (shares * (moved - middle)).sum(axis=1)
    return found
