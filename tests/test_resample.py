import dask
import numpy as np
import pytest
import xarray as xr

from insar_dask.cube import CubeError, check_cube
from insar_dask.resample import regular_dates, regularise

DAY = np.timedelta64(1, "D")


def refuse(*_args, **_kwargs):
    raise AssertionError("something computed")


def days(*counts):
    return np.datetime64("2020-01-01", "ns") + np.array(counts) * DAY


def test_every_date_is_as_far_from_the_next_as_asked(small_scene):
    regular = regularise(small_scene, every="12D")
    assert (np.diff(regular["time"].values) == 12 * DAY).all()
    assert regular["time"].values[0] >= small_scene["time"].values[0]
    assert regular["time"].values[-1] <= small_scene["time"].values[-1]
    check_cube(regular)


def test_values_are_those_of_numpy_interp(small_scene):
    regular = regularise(small_scene, every="6D", max_gap=None).isel(point=slice(20))
    old, new = (c["time"].values.astype("datetime64[D]").astype(float) for c in (small_scene, regular))
    for point in range(20):
        one = small_scene["displacement"].values[point]
        valid = ~np.isnan(one)
        exact = np.interp(new, old[valid], one[valid], left=np.nan, right=np.nan)
        np.testing.assert_allclose(regular["displacement"].values[point], exact, atol=2e-5)


def test_observed_marks_the_dates_of_real_acquisitions(small_scene):
    regular = regularise(small_scene)
    expected = np.isin(regular["time"].values, small_scene["time"].values)
    np.testing.assert_array_equal(regular["observed"].values, expected)
    assert regular["observed"].dtype == bool


def test_a_date_made_up_before_is_not_real_after(small_scene):
    once = regularise(small_scene, every="6D")
    twice = regularise(once, every="6D")
    np.testing.assert_array_equal(once["observed"].values, twice["observed"].values)


def test_phase_follows_the_satellite_that_is_left():
    two_years_of_both = np.arange(0, 731, 6)
    then_one_alone = np.arange(730 + 8, 730 + 3 * 365, 12)
    times = days(*two_years_of_both, *then_one_alone)
    dates = regular_dates(times, "12D")
    recent = dates[dates > times[-1] - 730 * DAY]
    assert np.isin(recent, times).all()


def test_phase_is_chosen_by_the_history_alone():
    times = days(*range(0, 800, 12), *range(805, 1600, 12))
    early = times[times < days(790)[0]]
    assert np.isin(regular_dates(early, "12D"), early).all()
    assert regular_dates(early, "12D", until=days(850)[0])[-1] == days(840)[0]
    assert np.isin(regular_dates(times, "12D")[-30:], times).all()


def test_gaps_longer_than_allowed_stay_missing_per_point(small_scene):
    cube = small_scene.isel(point=slice(2)).copy(deep=True)
    cube["displacement"].values[:] = np.arange(90)
    cube["displacement"].values[1, 10:40] = np.nan
    regular = regularise(cube, every="12D", max_gap="60D")
    inside = (regular["time"] > cube["time"][9]) & (regular["time"] < cube["time"][40])
    assert regular["displacement"].isel(point=0).notnull().all()
    np.testing.assert_array_equal(regular["displacement"].isel(point=1).isnull(), inside)


def test_interpolation_says_how_far_it_sees(small_scene):
    assert regularise(small_scene, max_gap="48D").attrs["sees_future"] == 48
    assert regularise(small_scene, max_gap=None).attrs["sees_future"] == -1
    assert regularise(small_scene.assign_attrs(sees_future=-1)).attrs["sees_future"] == -1


def test_no_value_knows_dates_further_ahead_than_it_says(small_scene):
    later = small_scene.copy(deep=True)
    changed = 60
    later["displacement"].values[:, changed:] += 1000
    before, after = regularise(small_scene), regularise(later)
    safe = before["time"].values + before.attrs["sees_future"] * DAY < small_scene["time"].values[changed]
    assert safe.any()
    np.testing.assert_array_equal(before["displacement"].values[:, safe], after["displacement"].values[:, safe])


def test_lazy_cubes_stay_lazy_and_give_the_same(small_scene):
    with dask.config.set(scheduler=refuse):
        lazy = regularise(small_scene.chunk(point=700))
    assert lazy["displacement"].chunks[0][:2] == (700, 700)
    assert lazy["displacement"].dtype == np.float32
    xr.testing.assert_identical(lazy.compute(), regularise(small_scene))


def test_grids_are_regularised_like_points(small_scene):
    times = small_scene["time"]
    values = small_scene["displacement"].values[:12].reshape(3, 4, -1)
    grid = xr.Dataset({"displacement": (("y", "x", "time"), values)}, coords={"time": times})
    expected = regularise(small_scene)["displacement"].values[:12].reshape(3, 4, -1)
    np.testing.assert_array_equal(regularise(grid)["displacement"].values, expected)


def test_two_acquisitions_on_one_day_are_refused(small_scene):
    times = small_scene["time"].values.copy()
    times[5] = times[4] + np.timedelta64(3, "h")
    with pytest.raises(CubeError, match="two acquisitions on"):
        regularise(small_scene.assign_coords(time=times))


@pytest.mark.parametrize("every", ["12", "0D", "12 days", "1.5D", "-6D"])
def test_durations_are_whole_days(small_scene, every):
    with pytest.raises(ValueError, match="'12D'"):
        regularise(small_scene, every=every)
