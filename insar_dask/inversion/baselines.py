"""Perpendicular baselines of dates, from those of pairs."""

from __future__ import annotations

import numpy as np
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.inversion.choosing import components_of
from insar_dask.inversion.pairs import check_pairs, timeline

__all__ = ["date_baselines"]

MISFIT = 5.0
"""Baselines of a loop of pairs close to so many metres; else one of them is wrong."""


def date_baselines(pairs: xr.Dataset) -> xr.DataArray:
    """Least-squares baseline of each date against the first one.

    Parameters
    ----------
    pairs : xr.Dataset
        Pair cube with ``bperp`` [m].

    Returns
    -------
    xr.DataArray
        (time,) float64 [m], 0 at the first date (and at the first of each part of a network that falls apart, of which
        pairs say nothing else). Attributes: ``misfit``, the largest residual [m], and ``doubtful``, the pairs beyond
        5 m.

    Raises
    ------
    CubeError
        When a pair has no baseline.
    """
    check_pairs(pairs)
    line = timeline(pairs)
    bperp = np.asarray(pairs["bperp"].values, np.float64) if "bperp" in pairs.variables else np.array([np.nan])
    if not np.isfinite(bperp).all():
        raise CubeError("not every pair has its baseline 'bperp': read them with baselines='table.csv'")
    design = np.zeros((bperp.size, len(line.dates)))
    design[np.arange(bperp.size), line.first] = -1
    design[np.arange(bperp.size), line.second] = 1
    found = np.linalg.lstsq(design, bperp, rcond=None)[0]
    residual = bperp - design @ found
    doubtful = [line.name(pair) for pair in np.flatnonzero(abs(residual) > MISFIT).tolist()]
    attrs = {
        "long_name": "perpendicular baseline", "units": "m", "misfit": float(abs(residual).max()),
        "doubtful": doubtful,
    }  # fmt: skip
    starts, parts = np.unique(components_of(line), return_index=True, return_inverse=True)[1:]
    return xr.DataArray(found - found[starts[parts]], {"time": line.dates}, ("time",), attrs=attrs)
