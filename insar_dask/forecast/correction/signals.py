"""What linear forecasters say of each point, and what they say of the ground around it.

A forecaster's departure from the harmonic fit is a signal. A Gaussian process with less noise answers faster: too fast
for one series, but over neighbours that move together the noise averages out, and the fast answer is the right one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.covariance import PARAMETERS
from insar_dask.forecast.gaussian import PooledGaussianProcess
from insar_dask.forecast.naive import Harmonic, harmonic_fit
from insar_dask.forecast.registry import Forecaster
from insar_dask.forecast.windows import Context
from insar_dask.machine import one_blas_thread

__all__ = ["REACHES", "Signals", "quicker", "signals"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

NOISE = tuple(PARAMETERS.index(name) for name in ("fast", "smooth", "white"))

REACHES = (100.0, 400.0)
"""Distances [m] over which the word of a neighbour loses a factor e."""

LEAST_NOISE = 0.1
"""Root mean square [mm] around the fit, below which a point is not believed more: what the products print."""


@dataclass(frozen=True, eq=False)
class Signals:
    """Forecasts of some forecasters at n points, and their departures from the harmonic one."""

    harmonic: Float32
    """(n, h) the harmonic forecast [mm]; NaN where there is none."""
    forecasts: Float32
    """(n, J, h) those of the forecasters [mm]."""
    deviation: Float32
    """(n, h) standard deviation [mm] of the first forecaster that has one."""
    own: Float32
    """(n, J, h) departures [mm] at the point itself; 0 where there is none."""
    around: Float32
    """(n, 2 J, h) their means over the points around, at the shorter and at the longer of `REACHES`."""


def signals(context: Context, members: Sequence[Forecaster]) -> Signals:
    """Signals of some forecasters at the points of a context.

    Raises
    ------
    ValueError
        When no forecaster has a standard deviation, or the context does not know where its points lie.
    """
    harmonic = Harmonic().predict(context)[0]
    means, deviations = zip(*(member.predict(context) for member in members), strict=True)
    known = [deviation for deviation in deviations if deviation is not None]
    if not known:
        raise ValueError("no forecaster has a standard deviation: the Gaussian process has to be among them")
    forecasts = np.stack(means, axis=1)
    own = np.nan_to_num(forecasts - harmonic[:, None])
    return Signals(harmonic, forecasts, known[0], own, _around(own, context))


def quicker(process: PooledGaussianProcess, factor: float) -> PooledGaussianProcess:
    """The process whose noise is ``factor`` times that of another, so that it follows a series more closely."""
    theta = process.theta_.copy()
    theta[list(NOISE)] *= factor
    return PooledGaussianProcess.from_state({"theta": theta})


def _around(own: Float32, context: Context) -> Float32:
    """Means over all points of the context, each weighing e^(-distance / reach) / rmse²."""
    rmse = harmonic_fit(context)[1].rmse
    sure = np.where(np.isnan(rmse), 0, 1 / np.maximum(rmse, LEAST_NOISE) ** 2).astype(np.float32)
    flat = own.reshape(len(own), own.shape[1] * own.shape[2]) * sure[:, None]
    sums = np.concatenate([flat, sure[:, None]], axis=1)
    with one_blas_thread():  # the bits of a product of matrices may depend on the number of threads
        totals = [kernel @ sums for kernel in _kernels(context)]
    means = [total[:, :-1] / np.maximum(total[:, -1:], np.finfo(np.float32).tiny) for total in totals]
    return np.concatenate([mean.reshape(own.shape) for mean in means], axis=1)


def _kernels(context: Context) -> list[Float32]:
    """e^(-distance / reach) between all points (n, n), one a reach."""
    places = context.located
    east, north = (places - places.mean(axis=0)).astype(np.float32).T  # float32 moves no point of a piece by a metre
    distance = np.hypot(east[:, None] - east[None], north[:, None] - north[None])
    return [np.exp(distance / np.float32(-reach)) for reach in REACHES]
