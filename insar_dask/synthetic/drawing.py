"""Displacement of any block of a scene's points: the ground's signal and noise like that of real products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from insar_dask.cube import years_since
from insar_dask.synthetic.ground import Ground, signal_basis
from insar_dask.synthetic.kinds import SIGMA_LEVELS, Kind
from insar_dask.synthetic.wander import wander
from insar_kernels.noise import correlated_noise, uniforms

__all__ = ["LARGEST", "Drawing"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

LARGEST = 32_767
"""Tenths of a millimetre that a stored displacement can hold."""

AT_ONCE = 1024
"""Points drawn at a time: 2.5 MB of float64 a step at 304 dates stays in the cache."""

SIGMA_STREAM, MISSING_STREAM, NOISE_STREAM = 21, 22, 30


@dataclass(frozen=True)
class Drawing:
    """All that a block of points needs in order to be drawn, small enough to travel with a task."""

    kind: Kind
    seed: int
    ground: Ground
    times: npt.NDArray[np.datetime64]
    missing: float
    noise: float

    def sigma(self, ids: Int64) -> Float64:
        """Compute the standard deviation of each point's noise [mm], (N,)."""
        level = uniforms(self.seed, SIGMA_STREAM, ids, 1)[:, 0]
        return np.asarray(self.noise * np.interp(level, SIGMA_LEVELS, self.kind.sigma))

    def displacement(self, ids: Int64, easting: Float64, northing: Float64) -> Float32:
        """Draw the displacement [mm] of some points, (N, T) float32, multiples of 0.1, missing NaN."""
        ids, easting, northing = ids.ravel(), easting.ravel(), northing.ravel()
        drawn = np.empty((ids.size, self.times.size), np.float32)
        for start in range(0, ids.size, AT_ONCE):
            some = slice(start, start + AT_ONCE)
            drawn[some] = self._tenths(ids[some], easting[some], northing[some])
        drawn /= np.float32(10)
        return drawn

    def _tenths(self, ids: Int64, easting: Float64, northing: Float64) -> Float64:
        coefficients, _ = self.ground.coefficients(ids, easting, northing)
        series = self._noise(ids, easting, northing)
        # one function after the other, not a matrix product: its rounding would depend on the size of the block
        for coefficient, function in zip(coefficients.T, signal_basis(years_since(self.times)), strict=True):
            series += coefficient[:, None] * function
        if self.ground.motions:
            series += self.ground.shared(ids, easting, northing, years_since(self.times))
        series *= 10
        np.clip(np.rint(series, out=series), -LARGEST, LARGEST, out=series)
        if self.missing > 0:
            draw = uniforms(self.seed, self.kind.streams + MISSING_STREAM, ids, self.times.size)
            series[draw < self.missing] = np.nan
        return series

    def _noise(self, ids: Int64, easting: Float64, northing: Float64) -> Float64:
        kind = self.kind
        cells = np.stack([_cell(easting, northing, size) for size in kind.cell_sizes], axis=1)
        stream, memory = kind.streams + NOISE_STREAM, (kind.memory, moving_average_term(kind.lag1, kind.memory))
        shares = np.array(kind.cell_shares)
        z = correlated_noise(self.seed, stream, ids, cells, shares, memory, self.times.size)
        cubic, spread = heavy_tail(kind.kurtosis)
        scale = (self.sigma(ids) / spread)[:, None]
        own = np.asarray(scale * z * (1 + np.float32(cubic) * z * z))
        if kind.wander:
            own += self.noise * wander(kind, self.seed, easting, northing, self.times.size)
        return own


def _cell(easting: Float64, northing: Float64, size: float) -> Int64:
    column, row = (np.floor(axis / size).astype(np.int64) for axis in (easting, northing))
    return (column << 32) + row


def moving_average_term(lag1: float, memory: float) -> float:
    """Theta of the ARMA(1, 1) whose autocorrelation is ``lag1 * memory**(k - 1)`` at lag k.

    With phi = memory, lag1 = (1 + phi theta)(phi + theta) / (1 + 2 phi theta + theta^2) (Box & Jenkins 1970, 3.4.3).

    >>> abs(moving_average_term(0.5, 0.5)) < 1e-12  # then it is an AR(1)
    True
    """
    low, high = -1.0, 1.0
    for _ in range(60):
        theta = (low + high) / 2
        reached = (1 + memory * theta) * (memory + theta) / (1 + 2 * memory * theta + theta**2)
        low, high = (theta, high) if reached < lag1 else (low, theta)
    return (low + high) / 2


def heavy_tail(kurtosis: float) -> tuple[float, float]:
    """Factor c and standard deviation of ``z + c z^3``, z Gaussian, whose excess kurtosis is this, 0 to 12.

    >>> heavy_tail(0.0)
    (0.0, 1.0)
    """
    low, high = 0.0, 0.3
    while (middle := (low + high) / 2) not in (low, high):
        fourth = 3 + 60 * middle + 630 * middle**2 + 3780 * middle**3 + 10395 * middle**4
        reached = fourth / _cubic_variance(middle) ** 2 - 3
        low, high = (middle, high) if reached < kurtosis else (low, middle)
    return low, _cubic_variance(low) ** 0.5


def _cubic_variance(cubic: float) -> float:
    return 1 + 6 * cubic + 15 * cubic**2
