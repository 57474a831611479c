import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insar_dask.cube import CubeError
from insar_dask.report.gridding import display_grid, fit_grid, round_length
from insar_dask.report.maps import scale_bar_length


@given(st.floats(1e-3, 1e9))
def test_round_lengths_are_one_two_five_and_never_too_long(length):
    rounded = round_length(length)
    assert rounded <= length * (1 + 1e-9)
    assert rounded > length / 2.6
    assert float(f"{rounded:e}".split("e")[0]) in (1, 2, 5)


@given(st.floats(1, 1e7))
def test_scale_bar_takes_a_seventh_to_a_third_of_the_map(width):
    assert width / 8 < scale_bar_length(width) <= width / 3 * (1 + 1e-9)


def test_means_agree_with_a_loop_over_cells():
    rng = np.random.default_rng(0)
    x, y, values = rng.uniform(0, 500, 300), rng.uniform(0, 300, 300), rng.normal(size=300)
    values[::7] = np.nan
    grid = fit_grid(x, y, 50.0)
    mean, count = grid.mean(values), grid.count()
    assert count.sum() == 300
    for row in range(grid.rows):
        for column in range(grid.columns):
            west, north = grid.west + 50 * column, grid.north - 50 * row
            inside = (x >= west) & (x < west + 50) & (y < north) & (y >= north - 50)
            good = values[inside & np.isfinite(values)]
            assert count[row, column] == inside.sum()
            assert mean[row, column] == pytest.approx(good.mean()) if good.size else np.isnan(mean[row, column])


def test_the_first_row_is_the_north():
    grid = fit_grid(np.array([5.0, 5.0]), np.array([5.0, 95.0]), 10.0)
    assert grid.mean([1.0, 2.0])[0, 0] == 2.0
    assert grid.extent == (0.0, 10.0, 0.0, 100.0)


def test_a_regular_product_is_shown_on_its_own_cells(regular_cube):
    grid = display_grid(regular_cube["easting"].values, regular_cube["northing"].values)
    assert (grid.cell, grid.west, grid.north, grid.rows, grid.columns) == (100.0, 4_500_000.0, 1_700_900.0, 9, 12)
    assert grid.count().max() == 1


@pytest.mark.parametrize("n_points", [1, 2, 500, 200_000])
def test_display_cells_stay_within_what_a_screen_shows(n_points):
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 80_000, n_points).round(1), rng.uniform(0, 50_000, n_points).round(1)
    grid = display_grid(x, y)
    assert max(grid.rows, grid.columns) <= 730
    assert len(grid.index) == n_points


def test_a_raster_too_large_for_any_memory_is_refused_before_it_is_made() -> None:
    place = np.array([4.0e6, 4.9e6])
    tracemalloc.start()
    with pytest.raises(CubeError, match=r"9,001 x 9,001 = 81,018,001 cells") as refused:
        fit_grid(place, place, 100.0)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()
    resolution = float(re.search(r"resolution=(\d+)", str(refused.value))[1])
    assert fit_grid(place, place, resolution).count().sum() == 2


def test_points_in_whole_metres_are_no_raster_of_a_metre():
    place = np.random.default_rng(2).uniform(0, 400, (2, 300))
    assert display_grid(*np.round(place)).cell == display_grid(*place).cell == 5.0
