"""Noise that cells share over kilometres, as what is left of the atmosphere and of the reference does."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from insar_dask.synthetic.kinds import Kind
from insar_kernels.noise import correlated_noise

__all__ = ["wander"]

Float64 = npt.NDArray[np.float64]

WAVES_STREAM, COURSES_STREAM = 6, 40
N_WAVES = 16
SHORTEST, LONGEST = 6e3, 60e3
"""Lengths of its waves [m]."""


def wander(kind: Kind, seed: int, easting: Float64, northing: Float64, n_dates: int) -> Float64:
    """Shared noise (N, T) [mm] of places: plane waves whose amplitudes wander with time, each by itself."""
    rng = np.random.Generator(np.random.Philox(key=[seed, WAVES_STREAM]))
    length, heading = np.geomspace(SHORTEST, LONGEST, N_WAVES), rng.uniform(0, np.pi, N_WAVES)
    courses = correlated_noise(
        seed, COURSES_STREAM, np.arange(2 * N_WAVES), np.empty((2 * N_WAVES, 0), np.int64), np.empty(0),
        (kind.wander_memory, 0.0), n_dates,
    )  # fmt: skip
    total = np.zeros((easting.size, n_dates))
    for wave in range(N_WAVES):
        phase = 2 * np.pi * (easting * np.sin(heading[wave]) + northing * np.cos(heading[wave])) / length[wave]
        total += np.cos(phase)[:, None] * courses[2 * wave]
        total += np.sin(phase)[:, None] * courses[2 * wave + 1]
    total *= kind.wander / np.sqrt(N_WAVES)
    return total
