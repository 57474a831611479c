"""What each pixel is mixed of: the corners of the triangle that holds it, or the nearest point outside the hull."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.spatial import QhullError, cKDTree

from insar_dask.tiling.triangles import triangulated

__all__ = ["Mixture", "Surface"]

Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
Bool = npt.NDArray[np.bool_]


class Mixture(NamedTuple):
    """What each place is mixed of."""

    corners: Int32
    """(m, 3) points."""
    weights: Float64
    """(m, 3) their shares, which sum to 1; those of a nearest point alone are 1, 0, 0."""

    def means(self, groups: Int32, n_points: int) -> csr_array:
        """The same of the means over groups of places, (groups, points): the mean of mixtures is a mixture."""
        sizes = np.bincount(groups)
        shares = (self.weights / sizes[groups][:, None]).ravel()
        used = shares != 0
        at = np.repeat(groups, 3)[used], self.corners.ravel()[used]
        matrix = csr_array((shares[used], at), (sizes.size, n_points))
        matrix.sum_duplicates()
        return matrix


class Surface:
    """A triangulation of points, and the mixture of each place.

    Parameters
    ----------
    points : (n, 2) float64 [m]
        At least three, not all on one line, no two at the same place.
    places : (m, 2) float64 [m]

    Raises
    ------
    scipy.spatial.QhullError
        When all points lie on one line.
    """

    def __init__(self, points: Float64, places: Float64) -> None:
        # about the middle: of coordinates of millions of metres the squares lose what tells circles apart
        middle = places.mean(axis=0)
        self._points, self._places = points - middle, places - middle
        self._triangles, corners, weights = triangulated(self._points, self._places)
        self.mixture = Mixture(corners, weights)
        self._take_nearest(self.mixture, np.ones(len(points), bool))

    def without(self, missing: Bool) -> Mixture:
        """The mixture if some points, but not all, were not there.

        Without a point of a Delaunay triangulation, only the triangles about it are others, and the new ones lie
        between its neighbours (Devillers 2002, doi:10.1142/S0218195902000815). So the neighbours of the missing points
        are triangulated alone, and asked for the places that lay between missing points.
        """
        mixture = Mixture(self.mixture.corners.copy(), self.mixture.weights.copy())
        lost = np.flatnonzero((missing[mixture.corners] & (mixture.weights > 0)).any(axis=1))
        about = np.unique(self._triangles[missing[self._triangles].any(axis=1)])
        about = about[~missing[about]]
        mixture.corners[lost] = -1
        try:
            _, corners, weights = triangulated(self._points[about], self._places[lost])
        except QhullError:  # two neighbours, or all on one line: nothing is between them
            pass
        else:
            inside = corners[:, 0] >= 0
            mixture.corners[lost[inside]] = about[corners[inside]]
            mixture.weights[lost[inside]] = weights[inside]
        self._take_nearest(mixture, ~missing)
        return mixture

    def _take_nearest(self, mixture: Mixture, there: Bool) -> None:
        """Give places outside the hull the nearest point that is there."""
        outside = mixture.corners[:, 0] < 0
        if outside.any():
            points = np.flatnonzero(there)
            nearest = points[cKDTree(self._points[points]).query(self._places[outside])[1]]
            mixture.corners[outside], mixture.weights[outside] = nearest[:, None], (1.0, 0.0, 0.0)
