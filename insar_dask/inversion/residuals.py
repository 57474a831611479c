"""What inversion leaves of each interferogram, over all points: the ground on which pairs are rejected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.inversion.pairs import check_pairs, mm_per_radian, timeline
from insar_kernels.network import invert_network

__all__ = ["pair_residuals", "residual_rms", "residual_sums"]

Float64 = npt.NDArray[np.float64]

AT_ONCE = 4096


def pair_residuals(pairs: xr.Dataset) -> Float64:
    """Root mean square residual of each pair over the points [mm], (P,), after least squares of equal weights.

    Parameters
    ----------
    pairs : xr.Dataset
        Pair cube, corrected and referred; read once.
    """
    return residual_rms([residual_sums(pairs)])


def residual_sums(pairs: xr.Dataset) -> dict[str, Float64]:
    """Sums of the squared residuals of each pair, ``squares`` [mm2] and ``count``, (P,) each; they add."""
    check_pairs(pairs)
    line, scale = timeline(pairs), np.float32(mm_per_radian(pairs))
    squares, count = np.zeros(pairs.sizes["pair"]), np.zeros(pairs.sizes["pair"])
    for start in range(0, pairs.sizes["point"], AT_ONCE):
        values = pairs["phase"].isel(point=slice(start, start + AT_ONCE)).values * scale
        series = invert_network(values, line.first, line.second, line.days, cofactors=False).displacement
        residual = values.astype(np.float64) - series[:, line.second] + series[:, line.first]
        squares += np.where(np.isnan(residual), 0.0, residual**2).sum(axis=0)
        count += (~np.isnan(residual)).sum(axis=0)
    return {"squares": squares, "count": count}


def residual_rms(sums: Iterable[Mapping[str, Any]]) -> Float64:
    """Root mean squares from sums, which are added in their order; NaN of a pair without any value."""
    squares: Any = 0.0
    count: Any = 0.0
    for part in sums:
        squares, count = squares + part["squares"], count + part["count"]
    return np.asarray(np.sqrt(np.divide(squares, count, out=np.full(np.shape(squares), np.nan), where=count > 0)))
