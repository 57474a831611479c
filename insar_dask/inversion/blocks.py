"""What a chunk job does to a shard of a pair cube: corrections whose parameters are known, and sums to find them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.inversion.closure import correct_cycles
from insar_dask.inversion.joint import fit_motion
from insar_dask.inversion.pairs import timeline
from insar_dask.inversion.reference import subtract_offsets
from insar_dask.inversion.surfaces import Surface, surface_sums, without_surfaces
from insar_kernels.network_closure import triplets

__all__ = ["flatten_block", "missing_block", "prepare_block", "surface_block"]

Arrays = Mapping[str, npt.NDArray[Any]]


def prepare_block(
    pairs: xr.Dataset, kept: Sequence[int] | None = None, closure: bool = False, state: Arrays | None = None
) -> xr.Dataset:
    """Some pairs of a block, cycles corrected, referred by ``state["offsets"]`` [rad]."""
    if kept is not None:
        pairs = pairs.isel(pair=list(kept))
    if closure:
        line = timeline(pairs)
        pairs = correct_cycles(pairs, triplets(line.first, line.second))
    return pairs if state is None else subtract_offsets(pairs, state["offsets"])


def surface_block(pairs: xr.Dataset, surface: Mapping[str, Any], limit: float) -> dict[str, npt.NDArray[np.float64]]:
    """Sums of a surface over the ground of a block whose rough velocity is below ``limit`` [mm/yr]."""
    velocity = fit_motion(pairs, height_error=False)["velocity"].values
    return surface_sums(pairs, Surface.of(surface), abs(velocity) < limit)


def missing_block(pairs: xr.Dataset) -> dict[str, npt.NDArray[Any]]:
    """Of each pair, the number of valid points, and of all."""
    return {"valid": (~np.isnan(pairs["phase"].values)).sum(axis=0), "points": np.array([pairs.sizes["point"]])}


def flatten_block(pairs: xr.Dataset, surface: Mapping[str, Any], state: Arrays) -> xr.Dataset:
    """Surfaces of ``state["slopes"]`` taken off, and again ``state["offsets"]``."""
    return subtract_offsets(without_surfaces(pairs, Surface.of(surface), state["slopes"]), state["offsets"])
