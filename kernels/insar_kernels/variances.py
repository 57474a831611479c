"""Variance of the components of a series and of their sum: what a decomposition's shares are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.dispatch import namespace, rows
from insar_kernels.gpu import fits

__all__ = ["component_variances"]

Float32 = npt.NDArray[np.float32]


def component_variances(trend: Any, season: Any, residual: Any) -> Any:
    """Variances of trend, season and residual of each series, and of their sum.

    Over the dates at which all three are there, divided by their number. The sum's variance is that of the three plus
    twice their covariances: components that are not orthogonal do not share it out.

    Parameters
    ----------
    trend, season, residual : arrays of float32, one shape (..., T)
        Components [mm]; missing is NaN.

    Returns
    -------
    array of float32, shape (..., 4)
        Variances [mm^2]; NaN where fewer than two dates have all three.
    """
    xp = namespace(trend)
    if xp is not np:
        return fits.component_variances(xp, trend, season, residual)
    found = np.empty((int(np.prod(np.shape(trend)[:-1])), 4), np.float32)
    _on_cpu(rows(trend), rows(season), rows(residual), found)
    return found.reshape(*np.shape(trend)[:-1], 4)


@njit(nogil=True, cache=True, error_model="numpy")
def _on_cpu(trend: Float32, season: Float32, residual: Float32, found: Float32) -> None:
    """Two passes over a series that the first one left in the cache: squares about zero would cancel."""
    for i in range(len(trend)):
        count = a = b = c = 0.0
        for t in range(trend.shape[1]):
            x, y, z = np.float64(trend[i, t]), np.float64(season[i, t]), np.float64(residual[i, t])
            if x + y + z == x + y + z:
                count += 1.0
                a += x
                b += y
                c += z
        a, b, c = a / count, b / count, c / count
        aa = bb = cc = ss = 0.0
        for t in range(trend.shape[1]):
            x, y, z = np.float64(trend[i, t]) - a, np.float64(season[i, t]) - b, np.float64(residual[i, t]) - c
            if x + y + z == x + y + z:
                aa += x * x
                bb += y * y
                cc += z * z
                ss += (x + y + z) ** 2
        known = 1.0 / count if count >= 2.0 else np.nan
        found[i, 0], found[i, 1], found[i, 2], found[i, 3] = aa * known, bb * known, cc * known, ss * known
