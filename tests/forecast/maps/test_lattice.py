"""Tiles as points and back."""

import numpy as np
import pytest

from insar_dask.cube import CubeError, check_cube
from insar_dask.forecast.maps.lattice import as_points, as_tiles, cells_at, is_tiled
from insar_dask.forecast.walk import Walk
from tests.forecast.maps.toy_tiles import toy_tiles

TILES = toy_tiles(("E30N30", "E31N30", "E50N20"), side=6, n_dates=30)


def test_every_tile_is_a_block_of_its_own():
    points = as_points(TILES)
    check_cube(points)
    assert is_tiled(TILES) and not is_tiled(points)
    walk = Walk(points, 65_536)
    assert walk.sorted and len(walk) == 3
    assert sorted(np.unique(block["tile"].values).item() for block in walk) == ["E30N30", "E31N30", "E50N20"]


def test_cells_know_where_they_lie():
    for block in Walk(as_points(TILES), 65_536):
        row, col = cells_at(np.stack([block["easting"].values, block["northing"].values], axis=1), 6)
        np.testing.assert_array_equal(row, block["row"].values)
        np.testing.assert_array_equal(col, block["col"].values)
        tile = TILES["tile"].values.tolist().index(block["tile"].values[0])
        expected = np.where(TILES["mask"], TILES["displacement"], np.nan)[tile][:, row, col].T
        np.testing.assert_array_equal(block["displacement"].values, expected)


def test_what_was_made_of_points_comes_back_as_maps():
    made = as_points(TILES).load().isel(point=slice(None, None, -1))
    back = as_tiles(made, TILES)
    expected = TILES["displacement"].where(TILES["mask"])
    np.testing.assert_array_equal(back["displacement"].transpose(*expected.dims).values, expected.values)
    assert list(back["tile"].values) == ["E30N30", "E31N30", "E50N20"]


def test_maps_have_to_be_square():
    with pytest.raises(CubeError, match="maps have 6 rows and 5 columns; wanted squares"):
        as_points(TILES.isel(x=slice(0, 5)))
    with pytest.raises(CubeError, match=r"wanted 'mask' over .* came no 'mask'"):
        as_points(TILES.drop_vars("mask"))
