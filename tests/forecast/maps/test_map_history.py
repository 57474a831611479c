"""Fits at any origin from running sums, against those of the kernels on the cut series."""

import numpy as np
import pytest

import insar_kernels
from insar_dask.cube import CubeError
from insar_dask.forecast.maps.map_history import LEAST_DATES, MapHistory, history_bytes
from insar_dask.forecast.naive import harmonic_design
from insar_dask.forecast.timetable import TooShortError

YEARS = np.arange(150) * 6 / 365


def maps(seed=0):
    rng = np.random.default_rng(seed)
    trend = rng.normal(0, 8, (5, 7)) * YEARS[:, None, None]
    wave = rng.normal(0, 4, (5, 7)) * np.cos(2 * np.pi * YEARS[:, None, None] - rng.uniform(0, 6, (5, 7)))
    return (trend + wave + rng.normal(0, 2, (150, 5, 7))).astype(np.float32)


@pytest.mark.parametrize("origin", [70, 112, 128, 149, 150])
def test_statics_are_those_of_motion_on_the_cut_series(origin):
    drawn = maps()
    cut = np.ascontiguousarray(np.moveaxis(drawn[:origin], 0, -1))
    motion = insar_kernels.motion(cut, YEARS[:origin])
    expected = np.stack([motion.velocity, motion.acceleration, motion.seasonality])
    np.testing.assert_allclose(MapHistory(drawn, YEARS).statics(origin), expected, rtol=2e-4, atol=2e-4)


def test_harmonic_is_the_least_squares_fit_continued():
    drawn, origin = maps(1), 101
    design = harmonic_design(YEARS)
    flat = drawn.reshape(150, -1).astype(np.float64)
    expected = design[101:111] @ np.linalg.lstsq(design[:origin], flat[:origin], rcond=None)[0]
    found = MapHistory(drawn, YEARS).harmonic(origin, slice(101, 111))
    np.testing.assert_allclose(found.reshape(10, -1), expected, atol=1e-4)


def test_spread_is_what_the_harmonic_leaves():
    drawn, origin = maps(4), 120
    history = MapHistory(drawn, YEARS)
    left = drawn[:origin] - history.harmonic(origin, slice(0, origin))
    np.testing.assert_allclose(history.spread(origin), np.sqrt((left**2).mean(axis=0)), rtol=1e-4)


def test_a_missing_map_is_left_out():
    drawn, origin = maps(2), 90
    drawn[[3, 40, 85]] = np.nan
    given = np.isfinite(drawn[:origin, 0, 0])
    motion = insar_kernels.motion(np.ascontiguousarray(np.moveaxis(drawn[:origin][given], 0, -1)), YEARS[:90][given])
    np.testing.assert_allclose(MapHistory(drawn, YEARS).statics(origin)[0], motion.velocity, rtol=2e-4, atol=2e-4)


def test_nothing_after_the_origin_changes_a_bit():
    drawn, origin = maps(3), 77
    blind = drawn.copy()
    blind[origin:] = 1e4
    ours, theirs = MapHistory(drawn, YEARS), MapHistory(blind, YEARS)
    np.testing.assert_array_equal(ours.statics(origin), theirs.statics(origin))
    np.testing.assert_array_equal(ours.spread(origin), theirs.spread(origin))
    np.testing.assert_array_equal(ours.harmonic(origin, slice(60, 90)), theirs.harmonic(origin, slice(60, 90)))


def test_a_map_missing_in_part_is_refused():
    drawn = maps()
    drawn[9, 2, 3] = np.nan
    with pytest.raises(CubeError, match="map 9 lacks 1 of its 35 cells"):
        MapHistory(drawn, YEARS)


def test_too_few_maps_are_refused():
    with pytest.raises(TooShortError, match=f"11 maps lie before date 11; a fit takes {LEAST_DATES}"):
        MapHistory(maps(), YEARS).statics(11)


def test_sums_take_what_was_predicted():
    history = MapHistory(maps(), YEARS)
    history.spread(150)
    assert sum(sums.nbytes for sums in history._kept) == history_bytes(150, 5 * 7)
