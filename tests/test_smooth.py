import dask
import numpy as np
import pytest
import scipy.signal
import xarray as xr

from insar_dask.cube import CubeError, check_cube
from insar_dask.resample import regularise
from insar_dask.smooth import moving_average, savgol

DAY = np.timedelta64(1, "D")
STEPS = [
    lambda cube: savgol(cube, window=11, order=2),
    lambda cube: moving_average(cube, window=3),
    lambda cube: moving_average(cube, window=5, centred=True),
]


def refuse(*_args, **_kwargs):
    raise AssertionError("something computed")


@pytest.fixture(scope="module")
def regular(small_scene):
    return regularise(small_scene.isel(point=slice(300)))


def test_savgol_is_scipys_on_complete_series(regular):
    complete = regular.fillna({"displacement": 0})
    exact = scipy.signal.savgol_filter(complete["displacement"].values.astype(np.float64), 11, 2)
    np.testing.assert_allclose(savgol(complete)["displacement"], exact, atol=2e-5)


def test_uneven_dates_are_refused_with_the_cure(small_scene):
    with pytest.raises(CubeError, match="regularise"):
        savgol(small_scene)


@pytest.mark.parametrize(("window", "order"), [(10, 2), (-1, 0), (10_001, 2), (5, 5), (5, -1)])
def test_impossible_windows_are_refused(regular, window, order):
    with pytest.raises(ValueError, match="wanted"):
        savgol(regular, window, order)


@pytest.mark.parametrize(("window", "centred"), [(0, False), (4, True)])
def test_impossible_averages_are_refused(regular, window, centred):
    with pytest.raises(ValueError, match="wanted"):
        moving_average(regular, window, centred)


def test_filters_say_how_far_they_see(regular):
    honest = regular.assign_attrs(sees_future=0)
    assert savgol(honest, window=11).attrs["sees_future"] == 10 * 12
    assert moving_average(honest, window=5).attrs["sees_future"] == 0
    assert moving_average(honest, window=5, centred=True).attrs["sees_future"] == 2 * 12
    assert savgol(regular, window=11).attrs["sees_future"] == 60 + 10 * 12


@pytest.mark.parametrize("step", STEPS)
def test_no_value_knows_dates_further_ahead_than_it_says(regular, step):
    honest = regular.assign_attrs(sees_future=0)
    for changed in range(1, honest.sizes["time"]):
        later = honest.copy(deep=True)
        later["displacement"].values[:, changed:] += 1000
        before, after = step(honest), step(later)
        safe = honest["time"].values + before.attrs["sees_future"] * DAY < honest["time"].values[changed]
        np.testing.assert_array_equal(before["displacement"].values[:, safe], after["displacement"].values[:, safe])


@pytest.mark.parametrize("step", STEPS)
def test_lazy_cubes_stay_lazy_and_give_the_same(regular, step):
    with dask.config.set(scheduler=refuse):
        lazy = step(regular.chunk(point=70))
    assert lazy["displacement"].chunks is not None
    assert lazy["displacement"].dtype == np.float32
    xr.testing.assert_identical(lazy.compute(), step(regular))
    check_cube(lazy)


@pytest.mark.parametrize("step", STEPS)
def test_grids_are_smoothed_like_points(regular, step):
    values = regular["displacement"].values[:12].reshape(3, 4, -1)
    grid = xr.Dataset({"displacement": (("y", "x", "time"), values)}, coords={"time": regular["time"]})
    expected = step(regular)["displacement"].values[:12].reshape(3, 4, -1)
    np.testing.assert_array_equal(step(grid)["displacement"].values, expected)


@pytest.mark.parametrize("step", STEPS)
def test_missing_values_are_not_invented(regular, step):
    gappy = regular.copy(deep=True)
    gappy["displacement"].values[::2, 3::7] = np.nan
    smooth = step(gappy)["displacement"]
    assert smooth.isnull().where(gappy["displacement"].isnull(), True).all()
    assert smooth.notnull().sum() > 0.8 * gappy["displacement"].notnull().sum()
