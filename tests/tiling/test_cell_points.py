from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS

import insar_dask as insar
from insar_dask.cube import CubeError, check_cube
from insar_dask.forecast import Forecaster
from tests.forecast.maps.toy_tiles import toy_tiles


@pytest.fixture(scope="module")
def tiles(scattered: Callable[..., xr.Dataset]) -> xr.Dataset:
    """Two tiles side by side, of which some cells hold points at no date or at some."""
    cube = scattered(150, missing=0.3)
    halves = []
    for name, west in (("W", 4e6), ("E", 4.0025e6)):
        part = insar.rasterise(cube, pixels=24, cells=12, extent=(west, 3e6, west + 2500, 3.0025e6), tile=name)
        halves.append(part)
    return xr.concat(halves, "tile", data_vars="all", coords="minimal", join="exact", compat="override")


def test_cells_with_points_are_a_cube(tiles: xr.Dataset) -> None:
    points = check_cube(insar.tile_points(tiles))
    held = tiles["mask"].any("time")
    assert points.sizes == {"point": int(held.sum()), "time": 6}
    for one in (0, points.sizes["point"] - 1):
        point = points.isel(point=one)
        k, row, col = ["W", "E"].index(str(point.tile.values)), int(point.row), int(point.col)
        assert str(point.point_id.values) == f"{'WE'[k]}_r{row:02d}_c{col:02d}"
        assert float(point.easting) == float(tiles.easting[k, col])
        assert float(point.northing) == float(tiles.northing[k, row])
        series = tiles["displacement"][k, :, row, col].where(tiles["mask"][k, :, row, col])
        np.testing.assert_array_equal(point["displacement"], series)
    assert len(set(points.point_id.values)) == points.sizes["point"]


def test_points_go_back_where_they_were(tiles: xr.Dataset) -> None:
    points = insar.tile_points(tiles)
    back = insar.to_tiles(points.isel(point=np.random.default_rng(0).permutation(points.sizes["point"])), tiles)
    xr.testing.assert_equal(back["displacement"], tiles["displacement"].where(tiles["mask"]))
    velocity = insar.to_tiles(insar.motion(points)[["velocity", "n_dates"]], tiles)
    assert velocity["velocity"].dims == ("tile", "y", "x")
    held = tiles["mask"].any("time").values
    np.testing.assert_array_equal(np.isnan(velocity["n_dates"].values), ~held)


def test_lazy_tiles_give_lazy_points(tiles: xr.Dataset) -> None:
    lazy = insar.tile_points(tiles.chunk({"tile": 1, "time": 2}))
    assert lazy["displacement"].chunks is not None
    xr.testing.assert_identical(lazy.compute(), insar.tile_points(tiles))
    xr.testing.assert_identical(insar.motion(lazy).compute(), insar.motion(insar.tile_points(tiles)))


def test_maps_are_sampled_at_points(tiles: xr.Dataset, scattered: Callable[..., xr.Dataset]) -> None:
    cube = scattered(150, missing=0.3)
    sampled = insar.sample_tiles(tiles, cube)
    inside = (cube.northing < 3.0025e6).values
    assert sampled["displacement"].dims == ("point", "time")
    assert (sampled["row"].values >= 0).tolist() == inside.tolist()
    assert np.isnan(sampled["displacement"].values[~inside]).all()
    assert not sampled["mask"].values[~inside].any()
    # a cell is marked wherever one of its points has a value
    assert sampled["mask"].values[inside][~np.isnan(cube["displacement"].values[inside])].all()
    centres = insar.tile_points(tiles)
    there = insar.sample_tiles(tiles.chunk({"time": 2}), centres.drop_vars(["tile", "row", "col"]))
    xr.testing.assert_equal(
        there["row"], centres["row"].drop_vars([v for v in centres["row"].coords if v not in there.coords])
    )
    np.testing.assert_array_equal(there["displacement"].where(there["mask"]), centres["displacement"])


def test_forecasts_of_tiles_are_sampled_at_points() -> None:
    tiles = toy_tiles()
    forecast = Forecaster("harmonic").fit(tiles).predict(tiles)
    centres = insar.tile_points(tiles)
    there = insar.sample_tiles(forecast, centres)
    assert there["upper"].dims == ("point", "origin", "lead") and there["time"].equals(forecast["time"])
    back = insar.to_tiles(there, tiles)
    for name in ("displacement", "lower", "upper"):
        np.testing.assert_array_equal(back[name].transpose(*forecast[name].dims), forecast[name])
    for wrong, message in {
        "have no 'crs'": forecast.drop_vars("crs"),
        "over tile, y and x, but .'point', 'time'.": centres,
        "got DataArray": forecast["displacement"],
        "one column of cells does not say": forecast.isel(x=[0]),
    }.items():
        with pytest.raises(CubeError, match=wrong):
            insar.sample_tiles(message, centres)
    thinned = tiles.isel(x=slice(None, None, 2), y=slice(None, None, 2))
    assert (insar.sample_tiles(thinned, centres)["row"].values >= 0).all(), "each cell that is left stands for four"


def test_what_is_no_tile_cube_is_refused(tiles: xr.Dataset, scattered: Callable[..., xr.Dataset]) -> None:
    points = insar.tile_points(tiles)
    for message, wrong in {
        "wanted 'displacement' over": lambda: insar.tile_points(scattered()),
        "wanted a tile cube, got int": lambda: insar.tile_points(3),  # type: ignore[arg-type]
        "have no 'easting'": lambda: insar.tile_points(tiles.drop_vars("easting")),
        "mask is false in every cell": lambda: insar.tile_points(tiles.assign(mask=tiles["mask"] & False)),
        "are no cells": lambda: insar.to_tiles(scattered(), tiles),
        "tile E of the points is none of": lambda: insar.to_tiles(points, tiles.isel(tile=[0])),
        "two points are row": lambda: insar.to_tiles(xr.concat([points] * 2, "point"), tiles),
        "the tiles have 5 x 12 cells": lambda: insar.to_tiles(points, tiles.isel(y=slice(5))),
    }.items():
        with pytest.raises(CubeError, match=message):
            wrong()
    here, there = (
        data.assign_coords(crs=((), 0, {"crs_wkt": CRS(epsg).to_wkt()}))
        for data, epsg in ((tiles, 3035), (points, 32633))
    )
    with pytest.raises(CubeError, match="different CRS"):
        insar.sample_tiles(here, there)
