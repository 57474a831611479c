"""How much of a network's correction to believe: as much as dates it has not learned from bear out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["fit_gate", "products"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


def fit_gate(gains: Float64, runs: Sequence[int]) -> float:
    """Factor in [0, 1] on the corrections of all leads, which share their dates and so can hardly be told apart.

    The least-squares factor g of the correction c on the error e of the linear forecast, sum c e / sum c², is drawn
    towards 0 by its own uncertainty, g max(0, 1 - se² / g²). Its variance is that of a jackknife over the places and of
    one over the runs of dates together: all places share the common error of a date, and dates that share targets are
    one. Where a correction helps at some places or dates as often as it harms at others, it vanishes. Source of the
    shrinkage: James and Stein (1961), positive part; of the error: Tukey (1958), doi:10.1214/aoms/1177706647.

    Parameters
    ----------
    gains : (places, dates, 2) array
        `products` of one place at one origin each.
    runs : sequence of int
        Run of dates that each date belongs to.
    """
    by_run = np.stack([gains[:, np.equal(runs, run)].sum(axis=(0, 1)) for run in np.unique(runs)])
    if len(by_run) < 2:
        return 0.0
    factor = float(_ratio(gains.sum(axis=(0, 1))))
    variance = _jackknife(gains.sum(axis=1)) + _jackknife(by_run)
    if factor**2 <= variance:
        return 0.0
    return min(max(factor * (1 - variance / factor**2), 0.0), 1.0)


def products(corrections: Float32, errors: Float32) -> Float64:
    """Sums (2,) of c e and c² over points and leads (n, h); e is target minus linear forecast, NaN a missing one."""
    both = np.isfinite(corrections) & np.isfinite(errors)
    c, e = (np.where(both, array, 0).astype(np.float64) for array in (corrections, errors))
    return np.array([(c * e).sum(), (c * c).sum()])


def _jackknife(sums: Float64) -> float:
    """Variance of the factor of all sums (units, 2), from the factors without one unit each."""
    return float((len(sums) - 1) * np.var(_ratio(sums.sum(axis=0) - sums)))


def _ratio(sums: Float64) -> Float64:
    return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1e-12))
