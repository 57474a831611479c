from dataclasses import replace

import dask
import numpy as np
import pytest
import xarray as xr
from statsmodels.tsa.holtwinters import ExponentialSmoothing

import insar_kernels
from insar_dask.cube import CubeError
from insar_dask.decompose import holt_winters, stl
from insar_dask.forecast.exponential import HoltWinters, holt_winters_forecast
from insar_dask.forecast.protocol import evaluate
from insar_dask.forecast.schedule import plan
from insar_dask.forecast.windows import Context, HonestWindows
from insar_dask.resample import regularise

PERIOD = 12
DAY = np.timedelta64(1, "D")


def refuse(*_args, **_kwargs):
    raise AssertionError("something computed")


@pytest.fixture(scope="module")
def regular(burst):
    complete = burst["displacement"].notnull().all("time").values
    cube = regularise(burst.isel(point=np.flatnonzero(complete)[:60])).isel(time=slice(60))
    return cube.assign_attrs(sees_future=0)


def test_forecasts_are_those_of_statsmodels_from_the_same_states(regular):
    parts = holt_winters(regular.isel(point=slice(4)), PERIOD)
    for i in range(4):
        y = regular["displacement"].values[i].astype(np.float64)
        theirs = ExponentialSmoothing(
            y, trend="add", seasonal="add", seasonal_periods=PERIOD, initialization_method="estimated"
        ).fit()
        states = {
            "final_level": theirs.level[-1],
            "final_slope": theirs.trend[-1] * 365 / 12,
            "final_season": theirs.season[-PERIOD:],
            "alpha": theirs.params["smoothing_level"],
            "beta": theirs.params["smoothing_trend"],
            "gamma": theirs.params["smoothing_seasonal"],
            "sigma": np.sqrt(theirs.sse / (60 - PERIOD - 4)),
        }
        for name, value in states.items():
            parts[name].values[i] = value
        forecast = holt_winters_forecast(parts, 30, level=0.8).isel(point=i, origin=0)
        np.testing.assert_allclose(forecast["displacement"], theirs.forecast(30), atol=1e-3)
        drawn = theirs.simulate(30, repetitions=20_000, error="add", rng=np.random.default_rng(i))
        low, high = np.quantile(drawn, [0.1, 0.9], axis=1)
        width = (forecast["upper"] - forecast["lower"]).values
        np.testing.assert_allclose(width, high - low, rtol=0.04)
        np.testing.assert_allclose(forecast["upper"] - forecast["displacement"], width / 2, atol=1e-4)


def test_a_forecast_cube_has_origin_leads_and_dates(regular):
    parts = holt_winters(regular, PERIOD)
    forecast = holt_winters_forecast(parts, steps=3)
    dates = regular["time"].values[-1] + 12 * DAY * np.arange(1, 4)
    assert forecast["displacement"].dims == ("origin", "point", "lead")
    np.testing.assert_array_equal(forecast["origin"], dates[:1])
    np.testing.assert_array_equal(forecast["time"], dates[None])
    assert forecast["lead"].values.tolist() == [1, 2, 3]
    assert forecast["lead"].attrs["units"] == "12 d"
    assert (forecast.attrs["level"], forecast.attrs["method"]) == (0.9, "holt_winters")
    assert "sees_future" not in forecast.attrs
    assert set(forecast.data_vars) == {"displacement", "lower", "upper"}
    xr.testing.assert_identical(forecast["point_id"].variable, regular["point_id"].variable)
    assert forecast["crs"].attrs == regular["crs"].attrs


def test_lazy_parts_give_lazy_forecasts(regular):
    with dask.config.set(scheduler=refuse):
        lazy = holt_winters_forecast(holt_winters(regular.chunk(point=25), PERIOD), 40)
    assert lazy["upper"].chunks is not None
    xr.testing.assert_identical(lazy.compute(), holt_winters_forecast(holt_winters(regular, PERIOD), 40))


def test_grids_are_forecast_too(regular):
    values = regular["displacement"].values[:12].reshape(3, 4, -1)
    grid = xr.Dataset({"displacement": (("y", "x", "time"), values)}, coords={"time": regular["time"]})
    forecast = holt_winters_forecast(holt_winters(grid, PERIOD), 2)
    assert forecast["lower"].dims == ("origin", "y", "x", "lead")
    points = holt_winters_forecast(holt_winters(regular, PERIOD), 2)
    np.testing.assert_array_equal(forecast["lower"].values.reshape(12, 2), points["lower"].values[0, :12])


def test_impossible_forecasts_are_refused(regular):
    parts = holt_winters(regular, PERIOD)
    with pytest.raises(CubeError, match=r"final_level.*insar_dask.holt_winters"):
        holt_winters_forecast(stl(regular, PERIOD))
    for wrong in ({"steps": 0}, {"steps": 2.5}, {"level": 1.0}, {"level": 90}):
        with pytest.raises(ValueError, match=r"wanted a (whole number, at least 1|share between 0 and 1)"):
            holt_winters_forecast(parts, **wrong)


def context(values, horizon=6, step=12 / 365):
    years = step * np.arange(values.shape[1] + horizon)
    known, ahead = years[: values.shape[1]], years[values.shape[1] :]
    return Context(values, known, values, known, ahead)


def test_the_forecaster_continues_a_line_with_a_season():
    t = np.arange(130)
    wave = np.array([np.sin(2 * np.pi * t / 30), np.where(t % 30 == 4, 5.0, 0.0)])
    known = (0.3 * t + 4 * wave).astype(np.float32)[:, :100]
    known[:, 17:90:9] = np.nan
    mean, deviation = HoltWinters().predict(context(known, 30))
    np.testing.assert_allclose(mean, (0.3 * t + 4 * wave)[:, 100:], atol=1e-2)
    assert (deviation >= 0).all()


def windows_at(burst, share=0.0):
    values = burst["displacement"].values[:60].copy()
    values[np.random.default_rng(1).random(values.shape) < share] = np.nan
    schedule = plan(burst["time"].values, every="12D", methods=("holt_winters",))
    return HonestWindows(values, schedule), schedule.test


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_parameters_know_the_dates_before_the_first_origin_and_states_all_before_theirs(burst, share):
    windows, origins = windows_at(burst, share)
    first = windows.context(origins[0])
    for origin in (origins[0], origins[1], origins[-1]):
        context = windows.context(origin, first)
        mean, deviation = HoltWinters().predict(context)
        fit = insar_kernels.holt_winters(context.grid_values, 30, n_fit=first.grid_values.shape[1])
        states = fit.level, fit.slope, fit.seasonal, fit.alpha, fit.beta, fit.gamma, fit.sigma
        expected = insar_kernels.holt_winters_forecast(*states, len(context.target_years))
        np.testing.assert_allclose(mean, expected[0], atol=2e-3)
        np.testing.assert_allclose(deviation, expected[1], rtol=1e-5)
        assert np.isfinite(mean).sum() > 300


def test_parameters_are_estimated_once_for_all_origins(burst, monkeypatch):
    fitted, original = [], insar_kernels.holt_winters

    def counting(values, *args):
        fitted.append(len(values))
        return original(values, *args)

    monkeypatch.setattr(insar_kernels, "holt_winters", counting, raising=False)
    evaluate(burst.isel(point=slice(80)), methods=("persistence", "holt_winters"), every="12D")
    assert fitted.count(80) == 2, "once before validation, once before the test"


def test_beyond_the_record_all_of_it_is_fitted(burst):
    windows, _ = windows_at(burst)
    future = windows.context(windows.plan.future)
    fit = insar_kernels.holt_winters(future.grid_values, 30)
    states = fit.level, fit.slope, fit.seasonal, fit.alpha, fit.beta, fit.gamma, fit.sigma
    expected, _ = insar_kernels.holt_winters_forecast(*states, len(future.target_years))
    np.testing.assert_array_equal(HoltWinters().predict(future)[0], expected)


@pytest.mark.parametrize("days", [-5, 3, 6])
def test_an_origin_on_a_grid_of_another_phase_is_forecast_too(days):
    t = np.arange(-1, 140) * 12.0
    moved = t + days

    def signal(x):
        return (0.01 * x + 4 * np.sin(2 * np.pi * x / 360))[None]

    def cut(dates, known):
        values, years = signal(dates).astype(np.float32)[:, :known], dates / 365
        return Context(values, years[:known], values, years[:known], years[known : known + 6])

    first, later = cut(t, 100), cut(moved, 120)
    noisy = first.grid_values + np.random.default_rng(0).normal(0, 0.5, (1, 100)).astype(np.float32)
    first = replace(first, values=noisy, grid_values=noisy)
    mean, _ = HoltWinters().predict(replace(later, fitted=first))
    # the season is late or early by up to half a step: 4 mm x 2 pi x 6 / 360 at the most, beside the noise
    np.testing.assert_allclose(mean, signal(moved)[:, 120:126], atol=0.42 + 0.6)


def test_two_years_of_history_are_needed():
    values = np.random.default_rng(0).normal(0, 2, (3, 90)).astype(np.float32)
    values[0] = np.nan
    mean, deviation = HoltWinters().predict(context(values))
    assert np.isnan(mean).all(1).tolist() == np.isnan(deviation).all(1).tolist() == [True, False, False]
    assert np.isnan(HoltWinters().predict(context(values[:, :59]))[0]).all()


def test_it_stands_in_the_tables(burst):
    methods, protocols = ("persistence", "harmonic", "holt_winters"), ("honest", "as_published")
    scores = evaluate(burst.isel(point=slice(80)), methods=methods, protocols=protocols, every="12D")
    assert "holt_winters" in scores.table("honest")
    assert "holt_winters" in scores.table("as_published")
