import numpy as np
import pytest

from insar_dask.tiling.checking import extents, shared_ground
from insar_dask.tiling.squares import Square
from tests.forecast.maps.toy_tiles import toy_tiles


def test_centres_and_cells_agree() -> None:
    square = Square(4e6 / 3, 3e6 / 7, 1000 / 3, pixels=24, cells=8)
    centres = square.centres()
    np.testing.assert_array_equal(square.cell_of(*centres.T), square.groups())
    means = np.stack([np.bincount(square.groups(), axis) / 9 for axis in centres.T], axis=1)
    easting, northing = np.meshgrid(square.easting(8), square.northing(8))
    np.testing.assert_allclose(means, np.stack([easting.ravel(), northing.ravel()], axis=1))


@pytest.mark.parametrize("side", [1.0, 1 / 3, 99_999.7])
def test_all_four_edges_belong_to_it_but_not_what_lies_beyond(side: float) -> None:
    square = Square(4.1e6, 3.3e6, side, pixels=8, cells=4)
    west, south, east, north = square.extent
    middle = west + side / 2.01, south + side / 2.01
    assert square.cell_of([west, east, middle[0], middle[0]], [middle[1], middle[1], south, north]).tolist() == [
        8,
        11,
        13,
        1,
    ]
    off = side / 100
    beyond = square.cell_of(
        [west - off, east + off, middle[0], middle[0]], [middle[1]] * 2 + [south - off, north + off]
    )
    assert beyond.tolist() == [-1] * 4


def test_ground_that_was_learned_from_is_known_by_where_it_lies() -> None:
    tiles = toy_tiles(("E32N34", "E33N34", "E50N20"))
    (west, south, east, north), *_ = extents(tiles).values()
    learned = {"E32N34": (west, south, east, north), "ISLAND": (5_001_000.0, 2_001_000.0, 5_002_000.0, 2_002_000.0)}
    assert shared_ground(tiles, learned) == {
        "E32N34": "learned from",
        "E33N34": "never learned from",
        "E50N20": "shares ground with ISLAND, learned from",
    }
    beside = {"WEST": (west - (east - west), south, west, north)}
    assert set(shared_ground(tiles, beside).values()) == {"never learned from"}
