import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.cube import CubeError


def test_a_box_keeps_what_lies_in_it_in_order(small_scene: xr.Dataset) -> None:
    west, east = np.quantile(small_scene.easting, [0.2, 0.6])
    south, north = float(small_scene.northing.min()), float(small_scene.northing.max())
    chosen = insar.select(small_scene, area=(west, south, east, north))
    inside = ((small_scene.easting >= west) & (small_scene.easting <= east)).values
    np.testing.assert_array_equal(chosen.point_id, small_scene.point_id[inside])


def test_a_polygon_in_degrees_is_projected(small_scene: xr.Dataset) -> None:
    lon, lat = small_scene.longitude.values, small_scene.latitude.values
    west, east = np.quantile(lon, [0.3, 0.7])
    ring = [[west, lat.min()], [east, lat.min()], [east, lat.max()], [west, lat.max()], [west, lat.min()]]
    chosen = insar.select(small_scene, area={"type": "Polygon", "coordinates": [ring]})
    inside = (lon > west) & (lon < east)
    assert abs(chosen.sizes["point"] - inside.sum()) <= 0.02 * inside.sum()


def test_near_gives_the_nearest_first_within_the_radius(small_scene: xr.Dataset) -> None:
    place = small_scene.isel(point=1234)
    near = insar.select(small_scene, near=(float(place.longitude), float(place.latitude)), radius=300)
    distance = np.hypot(near.easting - place.easting, near.northing - place.northing)
    assert float(distance[0]) < 1 and float(distance.max()) <= 301
    assert (np.diff(distance) > -1).all()
    assert insar.select(small_scene, near=(float(place.longitude), float(place.latitude))).sizes["point"] == 1


@pytest.mark.parametrize("choice", [{}, {"near": (0.0, 0.0), "area": (0, 0, 1, 1)}])
def test_one_way_of_choosing_is_wanted(choice: dict[str, object], small_scene: xr.Dataset) -> None:
    with pytest.raises(CubeError, match="either area"):
        insar.select(small_scene, **choice)  # type: ignore[arg-type]


def test_a_radius_is_around_a_place(small_scene: xr.Dataset) -> None:
    with pytest.raises(CubeError, match=r"radius=1.0 is around a place: give near=\(longitude, latitude\)"):
        insar.select(small_scene, area=(0, 0, 1e8, 1e8), radius=1.0)


def test_a_cube_without_points_says_so(small_scene: xr.Dataset) -> None:
    with pytest.raises(CubeError, match="the cube has no points to select from"):
        insar.select(small_scene.isel(point=[]), area=(0, 0, 1, 1))


def test_nothing_found_says_what_the_cube_covers(small_scene: xr.Dataset) -> None:
    with pytest.raises(CubeError, match=r"no point within 10 m of \(0\.0, 0\.0\); the cube covers \(44"):
        insar.select(small_scene, near=(0.0, 0.0), radius=10)


def test_selecting_reads_no_series(small_scene: xr.Dataset) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("computed")

    import dask

    lazy = small_scene.assign(displacement=small_scene.displacement.chunk(point=500))
    with dask.config.set(scheduler=refuse):
        insar.select(lazy, near=(11.1, 44.3), radius=1e6)
