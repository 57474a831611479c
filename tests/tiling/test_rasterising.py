"""Against SciPy's interpolators in float64, date by date: linear between the points that are there, else nearest."""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import xarray as xr
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
from scipy.spatial import QhullError

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.tiling.squares import Square

PIXELS, CELLS = 48, 12
SQUARE = Square(4e6, 3e6, 5000.0, PIXELS, CELLS)


def rasterised(cube: xr.Dataset, **more: Any) -> xr.Dataset:
    return insar.rasterise(cube, pixels=PIXELS, cells=CELLS, extent=SQUARE.extent, **more)


def by_scipy(cube: xr.Dataset) -> npt.NDArray[Any]:
    """(T, cells, cells) in float64."""
    middle = np.array([4.0025e6, 3.0025e6])
    places, pixels = np.stack([cube.easting, cube.northing], 1) - middle, SQUARE.centres() - middle
    maps = np.full((cube.sizes["time"], PIXELS * PIXELS), np.nan)
    for date, values in enumerate(cube["displacement"].values.T.astype(np.float64)):
        there = ~np.isnan(values)
        if not there.any():
            continue
        with contextlib.suppress(QhullError, ValueError):  # fewer than three points
            maps[date] = LinearNDInterpolator(places[there], values[there])(pixels)
        outside = np.isnan(maps[date])
        if outside.any():
            maps[date, outside] = NearestNDInterpolator(places[there], values[there])(pixels[outside])
    step = PIXELS // CELLS
    return maps.reshape(-1, CELLS, step, CELLS, step).mean(axis=(2, 4))


@pytest.mark.parametrize(("n_points", "missing"), [(600, 0.0), (600, 0.05), (600, 0.6), (40, 0.3), (3, 0.0)])
def test_maps_are_those_of_scipys_interpolators(
    n_points: int, missing: float, scattered: Callable[..., xr.Dataset]
) -> None:
    cube = scattered(n_points, missing=missing)
    tiles = rasterised(cube)
    assert tiles["displacement"].dims == ("tile", "time", "y", "x")
    assert tiles["displacement"].dtype == np.float32
    np.testing.assert_allclose(tiles["displacement"].values[0], by_scipy(cube), rtol=2e-7, atol=2e-6)


def test_points_that_begin_later_are_no_part_of_a_map(scattered: Callable[..., xr.Dataset]) -> None:
    cube = scattered(n_dates=20)
    late = np.random.default_rng(2).random(600) < 0.33
    sunk = np.repeat(-2.0 * np.arange(20, dtype=np.float32)[None], 600, axis=0)
    sunk[late] += 20
    sunk[late, :10] = np.nan
    zero = np.where(late, 60, 0).astype(np.int32)
    cube = cube.assign(displacement=cube.displacement.copy(data=sunk), zero_day=("point", zero))
    tiles = rasterised(cube)
    np.testing.assert_allclose(tiles["displacement"].values[0].std(axis=(1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(tiles["displacement"].values[0, :, 0, 0], -2.0 * np.arange(20), atol=1e-5)
    assert tiles.attrs["n_begin_later"] == late.sum()
    xr.testing.assert_identical(tiles.drop_attrs(), rasterised(cube.isel(point=~late)).drop_attrs())
    xr.testing.assert_identical(tiles, rasterised(cube.chunk(point=97)))
    other = rasterised(cube.isel(point=~late), tile="other").assign_coords(easting=tiles.easting + 1e5)
    assert insar.join_tiles([tiles, other]).attrs["n_begin_later"] == late.sum()
    with pytest.raises(CubeError, match=r"has 2 points \(198 more begin later .* fill='model'.*\); linear"):
        rasterised(cube.isel(point=np.concatenate([np.flatnonzero(late)[:198], np.flatnonzero(~late)[:2]])))
    with pytest.raises(CubeError, match="have no value at the first date"):
        rasterised(cube.isel(point=late))


def test_dates_with_few_points_or_none(scattered: Callable[..., xr.Dataset]) -> None:
    cube = scattered(n_dates=5)
    cube["displacement"].values[:, 0] = np.nan
    for date, n_left in ((1, 1), (2, 2), (3, 4)):
        cube["displacement"].values[n_left:, date] = np.nan
    tiles = rasterised(cube)
    assert tiles["displacement"][0, 0].isnull().all()
    assert not tiles["mask"][0, 0].any()
    np.testing.assert_allclose(tiles["displacement"].values[0], by_scipy(cube), rtol=2e-7, atol=2e-6)


def test_a_whole_quarter_may_be_missing_at_some_dates(scattered: Callable[..., xr.Dataset]) -> None:
    cube = scattered()
    gone = (cube.easting < 4.0025e6).values & (cube.northing > 3.0025e6).values
    cube["displacement"].values[np.ix_(gone, [1, 3, 4])] = np.nan
    tiles = rasterised(cube)
    np.testing.assert_allclose(tiles["displacement"].values[0], by_scipy(cube), rtol=2e-7, atol=2e-6)
    half = CELLS // 2
    assert not tiles["mask"].values[0, 1, :half, :half].any()
    assert tiles["mask"].values[0, 0, :half, :half].mean() > 0.9


def test_planes_are_exact_and_cells_lie_where_they_say(scattered: Callable[..., xr.Dataset]) -> None:
    cube = scattered(2000, n_dates=1)
    inner = slice(2, -2)
    plane = 0.002 * (cube.easting - 4e6) - 0.001 * (cube.northing - 3e6) + 3
    cube["displacement"].values[:, 0] = plane
    tiles = rasterised(cube).isel(tile=0, time=0, y=inner, x=inner)
    wanted = 0.002 * (tiles.easting - 4e6) - 0.001 * (tiles.northing - 3e6) + 3
    np.testing.assert_allclose(tiles["displacement"], wanted.transpose("y", "x"), atol=1e-5)
    assert (np.diff(tiles.northing) < 0).all()
    assert (np.diff(tiles.easting) > 0).all()


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_points_at_one_place_count_as_their_mean(missing: float, scattered: Callable[..., xr.Dataset]) -> None:
    cube, chance = scattered(500, missing=missing), np.random.default_rng(1)
    at = np.concatenate([np.arange(400), chance.integers(0, 300, 100)])
    places = {name: ("point", cube[name].values[at]) for name in ("easting", "northing")}
    means = cube.isel(point=slice(400)).copy(deep=True)
    together = pd.DataFrame(cube["displacement"].values.astype(np.float64)).groupby(at).mean()
    means["displacement"] = means["displacement"].astype(np.float64).copy(data=together.values)
    tiles = rasterised(cube.assign_coords(places))
    np.testing.assert_allclose(tiles["displacement"].values[0], by_scipy(means), rtol=2e-7, atol=2e-6)


def test_the_mask_is_where_points_with_values_lie(scattered: Callable[..., xr.Dataset]) -> None:
    cube = scattered(200, missing=0.5)
    mask = rasterised(cube)["mask"].values[0]
    for date, values in enumerate(cube["displacement"].values.T):
        there = ~np.isnan(values)
        edges = (np.linspace(3e6, 3.005e6, CELLS + 1), np.linspace(4e6, 4.005e6, CELLS + 1))
        count = np.histogram2d(cube.northing[there], cube.easting[there], edges)[0][::-1]
        np.testing.assert_array_equal(mask[date], count > 0)


@pytest.mark.parametrize("missing", [0.0, 0.05])
def test_chunks_do_not_matter(missing: float, scattered: Callable[..., xr.Dataset]) -> None:
    cube = scattered(missing=missing)
    xr.testing.assert_identical(rasterised(cube), rasterised(cube.chunk({"point": 97, "time": 4})))


def test_points_outside_the_tile_are_interpolated_from_but_not_marked(scattered: Callable[..., xr.Dataset]) -> None:
    cube = scattered(3000, n_dates=1)
    corner = (4.001e6, 3.001e6, 4.002e6, 3.002e6)
    tiles = insar.rasterise(cube, pixels=16, cells=16, extent=corner)
    inside = cube.isel(
        point=np.flatnonzero((abs(cube.easting - 4.0015e6) < 500) & (abs(cube.northing - 3.0015e6) < 500))
    )
    alone = insar.rasterise(inside, pixels=16, cells=16, extent=corner)
    np.testing.assert_array_equal(tiles["mask"], alone["mask"])
    np.testing.assert_allclose(tiles["displacement"][0, 0, 6:10, 6:10], alone["displacement"][0, 0, 6:10, 6:10])
    assert not np.allclose(tiles["displacement"], alone["displacement"])


def test_a_tile_of_egms_has_its_own_square(scattered: Callable[..., xr.Dataset]) -> None:
    cube = scattered(n_dates=1).assign_attrs(product="L3", source="EGMS_L3_E40N30_100km_U_2020_2024_1.zip")
    tiles = insar.rasterise(cube)
    assert tiles["tile"].values.tolist() == ["E40N30"]
    assert tiles.attrs["cell"] == 1562.5
    assert tiles["easting"].values[0, 0] == 4e6 + 781.25
    assert tiles["northing"].values[0, 0] == 3.1e6 - 781.25
    assert tiles.attrs["sources"] == ["EGMS_L3_E40N30_100km_U_2020_2024_1.zip"]


def test_without_an_extent_the_square_is_about_all_points(scattered: Callable[..., xr.Dataset]) -> None:
    cube = scattered(n_dates=1)
    tiles = insar.rasterise(cube, tile="site")
    assert tiles["tile"].values.tolist() == ["site"]
    assert tiles.sizes == {"tile": 1, "time": 1, "y": 64, "x": 64}
    assert tiles.attrs["cell"] * 64 == pytest.approx(max(np.ptp(cube.easting.values), np.ptp(cube.northing.values)))


def test_columns_of_the_provider_become_maps(scattered: Callable[..., xr.Dataset]) -> None:
    cube = scattered(n_dates=1)
    column = cube["displacement"].values[:, 0] / 7
    cube = cube.assign_coords(egms_mean_velocity=("point", column, {"units": "mm yr-1"}))
    tiles = rasterised(cube)
    assert tiles["egms_velocity"].dims == ("tile", "y", "x")
    assert tiles["egms_velocity"].attrs["units"] == "mm yr-1"
    np.testing.assert_allclose(tiles["egms_velocity"], tiles["displacement"][:, 0] / 7, rtol=1e-5, atol=1e-6)
    assert "egms_seasonality" not in tiles


def on_a_line(cube: xr.Dataset) -> xr.Dataset:
    return cube.assign_coords(northing=("point", cube.easting.values - 1e6))


def with_value(value: float, cube: xr.Dataset) -> xr.Dataset:
    spoilt = cube.copy(deep=True)
    spoilt["displacement"].values[:40, 2] = value
    return spoilt


def nowhere(cube: xr.Dataset) -> xr.Dataset:
    return cube.assign_coords(easting=("point", np.where(np.arange(cube.sizes["point"]) == 3, np.nan, cube.easting)))


@pytest.mark.parametrize(
    ("spoil", "more", "message"),
    [
        (lambda cube: cube.isel(point=slice(2)), {}, r"tile site has 2 points.*at least 3"),
        (on_a_line, {}, "tile site: its 600 points lie on one line"),
        (lambda cube: cube.isel(point=[4] * 5), {}, "tile site: its 5 points lie on one line or at two places"),
        (nowhere, {}, "easting or northing of a point is no number"),
        (lambda cube: cube.where(cube.easting < 0), {}, "no point in it has a value at any of 6 dates"),
        (partial(with_value, np.inf), {}, "tile site: on 2020-01-15, one of 1 such dates, a point has what cannot"),
        (partial(with_value, -9.97e36), {}, "on 2020-01-15"),
        (lambda cube: cube, {"extent": (0, 0, 1000, 1000)}, "none of 600 points lies in"),
        (lambda cube: cube, {"extent": (4e6, 3e6, 4.005e6, 3.004e6)}, "wanted a square"),
        (lambda cube: cube, {"pixels": 100}, "100 pixels a side do not make 64 cells"),
        (lambda cube: cube, {"cells": 0}, "cells is 0"),
    ],
)  # fmt: skip
def test_bad_tiles_are_named(
    spoil: Callable[[xr.Dataset], xr.Dataset],
    more: dict[str, Any],
    message: str,
    scattered: Callable[..., xr.Dataset],
) -> None:
    cube = scattered()
    spoilt = spoil(cube)
    spoilt["displacement"].attrs = cube["displacement"].attrs
    with pytest.raises((CubeError, ValueError), match=message):
        insar.rasterise(spoilt, **more)
