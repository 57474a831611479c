"""The same points from memory, from a lazy cube and from a store."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.forecast.series.grid_points import GridPoints
from insar_dask.forecast.series.point_source import ArrayPoints, CubePoints, Source
from insar_dask.forecast.series.splits import split_by_length
from insar_dask.forecast.series.stored_points import StoredPoints
from insar_dask.forecast.series.windows import SeriesWindows
from insar_dask.store import products


@pytest.fixture(scope="module")
def cube(site: StoredPoints) -> xr.Dataset:
    """The stored cube in memory."""
    return insar.open_cube(site.path).compute()


@pytest.fixture(scope="module")
def sources(site: StoredPoints, cube: xr.Dataset) -> dict[str, Source]:
    return {"memory": CubePoints(cube), "lazy": CubePoints(insar.open_cube(site.path)), "zarr": site}


@pytest.mark.parametrize("other", ["lazy", "zarr"])
def test_points_are_the_same_wherever_they_lie(sources: dict[str, Source], other: str) -> None:
    one, two = sources["memory"], sources[other]
    assert one.n_points == two.n_points == 2600
    np.testing.assert_array_equal(one.days, two.days)
    np.testing.assert_array_equal(one.observed, two.observed)
    assert not one.observed.all()
    for run in ((0, 2600), (1000, 1100), (2599, 2600)):
        left, right = one.read(*run), two.read(*run)
        for name in ("values", "places", "patterns"):
            np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
        np.testing.assert_array_equal(two.patterns(*run), right.patterns)


@pytest.mark.parametrize("other", ["lazy", "zarr"])
def test_windows_are_the_same_wherever_their_points_lie(sources: dict[str, Source], other: str) -> None:
    pair = [GridPoints.of(sources[name], 12) for name in ("memory", other)]
    split = split_by_length(len(pair[0].days))
    pair = [SeriesWindows(source, split, context=12, horizon=2, resident=1024, validation_points=64) for source in pair]
    for step in (0, 1, 100):
        one, two = (windows.batch(step) for windows in pair)
        assert all((one[name] == two[name]).all() for name in one)


def test_series_that_are_no_tenths_are_read_as_they_are(cube: xr.Dataset, tmp_path: Path) -> None:
    displacement = cube["displacement"].copy(data=cube["displacement"].values / np.float32(3))
    displacement.encoding.clear()
    smooth = cube.assign(displacement=displacement).isel(point=slice(0, 200))
    insar.save(smooth, tmp_path / "thirds.zarr")
    source = StoredPoints(str(tmp_path / "thirds.zarr"), f"{products(tmp_path / 'thirds.zarr')[0]}/raw")
    np.testing.assert_array_equal(source.read(0, 200).values, smooth["displacement"].values)
    assert (source.patterns(0, 5) == -1).all()


def test_taken_points_are_those_of_the_source(sources: dict[str, Source]) -> None:
    chosen = np.array([0, 5, 1023, 1024, 1500, 2599])
    taken = ArrayPoints.taken(sources["zarr"], chosen)
    whole = sources["memory"].read(0, 2600).take(chosen)
    np.testing.assert_array_equal(taken.points.values, whole.values)
    np.testing.assert_array_equal(taken.points.places, whole.places)
    np.testing.assert_array_equal(taken.points.patterns, whole.patterns)
    with pytest.raises(CubeError, match="no point was chosen"):
        ArrayPoints.taken(sources["memory"], np.array([], np.int64))


def test_other_variables_are_series_too(cube: xr.Dataset) -> None:
    trended = cube.assign(trend=cube["displacement"] * 2).drop_vars("cluster")
    points = CubePoints(trended, "trend").read(10, 12)
    np.testing.assert_array_equal(points.values, 2 * cube["displacement"].values[10:12])
    assert (points.patterns == -1).all()


def test_errors_name_what_is_lacking(cube: xr.Dataset, site: StoredPoints) -> None:
    with pytest.raises(CubeError, match=r"wanted 'season' over \('point', 'time'\)"):
        CubePoints(cube, "season")
    with pytest.raises(CubeError, match=r"lacks \['season'\]"):
        assert StoredPoints(site.path, site.group, "season").n_points
    with pytest.raises(CubeError, match="has no pattern for each of 2600 points"):
        assert StoredPoints(site.path, site.group, labels=site.group.rpartition("/")[0]).n_points
