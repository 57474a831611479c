"""How fast ground moves, before anything is corrected: to tell what stands still."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.inversion.joint import fit_motion
from insar_dask.inversion.lines import line_fit
from insar_dask.inversion.solve import invert

__all__ = ["rough_velocity"]


def rough_velocity(pairs: xr.Dataset) -> npt.NDArray[np.float64]:
    """Velocity of each point of a pair cube in memory [mm/yr], (point,).

    That of `fit_motion`; where no pair is to spare that the noise could be told from, in a chain of pairs say, that of
    the straight line through the series.
    """
    velocity = np.asarray(fit_motion(pairs, height_error=False)["velocity"].values, np.float64)
    lacking = np.flatnonzero(np.isnan(velocity))
    if lacking.size:
        velocity[lacking] = line_fit(invert(pairs.isel(point=lacking), min_pairs=1, min_coherence=0.0))["velocity"]
    return velocity
