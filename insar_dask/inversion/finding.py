"""A reference area where nobody named one: coherent, quiet ground that does not move."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.ndimage import uniform_filter

from insar_dask.cube import CubeError
from insar_dask.inversion.joint import fit_motion
from insar_dask.inversion.pairs import check_pairs
from insar_dask.inversion.reference import subtract_offsets
from insar_dask.inversion.solve import invert
from insar_dask.readers.grid import PixelGrid

__all__ = ["ReferenceArea", "find_reference", "pick_reference", "typical_phase"]

Float64 = npt.NDArray[np.float64]

SAMPLE = 8192
"""Points whose median stands for the scene's; every so manieth one, whatever the shards."""

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
    # in one pass: each result of a lazy cube by itself would be an inversion of its own
    cube = invert(rough, min_coherence=0.0).drop_vars(["displacement", "displacement_std", "gap_bridged"]).compute()
    velocity = fit_motion(rough, height_error=False)["velocity"]
    return pick_reference(cube, velocity.values, window=window, stable_below=stable_below)


def typical_phase(pairs: xr.Dataset) -> Float64:
    """Median phase of each interferogram over the scene [rad], (P,), by a sample of its points; 0 without any."""
    step = -(-pairs.sizes["point"] // SAMPLE)
    some = pairs["phase"].isel(point=slice(None, None, step)).values.astype(np.float64)
    known = ~np.isnan(some).all(axis=0)
    return np.where(known, np.nanmedian(np.where(known, some, 0.0), axis=0), 0.0)


def pick_reference(
    cube: xr.Dataset, velocity: npt.ArrayLike, *, window: int = 5, stable_below: float = 5.0
) -> ReferenceArea:
    """Pick of inverted points: ``residual_rms``, ``pair_coherence`` (or ``coherence``), ``row`` and ``col``."""
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window is {window}, wanted an odd number of pixels")
    grid = PixelGrid.of(cube)
    at = np.asarray(cube["row"].values, np.int64) * grid.columns + np.asarray(cube["col"].values, np.int64)
    quality = np.asarray(cube["pair_coherence"].values, np.float64)
    if np.isnan(quality).all():
        quality = np.asarray(cube["coherence"].values, np.float64)
    residual = np.asarray(cube["residual_rms"].values, np.float64)
    rate = np.asarray(velocity, np.float64)
    rate = rate - np.nanmedian(rate)
    good = np.isfinite(quality) & np.isfinite(residual) & np.isfinite(rate)
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
