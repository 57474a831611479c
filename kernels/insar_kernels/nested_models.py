"""The three models of EGMS as one orthogonal basis.

The columns 1, cos, sin, t, t^2, t^3 are ordered so that the models are the first 4, 5 and 6 of them: with X = QR the
fit of each model is a part of the fit of the next.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["DEGENERATE", "MIN_DATES", "PACKED", "basis_of", "packed_products"]

Float64 = npt.NDArray[np.float64]

MIN_DATES = 7
"""Six terms need seven dates: with fewer no residual is left to judge them by."""

DEGENERATE = 1e-9
"""Share of a column's squared length below which it counts as a combination of the columns before it."""


PACKED = 24
"""Upper triangle of a 6 x 6 matrix, 21 numbers, filled up to whole vectors."""


def basis_of(years: Float64) -> tuple[Float64, Float64]:
    """Orthonormal columns (6, T) of the largest model, and the inverse of their triangle (6, 6).

    The centre of the time axis keeps the powers of t apart; no coefficient that is read depends on it. Where the dates
    cannot tell the columns apart both are NaN, and so becomes every parameter.
    """
    angle = 2 * np.pi * years
    t = years - years.mean()
    design = np.stack([np.ones_like(t), np.cos(angle), np.sin(angle), t, t**2, t**3], axis=1)
    if len(years) >= MIN_DATES:
        q, r = np.linalg.qr(design)
        if (np.diag(r) ** 2 > DEGENERATE * (design**2).sum(axis=0)).all():
            return np.ascontiguousarray(q.T), np.linalg.inv(r)
    return np.full((6, len(years)), np.nan), np.full((6, 6), np.nan)


def packed_products(basis: Float64) -> Float64:
    """Upper triangle of q q' of each date, one date after the other."""
    above, below = np.triu_indices(6)
    products = np.zeros((basis.shape[1], PACKED))
    products[:, : len(above)] = (basis[above] * basis[below]).T
    return products.ravel()
