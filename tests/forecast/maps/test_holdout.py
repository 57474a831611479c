"""Tiles kept from training: names, overlaps and borders."""

import numpy as np
import pytest

from insar_dask.cube import CubeError
from insar_dask.forecast.maps.holdout import hold_out
from insar_dask.forecast.maps.map_material import honest_material
from tests.forecast.maps.toy_tiles import CELL, toy_tiles

SIDE = 8 * CELL


def material(*corners):
    names = tuple(f"E{30 + i}N30" for i in range(len(corners)))
    return honest_material(toy_tiles(names, corners=list(corners)))


def test_a_tile_is_on_one_side_only():
    with pytest.raises(CubeError, match="E30N30 is both learned from and held out"):
        hold_out(material((0, 0), (SIDE, 0)), ["E30N30"], ["E30N30", "E31N30"])


def test_overlapping_tiles_are_on_one_side():
    with pytest.raises(CubeError, match="E31N30 is held out and overlaps E30N30"):
        hold_out(material((0, 0), (SIDE - 3 * CELL, 0)), ["E30N30"])


def test_a_name_has_to_be_known():
    with pytest.raises(ValueError, match="no tile is called 'E99N99'; there are E30N30"):
        hold_out(material((0, 0)), ["E99N99"])
    with pytest.raises(ValueError, match="no tile is named to learn from"):
        hold_out(material((0, 0)), [])


def test_cells_near_a_tile_of_training_do_not_count():
    made = material((0, 0), (SIDE, 0), (SIDE, SIDE))
    held = hold_out(made, ["E30N30"], buffer=2 * CELL)
    assert held.counted(made, 0).all()
    beside = held.counted(made, 1)
    np.testing.assert_array_equal(beside, np.broadcast_to(np.arange(8) >= 2, (8, 8)))
    corner = held.counted(made, 2)  # touches at its south-western corner: row 7, column 0
    assert not corner[7, 0] and not corner[6, 0] and corner[5, 0] and corner[7, 2] and corner[:5].all()
