import numpy as np
import pytest
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.zeros import above_earliest, begin_later, of_common_zero, zero_days


def points(zero: list[int] | None, n: int = 4) -> xr.Dataset:
    made = xr.Dataset(coords={"easting": ("point", np.arange(float(n)))})
    return made if zero is None else made.assign(zero_day=("point", np.array(zero, np.int32)))


def test_zeros_are_found_where_series_that_move_alike_begin_after_one_another() -> None:
    chance = np.random.default_rng(0)
    moved = np.cumsum(chance.normal(0, 3, 40))
    starts, ends = np.array([0, 12, 30, 12, 6, 0]), np.array([20, 38, 40, 11, 40, 30])  # the fourth has no value
    series = np.full((6, 40), np.nan)
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        series[row, start:end] = moved[start:end] - moved[start]
    series[:, 15] = np.nan
    found = above_earliest(series, np.array([0, 12, 30, -1, 6, 0]))
    known = [0, 1, 2, 4, 5]
    np.testing.assert_allclose(found[known, 0], (moved[0] - moved[starts])[known], atol=1e-9)
    assert (found[[0, 5]] == 0).all()


def test_series_that_share_no_date_with_earlier_ones_have_no_zero_of_theirs() -> None:
    series = np.array([[0.0, 1, 2, np.nan, np.nan, np.nan], [np.nan, np.nan, np.nan, 0, 5, 6], [np.nan, 0, 1, 2, 7, 8]])
    np.testing.assert_array_equal(above_earliest(series[:2], np.array([0, 18])), [[0], [np.nan]])
    np.testing.assert_allclose(above_earliest(series, np.array([0, 18, 6]))[:, 0], [0, -3, -1])


def test_cubes_of_one_zero_stay_as_they_are() -> None:
    series = np.random.default_rng(1).normal(0, 1, (4, 9))
    for cube in (points(None), points([0] * 4), points([0, 0, -1, 0])):
        assert (above_earliest(series, zero_days(cube)) == 0).all() and not begin_later(cube).any()
        assert of_common_zero(cube) == (cube, 0)
    assert (above_earliest(series, np.full(4, 24)) == 0).all()  # one zero, though a later one


def test_points_that_begin_later_are_left_out_and_counted() -> None:
    kept, n_left_out = of_common_zero(points([0, 24, -1, 12]))
    assert kept["easting"].values.tolist() == [0, 2] and n_left_out == 2
    with pytest.raises(CubeError, match=r"all 2 points have no value at the first date .* fill='model'"):
        of_common_zero(points([12, 24], 2))
