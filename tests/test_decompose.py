import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.holtwinters import ExponentialSmoothing
from statsmodels.tsa.seasonal import STL

from insar_dask.cube import CubeError
from insar_dask.decompose import NUMBERS, PARTS, holt_winters, stl
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.opening import open_cube
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.jobs.steps.saving import save
from insar_dask.resample import regularise

PERIOD = 12
DAY = np.timedelta64(1, "D")
STEPS = [
    lambda cube: stl(cube, PERIOD),
    lambda cube: holt_winters(cube, PERIOD),
    lambda cube: holt_winters(cube, PERIOD, until=cube["time"].values[40]),
]


def refuse(*_args, **_kwargs):
    raise AssertionError("something computed")


@pytest.fixture(scope="module")
def regular(small_scene):
    cube = regularise(small_scene.isel(point=slice(120))).isel(time=slice(60))
    return cube.assign_attrs(sees_future=0)


@pytest.mark.parametrize("step", STEPS)
def test_parts_sum_to_the_displacement(regular, step):
    gappy = regular.copy(deep=True)
    gappy["displacement"].values[::3, 5:50:7] = np.nan
    parts = step(gappy)
    total = sum(parts[name].astype(np.float64) for name in PARTS)
    valid = gappy["displacement"].notnull()
    assert valid.sum() > 5000
    assert float(abs(total - gappy["displacement"]).max()) < 1e-3
    assert (parts["residual"].notnull() == valid).all()
    assert parts["trend"].isel(time=slice(10, 50)).notnull().all()
    assert "displacement" not in parts
    assert parts["season"].attrs == {
        "long_name": "seasonal part of the displacement",
        "units": "mm",
        "grid_mapping": "crs",
    }


@pytest.mark.parametrize("step", STEPS)
def test_lazy_cubes_stay_lazy_and_give_the_same(regular, step):
    with dask.config.set(scheduler=refuse):
        lazy = step(regular.chunk(point=50))
    assert all(lazy[name].chunks == ((50, 50, 20), (60,)) for name in PARTS)
    assert all(lazy[name].dtype == np.float32 for name in PARTS)
    xr.testing.assert_identical(lazy.compute(), step(regular))


@pytest.mark.parametrize("step", STEPS)
def test_points_know_nothing_of_each_other(regular, step):
    gappy = regular.copy(deep=True)
    gappy["displacement"].values[::3, 5::7] = np.nan
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(120), 2))
    xr.testing.assert_identical(step(gappy).isel(point=order), step(gappy.isel(point=order)))


@pytest.mark.parametrize("step", STEPS)
def test_grids_are_decomposed_like_points(regular, step):
    values = regular["displacement"].values[:12].reshape(3, 4, -1)
    grid = xr.Dataset({"displacement": (("y", "x", "time"), values)}, coords={"time": regular["time"]})
    whole, expected = step(grid), step(regular)
    for name in PARTS:
        np.testing.assert_array_equal(whole[name].values, expected[name].values[:12].reshape(3, 4, -1))
        assert whole[name].dims == ("y", "x", "time")


@pytest.mark.parametrize("step", STEPS)
def test_empty_series_are_missing_and_harm_nobody(regular, step):
    empty = regular.copy(deep=True)
    empty["displacement"].values[7] = np.nan
    parts = step(empty)
    assert all(parts[name][7].isnull().all() for name in PARTS)
    xr.testing.assert_identical(parts.isel(point=slice(7)), step(regular).isel(point=slice(7)))


@pytest.mark.parametrize("step", STEPS)
def test_uneven_dates_are_refused_with_the_cure(small_scene, step):
    with pytest.raises(CubeError, match="regularise"):
        step(small_scene)


@pytest.mark.parametrize("step", [stl, holt_winters])
def test_short_records_and_odd_periods_are_refused(regular, step):
    with pytest.raises(CubeError, match=r"60 dates, wanted at least two periods of 31.*a year has 30 dates of 12 days"):
        step(regular, 31)
    for period in (1, 0, -30, 12.5, 12.0, "12", None):
        with pytest.raises(ValueError, match="whole number of dates"):
            step(regular, period)


@pytest.mark.parametrize("wrong", [{"seasonal": 1}, {"seasonal": 8}, {"trend": 11}, {"low_pass": 14}])
def test_impossible_neighbours_are_refused(regular, wrong):
    with pytest.raises(ValueError, match="odd number of neighbours"):
        stl(regular, PERIOD, **wrong)


def test_stl_is_statsmodels_and_has_seen_everything(regular):
    parts = stl(regular, PERIOD, seasonal=9, trend=25)
    for i in range(5):
        theirs = STL(regular["displacement"].values[i].astype(np.float64), PERIOD, seasonal=9, trend=25).fit()
        np.testing.assert_allclose(parts["trend"][i], theirs.trend, atol=1e-4)
        np.testing.assert_allclose(parts["season"][i], theirs.seasonal, atol=1e-4)
    assert parts.attrs == regular.attrs | {"sees_future": -1, "period": PERIOD}


def test_a_multiplicative_season_is_refused_with_the_reason(regular):
    with pytest.raises(ValueError, match="crosses zero"):
        holt_winters(regular, PERIOD, seasonal="mul")


def test_parameters_fit_as_well_as_those_of_statsmodels(regular):
    parts = holt_winters(regular, PERIOD)
    for i in range(0, 120, 12):
        y = regular["displacement"].values[i].astype(np.float64)
        theirs = ExponentialSmoothing(
            y, trend="add", seasonal="add", seasonal_periods=PERIOD, initialization_method="estimated"
        ).fit()
        assert float(parts["sse"][i]) <= 1.001 * theirs.sse


def test_products_carry_points_units_and_flags(regular):
    parts = holt_winters(regular, PERIOD)
    xr.testing.assert_identical(parts["easting"].variable, regular["easting"].variable)
    assert {*PARTS, *NUMBERS, "final_season", "status"} <= set(parts.data_vars)
    assert parts["final_slope"].attrs["units"] == "mm yr-1"
    assert parts["final_season"].dims == ("point", "ahead")
    status = parts["status"]
    assert len(status.attrs["flag_meanings"].split()) == len(status.attrs["flag_values"])
    assert status.attrs["flag_values"].dtype == status.dtype == np.int8
    empty = holt_winters(regular.where(False), PERIOD)
    assert set(np.unique(empty["status"])) == {status.attrs["flag_meanings"].split().index("no_data")}


def test_a_slope_per_year_is_one(regular):
    years = (regular["time"].values - regular["time"].values[0]) / DAY / 365
    line = (7 * years).astype(np.float32) + 0 * regular["displacement"]
    parts = holt_winters(regular.assign(displacement=line), PERIOD)
    np.testing.assert_allclose(parts["final_slope"], 7, atol=1e-3)
    np.testing.assert_allclose(parts["season"], 0, atol=1e-3)


def test_without_until_the_cube_says_that_it_has_seen_the_future(regular):
    assert holt_winters(regular, PERIOD).attrs == regular.attrs | {"sees_future": -1, "period": PERIOD}
    assert holt_winters(regular, PERIOD, until="2999-01-01").attrs["sees_future"] == -1


def test_until_says_what_values_know(regular):
    last, until = regular["time"].values[40], regular["time"].values[41]
    attrs = holt_winters(regular, PERIOD, until=until).attrs
    assert attrs["fitted_until"] == str(last.astype("datetime64[D]"))
    assert (attrs["sees_future"], attrs["sees_future_after_fit"]) == (40 * 12, 0)
    filled = holt_winters(regular.assign_attrs(sees_future=60), PERIOD, until=until).attrs
    assert filled["fitted_until"] == str((last - 60 * DAY).astype("datetime64[D]"))
    assert (filled["sees_future"], filled["sees_future_after_fit"]) == (35 * 12 + 60, 60)
    with pytest.raises(CubeError, match="seen the whole series"):
        holt_winters(regular.assign_attrs(sees_future=-1), PERIOD, until=until)


@settings(max_examples=20)
@given(st.integers(24, 58), st.integers(0, 34), st.integers(0, 2**32 - 1))
def test_no_value_after_the_fit_knows_its_future(regular, fitted, later, seed):
    until, origin = regular["time"].values[fitted], min(fitted + later, 59)
    chance = np.random.default_rng(seed)
    changed = regular.copy(deep=True)
    values = changed["displacement"].values[:, origin:]
    values += chance.normal(0, 100, values.shape).astype(np.float32)
    values[chance.random(values.shape) < 0.2] = np.nan
    before, after = holt_winters(regular, PERIOD, until), holt_winters(changed, PERIOD, until)
    for name in PARTS:
        np.testing.assert_array_equal(before[name].values[:, :origin], after[name].values[:, :origin])
    assert (before["residual"].values[:, origin:] != after["residual"].values[:, origin:]).all(1).any()
    for name in ("alpha", "beta", "gamma", "sse", "sigma", "status"):
        np.testing.assert_array_equal(before[name].values, after[name].values)


def test_parts_of_a_stage_are_stored_shard_by_shard(small_scene, tmp_path):
    save(small_scene.isel(point=slice(700)), tmp_path / "site.zarr", "site/raw")
    wanted = {"holt_winters": {"period": PERIOD, "until": "2022-01-01"}, "stl": {"period": PERIOD}}
    steps = [Step("regularise", "raw", "regular", {"every": "12D"})]
    steps += [Step(name, "regular", name, params) for name, params in wanted.items()]
    Engine(tmp_path / "site.zarr", quiet=True).run(
        Stage("site/parts", "site/raw", tuple(steps), {name: f"site/{name}" for name in wanted})
    )
    regular = regularise(small_scene.isel(point=slice(700)))
    for step, params in ((holt_winters, wanted["holt_winters"]), (stl, wanted["stl"])):
        stored, parts = open_cube(tmp_path / "site.zarr", f"site/{step.__name__}"), step(regular, **params)
        assert parts.attrs.items() <= stored.attrs.items()
        for name in parts.variables:
            np.testing.assert_array_equal(stored[name].values, parts[name].values)


def test_an_early_until_is_refused_with_the_first_that_will_do(regular):
    with pytest.raises(ValueError, match=f"until='{str(regular['time'].values[23] + DAY)[:10]}' or later"):
        holt_winters(regular, PERIOD, until=regular["time"].values[23])
