"""East and up of cells as two point cubes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import describe
from insar_dask.foresight import sees_future
from insar_dask.geometry.cells import REASONS, Cells, Sight
from insar_dask.geometry.dates import days_ahead, place_dates
from insar_dask.geometry.options import Options
from insar_kernels.look_solution import Solution

__all__ = ["EastUp", "cubes_of", "shared_attributes", "velocities_of"]

Times = npt.NDArray[np.datetime64]

CORRELATION = {"long_name": "correlation of the errors of east and up", "units": "1"}

LONG_NAMES = {
    "n_ascending": "number of points of ascending tracks",
    "n_descending": "number of points of descending tracks",
    "condition": "condition number of the normal matrix of the cell's looks",
    "angle": "angle between the mean looks of the two ways",
    "east_per_north": "east that is found for a unit of motion to the north",
    "up_per_north": "up that is found for a unit of motion to the north",
    "reason": "why the cell has no values",
}


class EastUp(NamedTuple):
    """Two point cubes of the same cells and dates."""

    east: xr.Dataset
    up: xr.Dataset


def cubes_of(
    solution: Solution, sight: Sight, cells: Cells, dates: Times, crs: xr.Variable, attrs: dict[str, Any]
) -> EastUp:
    """Both cubes; their errors are in millimetres where the points' were given, else shares of a line of sight's."""
    coords = {**_coordinates(solution, sight, cells, crs), "time": ("time", dates)}
    dims, weighted = ("point", "time"), "sigma" in attrs
    made = []
    for component, values, std in _components(solution):
        variables = {
            "displacement": (dims, values, {**describe("displacement"), "grid_mapping": "crs"}),
            "displacement_std": (dims, std, _std("displacement", "mm", weighted)),
            "correlation": (dims, solution.correlation, CORRELATION),
            "observed": ("time", np.ones(len(dates), bool), describe("observed")),
        }
        made.append(xr.Dataset(variables, coords, {**attrs, "component": component, "positive": component}))
    return EastUp(*made)


def velocities_of(solution: Solution, sight: Sight, cells: Cells, crs: xr.Variable, attrs: dict[str, Any]) -> EastUp:
    """Both as `insar_dask.motion` would have them, of a solution of one date that is the velocity."""
    coords, made = _coordinates(solution, sight, cells, crs), []
    for component, values, std in _components(solution):
        variables = {
            "velocity": ("point", values[:, 0].copy(), {**describe("velocity"), "grid_mapping": "crs"}),
            "velocity_std": ("point", std[:, 0].copy(), _std("velocity", "mm yr-1", "sigma" in attrs)),
            "correlation": ("point", solution.correlation[:, 0].copy(), CORRELATION),
        }
        made.append(xr.Dataset(variables, coords, {**attrs, "component": component, "positive": component}))
    return EastUp(*made)


def _components(solution: Solution) -> list[tuple[str, Any, Any]]:
    return [("east", solution.east, solution.east_std), ("up", solution.up, solution.up_std)]


def _coordinates(solution: Solution, sight: Sight, cells: Cells, crs: xr.Variable) -> dict[str, Any]:
    centres = cells.centres
    static = {
        "n_ascending": sight.ascending.astype(np.int32),
        "n_descending": sight.descending.astype(np.int32),
        **{name: getattr(sight, name).astype(np.float32) for name in ("condition", "angle", *_LEAKS)},
        "reason": np.where(solution.anchored, sight.reason, REASONS.index("too_few_dates")).astype(np.int8),
    }
    return {
        "point_id": ("point", np.array(cells.names, dtype=str), describe("point_id")),
        "easting": ("point", centres[:, 0].copy(), describe("easting")),
        "northing": ("point", centres[:, 1].copy(), describe("northing")),
        "height": ("point", sight.height.astype(np.float32), describe("height")),
        **{name: ("point", values, _said(name)) for name, values in static.items()},
        "crs": crs,
    }


_LEAKS = ("east_per_north", "up_per_north")


def _said(name: str) -> dict[str, Any]:
    said: dict[str, Any] = {"long_name": LONG_NAMES[name], "units": "degree" if name == "angle" else "1"}
    if name == "reason":
        said |= {"flag_values": list(range(len(REASONS))), "flag_meanings": " ".join(REASONS)}
    return said


def _std(of: str, units: str, weighted: bool) -> dict[str, Any]:
    if weighted:
        return {"long_name": f"standard error of the {of}", "units": units}
    return {"long_name": f"standard error of the {of} over that of a line of sight", "units": "1"}


def shared_attributes(
    cubes: Sequence[xr.Dataset], dates: Times, sight: Sight, options: Options, n_later: int = 0
) -> dict[str, Any]:
    """Attributes of both cubes: where they come from, how they were made, and what was left out.

    ``n_later`` points that begin later than their record are told of where there are any.
    """
    chosen = options.to_dict()
    solved = sight.reason == 0
    counts = {f"n_{name}": int((sight.reason == code).sum()) for code, name in enumerate(REASONS[:-1])}
    leaks = {f"median_{name}": _median(getattr(sight, name)[solved]) for name in _LEAKS}
    return {
        "product": "east_up",
        "reference_date": str(dates[0].astype("datetime64[D]")),
        "reference": _joined(cubes, "reference"),
        "release": _joined(cubes, "release"),
        "tracks": [f"{cube.attrs.get('track')} {cube.attrs.get('pass', '')}".strip() for cube in cubes],
        "sources": [str(cube.attrs.get("source", "")) for cube in cubes],
        **{name: list(value) if isinstance(value, tuple) else value for name, value in chosen.items()},
        "north": "taken to be still" if options.north is None else chosen["north"],
        **counts,
        **({"n_begin_later": n_later} if n_later else {}),
        **leaks,
        "sees_future": _seen(cubes, dates, options),
    }


def _seen(cubes: Sequence[xr.Dataset], dates: Times, options: Options) -> int:
    """A model is fitted to the whole series; else the farthest that any date looks ahead."""
    before = [sees_future(cube) for cube in cubes]
    if options.anchor == "model" or -1 in before:
        return -1
    ahead = [days_ahead(place_dates(c["time"].values, dates), options.how, options.max_distance) for c in cubes]
    return max(int(np.ceil(days)) + more for days, more in zip(ahead, before, strict=True))


def _joined(cubes: Sequence[xr.Dataset], name: str) -> str:
    return "; ".join(dict.fromkeys(str(cube.attrs.get(name, "")) for cube in cubes))


def _median(values: npt.NDArray[np.float64]) -> float:
    return round(float(np.median(values)), 4) if values.size else 0.0
