import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.geometry.series import east_up
from insar_dask.geometry.velocities import east_up_velocity
from tests.geometry.conftest import Tracks


def test_velocities_are_those_of_the_series(two_tracks: Tracks) -> None:
    """On equal dates fitting and solving commute."""
    cubes = two_tracks(n_points=200, noise=1.0, north=5.0, same_days=True)
    series = [insar.motion(cube) for cube in east_up(cubes, anchor="none", north=5.0)]
    found = east_up_velocity([insar.motion(cube) for cube in cubes], north=5.0)
    for one, other in zip(found, series, strict=True):
        np.testing.assert_array_equal(one.point_id, other.point_id)
        np.testing.assert_allclose(one.velocity, other.velocity, atol=2e-5)
        assert one.attrs["component"] == other.attrs["component"] and one.attrs["sees_future"] == -1


def test_errors_come_from_those_of_the_tracks(two_tracks: Tracks) -> None:
    fits = [insar.motion(cube) for cube in two_tracks(n_points=100, noise=1.0)]
    told = [f.assign(velocity_std=xr.full_like(f.velocity_std, 0.5)) for f in fits]
    plain, weighted = east_up_velocity(fits), east_up_velocity(told, sigma="velocity_std")
    np.testing.assert_allclose(weighted.up.velocity_std, 0.5 * plain.up.velocity_std, rtol=1e-5)
    assert (weighted.up.velocity_std.attrs["units"], plain.up.velocity_std.attrs["units"]) == ("mm yr-1", "1")


def test_faults_are_named(two_tracks: Tracks) -> None:
    cubes = two_tracks(n_points=20, n_dates=20)
    with pytest.raises(CubeError, match="wanted 'velocity' over point"):
        east_up_velocity(cubes)
    with pytest.raises(TypeError, match="options of series"):
        east_up_velocity(cubes, every="6D")
    with pytest.raises(TypeError, match="speed"):
        east_up(cubes, speed=1)
