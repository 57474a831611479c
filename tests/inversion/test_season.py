import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.inversion.frost_weight import fit_weight_to, series_moments
from insar_dask.inversion.pairs import timeline
from insar_dask.inversion.season import composite_index
from insar_dask.synthetic import air_temperature, pair_cube

DATES = np.arange(np.datetime64("2015-03-01"), np.datetime64("2020-03-01"))


def explained(wanted, columns):
    design = np.column_stack([np.ones(len(wanted)), *columns])
    rest = wanted - design @ np.linalg.lstsq(design, wanted, rcond=None)[0]
    return 1 - rest.var() / wanted.var()


def monthly(temperature, shift=0.0):
    """Monthly means on the days of their months, as a monthly product gives them."""
    month = temperature["day"].values.astype("datetime64[M]").astype(int)
    month -= month[0]
    means = np.bincount(month, temperature.values) / np.bincount(month)
    return temperature.copy(data=means[month] + shift)


def test_index_is_that_of_a_climate_worked_out_by_hand():
    days = np.arange(np.datetime64("2018-01-01"), np.datetime64("2020-12-31"))
    month = days.astype("datetime64[M]").astype(int) % 12
    values = np.where((month >= 5) & (month < 8), 4.0, -9.0)  # thaws in June, July and August
    temperature = xr.DataArray(values, {"day": days.astype("datetime64[ns]")}, ("day",))
    asked = np.array(["2019-07-01", "2019-09-10", "2020-02-01"], "datetime64[D]")
    found = composite_index(temperature, asked, alpha=0.3)
    thaw_from = np.datetime64("2019-06-04")  # the fourth warm day lifts the mean of five above zero
    frost_from = np.datetime64("2019-09-02")  # the second cold one brings it below
    warm = 4.0 * (np.minimum(asked, np.datetime64("2019-08-31")) - thaw_from + 1).astype(int)
    cold = 9.0 * np.maximum((asked - frost_from + 1).astype(int), 0)
    usual = np.sqrt(4.0 * (np.datetime64("2019-08-31") - thaw_from + 1).astype(int))
    np.testing.assert_allclose(found, np.maximum(np.sqrt(warm) - 0.3 * np.sqrt(cold), 0) / usual, rtol=1e-12)


def test_index_begins_and_ends_the_year_at_zero_and_reaches_one():
    temperature = air_temperature("2013-01-01", 365 * 8, seed=3)
    index = composite_index(temperature, DATES)
    ends = index.sel(time=index["time"].dt.month.isin([3, 4])).values
    assert ends.mean() < 0.05 and index.values.min() == 0
    assert 0.9 < index.groupby("time.year").max().median() < 1.15


def test_monthly_temperatures_serve_and_dew_points_do_not():
    shares = {"monthly": [], "dew": [], "annual": [], "semiannual": []}
    turn = 2 * np.pi * (DATES - DATES[0]).astype(float) / 365.25
    waves = [np.cos(turn), np.sin(turn), np.cos(2 * turn), np.sin(2 * turn)]
    for seed in range(8):
        temperature = air_temperature("2013-01-01", 365 * 8, seed=seed)
        index = composite_index(temperature, DATES).values
        for name, shift in (("monthly", 0.0), ("dew", -6.0)):
            shares[name].append(explained(index, [composite_index(monthly(temperature, shift), DATES).values]))
        shares["annual"].append(explained(index, waves[:2]))
        shares["semiannual"].append(explained(index, waves))
    mean = {name: np.mean(values) for name, values in shares.items()}
    assert mean["monthly"] > 0.95 and mean["dew"] < 0.7
    assert mean["monthly"] > mean["semiannual"] > mean["annual"] > mean["dew"]


def test_index_that_is_summed_up_warns():
    temperature = air_temperature("2013-01-01", 365 * 8)
    with pytest.warns(UserWarning, match="condition number"):
        summed = composite_index(temperature, DATES, 0.2, reset=False)
    reset = composite_index(temperature, DATES, 0.2)
    assert summed.values[-1] > reset.values[-1] + 2


def test_weight_of_frost_is_what_the_series_say():
    temperature = air_temperature("2016-01-01", 365 * 7, seed=5)
    days = timeline(pair_cube(2, 2, 80)).dates
    index = composite_index(temperature, days, 0.7)
    pairs = pair_cube(8, 8, 80, season=index.values, season_size=12, atmosphere=2, decorrelation=1, height_error=0)
    cube = insar.invert(pairs.isel(point=slice(0, 60)))
    found = composite_index(temperature, days, "fit", series=cube)
    assert abs(found.attrs["alpha"] - 0.7) < 0.05
    halves = [series_moments(cube.isel(point=part)) for part in (slice(0, 25), slice(25, None))]
    assert fit_weight_to(temperature, days, halves) == pytest.approx(found.attrs["alpha"], abs=1e-9)
    with pytest.raises(ValueError, match="pass series="):
        composite_index(temperature, days, "fit")
    with pytest.raises(CubeError, match="no point has a value at every date"):
        fit_weight_to(temperature, days, [series_moments(cube.where(cube["time"] > days[3]))])


def test_bad_temperatures_are_refused():
    temperature = air_temperature("2013-01-01", 365 * 8)
    with pytest.raises(CubeError, match=r"subtract 273\.15"):
        composite_index(temperature + 273.15, DATES)
    with pytest.raises(CubeError, match="value for every day"):
        composite_index(temperature.drop_isel(day=[500]), DATES)
    with pytest.raises(CubeError, match="give more of them"):
        composite_index(temperature.isel(day=slice(0, 900)), DATES)
    with pytest.raises(CubeError, match="no whole year"):
        composite_index(temperature * 0 + 5, DATES)
