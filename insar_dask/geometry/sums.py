"""Sums of looks of cells: made of blocks of points in any order, then solved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError, years_since
from insar_dask.geometry.dates import days_ahead, place_dates
from insar_dask.geometry.options import Options
from insar_dask.geometry.tracks import Track
from insar_kernels.look_solution import ANCHORS, Solution, solve_looks
from insar_kernels.look_sums import HOW, QUANTUM, TERMS, add_looks

__all__ = ["LookSums"]

Times = npt.NDArray[np.datetime64]

MOST = 2.0**62 * QUANTUM
"""What a sum may come to."""


@dataclass(frozen=True)
class LookSums:
    """Sums of cells and dates in whole numbers (see `insar_kernels.look_sums`), which add in any order."""

    values: npt.NDArray[np.int64]
    """(n_cells, T, 5)"""
    dates: Times
    options: Options

    @classmethod
    def empty(cls, n_cells: int, dates: Times, options: Options) -> LookSums:
        """Of no points."""
        return cls(np.zeros((n_cells, len(dates), len(TERMS)), np.int64), dates, options)

    def add(self, series: npt.NDArray[np.float32], track: Track, cells: npt.NDArray[np.int64], times: Times) -> None:
        """Add a block of points: ``series`` (n, A) [mm] at ``times``, in ``cells``.

        Raises
        ------
        CubeError
            For values that cannot be millimetres.
        """
        inside = np.flatnonzero(cells >= 0)
        if not inside.size:
            return
        series, track = np.ascontiguousarray(series[inside]), track.part(inside)
        largest = np.fmax.reduce(np.abs(series), axis=None, initial=1.0)
        crowd = np.bincount(cells[inside]).max()
        if not float(largest) * track.weight.max() * crowd < MOST / 16:
            raise CubeError(
                f"a displacement is {largest:g} mm (the largest weight {track.weight.max():g}): set to NaN what was "
                "not measured, as in cube.assign(displacement=cube.displacement.where(abs(cube.displacement) < 1e6))"
            )
        placed, options = place_dates(times, self.dates), self.options
        add_looks(
            self.values, series, cells[inside], track.look[:, 0].copy(), track.look[:, 2].copy(), track.weight,
            track.slope, placed, HOW.index(options.how), options.max_distance,
            days_ahead(placed, options.how, options.max_distance),
        )  # fmt: skip

    def solve(self, usable: npt.NDArray[np.bool_]) -> Solution:
        """East and up of the cells that are usable."""
        options = self.options
        anchor = ANCHORS.index(options.anchor)
        return solve_looks(self.values, usable, years_since(self.dates), options.max_condition, anchor)
