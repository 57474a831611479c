"""Cubes to files in the layout of EGMS products of 2020-2024: a csv, or a csv and an xml in a zip."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from insar_dask.cube import CubeError, check_cube, check_finite
from insar_dask.kinematics import motion
from insar_dask.synthetic.egms_archive import egms_sink
from insar_kernels.decimal_text import format_rows

__all__ = ["write_egms"]

L2B_COLUMNS = (
    ("pid", "point_id", 0), ("mp_type", "mp_type", 0), ("latitude", "latitude", 6), ("longitude", "longitude", 6),
    ("easting", "easting", 2), ("northing", "northing", 2), ("height_ortho", "height", 1),
    ("height_ellipse", "height_ellipse", 1), ("line", "line", 0), ("pixel", "pixel", 0), ("rmse_ts", "rmse", 1),
    ("temporal_coherence", "coherence", 2), ("amplitude_dispersion", "amplitude_dispersion", 2),
    ("incidence_angle", "incidence_angle", 2), ("track_angle", "track_angle", 2), ("los_east", "los_east", 3),
    ("los_north", "los_north", 3), ("los_up", "los_up", 3), ("mean_velocity", "velocity", 1),
    ("mean_velocity_std", "velocity_std", 1), ("acceleration", "acceleration", 2),
    ("acceleration_std", "acceleration_std", 2), ("seasonality", "seasonality", 1),
    ("seasonality_std", "seasonality_std", 1), ("gnss_velocity", "egms_gnss_velocity", 1),
)  # fmt: skip
L3_COLUMNS = (
    ("pid", "point_id", 0), ("easting", "easting", 0), ("northing", "northing", 0), ("height_ortho", "height", 1),
    ("rmse_ts", "rmse", 1), ("mean_velocity", "velocity", 1), ("mean_velocity_std", "velocity_std", 1),
    ("acceleration", "acceleration", 2), ("acceleration_std", "acceleration_std", 2),
    ("seasonality", "seasonality", 1), ("seasonality_std", "seasonality_std", 1),
    ("gnss_velocity_n", "egms_gnss_velocity_n", 1), ("gnss_velocity_e", "egms_gnss_velocity_e", 1),
    ("gnss_velocity_u", "egms_gnss_velocity_u", 1),
)  # fmt: skip
"""Name in the file, ours, and decimals, of the columns before the dates."""

FITTED = {
    "rmse", "velocity", "velocity_std", "acceleration", "acceleration_std", "seasonality", "seasonality_std"
}  # fmt: skip
BLOCK = 16_384
MAX_THREADS = 8


def write_egms(
    path: str | Path,
    cube: xr.Dataset,
    *,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Path:
    """Write a cube as an EGMS product with the header of 2020-2024; the same cube gives the same bytes.

    Velocity, acceleration, seasonality, rmse and their errors are those of `insar_dask.motion`. Displacement is rounded
    to one decimal, missing values are empty cells, points keep the order of the cube. A few blocks of points are in
    memory at a time; nothing but the finished file ever stands at ``path``.

    Parameters
    ----------
    path : str or Path
        ``.csv``, or ``.zip`` for a csv and an xml of the same name in a zip. `insar_dask.read_egms` reads track and
        component off the file's name, so give it one of EGMS's form.
    cube : xr.Dataset
        Point cube in EPSG:3035 with the columns of its product, such as a scene or what ``read_egms`` returned.
    threads : int, optional
        Threads that draw and format; by default one a core, at most 8.
    progress : callable, optional
        Called with (points written, points in all).

    Returns
    -------
    Path
        The file.

    Raises
    ------
    CubeError
        When the cube lacks a column, is in another CRS, is Level 3 off the grid, or has infinite values.
    ValueError
        When ``path`` ends neither in .csv nor in .zip.
    OSError
        When the file cannot be written; nothing is left of it.
    """
    columns = _checked_columns(check_cube(cube))
    path, done, total = Path(path), 0, cube.sizes["point"]
    names = [name for name, _, _ in columns] + _days(cube)
    with egms_sink(path, cube.attrs) as write:
        write(",".join(names).encode() + b"\n")
        for n_points, text in _ordered(_blocks(cube), lambda block: _rows(cube, block, columns), threads):
            write(text)
            done += n_points
            if progress is not None:
                progress(done, total)
    return path


def _checked_columns(cube: xr.Dataset) -> tuple[tuple[str, str, int], ...]:
    radar = cube.attrs["component"] == "los"
    columns = L2B_COLUMNS if radar else L3_COLUMNS
    lacking = [ours for _, ours, _ in columns if ours not in cube and ours not in FITTED]
    if lacking:
        raise CubeError(
            f"a {'Level 2b' if radar else 'Level 3'} file needs {lacking} over ('point',); assign them first"
        )
    if cube["crs"].attrs.get("epsg") != 3035:
        raise CubeError(f"EGMS files are in EPSG:3035, the cube's crs has epsg {cube['crs'].attrs.get('epsg')!r}")
    if not radar and not all((cube[axis].values % 1 == 0).all() for axis in ("easting", "northing")):
        raise CubeError("a Level 3 file holds whole metres: easting and northing must be the centres of 100 m cells")
    return columns


def _days(cube: xr.Dataset) -> list[str]:
    return [str(day).replace("-", "") for day in cube["time"].values.astype("datetime64[D]")]


def _blocks(cube: xr.Dataset) -> list[slice]:
    """Runs of points: the chunks of a lazy cube, so that none is drawn twice."""
    lengths = cube.chunksizes.get("point") or [BLOCK] * -(-cube.sizes["point"] // BLOCK)
    ends = np.cumsum(lengths)
    return [slice(int(end) - length, int(end)) for end, length in zip(ends, lengths, strict=True)]


def _rows(cube: xr.Dataset, block: slice, columns: tuple[tuple[str, str, int], ...]) -> tuple[int, Any]:
    points = cube.isel(point=block).load(scheduler="synchronous")  # these threads are the parallelism
    series = check_finite(points)["displacement"].values
    fits = motion(points)
    fields = np.stack([fits[ours].values.astype(np.float64) for _, ours, _ in columns[1:]], axis=1)
    decimals = np.array([places for _, _, places in columns[1:]])
    names = points["point_id"].values.astype(np.bytes_)
    return len(series), format_rows(names, fields, decimals, np.ascontiguousarray(series)).data


def _ordered(
    blocks: list[slice], work: Callable[[slice], tuple[int, Any]], threads: int | None
) -> Iterator[tuple[int, Any]]:
    """Results in the order of the blocks, with only a few of them ahead of the writer."""
    n_threads = threads or min(MAX_THREADS, os.cpu_count() or 1)
    waiting: deque[Future[tuple[int, Any]]] = deque()
    with ThreadPoolExecutor(n_threads) as pool:
        for block in blocks:
            waiting.append(pool.submit(work, block))
            if len(waiting) > n_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
