"""What the pooled Gaussian process says of every point at the end of its record: how fast, how sure, how likely."""

from __future__ import annotations

from typing import cast

import numpy as np
import xarray as xr

from insar_dask.cube import describe
from insar_dask.forecast.gaussian import PooledGaussianProcess
from insar_dask.forecast.registry import Arrays, load
from insar_dask.forecast.tallies import block_places, block_values, windows_of
from insar_dask.forecast.timetable import Plan

__all__ = ["outlook_block"]


def outlook_block(block: xr.Dataset, plan: Plan, state: Arrays, threshold: float) -> xr.Dataset:
    """Velocity with an error that knows coloured noise, and the probability of passing a threshold.

    Parameters
    ----------
    block : xr.Dataset
        Raw cube of some points, held by NumPy.
    plan : Plan
        An honest plan whose methods include ``"gaussian_process"``.
    state : mapping of arrays
        What `insar_dask.forecast.protocol.fit` learned.
    threshold : float
        Displacement in mm since the cube's reference date. Zero or more: the probability of lying above it; negative:
        of lying below it.

    Returns
    -------
    xr.Dataset
        ``velocity`` and ``velocity_std`` (point) [mm yr-1] and ``exceedance`` (point, lead) [1]; NaN for a point
        without any date. The standard error counts walk, seasons and short noise, unlike that of a least-squares fit.
    """
    context = windows_of(block_values(block, plan), plan, "honest", block_places(block)).context(plan.future)
    model = cast(PooledGaussianProcess, load("gaussian_process", "honest.future.gaussian_process.", state))
    velocity, error = model.velocity(context)
    above = model.exceedance(context, threshold)
    days = plan.target_days(plan.future).astype("datetime64[D]").astype("datetime64[ns]")
    places = block[[name for name in block.variables if block[name].dims in (("point",), ())]]
    return places.assign(
        velocity=("point", velocity.astype(np.float32), describe("velocity")),
        velocity_std=("point", error.astype(np.float32), describe("velocity_std")),
        exceedance=(
            ("point", "lead"),
            (above if threshold >= 0 else 1 - above).astype(np.float32),
            describe("exceedance") | {"threshold": threshold},
        ),
    ).assign_coords(time=("lead", days))
