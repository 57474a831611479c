from pathlib import Path

import numpy as np
import pytest

from insar_dask.cube import CubeError
from insar_dask.tiles import Tile, catalogue, catalogue_table, tiles_over
from insar_dask.tiling.squares import Square


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


def test_a_tile_is_where_the_mapping_puts_it() -> None:
    square = Square.egms("E32N34", pixels=256, cells=64)
    assert Tile.named("E32N34").extent == square.extent


def test_neighbours_touch_and_see_each_other() -> None:
    tile = Tile.named("E32N34")
    west, south, east, north = tile.extent
    for direction, other in tile.neighbours().items():
        low_x, low_y, high_x, high_y = other.extent
        assert low_x <= east and high_x >= west and low_y <= north and high_y >= south, direction
        assert tile in other.neighbours().values()
    assert len(set(tile.neighbours().values())) == 8
    assert tile.neighbours()["south-west"].name == "E31N33"


def test_the_corner_of_the_grid_has_three_neighbours() -> None:
    assert sorted(tile.name for tile in Tile(0, 0).neighbours().values()) == ["E00N01", "E01N00", "E01N01"]


def test_a_box_is_covered_by_the_tiles_that_share_area_with_it() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        west, south = rng.uniform(0, 5e6, 2)
        east, north = west + rng.uniform(1, 3e5), south + rng.uniform(1, 3e5)
        inside = {
            (int(x // 1e5), int(y // 1e5))
            for x in np.linspace(west, east, 60)[1:-1]
            for y in np.linspace(south, north, 60)[1:-1]
        }
        found = [(tile.east, tile.north) for tile in tiles_over((west, south, east, north))]
        assert inside <= set(found) and len(found) == len(set(found))
        for right, up in found:
            assert right * 1e5 < east and (right + 1) * 1e5 > west and up * 1e5 < north and (up + 1) * 1e5 > south


def test_edges_alone_are_no_share() -> None:
    assert [tile.name for tile in tiles_over(Tile.named("E32N34").extent)] == ["E32N34"]


@pytest.mark.parametrize("extent", [(0, 0, 0, 5), (5, 0, 0, 5), (-1, 0, 5, 5), (float("nan"), 0, 5, 5)])
def test_a_box_without_area_is_refused(extent: tuple[float, float, float, float]) -> None:
    with pytest.raises(CubeError, match="no box"):
        tiles_over(extent)


def test_what_is_no_tile_is_refused() -> None:
    with pytest.raises(CubeError, match="'E32' is no tile"):
        Tile.named("E32")


def test_a_catalogue_has_places_releases_and_neighbours(tmp_path: Path) -> None:
    touched(
        tmp_path,
        "EGMS_L3_E32N34_100km_U_2020_2024_1.zip",
        "EGMS_L3_E32N34_100km_E_2020_2024_1.zip",
        "EGMS_L3_E32N35_100km_U.zip",
        "EGMS_L2b_022_0845_IW2_VV_2019_2023_1.zip",
        "notes.txt",
    )
    entries = catalogue(tmp_path)
    assert [(e.place, e.name.component, e.release) for e in entries] == [
        ("022_0845_IW2", "los", "2019-2023 v1"),
        ("E32N34", "east", "2020-2024 v1"),
        ("E32N34", "up", "2020-2024 v1"),
        ("E32N35", "up", "unnamed"),
    ]
    lines = catalogue_table(entries).splitlines()
    assert lines[2].split()[-3:] == ["3,200,", "3,400", "1"]
    assert lines[-1] == "4 products of 3 places"


def test_one_product_twice_is_refused(tmp_path: Path) -> None:
    for suffix in ("zip", "csv"):
        touched(tmp_path, f"EGMS_L3_E32N35_100km_U.{suffix}")
    with pytest.raises(CubeError, match="one product"):
        catalogue(tmp_path)


def test_a_file_without_a_name_of_egms_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CubeError, match="no EGMS name"):
        catalogue(touched(tmp_path, "site.csv") / "site.csv")
