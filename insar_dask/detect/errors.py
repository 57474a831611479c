"""How sure a velocity is: the error that its own series tells, and the one that still ground of the scene tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

import insar_kernels
from insar_dask.cube import CubeError, check_cube, describe, years_since
from insar_dask.detect.mapping import sum_places
from insar_dask.settings import positive
from insar_kernels.nested_models import MIN_DATES

__all__ = ["TooFewDatesError", "floor_of", "honest_errors", "sum_errors", "velocity_errors", "with_floor"]

Float64 = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

BLOCK = 1 << 14
MOST_CORRELATED = 0.95
FEWEST_STILL = 20
"""Still points that a floor takes."""

STILL = 5.0
"""Velocity [mm/yr] below which ground counts as still."""

QUANTUM = 1e-3
"""Differences of halves are summed in whole thousandths of mm/yr: in any order they come to the same."""

BY_SERIES = {"long_name": "standard error of the mean velocity by its own series", "units": "mm yr-1"}
BY_HALVES = {"long_name": "velocity of the second half of the record less that of the first", "units": "mm yr-1"}


class TooFewDatesError(CubeError):
    """A record cannot be halved, so its halves bear nothing out."""


def honest_errors(motion: xr.Dataset, cube: xr.Dataset, still: float = STILL) -> xr.Dataset:
    """Motion with an error of velocity that halves of the record bear out.

    What `velocity_errors` and `with_floor` do one after the other.

    Parameters
    ----------
    motion : xr.Dataset
        What `insar_dask.motion` makes of ``cube``.
    cube : xr.Dataset
        Point cube; read some thousand points at a time.
    still : float
        Velocity [mm/yr] below which ground counts as still.

    Returns
    -------
    xr.Dataset
        As of `with_floor`.

    Raises
    ------
    CubeError
        When the two have other points, or the record is too short to be halved.
    """
    check_cube(cube)
    starts = range(0, max(cube.sizes["point"], 1), BLOCK)
    blocks = [velocity_errors(cube.isel(point=slice(k, k + BLOCK))) for k in starts]
    errors = {name: np.concatenate([block[name].values for block in blocks]) for name in blocks[0].data_vars}
    return with_floor(motion, xr.Dataset({name: ("point", values) for name, values in errors.items()}), still)


def velocity_errors(cube: xr.Dataset) -> xr.Dataset:
    """What the series of each point tells of the error of its velocity.

    Parameters
    ----------
    cube : xr.Dataset
        Point cube; its displacement is read.

    Returns
    -------
    xr.Dataset
        Over ``point``, float32, with the coordinates and attributes of the cube: ``velocity``;
        ``velocity_std_series``, the white-noise error times sqrt((1 + r) / (1 - r)), r being the correlation of the
        residuals of neighbouring dates; ``half_difference``, the velocity of the second half of the dates less that of
        the first [mm yr-1].

    Raises
    ------
    CubeError
        When it is no cube; a `TooFewDatesError` when it is too short to be halved.
    """
    check_cube(cube)
    if cube.sizes["time"] < 2 * MIN_DATES:
        raise TooFewDatesError(
            f"{cube.sizes['time']} dates make no two halves of {MIN_DATES}: leave the errors as they are"
        )
    velocity, std, difference = _fits(cube["displacement"].values, years_since(cube["time"].values))
    gone = [name for name in cube.variables if "time" in cube[name].dims or name in cube.data_vars]
    return (
        cube.drop_vars(gone)
        .assign(
            velocity=("point", velocity, describe("velocity")),
            velocity_std_series=("point", std.astype(np.float32), BY_SERIES),
            half_difference=("point", difference.astype(np.float32), BY_HALVES),
        )
        .assign_attrs(sees_future=-1)
    )


def sum_errors(errors: xr.Dataset) -> dict[str, npt.NDArray[Any]]:
    """What the points of a part of a scene add to it, in whole numbers that come to the same in any order.

    ``n_still`` and ``squares`` of the halves' differences, and what `insar_dask.detect.mapping.sum_places` tells.
    """
    return _still_sums(errors, STILL) | sum_places(errors)


def floor_of(sums: Iterable[Mapping[str, npt.NDArray[Any]]]) -> float:
    """Smallest error of a velocity that still ground allows [mm/yr], of what `sum_errors` made of the scene's parts."""
    n_still, squares = 0, 0
    for part in sums:
        n_still, squares = n_still + int(part["n_still"]), squares + int(part["squares"])
    return float(np.sqrt(squares / n_still)) * QUANTUM / 2 if n_still >= FEWEST_STILL else 0.0


def with_floor(motion: xr.Dataset, errors: xr.Dataset, still: float = STILL, floor: float | None = None) -> xr.Dataset:
    """Motion whose velocities are no surer than still ground of the scene allows.

    An error is what the series tells, but at least the scene's floor: half the root mean square of `velocity_errors`'
    differences on still ground. Where the errors of the halves are independent, that is the error of their mean, and of
    white noise twice its error: a floor errs on the safe side. On quiet Ustica the halves differ by 1.6 mm/yr, 5.6
    times what white noise says.

    Parameters
    ----------
    motion : xr.Dataset
        What `insar_dask.motion` makes.
    errors : xr.Dataset
        What `velocity_errors` makes, of the same points.
    still : float
        Velocity [mm/yr] below which ground counts as still.
    floor : float, optional
        That of the scene which these points are part of; default: what they say themselves.

    Returns
    -------
    xr.Dataset
        ``motion`` with ``velocity_std`` [mm yr-1] replaced, ``velocity_std_series``, and the attributes
        ``velocity_std_floor`` (0 where fewer than 20 points are still) and ``velocity_std_from_floor``, the share of
        the points that have the floor.

    Raises
    ------
    CubeError
        When the two have other points.
    """
    if motion.sizes.get("point") != errors.sizes.get("point"):
        raise CubeError(
            f"motion is of {motion.sizes.get('point')} points and the cube of {errors.sizes.get('point')}: give "
            "insar_dask.motion(cube)"
        )
    std = np.asarray(errors["velocity_std_series"].values, np.float64)
    floor = floor_of([_still_sums(errors, still)]) if floor is None else floor
    known = np.isfinite(std)
    honest = np.where(known, np.maximum(std, floor), np.nan)
    from_floor = float(np.mean(std[known] < floor)) if known.any() else 0.0
    return motion.assign(
        velocity_std=("point", honest.astype(np.float32), describe("velocity_std")),
        velocity_std_series=("point", std.astype(np.float32), BY_SERIES),
    ).assign_attrs(velocity_std_floor=round(floor, 4), velocity_std_from_floor=round(from_floor, 4))


def _still_sums(errors: xr.Dataset, still: float) -> dict[str, npt.NDArray[Any]]:
    difference = np.asarray(errors["half_difference"].values, np.float64)
    calm = np.isfinite(difference) & (np.abs(errors["velocity"].values) < positive("still", still, of="mm/yr"))
    squares = np.rint(difference[calm] / QUANTUM).astype(np.int64) ** 2
    return {"n_still": np.array(calm.sum(), np.int64), "squares": np.array(squares.sum(), np.int64)}


def _fits(series: Float32, years: Float64) -> tuple[Float32, Float64, Float64]:
    """Velocity, its error inflated for the correlation of neighbouring dates, difference of the halves' velocities."""
    whole = insar_kernels.motion(series, years)
    middle = len(years) // 2
    halves = [insar_kernels.motion(np.ascontiguousarray(part), t).velocity for part, t in (
        (series[:, :middle], years[:middle]), (series[:, middle:], years[middle:]))]  # fmt: skip
    correlation = np.clip(_neighbouring(series, years), 0, MOST_CORRELATED)
    std = np.asarray(whole.velocity_std, np.float64) * np.sqrt((1 + correlation) / (1 - correlation))
    velocity = np.asarray(whole.velocity, np.float32)
    return velocity, std, np.asarray(halves[1] - halves[0], np.float64)


def _neighbouring(series: Float32, years: Float64) -> Float64:
    """Correlation of the residuals of linear and annual fits at neighbouring dates; 0 where too few are valid."""
    angle = 2 * np.pi * years
    design = np.stack([np.ones_like(years), years - years.mean(), np.cos(angle), np.sin(angle)], axis=1)
    valid = np.isfinite(series)
    values = np.where(valid, series, 0.0).astype(np.float64)
    weights = valid.astype(np.float64)
    gram = np.einsum("pt,ta,tb->pab", weights, design, design, optimize=True)
    few = weights.sum(axis=1) < MIN_DATES
    gram[few] = np.eye(4)
    fits = np.linalg.solve(gram + 1e-12 * np.eye(4), (values @ design)[..., None])[..., 0]
    residual = np.where(valid, values - fits @ design.T, 0.0)
    both = valid[:, 1:] & valid[:, :-1]
    products = np.where(both, residual[:, 1:] * residual[:, :-1], 0.0).sum(axis=1) / np.maximum(both.sum(axis=1), 1)
    variance = (residual**2).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)
    return np.where(few | (variance <= 0), 0.0, products / np.where(variance > 0, variance, 1.0))
