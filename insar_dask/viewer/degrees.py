"""Longitude and latitude of a map's places as polynomials: the page has no library of projections, and needs none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["degrees_of"]

NODES = 16
MOST = 10
EXACT, USABLE = 1e-6, 1e-4
"""Degrees of error (0.1 m on the ground) at which a polynomial is exact enough, and at which none is given (10 m)."""

LEAST_HALF = 1000.0
"""Half a side of the square that a single point is taken for [m]."""

Float64 = npt.NDArray[np.float64]


def degrees_of(wkt: str, extent: Sequence[float]) -> dict[str, Any] | None:
    """Polynomials of Chebyshev that give longitude and latitude within an extent.

    Parameters
    ----------
    wkt : str
        CRS of the places.
    extent : sequence of 4 floats
        West, south, east, north [m].

    Returns
    -------
    dict or None
        ``middle`` and ``half`` [m], by which u = (easting - middle) / half and v alike lie within ±1; coefficients
        ``longitude[i][j]`` and ``latitude[i][j]`` of T_i(u) T_j(v) [degree], i + j at most the least degree that
        suffices; ``error``, the largest one on a grid between the nodes [degree]. None where the CRS has no place on
        the ground, or none of the polynomials is good to 1e-4 degrees, as across a pole.

    >>> wkt = __import__("pyproj").CRS(3035).to_wkt()
    >>> found = degrees_of(wkt, (4_500_000, 1_700_000, 4_600_000, 1_800_000))
    >>> found["error"] <= 1e-6
    True
    """
    from pyproj import CRS, Transformer
    from pyproj.exceptions import ProjError

    west, south, east, north = extent
    middle = (west + east) / 2, (south + north) / 2
    half = max((east - west) / 2, LEAST_HALF), max((north - south) / 2, LEAST_HALF)
    try:
        to_degrees = Transformer.from_crs(CRS.from_wkt(wkt), "EPSG:4326", always_xy=True)
    except ProjError:
        return None

    def truth(u: Float64, v: Float64) -> list[Float64]:
        x, y = np.meshgrid(middle[0] + half[0] * u, middle[1] + half[1] * v, indexing="ij")
        return list(to_degrees.transform(x, y))

    nodes, between = np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES), np.linspace(-1, 1, NODES + 3)
    whole, wanted = [_coefficients(values, nodes) for values in truth(nodes, nodes)], truth(between, between)
    if not all(np.isfinite(values).all() for values in (*whole, *wanted)):
        return None
    for degree in range(1, MOST + 1):
        cut = [np.round(_cut(found, degree), 10) for found in whole]
        error = max(_worst(found, between, values) for found, values in zip(cut, wanted, strict=True))
        if error <= EXACT:
            break
    if error > USABLE:
        return None
    longitude, latitude = (found.tolist() for found in cut)
    return {
        "middle": list(middle),
        "half": list(half),
        "longitude": longitude,
        "latitude": latitude,
        "error": float(f"{error:.0e}"),
    }


def _coefficients(values: Float64, nodes: Float64) -> Float64:
    """Of all products of degrees below the number of nodes, at which the polynomials are orthogonal."""
    basis = np.polynomial.chebyshev.chebvander(nodes, MOST)
    weights = np.where(np.arange(MOST + 1) == 0, 1.0, 2.0) / NODES
    return np.asarray(weights[:, None] * (basis.T @ values @ basis) * weights)


def _cut(coefficients: Float64, degree: int) -> Float64:
    i, j = np.indices((degree + 1, degree + 1))
    return np.where(i + j <= degree, coefficients[: degree + 1, : degree + 1], 0.0)


def _worst(coefficients: Float64, between: Float64, wanted: Float64) -> float:
    found = np.polynomial.chebyshev.chebgrid2d(between, between, coefficients)
    return float(np.abs(found - wanted).max())
