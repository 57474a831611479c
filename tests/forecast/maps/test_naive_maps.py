"""Naive maps are the naive forecasts of their cells."""

import numpy as np

from insar_dask.forecast.maps.map_material import honest_material, paper_material
from insar_dask.forecast.maps.naive_maps import NAIVE, naive_maps
from tests.forecast.maps.toy_tiles import toy_tiles

TILES = toy_tiles()


def test_persistence_and_harmonic_are_those_of_each_cell():
    material, origin = honest_material(TILES), 200
    made = {name: forecast(1, [origin])[0] for name, forecast in naive_maps(material, [0], NAIVE[:2])}
    ever = TILES["mask"].values[1].any(axis=0)
    last = np.where(ever, TILES["displacement"].values[1, origin - 1], np.nan)
    for lead in (0, 9):
        np.testing.assert_array_equal(made["persistence"][lead], last)
    fitted = material.history(1).harmonic(origin, slice(origin, origin + 10))
    np.testing.assert_allclose(made["harmonic"], np.where(ever, fitted, np.nan), atol=2e-3)


def test_averaged_maps_have_no_method_of_raw_dates():
    assert [name for name, _ in naive_maps(paper_material(TILES), [0])] == list(NAIVE[:3])


def test_naive_maps_do_not_change_with_the_future():
    origin = int(honest_material(TILES).origins("test")[0])
    moved = TILES.copy(deep=True)
    moved["displacement"][:, origin:] -= 1e4
    pair = [list(naive_maps(honest_material(tiles), [0], NAIVE[:4])) for tiles in (TILES, moved)]
    for (name, ours), (_, theirs) in zip(*pair, strict=True):
        np.testing.assert_array_equal(ours(1, [origin]), theirs(1, [origin]), err_msg=name)
