import dask
import numpy as np
import pytest
import xarray as xr

from insar_dask.cube import CubeError, years_since
from insar_dask.kinematics import NAMES, motion


def refuse(*_args, **_kwargs):
    raise AssertionError("something computed")


def with_series(cube, series):
    values = np.broadcast_to(np.asarray(series, np.float32), (cube.sizes["point"], cube.sizes["time"])).copy()
    return cube.assign(displacement=(("point", "time"), values, cube["displacement"].attrs))


def test_velocity_is_the_slope_per_year_of_365_days(small_scene):
    fit = motion(with_series(small_scene, 5 - 3 * years_since(small_scene["time"].values)))
    np.testing.assert_allclose(fit["velocity"], -3, atol=1e-4)
    np.testing.assert_allclose(fit["acceleration"], 0, atol=1e-3)


def test_velocity_ignores_gaps(small_scene):
    cube = with_series(small_scene, 5 - 3 * years_since(small_scene["time"].values))
    cube["displacement"].values[:, 7::5] = np.nan
    fit = motion(cube)
    np.testing.assert_allclose(fit["velocity"], -3, atol=1e-4)
    assert (fit["n_dates"] == cube["displacement"].notnull().sum("time")).all()


@pytest.mark.parametrize("peak", ["02-15", "07-01", "12-30"])
def test_phase_is_the_day_of_the_year_of_the_peak(small_scene, peak):
    start = small_scene["time"].values[0]
    date = np.datetime64(f"{start.astype('datetime64[Y]')}-{peak}", "ns")
    years = years_since(small_scene["time"].values, date)
    fit = motion(with_series(small_scene, 4 * np.cos(2 * np.pi * years)))
    day = int((date - start.astype("datetime64[Y]")) / np.timedelta64(1, "D")) + 1
    distance = np.abs(fit["phase"] - day)
    np.testing.assert_allclose(np.minimum(distance, 365 - distance), 0, atol=0.01)
    np.testing.assert_allclose(fit["seasonality"], 4, atol=1e-3)


def test_products_carry_points_crs_and_units(small_scene):
    fit = motion(small_scene)
    for name in ("point_id", "easting", "northing"):
        xr.testing.assert_identical(fit[name].variable, small_scene[name].variable)
    assert fit["crs"].attrs == small_scene["crs"].attrs
    assert fit.attrs == small_scene.attrs | {"sees_future": -1}
    assert fit["velocity"].attrs["units"] == "mm yr-1"
    assert set(NAMES) <= set(fit.data_vars)
    assert "time" not in fit.dims


def test_a_products_own_rmse_gives_way(small_scene):
    published = small_scene.assign_coords(rmse=("point", np.full(small_scene.sizes["point"], 99.0, np.float32)))
    assert (motion(published)["rmse"] < 99).all()


def test_lazy_cubes_stay_lazy_and_give_the_same(small_scene):
    with dask.config.set(scheduler=refuse):
        lazy = motion(small_scene.chunk(point=700))
    assert all(lazy[name].chunks == ((700, 700, 700, 700, 200),) for name in NAMES)
    assert lazy["n_dates"].dtype == np.int32
    assert lazy["phase"].dtype == np.float32
    xr.testing.assert_identical(lazy.compute(), motion(small_scene))


def test_grids_are_fitted_like_points(small_scene):
    values = small_scene["displacement"].values[:12].reshape(3, 4, -1)
    grid = xr.Dataset({"displacement": (("y", "x", "time"), values)}, coords={"time": small_scene["time"]})
    fit, expected = motion(grid), motion(small_scene)
    for name in NAMES:
        np.testing.assert_array_equal(fit[name].values, expected[name].values[:12].reshape(3, 4))


def test_what_is_no_cube_is_refused(small_scene):
    with pytest.raises(CubeError, match="displacement"):
        motion(small_scene.drop_vars("displacement"))
