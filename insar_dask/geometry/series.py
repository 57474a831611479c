"""Series of ascending and descending tracks to series of east and up on square cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import check_cube
from insar_dask.geometry.cells import Cells, Sight, count_later, find_cells, in_cells, sights
from insar_dask.geometry.checking import check_cells, check_cubes, check_ways
from insar_dask.geometry.cubes import EastUp, cubes_of, shared_attributes
from insar_dask.geometry.dates import common_dates
from insar_dask.geometry.options import Options
from insar_dask.geometry.sums import LookSums
from insar_dask.geometry.tracks import Track

__all__ = ["Meeting", "east_up"]

BLOCK = 1 << 14
"""Points read at a time of a cube in memory: 14 MB of series."""


def east_up(cubes: Sequence[xr.Dataset], **options: Any) -> EastUp:
    """East and up of cells that hold points of ascending and of descending tracks.

    Of every cell and date the least-squares solution over all points of all tracks, with w = 1/sigma² or 1 and the
    components l of the unit vector to the satellite: (E, U) minimises the sum of w (y - l_e E - l_u U)². Its covariance
    is the inverse of the normal matrix. With the defaults this is the recipe of EGMS Level 3, whose printed series of
    Ustica it meets to 0.03 mm (RMS): each point's nearest acquisition, both where two are equally near, no motion
    to the north, series anchored by their cubic and annual model.

    Two tracks that fly nearly over the poles do not see the north. Without ``north`` the result is what it would be if
    the ground did not move to the north; ``up_per_north`` says what a millimetre that it does adds to up.

    Points that begin later than their record count displacement from dates of their own (``zero_day`` of
    `insar_dask.invert`), and what a cell's points say would jump where they come in: they are left out, and the
    attribute ``n_begin_later`` counts them. With method="nsbas" and fill="model" no point begins later.

    Parameters
    ----------
    cubes : sequence of xr.Dataset
        Point cubes of lines of sight, any number of tracks, in memory or lazy; pixels of rasters on different grids are
        points as any other. Their looks: `insar_dask.geometry.tracks.look_vectors`.
    cell : float
        Side of a cell [m], 100; edges are multiples of it.
    every : str
        Days between two dates, "6D".
    how : {"nearest", "linear", "previous"}
        A point's value at a date: that of its nearest acquisition, the mean of both where two are equally near (off by
        up to 6.7 mm from a line in gaps of 18 days and more); on the line between its neighbours; of the last one,
        which alone sees no future.
    anchor : {"model", "first", "none"}
        What is subtracted from each series: what its cubic and annual model has at the first date, its first value, or
        nothing.
    max_distance : float
        Days from an acquisition to a date that it may serve, 90. A point with gaps is not looked at later after a date
        than one without.
    north : float or str, optional
        Velocity to the north [mm/yr] that is taken off the lines of sight, or the variable over ``point`` that has it.
    sigma : str, optional
        Variable over ``point`` with the error of the displacement [mm], such as "egms_rmse_ts"; default: all points
        weigh the same, and errors are shares of a line of sight's.
    max_condition, min_angle : float
        A cell is NaN whose normal matrix has a condition number of 30 or more, or whose two ways of looking are less
        than 10 degrees apart; so is a date whose valid points have such a matrix.
    extent : (west, south, east, north), optional
        In the cubes' CRS: points outside do not count.
    one_track : {"drop", "nan"}
        Cells that are looked at from one side alone are left out, or kept without values.
    start, end : str, optional
        First date, and the day that none is after; default: the time that both ways cover.

    Returns
    -------
    EastUp
        Point cubes ``east`` and ``up`` in memory, cells along the Hilbert curve: ``displacement`` [mm],
        ``displacement_std`` and ``correlation`` over ``(point, time)``; over ``point`` ``n_ascending``,
        ``n_descending``, ``condition``, ``angle`` [degree], ``east_per_north``, ``up_per_north``, ``height`` [m] and
        ``reason``. ``sees_future`` is -1 with ``anchor="model"``, which is fitted to the whole series. Bit for bit the
        same for any order of tracks and points and any chunks.

    Raises
    ------
    CubeError
        For one track, tracks of one pass, different CRSs, no overlap in area or time, points without looks or weights;
        when all points that could meet begin later.
    ValueError
        For an option that is none.

    References
    ----------
    Wright, Parsons and Lu (2004), doi:10.1029/2003GL018827; EGMS Product Description v3 (2025).
    """
    meeting = Meeting.of(cubes, Options.of(options))
    sums = LookSums.empty(len(meeting.cells.keys), meeting.dates, meeting.options)
    for cube, track, members in zip(cubes, meeting.tracks, meeting.members, strict=True):
        for where in _blocks(cube):
            block = cube["displacement"].isel(point=where).values
            sums.add(block, track.part(where), members[where], cube["time"].values)
    solution = sums.solve(meeting.sight.reason == 0)
    crs = cubes[0]["crs"].variable
    return cubes_of(solution, meeting.sight, meeting.cells, meeting.dates, crs, meeting.attributes(cubes))


@dataclass(frozen=True)
class Meeting:
    """Where and when some tracks meet: all that follows from coordinates and dates, without the series."""

    tracks: Sequence[Track]
    members: Sequence[npt.NDArray[np.int64]]
    """Cell of each point of each track, -1 for none."""
    cells: Cells
    sight: Sight
    dates: npt.NDArray[np.datetime64]
    options: Options
    n_later: int
    """Points that are in no cell because they begin later than their record."""

    @classmethod
    def of(cls, cubes: Sequence[xr.Dataset], options: Options) -> Meeting:
        """That of some cubes; raises what `east_up` raises."""
        for cube in cubes:
            check_cube(cube)
        check_cubes(cubes)
        tracks = [Track.of(cube, options) for cube in cubes]
        ways = [track.is_ascending for track in tracks]
        check_ways(ways, cubes)
        dates = common_dates([cube["time"].values for cube in cubes], ways, options)
        cells = find_cells(tracks, options)
        n_later = sum(count_later(track, options) for track in tracks)
        check_cells(len(cells.keys), [track.box for track in tracks], cubes, n_later)
        members = [in_cells(track, cells, options) for track in tracks]
        sight = sights(tracks, members, len(cells.keys), options)
        return cls(tracks, members, cells, sight, dates, options, n_later)

    def attributes(self, cubes: Sequence[xr.Dataset]) -> dict[str, Any]:
        """Attributes of east and up."""
        return shared_attributes(cubes, self.dates, self.sight, self.options, self.n_later)


def _blocks(cube: xr.Dataset) -> Iterator[slice]:
    """Points of a cube as they are stored, or some thousands at a time."""
    chunks = cube["displacement"].chunks
    n_points = cube.sizes["point"]
    lengths = chunks[0] if chunks is not None else [BLOCK] * -(-n_points // BLOCK)
    start = 0
    for length in lengths:
        yield slice(start, min(start + length, n_points))
        start += length
