"""What a series comes to: its displacement in all, and how much of its variance is trend, season and residual."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

import insar_kernels
from insar_dask.cube import CubeError, check_series
from insar_dask.foresight import sees_future

__all__ = ["PARTS", "component_shares", "component_variances", "cumulative_displacement"]

PARTS = ("trend", "season", "residual")
SUMS = (*(f"{name}_share" for name in PARTS), "covariance", *PARTS, "n", "n_without")

BLOCK = 1 << 16
"""Points reduced at a time: a shard or more, and 8 MB of sums."""


def cumulative_displacement(cube: xr.Dataset) -> xr.Dataset:
    """Displacement from the first date of a cube to its last.

    Parameters
    ----------
    cube : xr.Dataset
        Point or grid cube, in memory or lazy; a smoothed one, lest the noise of two dates decide.

    Returns
    -------
    xr.Dataset
        Over the points: ``cumulative`` [mm], float32, with the attributes ``first_date`` and ``last_date``; NaN where
        either date is missing. ``sees_future`` is -1.

    Raises
    ------
    CubeError
        If the cube is none.
    """
    check_series(cube)
    displacement = cube["displacement"].variable
    total = displacement.isel(time=-1) - displacement.isel(time=0)
    total.attrs = {"long_name": "displacement from the first to the last date", "units": "mm"}
    for name, at in (("first_date", 0), ("last_date", -1)):
        total.attrs[name] = str(cube["time"].values[at].astype("datetime64[D]"))
    return _over_points(cube).assign(cumulative=total)


def component_variances(parts: xr.Dataset) -> xr.Dataset:
    """Variance in time of trend, season and residual of every series, and of their sum.

    The share of a component is its variance over the sum of the three. That sum is not the variance of the series,
    which has twice the covariances besides: ``variance`` tells how much they are.

    Parameters
    ----------
    parts : xr.Dataset
        ``trend``, ``season`` and ``residual`` [mm] with ``time`` as last dimension, in memory or lazy, such as those of
        a Holt-Winters or STL decomposition.

    Returns
    -------
    xr.Dataset
        Over the points: ``trend_variance``, ``season_variance``, ``residual_variance`` and ``variance`` [mm2] of
        float32, over the dates that have all three and divided by their number; NaN where fewer than two do.

    Raises
    ------
    CubeError
        If a component is missing or its last dimension is not ``time``.
    """
    for name in PARTS:
        if name not in parts or parts[name].dims[-1:] != ("time",):
            raise CubeError(f"wanted {list(PARTS)} with 'time' as last dimension; {name!r} is not among them")
    found = xr.apply_ufunc(
        insar_kernels.component_variances,
        *(parts[name].variable for name in PARTS),
        input_core_dims=[["time"]] * 3,
        output_core_dims=[["component"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"output_sizes": {"component": 4}},
    )
    names = [f"{name}_variance" for name in PARTS] + ["variance"]
    whose = [*PARTS, "the series"]
    variables = {}
    for place, (name, of) in enumerate(zip(names, whose, strict=True)):
        variables[name] = found.isel(component=place)
        variables[name].attrs = {"long_name": f"variance of {of} in time", "units": "mm2"}
    return _over_points(parts).assign(variables)


def component_shares(
    variances: xr.Dataset, labels: npt.ArrayLike | None = None, n_patterns: int | None = None
) -> xr.Dataset:
    """Shares of trend, season and residual in the variance, of all points and of each pattern.

    A reduction: `BLOCK` points at a time are in memory, however many there are.

    Parameters
    ----------
    variances : xr.Dataset
        Output of `component_variances` over ``point``, in memory or lazy.
    labels : (n_points,) array of int, optional
        Pattern of each point, from 0; a negative one belongs to none, and counts among all points alone.
    n_patterns : int, optional
        Number of patterns; by default what the labels call for.

    Returns
    -------
    xr.Dataset
        Over ``group``, which is "all" and then the patterns "0", "1", ...: ``share`` (group, component), the mean over
        the points of each point's share; ``pooled`` (group, component), the sum of the variances over that of all
        three, where fast points weigh most; ``covariance`` (group), the mean over the points of twice the covariances
        over the sum of the three variances; ``n_points`` (group), those with a share, and ``n_without``.

    Raises
    ------
    CubeError
        If the variances are not over ``point``, or the labels not as many as the points, or beyond ``n_patterns``.
    """
    if "point" not in variances.dims:
        raise CubeError(f"the variances are over {tuple(variances.sizes)}, wanted 'point': stack a grid's pixels first")
    n_points = variances.sizes["point"]
    groups = np.full(n_points, -1) if labels is None else np.asarray(labels).astype(np.int64)
    if groups.shape != (n_points,):
        raise CubeError(f"{groups.shape} labels for {n_points} points: wanted one each")
    wanted = int(groups.max(initial=-1)) + 1
    n_patterns = wanted if n_patterns is None else n_patterns
    if wanted > n_patterns:
        raise CubeError(f"label {wanted - 1} is beyond the {n_patterns} patterns, which count from 0")
    sums = np.zeros((n_patterns + 1, len(SUMS)))
    for start in range(0, n_points, BLOCK):
        block = slice(start, start + BLOCK)
        sums += _sums(variances.isel(point=block), groups[block], n_patterns)
    return _shares(sums).assign_attrs(sees_future=sees_future(variances))


def _sums(variances: xr.Dataset, groups: npt.NDArray[np.int64], n_patterns: int) -> npt.NDArray[np.float64]:
    """Sums of `SUMS` over the points of a block, of all and of each pattern; they add."""
    names = [f"{name}_variance" for name in PARTS] + ["variance"]
    columns = variances[names].reset_coords(drop=True).compute()
    *parts, whole = (columns[name].values.astype(np.float64) for name in names)
    total = np.sum(parts, axis=0)
    good = np.isfinite(total) & np.isfinite(whole) & (total > 0)
    shares = [np.divide(part, total, out=np.zeros_like(total), where=good) for part in (*parts, whole - total)]
    terms = [*shares, *parts, np.ones_like(total)]
    terms = [*(np.where(good, term, 0.0) for term in terms), np.where(good, 0.0, 1.0)]
    every = [[term.sum() for term in terms]]
    mine = groups >= 0
    each = [np.bincount(groups[mine], weights=term[mine], minlength=n_patterns) for term in terms]
    return np.concatenate([every, np.stack(each, axis=1)])


def _shares(sums: npt.NDArray[np.float64]) -> xr.Dataset:
    by = dict(zip(SUMS, sums.T, strict=True))
    count = np.where(by["n"] > 0, by["n"], np.nan)
    pool = np.stack([by[name] for name in PARTS], axis=1)
    whole = np.where(by["n"] > 0, pool.sum(axis=1), np.nan)
    data: dict[str, Any] = {
        "share": (("group", "component"), np.stack([by[f"{name}_share"] / count for name in PARTS], axis=1)),
        "pooled": (("group", "component"), pool / whole[:, None]),
        "covariance": ("group", by["covariance"] / count),
        "n_points": ("group", by["n"].astype(np.int64)),
        "n_without": ("group", by["n_without"].astype(np.int64)),
    }
    names = ["all", *map(str, range(len(sums) - 1))]
    return xr.Dataset(data, coords={"group": names, "component": list(PARTS)})


def _over_points(cube: xr.Dataset) -> xr.Dataset:
    """Coordinates and attributes of a cube without its series: what comes of them has seen all dates."""
    gone = [name for name in cube.variables if "time" in cube[name].dims]
    gone += [name for name in cube.data_vars if name not in gone]
    return cube.drop_vars(gone).assign_attrs(sees_future=-1)
