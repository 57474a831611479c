"""How far points stand from each other, and the regular grid that they may stand on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

__all__ = ["FEWEST", "Lattice", "grid_step", "lattice_of", "spacing_of"]

Float64 = npt.NDArray[np.float64]

FEWEST = 10
"""Points that have to agree on a grid, so that two lone ones are not called one."""

FOURTH = 4
"""Neighbour whose median distance is the spacing: on a grid exactly, of random points within 9 %. The nearest one is
4 m away on a real burst, whose points stand in crowds on roofs."""

LOOSE, DENSE = 4.0, 1.5
"""Cells to the fourth neighbour up to which a lattice is a raster with holes; and where points share its places. A
raster of which coherence leaves a tenth, here and there, is at 3.6, a burst in whole metres at 14. Scatterers of a fine
radar in whole metres are at 2.2, but a fifth of them share a place, which pixels do not."""

COARSE = 10.0
"""Step [m] from which on places are not those of scatterers whose coordinates were rounded: a raster however sparse."""

TOGETHER = 0.02
"""Share of points from which on they count as sharing places."""

LOOKED_AT = 20_000
"""Points, evenly many along their order, whose neighbours are asked for."""


class Lattice(NamedTuple):
    """Places on multiples of one step, which whole metres are too."""

    step: float
    """[m]"""
    spacing: float
    """Median distance from a place to the fourth nearest other [m]."""
    n_points: int
    n_places: int

    @property
    def filled(self) -> bool:
        """Whether it is a raster's, which may have holes: cells mostly beside each other, and each there once."""
        shared = self.n_points - self.n_places > TOGETHER * self.n_points
        if shared:
            return self.spacing <= DENSE * self.step
        return self.step >= COARSE or self.spacing <= LOOSE * self.step


def grid_step(place: Float64) -> float | None:
    """Side of the cells [m] of a raster whose middles places (n, 2) are; None for scattered points."""
    lattice = lattice_of(place)
    return lattice.step if lattice is not None and lattice.filled else None


def lattice_of(place: Float64) -> Lattice | None:
    """The lattice of places (n, 2) [m]: its step is the smallest between coordinates, and divides all others to 1e-6.

    None where it does not, is below a metre, or there are fewer than ten points.
    """
    steps = np.concatenate([np.diff(np.unique(axis)) for axis in place.T])
    if len(place) < FEWEST or not steps.size or (step := float(steps.min())) < 1:
        return None
    share = steps / step
    if np.abs(share - np.round(share)).max() >= 1e-6:
        return None
    first = np.unique(place @ np.array([1, 1j]), return_index=True)[1]
    return Lattice(step, spacing_of(place[np.sort(first)], LOOKED_AT), len(place), len(first))


def spacing_of(place: Float64, most: int | None = None) -> float:
    """Median distance [m] of places (n, 2) to their fourth neighbour, of some of them; infinite for fewer than five."""
    if len(place) <= FOURTH:
        return float("inf")
    asked = place if most is None else place[:: max(len(place) // most, 1)]
    return float(np.median(cKDTree(place).query(asked, [FOURTH + 1])[0]))
