import tracemalloc

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_closing, binary_fill_holes, generic_filter, label

from insar_dask.cube import CubeError
from insar_dask.detect.areas import Areas
from insar_dask.detect.comparing import agreement
from insar_dask.detect.finding import find_areas
from insar_dask.detect.labelling import Cells, Runs, join_tiles_of_runs, runs_of, tiles_of, whole_objects
from insar_dask.detect.rules import Rule
from insar_dask.detect.windows import closed, median_of_nine
from insar_dask.synthetic.slumps import slump_scene
from tests.detect.conftest import GRID

EIGHT = np.ones((3, 3), bool)


def test_slumps_are_found_where_the_published_rule_finds_half(scenes: list[xr.Dataset]) -> None:
    """Means of six scenes, and of three of them for what ours is compared with; the bars are those of a prototype."""
    table = {}
    rules = (
        ("ours", Rule(), scenes),
        ("paper", Rule("paper"), scenes[:3]),
        ("any motion", Rule(season=None), scenes[:3]),
    )
    for name, rule, some in rules:
        rows = [agreement(find_areas(maps, rule), maps.true_area.values, maps) for maps in some]
        table[name] = np.mean(rows, axis=0)
    recall, precision, overlap, _ = table["ours"]
    assert recall >= 0.85 and precision >= 0.97 and overlap >= 0.70
    _, precision, overlap, _ = table["any motion"]
    assert precision >= 0.93 and overlap >= 0.53
    assert table["paper"][0] < recall - 0.2 and table["paper"][2] < 0.5


def test_slumps_without_a_season_are_found_by_their_motion() -> None:
    rows = []
    for seed in range(2):
        maps = slump_scene(seed, season=False)
        rows.append(agreement(find_areas(maps, season=None), maps.true_area.values, maps))
        assert len(find_areas(maps)) < 10  # nothing thaws there
    recall, precision, overlap, _ = np.mean(rows, axis=0)
    assert recall >= 0.8 and precision >= 0.93 and overlap >= 0.53


@pytest.fixture(scope="module")
def whole(scenes: list[xr.Dataset]) -> Areas:
    return find_areas(scenes[0])


@pytest.mark.parametrize("tile", [64, 100, 256])
def test_tiles_change_nothing(tile: int, whole: Areas, scenes: list[xr.Dataset]) -> None:
    same(whole, find_areas(scenes[0], tile=tile))


def same(one: Areas, other: Areas) -> None:
    assert len(one) == len(other) > 0
    assert all(a == b for a, b in zip(one.geometry, other.geometry, strict=True))
    assert one.attrs == other.attrs and one.columns.keys() == other.columns.keys()
    for name in one.columns:
        np.testing.assert_array_equal(one[name], other[name])


@settings(max_examples=30)
@given(arrays(bool, (23, 19)), st.integers(1, 23))
def test_objects_of_tiles_are_those_of_the_whole(mask: np.ndarray, side: int) -> None:
    seed = mask & (np.arange(mask.size).reshape(mask.shape) % 7 == 0)
    parts = [runs_of(mask[tile], seed[tile], tile[0].start, tile[1].start) for tile in tiles_of(mask.shape, side)]
    found = join_tiles_of_runs(parts[::-1])
    labels, _ = label(mask, EIGHT)
    wanted = [number for number in np.unique(labels[labels > 0]) if seed[labels == number].any()]
    got = []
    for runs in found:
        cells = [(r, c) for r, a, b in zip(runs.row, runs.start, runs.stop, strict=True) for c in range(a, b)]
        got.append({(int(r), int(c)) for r, c in cells})
    assert got == [set(map(tuple, np.argwhere(labels == number).tolist())) for number in wanted]


def test_holes_are_filled_and_what_lies_in_them_belongs_to_the_ring() -> None:
    ring = np.zeros((9, 9), bool)
    ring[1:8, 1:8] = True
    ring[2:7, 2:7] = False
    ring[4, 4] = True
    objects = whole_objects(join_tiles_of_runs([runs_of(ring, ring, 0, 0)]), 1)
    assert [len(cells.row) for cells in objects] == [49]
    assert whole_objects(join_tiles_of_runs([runs_of(ring, ring, 0, 0)]), 50) == []


def whole_of(mask: np.ndarray, side: int) -> list[Runs]:
    parts = [runs_of(mask[tile], mask[tile], tile[0].start, tile[1].start) for tile in tiles_of(mask.shape, side)]
    return join_tiles_of_runs(parts)


@settings(max_examples=30)
@given(arrays(bool, (2, 17, 15)), st.integers(1, 17), st.sampled_from([0.0, 0.3]), st.integers(1, 4))
def test_whole_objects_are_those_of_scipy(masks: np.ndarray, side: int, more: float, fewest: int) -> None:
    """Of two ways: their objects share cells, and the largest of those that do stays."""
    masks |= np.random.default_rng(side).random(masks.shape) < more
    wanted, taken = [], np.zeros(masks.shape[1:], bool)
    filled = [
        binary_fill_holes(labels == number)
        for labels, n in (label(mask, EIGHT) for mask in masks)
        for number in range(1, n + 1)
    ]
    for one in sorted(filled, key=lambda one: (-int(one.sum()), int(np.flatnonzero(one)[0]))):
        if one.sum() >= fewest and not (one & taken).any():
            wanted.append(np.argwhere(one).tolist())
        taken |= one
    found = whole_objects([runs for mask in masks for runs in whole_of(mask, side)], fewest)
    assert [np.stack(cells, axis=1).tolist() for cells in found] == sorted(wanted)


def test_a_thin_object_takes_no_memory_for_its_box() -> None:
    """Two lines that meet in a corner, 8,000 cells long: their box has 64 million."""
    n = 8000
    row, ones = np.arange(n + 1), np.ones(n + 1, np.int64)
    start, stop = np.zeros(n + 1, np.int64), np.where(row < n, 1, n)
    tracemalloc.start()
    (cells,) = whole_objects([Runs(row, start, stop, ones, ones.astype(bool))], 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(cells.row) == 2 * n and peak < 10e6


@settings(max_examples=30)
@given(arrays(np.float64, (7, 8), elements=st.one_of(st.floats(-20, 20), st.just(np.nan))))
def test_windows_are_those_of_scipy(values: np.ndarray) -> None:
    def median(cells: np.ndarray) -> float:
        valid = cells[np.isfinite(cells)]
        return float(np.median(valid)) if valid.size >= 3 else np.nan

    wanted = generic_filter(values, median, 3, mode="constant", cval=np.nan)
    np.testing.assert_allclose(median_of_nine(values), wanted)
    mask = values > 0
    wide = binary_closing(np.pad(mask, 3), EIGHT)[3:-3, 3:-3]
    np.testing.assert_array_equal(closed(mask), wide)


def test_outlines_are_the_cells_own(whole: Areas) -> None:
    areas = whole
    assert all(outline.is_valid for outline in areas.geometry)
    np.testing.assert_allclose(areas["area_m2"], areas["n_cells"] * 1600.0)
    assert not any(one.overlaps(other) for one, other in zip(areas.geometry, areas.geometry[1:], strict=False))
    corner = GRID.outline(Cells(np.array([0, 1]), np.array([0, 1])))
    assert corner.is_valid and corner.geom_type == "MultiPolygon" and corner.area == 2 * 1600.0


def test_cards_tell_what_was_drawn(whole: Areas, scenes: list[xr.Dataset]) -> None:
    maps, areas = scenes[0], whole
    known, truth = maps.true_area.values, maps.true_velocity.values
    errors = []
    for k, (row, column) in enumerate(zip(areas["row"], areas["col"], strict=True)):
        number = known[row, column]
        if number:
            errors.append((areas["velocity_mean"][k] - truth[known == number].mean()) / areas["velocity_std"][k])
        assert areas["votes"][k].startswith("moving ")
    assert len(errors) > 60 and abs(np.median(errors)) < 1.5
    assert (np.abs(areas["velocity_extreme"]) >= np.abs(areas["velocity_median"])).all()
    assert (areas["share_over_10"] >= areas["share_over_20"]).all()
    assert (areas["n_points"] == areas["n_valid"]).all() and (areas["nearest_m"] > 0).all()
    phase = areas["phase_day"]
    assert np.median(np.abs((phase - 67 + 182.5) % 365 - 182.5)) < 15


def test_other_signs_are_asked_for(whole: Areas, scenes: list[xr.Dataset]) -> None:
    maps = scenes[0]
    risen = find_areas(maps, season=None, sign="towards")
    assert 1 <= len(risen) <= 4 and (risen["velocity_mean"] > 5).all()
    turned = maps.assign(velocity=-maps.velocity)
    flipped = find_areas(turned, sign="towards")
    np.testing.assert_array_equal(flipped["area_m2"], whole["area_m2"])
    assert len(find_areas(maps, season=None, sign="both")) > len(whole)


def test_what_rises_is_no_part_of_what_falls_beside_it() -> None:
    velocity = np.zeros((20, 20), np.float32)
    velocity[5:15, 4:10], velocity[5:15, 10:16] = -20, 20
    coords = {"y": 990 - 10.0 * np.arange(20), "x": 5 + 10.0 * np.arange(20), "crs": ((), 0, {"crs_wkt": "LOCAL"})}
    maps = xr.Dataset({"velocity": (("y", "x"), velocity)}, coords, {"cell": 10.0})
    found = find_areas(maps, season=None, sigmas=0, sign="both")
    assert sorted(np.sign(found["velocity_median"]).tolist()) == [-1, 1]
    assert found.geometry[0].intersection(found.geometry[1]).area == 0


def test_rules_that_need_what_is_not_there_say_so(scenes: list[xr.Dataset]) -> None:
    maps = scenes[0]
    with pytest.raises(CubeError, match="the rule asks for 'seasonality'"):
        find_areas(maps.drop_vars("seasonality"))
    with pytest.raises(CubeError, match="no cell slower than 5 mm/yr has a season"):
        find_areas(maps.assign(seasonality=maps.seasonality.where(maps.velocity < -5)))
    with pytest.raises(CubeError, match="the rule asks for 'velocity_std'"):
        find_areas(maps.drop_vars("velocity_std"))
    with pytest.raises(CubeError, match="make maps with area_maps"):
        find_areas(maps.drop_vars("velocity"))
    with pytest.raises(CubeError, match="no squares in rows from north to south"):
        find_areas(maps.isel(y=slice(None, None, -1)))
    with pytest.raises(TypeError, match="say them there"):
        find_areas(maps, Rule(), season=None)
    with pytest.raises(ValueError, match="sign is 'down'"):
        find_areas(maps, sign="down")
    with pytest.raises(ValueError, match="body is 20 and seed 10"):
        Rule(body=20.0)


def test_still_ground_has_no_areas(scenes: list[xr.Dataset]) -> None:
    still = scenes[0].assign(velocity=scenes[0].velocity * 0)
    areas = find_areas(still)
    assert len(areas) == 0 and {"area_m2", "velocity_mean", "votes"} <= set(areas.columns)
    assert np.isnan(agreement(areas, still.true_area.values * 0, still)).all()
