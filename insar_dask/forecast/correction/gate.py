"""How much of a network's correction to believe, lead by lead: as much as windows it has not learned from bear out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

__all__ = ["fit_gate"]

Float64 = npt.NDArray[np.float64]


def fit_gate(units: Iterable[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]) -> Float64:
    """Factors (h,) in [0, 1] on the correction of each lead.

    The least-squares factor g of the correction c on the error e of the linear forecast, sum c e / sum c², is drawn
    towards 0 by its own uncertainty, g max(0, 1 - se² / g²), the standard error being a jackknife's over the units.
    Where a correction helps at some places and dates as often as it harms at others, it vanishes. Source of the
    shrinkage: James and Stein (1961), positive part; of the error: Tukey (1958), doi:10.1214/aoms/1177706647.

    Parameters
    ----------
    units : iterable of ((n, h) array, (n, h) array)
        Corrections and errors, target minus linear forecast, of one place at one origin each; a missing one is NaN.
    """
    sums = np.array([_sums(corrections, errors) for corrections, errors in units])
    if len(sums) < 2:
        return np.zeros(sums.shape[-1] if sums.size else 0)
    factor = _ratio(sums.sum(axis=0))
    without = _ratio(sums.sum(axis=0) - sums)
    n_units = len(sums)
    variance = (n_units - 1) / n_units * ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    kept = np.maximum(1 - variance / np.maximum(factor, 1e-9) ** 2, 0)
    return np.asarray(np.clip(factor * kept, 0, 1))


def _sums(corrections: npt.NDArray[np.float32], errors: npt.NDArray[np.float32]) -> Float64:
    """Sums (2, h) of c e and c²."""
    both = np.isfinite(corrections) & np.isfinite(errors)
    c, e = (np.where(both, array, 0).astype(np.float64) for array in (corrections, errors))
    return np.stack([(c * e).sum(axis=0), (c * c).sum(axis=0)])


def _ratio(sums: Float64) -> Float64:
    return np.asarray(sums[..., 0, :] / np.maximum(sums[..., 1, :], 1e-12))
