"""Velocities of ascending and descending tracks to velocities of east and up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from insar_dask.cube import DAYS_PER_YEAR, CubeError, check_points
from insar_dask.geometry.cells import find_cells, in_cells, sights
from insar_dask.geometry.checking import check_cells, check_cubes, check_ways
from insar_dask.geometry.cubes import EastUp, shared_attributes, velocities_of
from insar_dask.geometry.options import Options
from insar_dask.geometry.sums import LookSums
from insar_dask.geometry.tracks import Track
from insar_dask.zeros import ZERO

__all__ = ["east_up_velocity"]

ONE_DATE = np.array(["1970-01-01"], "datetime64[ns]")

OF_SERIES = ("every", "how", "anchor", "max_distance", "start", "end")


def east_up_velocity(motions: Sequence[xr.Dataset], **options: Any) -> EastUp:
    """East and up velocities of cells out of velocities along lines of sight, where there are no series.

    As `insar_dask.geometry.series.east_up` for one number a point; of series rather take that, and `insar_dask.motion`
    of what it gives: there both tracks cover the same time.

    Parameters
    ----------
    motions : sequence of xr.Dataset
        ``velocity`` [mm yr-1] over ``point``, positive towards the satellite, as `insar_dask.motion` or
        `insar_dask.read_mintpy_velocity` give it, with what `insar_dask.geometry.tracks.look_vectors` takes.
    **options
        ``cell``, ``north``, ``sigma`` (such as "velocity_std"), ``max_condition``, ``min_angle``, ``extent`` and
        ``one_track`` of `east_up`.

    Returns
    -------
    EastUp
        ``east`` and ``up``, each with ``velocity`` [mm yr-1], ``velocity_std`` [mm yr-1, or of a line of sight's] and
        ``correlation`` over ``point``, and the coordinates that cells have in `east_up`.

    Raises
    ------
    CubeError
        As of `east_up`, or where there is no velocity.
    TypeError
        For an option of series.
    """
    if strange := sorted(set(options) & set(OF_SERIES)):
        raise TypeError(f"{strange} are options of series, and velocities have no dates")
    chosen = Options.of({**options, "anchor": "none", "how": "previous"})
    for data in motions:
        if "velocity" not in check_points(data):
            raise CubeError("wanted 'velocity' over point: use insar_dask.motion(cube)")
    check_cubes(motions)
    tracks = [Track.of(data.drop_vars(ZERO, errors="ignore"), chosen) for data in motions]  # a velocity has no zero
    check_ways([track.is_ascending for track in tracks], motions)
    cells = find_cells(tracks, chosen)
    check_cells(len(cells.keys), [track.box for track in tracks], motions)
    members = [in_cells(track, cells, chosen) for track in tracks]
    sight = sights(tracks, members, len(cells.keys), chosen)
    sums = LookSums.empty(len(cells.keys), ONE_DATE, chosen)
    for data, track, inside in zip(motions, tracks, members, strict=True):
        seen = data["velocity"].values - (track.slope * DAYS_PER_YEAR).astype(np.float32)
        sums.add(seen[:, None].astype(np.float32), track, inside, ONE_DATE)
    attrs = shared_attributes(motions, ONE_DATE, sight, chosen)
    for name in (*OF_SERIES, "reference_date"):
        attrs.pop(name, None)
    attrs |= {"reference_date": str(motions[0].attrs["reference_date"]), "sees_future": -1}
    return velocities_of(sums.solve(sight.reason == 0), sight, cells, motions[0]["crs"].variable, attrs)
