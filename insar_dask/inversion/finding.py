"""A reference area where nobody named one: coherent, quiet ground that does not move."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.ndimage import uniform_filter

from insar_dask.cube import CubeError
from insar_dask.inversion.pairs import check_pairs
from insar_dask.inversion.reference import subtract_offsets
from insar_dask.inversion.rough import rough_velocity
from insar_dask.inversion.solve import invert
from insar_dask.readers.grid import PixelGrid

__all__ = [
    "ReferenceArea",
    "find_reference",
    "ground_block",
    "median_phase",
    "pick_reference",
    "sample_block",
    "sample_step",
    "typical_phase",
]

Arrays = Mapping[str, npt.NDArray[Any]]
Float64 = npt.NDArray[np.float64]

PLACE = ("easting", "northing")

SAMPLE = 8192
"""Points whose median stands for the scene's, about."""

MIXERS = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
"""Odd numbers without a pattern, by which places are shuffled."""

BEST = 90.0
"""Areas whose coherence is in the top decile are looked at."""


class ReferenceArea(NamedTuple):
    """What `find_reference` returns."""

    row: int
    col: int
    coherence: float
    """Mean of the area's pixels; temporal where interferograms have none."""
    residual: float
    """Mean root mean square residual of its pixels [mm]."""


def find_reference(pairs: xr.Dataset, *, window: int = 5, stable_below: float = 5.0) -> ReferenceArea:
    """Find the most stable coherent area of a scene.

    Of all windows whose pixels all have a series, a coherence in the top decile and no motion against the scene's
    median, the one whose interferograms contradict each other least after a first inversion.

    Parameters
    ----------
    pairs : xr.Dataset
        Pair cube of pixels, in memory or lazy; inverted once, so surfaces should be off already.
    window : int
        Pixels on a side, odd.
    stable_below : float
        Rough velocity [mm/yr] above which ground moves.

    Returns
    -------
    ReferenceArea
        For ``refer_pairs(pairs, area.row, area.col)``.

    Raises
    ------
    CubeError
        When no window qualifies.
    """
    check_pairs(pairs)
    rough = subtract_offsets(pairs, typical_phase(pairs))
    return pick_reference(PixelGrid.of(pairs), [ground_block(rough)], window=window, stable_below=stable_below)


def typical_phase(pairs: xr.Dataset) -> Float64:
    """Median phase of each interferogram over the scene [rad], (P,), by a sample of its points; 0 without any."""
    return median_phase([sample_block(pairs, sample_step(pairs.sizes["point"]))])


def sample_step(n_points: int) -> int:
    """One point in so many is drawn for the median."""
    return -(-n_points // SAMPLE)


def sample_block(pairs: xr.Dataset, step: int) -> Arrays:
    """Phase of one point in about ``step``, drawn by its own place, whoever its neighbours are: ``phase`` (m, P)."""
    easting, northing = (np.floor(pairs[name].values).astype(np.int64).view(np.uint64) for name in PLACE)
    words = easting * MIXERS[0] + northing * MIXERS[1]
    drawn = ((words ^ (words >> np.uint64(29))) * MIXERS[0] >> np.uint64(33)) % np.uint64(step) == 0
    return {"phase": pairs["phase"].isel(point=np.flatnonzero(drawn)).values}


def median_phase(samples: Iterable[Arrays]) -> Float64:
    """Of samples of all shards, the median of each interferogram [rad]; 0 of one without any value."""
    some = np.concatenate([np.asarray(part["phase"], np.float64) for part in samples])
    known = ~np.isnan(some).all(axis=0)
    return np.where(known, np.nanmedian(np.where(known, some, 0.0), axis=0), 0.0)


def ground_block(pairs: xr.Dataset, min_pairs: int = 10) -> Arrays:
    """What a reference is picked by, of each point: place in the raster, coherences, residual [mm], velocity."""
    grid = PixelGrid.of(pairs)
    # in one pass: each result of a lazy cube by itself would be an inversion of its own
    names = ["displacement", "displacement_std", "gap_bridged"]
    cube = invert(pairs, min_coherence=0.0, min_pairs=min_pairs).drop_vars(names).compute()
    velocity = rough_velocity(pairs.compute())
    found = {name: cube[name].values for name in ("pair_coherence", "coherence", "residual_rms")}
    row, col = (np.asarray(cube[name].values, np.int64) for name in ("row", "col"))
    return {**found, "velocity": np.asarray(velocity, np.float32), "place": row * grid.columns + col}


def pick_reference(
    grid: PixelGrid, ground: Iterable[Arrays], *, window: int = 5, stable_below: float = 5.0
) -> ReferenceArea:
    """Pick from what `ground_block` says of all shards, 24 bytes a point."""
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window is {window}, wanted an odd number of pixels")
    parts = list(ground)
    at, residual, rate, of_pairs, temporal = (
        np.concatenate([part[name] for part in parts])
        for name in ("place", "residual_rms", "velocity", "pair_coherence", "coherence")
    )
    quality = temporal if np.isnan(of_pairs).all() else of_pairs
    good = np.isfinite(quality) & np.isfinite(residual) & np.isfinite(rate)
    if good.any():
        rate = rate - np.median(rate[good])
    planes = []
    for values in (good, *(np.where(good, part, 0.0) for part in (quality, residual, rate))):
        plane = np.zeros(grid.rows * grid.columns)
        plane[at] = values
        planes.append(uniform_filter(plane.reshape(grid.rows, grid.columns), window, mode="constant"))
    share, mean, left, motion = planes
    whole = (share > 1 - 0.5 / window**2) & (abs(motion) < stable_below)  # one pixel alone is too noisy to judge
    if not whole.any():
        raise CubeError(
            f"no area of {window} x {window} pixels has a series in all of them and moves by less than "
            f"{stable_below:g} mm/yr: pass a smaller window, or name a reference"
        )
    best = whole & (mean >= np.percentile(mean[whole], BEST) - 1e-9)
    row, col = np.unravel_index(int(np.argmin(np.where(best, left, np.inf))), best.shape)
    return ReferenceArea(int(row), int(col), float(mean[row, col]), float(left[row, col]))
