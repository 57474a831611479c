"""Errors of phase unwrapping, found where loops of three interferograms do not close."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.inversion.pairs import check_pairs, timeline
from insar_kernels.network_closure import close_loops, triplets

__all__ = ["correct_closure", "correct_cycles"]

Floats = npt.NDArray[np.floating]

FAR = 0.3
"""A median closure beyond so many radians is no noise but a phase of soil and snow, of multilooked data."""

SAMPLE = 4096
"""Points that are looked at for it; also those that are corrected at once."""


def correct_closure(pairs: xr.Dataset) -> xr.Dataset:
    """Correct values that are whole cycles wrong, and mask what loops show to be wrong but cannot tell.

    Parameters
    ----------
    pairs : xr.Dataset
        Pair cube, in memory or lazy.

    Returns
    -------
    xr.Dataset
        Pair cube with ``unwrap_corrected`` (point) int16, values changed, and ``unwrap_flag`` (point) bool, whether
        loops stayed open; their pairs are NaN there. Attributes: ``n_loops``, and ``n_unchecked``, pairs in no loop,
        whose errors nobody sees. A warning says so where closures of the first points have a median far from zero,
        which is no error: whole cycles alone are corrected.

    Raises
    ------
    CubeError
        When no three pairs make a loop.

    Notes
    -----
    Loops: Biggs et al. (2007), doi:10.1111/j.1365-246X.2007.03415.x; physical closure: De Zan et al. (2015),
    doi:10.1109/TGRS.2015.2435652.
    """
    check_pairs(pairs)
    line = timeline(pairs)
    loops = triplets(line.first, line.second)
    if len(loops) == 0:
        raise CubeError(f"no three of the {len(line.first)} pairs make a loop: closure cannot be checked")
    _warn_of_physics(pairs["phase"].isel(point=slice(0, SAMPLE)).values, loops)
    return correct_cycles(pairs, loops)


def correct_cycles(pairs: xr.Dataset, loops: npt.NDArray[np.int64]) -> xr.Dataset:
    """As `correct_closure`, by loops (L, 3) of pairs that are known already."""
    phase, changed, flagged = xr.apply_ufunc(
        _correct, pairs["phase"].variable, kwargs={"loops": loops}, input_core_dims=[["pair"]],
        output_core_dims=[["pair"], [], []], dask="parallelized", output_dtypes=[np.float32, np.int16, np.bool_],
    )  # fmt: skip
    phase.attrs = pairs["phase"].attrs
    changed.attrs = {"long_name": "interferograms corrected by whole cycles", "units": "1"}
    flagged.attrs = {"long_name": "whether loops stayed open", "units": "1"}
    found = pairs.assign(phase=phase, unwrap_corrected=changed, unwrap_flag=flagged)
    unchecked = pairs.sizes["pair"] - np.unique(loops).size
    return found.assign_attrs(n_loops=len(loops), n_unchecked=int(unchecked))


def _correct(phase: Floats, *, loops: npt.NDArray[np.int64]) -> tuple[Any, Any, Any]:
    corrected = np.empty(phase.shape, np.float32)
    changed, flagged = np.empty(len(phase), np.int16), np.empty(len(phase), np.bool_)
    for start in range(0, len(phase), SAMPLE):  # what is made on the way takes more than the phase
        some = slice(start, start + SAMPLE)
        cycles, still_open, _ = close_loops(phase[some], loops)
        turned = phase[some] + np.float32(2 * np.pi) * cycles
        corrected[some] = np.where(still_open, np.float32(np.nan), turned)
        changed[some], flagged[some] = (cycles != 0).sum(axis=-1), still_open.any(axis=-1)
    return corrected, changed, flagged


def _warn_of_physics(phase: Floats, loops: npt.NDArray[np.int64]) -> None:
    gaps = phase[:, loops[:, 0]].astype(np.float64) + phase[:, loops[:, 1]] - phase[:, loops[:, 2]]
    rest = gaps - 2 * np.pi * np.round(gaps / (2 * np.pi))
    rest = rest[~np.isnan(rest)]
    if rest.size and abs(float(np.median(rest))) > FAR:
        warnings.warn(
            f"loops close to {float(np.median(rest)):.2f} rad (median), not to zero: a phase of soil or snow in "
            "multilooked data, which is no error of unwrapping; whole cycles alone are corrected",
            stacklevel=3,
        )
