import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insar_dask.forecast.schedule import plan
from insar_dask.forecast.windows import HonestWindows, PublishedWindows

FIELDS = ("values", "years", "grid_values", "grid_years", "target_years")


def test_the_grid_holds_raw_values_and_nothing_else(burst):
    schedule, values = plan(burst["time"].values), burst["displacement"].values
    grid = HonestWindows(values, schedule).grid(0)
    days = schedule.grid_days(0)
    met = np.isin(days, schedule.real_days)
    assert 0 < (~met).sum() < met.sum()
    assert np.isnan(grid[:, ~met]).all()
    np.testing.assert_array_equal(grid[:, met], values[:, np.isin(schedule.real_days, days)])


def test_a_context_ends_before_its_origin_and_the_targets_start_there(burst):
    schedule = plan(burst["time"].values)
    windows = HonestWindows(burst["displacement"].values, schedule)
    for origin in (*schedule.validation, *schedule.test):
        context, targets = windows.context(origin), windows.targets(origin)
        day = schedule.years(schedule.date(origin))
        assert context.years[-1] < day and context.grid_years[-1] < day
        assert context.target_years[0] == pytest.approx(day)
        assert context.values.shape[1] == len(context.years)
        assert context.grid_values.shape[1] == len(context.grid_years)
        assert targets.shape == (600, schedule.horizon)
        np.testing.assert_allclose(np.diff(context.target_years), context.step)


def test_targets_are_raw_values_at_really_observed_dates(burst):
    schedule, values = plan(burst["time"].values), burst["displacement"].values
    windows = HonestWindows(values, schedule)
    for origin in schedule.test:
        targets = windows.targets(origin)
        for lead, day in enumerate(schedule.target_days(origin)):
            at = np.flatnonzero(schedule.real_days == day)
            expected = values[:, at[0]] if at.size else np.full(600, np.nan)
            np.testing.assert_array_equal(targets[:, lead], expected)


@given(st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_changing_the_future_changes_no_bit_of_a_context(burst, seed):
    rng = np.random.default_rng(seed)
    schedule, values = plan(burst["time"].values), burst["displacement"].values
    origins = (*schedule.validation, *schedule.test)
    origin = origins[rng.integers(len(origins))]
    changed = values.copy()
    future = np.asarray(schedule.days) >= schedule.date(origin)
    changed[:, future] = rng.choice([np.nan, -1e4, 0.0, 1e4], (600, future.sum()))
    ours, other = (HonestWindows(v, schedule).context(origin) for v in (values, changed))
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(ours, name), getattr(other, name))


def test_the_published_windows_do_see_the_future(burst):
    schedule, values = plan(burst["time"].values), burst["displacement"].values
    origin = schedule.test[0]
    changed = values.copy()
    changed[:, np.asarray(schedule.days) >= schedule.date(origin)] = 1e4
    ours, other = (PublishedWindows(v, schedule).context(origin).grid_values for v in (values, changed))
    assert (ours[:, -1] != other[:, -1]).mean() > 0.9


def test_dates_that_were_made_up_never_enter(burst):
    observed = np.arange(210) % 3 != 0
    schedule = plan(burst["time"].values, observed=observed)
    values = burst["displacement"].values.copy()
    context = HonestWindows(values, schedule).context(schedule.test[-1])
    values[:, ~observed] = 1e4
    again = HonestWindows(values, schedule).context(schedule.test[-1])
    np.testing.assert_array_equal(context.values, again.values)
    np.testing.assert_array_equal(context.grid_values, again.grid_values)
