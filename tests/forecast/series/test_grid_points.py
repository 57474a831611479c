"""Uneven dates on even ones; oracle: a look-up by date, and the honest windows of the evaluation."""

import numpy as np
import xarray as xr

from insar_dask.forecast.protocol import plan
from insar_dask.forecast.series.grid_points import GridPoints
from insar_dask.forecast.series.point_source import ArrayPoints, CubePoints
from insar_dask.forecast.windows import HonestWindows


def test_a_date_of_the_grid_has_the_value_of_its_acquisition_or_none(burst: xr.Dataset) -> None:
    observed = np.arange(210) % 9 != 4
    source = CubePoints(burst.assign(observed=("time", observed)))
    grid = GridPoints.of(source, 12)
    values = grid.read(100, 160).values
    assert (np.diff(grid.days) == 12).all()
    at = {day: column for column, day in enumerate(source.days.tolist()) if observed[column]}
    for column, day in enumerate(grid.days.tolist()):
        assert grid.observed[column] == (day in at)
        wanted = source.read(100, 160).values[:, at[day]] if day in at else np.full(60, np.nan)
        np.testing.assert_array_equal(values[:, column], wanted)
    assert 0.5 < grid.observed.mean() < 1


def test_the_grid_is_that_of_the_evaluation(burst: xr.Dataset) -> None:
    schedule = plan(burst["time"].values, every="12D")
    grid = GridPoints(CubePoints(burst), schedule.starts[0], 12)
    windows = HonestWindows(burst["displacement"].values, schedule)
    np.testing.assert_array_equal(grid.read(0, 600).values, windows.grid(0))


def test_the_phase_is_chosen_from_what_comes_before(burst: xr.Dataset) -> None:
    source = CubePoints(burst)
    early = source.days < source.days[0] + 0.6 * (source.days[-1] - source.days[0])
    known = ArrayPoints.of(burst["displacement"].values[:, early], np.zeros((600, 2)), burst["time"].values[early])
    until = int(source.days[early][-1]) + 1
    assert GridPoints.of(source, 12).start == GridPoints.of(known, 12, until=until).start
