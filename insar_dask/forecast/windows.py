"""Rolling origins: what may be known at each of them, cut from a cube as plain arrays.

Rule: at an origin every number that a forecaster sees is a function of observations dated before the origin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Context"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Context:
    """What a forecaster may see of a block of points at one origin, and the dates it is asked for.

    Years are counted from the cube's first date, 365 days each, so that they do not depend on the origin.
    """

    values: Float32
    """(n, T) raw displacement [mm] at every real date before the origin; missing is NaN."""
    years: Float64
    """(T,) real dates of the history, strictly increasing."""
    grid_values: Float32
    """(n, G) the same on the regular grid up to the origin; NaN where the grid met no acquisition."""
    grid_years: Float64
    """(G,) dates of the grid, evenly spaced, the last one before the origin."""
    target_years: Float64
    """(h,) dates asked for: the grid continued from the origin on, one lead a step."""

    @property
    def step(self) -> float:
        """Spacing of the grid in years."""
        return float(self.grid_years[1] - self.grid_years[0])
