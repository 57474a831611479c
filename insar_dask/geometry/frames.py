"""Frames of one pass that overlap, brought to one reference: an offset and a plane of velocity between them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

import insar_kernels
from insar_dask.cube import CubeError, check_cube, years_since
from insar_dask.geometry.checking import check_cubes
from insar_dask.geometry.series import BLOCK

__all__ = ["FrameFit", "align_frames", "compare_frames"]

Float64 = npt.NDArray[np.float64]

FEWEST_CELLS = 30
"""Cells that a plane takes: with fewer only an offset is fitted, of three at least."""

HUBER = 1.345
"""Residual, in robust standard deviations, from which a cell weighs less; 95 % efficient where none is wrong."""

ROUNDS = 20


class Velocities(NamedTuple):
    """Of the points of one frame, or of cells."""

    place: Float64
    """(n, 2) [m]"""
    velocity: Float64


@dataclass(frozen=True)
class FrameFit:
    """How much faster one frame is than another, where both see the ground.

    ``offset`` [mm/yr] is that at ``centre``, ``slopes`` [mm/yr a km] to east and north; ``spread`` [mm/yr], a robust
    standard deviation, is what the plane leaves of the differences of ``n_cells`` cells.
    """

    offset: float
    slopes: tuple[float, float]
    centre: tuple[float, float]
    spread: float
    n_cells: int

    def at(self, place: Float64) -> Float64:
        """Difference [mm/yr] at places (n, 2)."""
        return np.asarray(self.offset + (place - np.array(self.centre)) / 1000 @ np.array(self.slopes))


def compare_frames(one: xr.Dataset, other: xr.Dataset, cell: float = 200.0) -> FrameFit | None:
    """Velocity of ``other`` less that of ``one`` in the cells that both have, as an offset and a plane.

    Huber's estimator of {1, east, north} over the differences of the cells' median velocities. Their looks differ by
    some degrees from one edge of a frame to the other, and with them what they see of one motion: part of the spread.

    Parameters
    ----------
    one, other : xr.Dataset
        Point cubes of lines of sight of one pass, in one CRS.
    cell : float
        Side of a cell [m].

    Returns
    -------
    FrameFit or None
        None where fewer than three cells are in both.

    Raises
    ------
    CubeError
        When the cubes are of two passes, two CRSs, or no lines of sight.
    """
    check_cubes([one, other])
    if one.attrs.get("pass") != other.attrs.get("pass"):
        raise CubeError(
            f"the frames are {one.attrs.get('pass')} and {other.attrs.get('pass')}: they see different motion; "
            "only frames of one pass can be compared"
        )
    return _fitted(_velocities(one), _velocities(other), cell)


def align_frames(cubes: Sequence[xr.Dataset], cell: float = 200.0) -> tuple[list[xr.Dataset], list[FrameFit | None]]:
    """Bring frames of the same pass to one reference, for products that no GNSS model ties together.

    The first frame of each pass stays; every further one is compared with those before it (`compare_frames`), and its
    plane of velocity times the time since its first date is subtracted. Offsets of single dates stay: frames of
    different tracks have no dates in common.

    Parameters
    ----------
    cubes : sequence of xr.Dataset
        Point cubes of lines of sight.
    cell : float
        Side of a cell [m].

    Returns
    -------
    list of xr.Dataset, list of FrameFit or None
        The frames, aligned lazily, and what was subtracted; None for the first of a pass, and for a frame that meets
        none before it, of which a warning is given.

    Raises
    ------
    CubeError
        As of `compare_frames`.
    """
    for cube in cubes:
        check_cube(cube)
    check_cubes(cubes)
    known: dict[str, list[Velocities]] = {}
    aligned, fits = [], []
    for cube in cubes:
        way, mine = str(cube.attrs.get("pass")), _velocities(cube)
        before = known.setdefault(way, [])
        fit = _fitted(Velocities(*map(np.concatenate, zip(*before, strict=True))), mine, cell) if before else None
        if before and fit is None:
            warnings.warn(
                f"frame {cube.attrs.get('source')} meets no other {way} frame: its reference is its own",
                UserWarning,
                stacklevel=2,
            )
        before.append(mine if fit is None else Velocities(mine.place, mine.velocity - fit.at(mine.place)))
        aligned.append(cube if fit is None else _without(cube, fit, mine.place))
        fits.append(fit)
    return aligned, fits


def _without(cube: xr.Dataset, fit: FrameFit, place: Float64) -> xr.Dataset:
    rates = xr.DataArray(fit.at(place).astype(np.float32), dims="point")
    years = xr.DataArray(years_since(cube["time"].values).astype(np.float32), dims="time")
    displacement = (cube["displacement"].variable - (rates * years).variable).astype(np.float32)
    displacement.attrs = cube["displacement"].attrs
    said = [fit.offset, *fit.slopes, fit.spread]
    return cube.assign(displacement=displacement).assign_attrs(sees_future=-1, aligned=[round(v, 6) for v in said])


def _velocities(cube: xr.Dataset) -> Velocities:
    years = years_since(cube["time"].values)
    starts = range(0, cube.sizes["point"], BLOCK)
    series = (cube["displacement"].isel(point=slice(start, start + BLOCK)).values for start in starts)
    velocity = np.concatenate([np.asarray(insar_kernels.motion(block, years).velocity, np.float64) for block in series])
    return Velocities(np.stack([cube["easting"].values, cube["northing"].values], axis=1), velocity)


def _fitted(one: Velocities, other: Velocities, cell: float) -> FrameFit | None:
    here, there = _medians(one, cell), _medians(other, cell)
    both = sorted(here.keys() & there.keys())
    if len(both) < 3:
        return None
    difference = np.array([there[key] - here[key] for key in both])
    place = (np.array(both, np.float64) + 0.5) * cell
    centre = place.mean(axis=0)
    columns = [np.ones(len(both))]
    if len(both) >= FEWEST_CELLS:
        columns += list((place - centre).T / 1000)
    design = np.stack(columns, axis=1)
    weights = np.ones(len(both))
    for _ in range(ROUNDS):
        root = np.sqrt(weights)
        found = np.linalg.lstsq(design * root[:, None], difference * root, rcond=None)[0]
        residual = np.abs(difference - design @ found)
        spread = 1.4826 * float(np.median(residual))
        if spread < 1e-9:
            break
        weights = np.minimum(1.0, HUBER * spread / np.maximum(residual, 1e-12))
    east, north = (found[1], found[2]) if len(found) == 3 else (0.0, 0.0)
    return FrameFit(float(found[0]), (float(east), float(north)), (centre[0], centre[1]), spread, len(both))


def _medians(of: Velocities, cell: float) -> dict[tuple[int, int], float]:
    """Median velocity of each cell that has one."""
    valid = np.isfinite(of.velocity)
    keys, velocity = np.floor(of.place[valid] / cell).astype(np.int64), of.velocity[valid]
    order = np.lexsort((velocity, keys[:, 1], keys[:, 0]))
    keys, velocity = keys[order], velocity[order]
    first = np.flatnonzero(np.append(True, (np.diff(keys, axis=0) != 0).any(axis=1))) if len(keys) else np.array([])
    ends = np.append(first, len(keys))[1:]
    return {
        (int(keys[a, 0]), int(keys[a, 1])): float((velocity[(a + b - 1) // 2] + velocity[(a + b) // 2]) / 2)
        for a, b in zip(first.astype(int), ends.astype(int), strict=True)
    }
