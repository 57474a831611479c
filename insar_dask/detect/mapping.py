"""Motion of points to maps of square cells: the median of the points of a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError, check_points
from insar_dask.detect.areas import MapGrid
from insar_dask.settings import positive
from insar_dask.spacing import FEWEST, Lattice, grid_step, lattice_of, spacing_of

__all__ = ["area_maps", "cell_of", "check_alike", "grid_of", "join_motions", "maps_on", "side_of", "sum_places"]

Float64 = npt.NDArray[np.float64]

SPACINGS = 2.5
"""Cells of scattered points are so many times their spacing."""

NEAREST = 5.0
"""Rounded to so many metres."""

MOST_CELLS = 50_000_000
"""A full tile of EGMS Level 3 has 1,000,000 cells, a burst in cells of 30 m three times as many."""


def area_maps(motion: xr.Dataset | Sequence[xr.Dataset], cell: float | None = None) -> xr.Dataset:
    """Maps over (y, x) of what is known of points: in each cell the median over its points.

    Several products, such as tiles that touch, become one map, so that no seam cuts an area.

    Parameters
    ----------
    motion : xr.Dataset or sequence of xr.Dataset
        Numbers over ``point`` with ``easting``, ``northing`` and ``crs``, such as `insar_dask.motion` makes, of one
        component and in one CRS; with errors of `insar_dask.detect.errors.honest_errors`, where the rule asks how sure
        a velocity is.
    cell : float, optional
        Side of a cell [m], edges on multiples of it; default: that of a product on a grid, whose points are the middles
        of cells, else 2.5 times the median distance to the fourth nearest point.

    Returns
    -------
    xr.Dataset
        Over (y, x), rows from north to south: every number of the points as float32, the season's peak (``phase``) as
        the median about the mean direction; ``n_points``; NaN where a cell has none. Attributes of ``motion`` and
        ``cell``.

    Raises
    ------
    CubeError
        When there are no points, or the cells are too many; when products differ in component or CRS.
    """
    motion = motion if isinstance(motion, xr.Dataset) else join_motions(motion)
    check_points(motion)
    place = _places(motion)
    if not len(place):
        raise CubeError("there are no points, so nothing to find areas on")
    side = cell_of(place) if cell is None else positive("cell", cell, of="metres")
    box = (*place.min(axis=0), *place.max(axis=0))
    return maps_on(motion, grid_of(box, side, str(motion["crs"].attrs.get("crs_wkt", ""))))


def grid_of(box: Sequence[float], side: float, crs_wkt: str, most: float = MOST_CELLS) -> MapGrid:
    """Grid of the cells [m] that hold a box (west, south, east, north); edges are on multiples of the side.

    Raises
    ------
    CubeError
        When there are more than ``most`` of them.
    """
    west, south, east, north = (int(np.floor(edge / side)) for edge in box)
    rows, columns = north - south + 1, east - west + 1
    if rows * columns > most:
        raise CubeError(
            f"cells of {side:g} m make maps of {rows:,} x {columns:,}, more than {most:,.0f}: take larger "
            "cells, or select an area"
        )
    return MapGrid(west * side, (north + 1) * side, side, rows, columns, crs_wkt)


def maps_on(motion: xr.Dataset, grid: MapGrid) -> xr.Dataset:
    """As `area_maps` on the cells of a grid whose edges are on multiples of its side; points beyond do not count."""
    side, shape = grid.cell, (grid.rows, grid.columns)
    column, row = (
        np.floor(np.asarray(motion[axis].values, np.float64) / side).astype(np.int64)
        for axis in ("easting", "northing")
    )
    west, north = round(grid.west / side), round(grid.north / side) - 1
    inside = (column >= west) & (column < west + grid.columns) & (row <= north) & (row > north - grid.rows)
    index = np.where(inside, (north - row) * shape[1] + (column - west), -1)
    order = np.argsort(index, kind="stable")[np.count_nonzero(~inside) :]
    cells, first, counts = np.unique(index[order], return_index=True, return_counts=True)
    ranks = np.repeat(np.arange(len(cells)), counts)
    variables: dict[str, Any] = {}
    for name, variable in motion.variables.items():
        if variable.dims == ("point",) and variable.dtype.kind == "f" and name not in ("easting", "northing"):
            values = np.asarray(variable.values, np.float64)[order]
            middle = _phases(values, ranks, first) if name == "phase" else _medians(values, ranks, len(cells))
            variables[str(name)] = (("y", "x"), _placed(middle, cells, shape), variable.attrs)
    n_points = np.zeros(shape[0] * shape[1], np.int32)
    n_points[cells] = counts
    variables["n_points"] = (("y", "x"), n_points.reshape(shape), {"long_name": "number of points", "units": "1"})
    coords = {
        "y": ("y", (north + 0.5 - np.arange(shape[0])) * side),
        "x": ("x", (west + 0.5 + np.arange(shape[1])) * side),
        "crs": motion["crs"].variable,
    }
    return xr.Dataset(variables, coords, {**motion.attrs, "cell": side})


def join_motions(motions: Sequence[xr.Dataset]) -> xr.Dataset:
    """Points of several products, with the numbers that all have.

    Raises
    ------
    CubeError
        What `check_alike` says of them.
    """
    check_alike(motions)
    first = motions[0]
    names = [
        str(name)
        for name, variable in first.variables.items()
        if variable.dims == ("point",) and all(name in motion.variables for motion in motions)
    ]
    columns = {name: ("point", np.concatenate([motion[name].values for motion in motions])) for name in names}
    places = {name: columns.pop(name) for name in ("easting", "northing", "point_id") if name in columns}
    joined = xr.Dataset(columns, {**places, "crs": first["crs"].variable}, first.attrs)
    sources = dict.fromkeys(str(motion.attrs.get("source", "")) for motion in motions)
    return joined.assign_attrs(source=", ".join(sources))


def check_alike(motions: Sequence[xr.Dataset]) -> None:
    """Raise `CubeError` where products cannot be one map: of two components, passes, references or CRSs, or none."""
    if not motions:
        raise CubeError("there is no product to make maps of")
    first = motions[0]
    for motion in motions:
        check_points(motion)
        for name in ("component", "positive", "reference", "pass"):
            if motion.attrs.get(name) != first.attrs.get(name):
                raise CubeError(
                    f"{_name(motion)} has {name} {motion.attrs.get(name)!r}, {_name(first)} {first.attrs.get(name)!r}: "
                    "an area across both would be neither's; take products that are alike"
                )
        if not _same_crs(motion, first):
            raise CubeError(f"{_name(motion)} and {_name(first)} are in two CRSs: read one of them again with crs=")


def _name(motion: xr.Dataset) -> str:
    return str(motion.attrs.get("source") or motion.attrs.get("product") or "a product")


def _same_crs(one: xr.Dataset, other: xr.Dataset) -> bool:
    here, there = (str(data["crs"].attrs["crs_wkt"]) for data in (one, other))
    if here == there:
        return True
    from pyproj import CRS

    return bool(CRS.from_wkt(here) == CRS.from_wkt(there))


def cell_of(place: Float64) -> float:
    """Side of the cells [m] that suit places (n, 2): their own grid's, else 2.5 spacings, to 5 m."""
    return grid_step(place) or _scattered_side(spacing_of(place))


def sum_places(points: xr.Dataset) -> dict[str, npt.NDArray[Any]]:
    """Where ``n`` points of a part of a scene lie: their ``box``, and the ``side`` of cells that suit them [m].

    ``even`` says that they all lie on a lattice; then its ``step`` and ``spacing`` [m] and number of ``places`` tell
    whether that of all parts together is a raster's.
    """
    place = _places(points)
    lattice = lattice_of(place)
    own = lattice.step if lattice is not None and lattice.filled else None
    told = {"even": lattice is not None, "n": len(place), "side": own or _scattered_side(spacing_of(place))}
    if lattice is not None:
        told |= {"step": lattice.step, "spacing": lattice.spacing, "places": lattice.n_places}
    box = np.concatenate([place.min(axis=0), place.max(axis=0)])
    return {"box": box, **{name: np.array(value) for name, value in told.items()}}


def side_of(parts: Sequence[Mapping[str, npt.NDArray[Any]]]) -> float:
    """Side of the cells [m] of a scene of which `sum_places` has looked at the parts."""
    large = [part for part in parts if part["n"] >= FEWEST] or list(parts)
    if all(part["even"] for part in large):
        spacing = float(np.median([part["spacing"] for part in large]))
        n_points, n_places = (sum(int(part[name]) for part in large) for name in ("n", "places"))
        lattice = Lattice(float(min(part["step"] for part in large)), spacing, n_points, n_places)
        if lattice.filled:
            return lattice.step
    return max(round(float(np.median([part["side"] for part in large])) / NEAREST), 1) * NEAREST


def _places(points: xr.Dataset) -> Float64:
    return np.stack([np.asarray(points[axis].values, np.float64) for axis in ("easting", "northing")], axis=1)


def _scattered_side(spacing: float) -> float:
    return max(round(SPACINGS * spacing / NEAREST), 1) * NEAREST if np.isfinite(spacing) else 100.0


def _medians(values: Float64, ranks: npt.NDArray[np.int64], n: int) -> Float64:
    """Median of the valid values of each cell, NaN for none."""
    valid = np.isfinite(values)
    ranks, values = ranks[valid], values[valid]
    order = np.lexsort((values, ranks))
    values = values[order]
    counts = np.bincount(ranks, minlength=n)
    start = np.cumsum(counts) - counts
    found = np.full(n, np.nan)
    some = counts > 0
    low, high = start[some] + (counts[some] - 1) // 2, start[some] + counts[some] // 2
    found[some] = (values[low] + values[high]) / 2
    return found


def _phases(days: Float64, ranks: npt.NDArray[np.int64], first: npt.NDArray[np.int64]) -> Float64:
    """Median of days of the year about their mean direction: around the turn of the year as anywhere."""
    angle = 2 * np.pi * np.nan_to_num(days) / 365
    known = np.isfinite(days)
    sums = [np.add.reduceat(np.where(known, wave(angle), 0.0), first) for wave in (np.cos, np.sin)]
    mean = np.arctan2(sums[1], sums[0]) / (2 * np.pi) * 365
    away = (days - mean[ranks] + 182.5) % 365 - 182.5
    return np.asarray((mean + _medians(away, ranks, len(first)) - 1) % 365 + 1)


def _placed(values: Float64, cells: npt.NDArray[np.int64], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    raster = np.full(shape[0] * shape[1], np.nan, np.float32)
    raster[cells] = values
    return raster.reshape(shape)
