import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insar_dask.cube import CubeError
from insar_dask.forecast.schedule import Plan, plan
from insar_dask.forecast.timetable import TooShortError


def dates(days):
    return np.datetime64("2018-01-01") + np.asarray(days).astype("timedelta64[D]")


def six_then_twelve(shift=6):
    """6-day dates for 700 days, then 12-day ones whose phase is ``shift`` days after that of the first date."""
    return np.concatenate([np.arange(0, 700, 6), np.arange(708 + shift, 1826, 12)])


def test_the_usual_spacing_horizon_and_context_follow_from_the_dates():
    every_six = plan(dates(np.arange(0, 1826, 6)))
    assert (every_six.every, every_six.horizon, every_six.context) == (6, 10, 30)
    every_twelve = plan(dates(np.arange(0, 1826, 12)))
    assert (every_twelve.every, every_twelve.horizon, every_twelve.context) == (12, 6, 24)


@pytest.mark.parametrize("n_dates", [200, 201])
def test_the_usual_spacing_is_one_that_dates_keep(n_dates):
    by_turns = np.concatenate([[0], np.cumsum(np.tile([6, 12], 100))])[:n_dates]
    assert plan(dates(by_turns)).every == 6


@pytest.mark.parametrize("shift", [0, 6])
def test_the_grid_meets_the_acquisitions_of_the_test_period(shift):
    schedule = plan(dates(six_then_twelve(shift)))
    days = schedule.grid_days(0)
    late = days[days > schedule.days[0] + 720]
    assert np.isin(late, schedule.real_days).all()


def test_origins_are_every_third_of_the_last_fifth():
    schedule = plan(dates(np.arange(0, 304 * 6, 6)))
    assert [origin.step for origin in schedule.test] == list(range(243, 294, 3))
    assert all(schedule.target_days(origin)[-1] <= schedule.days[-1] for origin in schedule.test)


def test_validation_asks_for_nothing_that_the_test_forecasts():
    schedule = plan(dates(six_then_twelve()))
    last = max(schedule.target_days(origin)[-1] for origin in schedule.validation)
    assert last < schedule.date(schedule.test[0])
    assert len(schedule.validation) >= 3


def test_the_first_trainable_origin_leaves_targets_before_the_first_validation_origin():
    schedule = plan(dates(six_then_twelve()))
    assert schedule.train_start + schedule.horizon <= schedule.validation[0].step


def test_the_forecast_starts_after_the_last_date_on_the_grid_of_the_latest_acquisitions():
    schedule = plan(dates(six_then_twelve()))
    first = schedule.target_days(schedule.future)[0]
    assert first == schedule.days[-1] + 12


def test_a_phase_that_changes_during_the_test_changes_the_grid():
    days = np.concatenate([np.arange(0, 1500, 12), np.arange(1506, 3000, 12)])
    schedule = plan(dates(days), test_fraction=0.4)
    assert len(schedule.starts) == 2
    assert schedule.test[0].grid == 0 and schedule.test[-1].grid == 1
    for origin in schedule.test:
        assert schedule.date(origin) >= schedule.date(schedule.test[0])


@given(st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_origins_and_their_grids_depend_on_earlier_dates_alone(seed):
    rng = np.random.default_rng(seed)
    days = six_then_twelve()
    schedule = plan(dates(days), every="12D")
    origin = schedule.test[len(schedule.test) // 2]
    known = days[days + schedule.days[0] < schedule.date(origin)]
    later = days[len(known) : -1]
    changed = np.concatenate([known, later[rng.random(len(later)) < 0.7], days[-1:]])  # other dates, the same end
    assert origin in plan(dates(changed), every="12D").test


def test_a_plan_survives_json():
    schedule = plan(dates(six_then_twelve()), methods=("persistence",), protocols=("honest", "as_published"))
    assert Plan.from_dict(json.loads(json.dumps(schedule.to_dict()))) == schedule


def test_a_short_record_says_how_many_dates_it_needs():
    with pytest.raises(CubeError, match=r"has 80 dates of 12 days, (\d+) are needed") as caught:
        plan(dates(np.arange(0, 960, 12)))
    needed = int(str(caught.value).split(" days, ")[1].split()[0])
    assert plan(dates(np.arange(needed) * 12)).validation
    with pytest.raises(CubeError):
        plan(dates(np.arange(needed - 4) * 12))


def test_a_record_too_short_for_the_ridge_serves_the_others():
    with pytest.raises(CubeError, match="or methods other than harmonic_ridge"):
        plan(dates(np.arange(0, 960, 12)))
    schedule = plan(dates(np.arange(0, 960, 12)), methods=("persistence", "harmonic"))
    assert schedule.validation and schedule.validation[0].step * 12 > 365
    with pytest.raises(CubeError, match=r"has 40 dates of 12 days, \d+ are needed.*test_fraction$"):
        plan(dates(np.arange(0, 480, 12)), methods=("persistence", "harmonic"))


def test_holt_winters_is_not_asked_of_less_than_two_years():
    with pytest.raises(CubeError, match=r"80 dates of 12 days, 95 are needed.*or methods other than holt_winters"):
        plan(dates(np.arange(0, 960, 12)), methods=("persistence", "holt_winters"))
    schedule = plan(dates(np.arange(0, 95 * 12, 12)), methods=("persistence", "holt_winters"))
    assert schedule.validation[0].step * 12 > 730


def test_a_short_test_period_is_refused():
    with pytest.raises(CubeError, match="no test origin has all 6 leads"):
        plan(dates(np.arange(0, 1826, 12)), test_fraction=0.03)


def test_a_handful_of_dates_is_refused():
    with pytest.raises(CubeError, match="too few"):
        plan(dates([0, 12]))


@pytest.mark.parametrize(
    ("days", "step", "horizon"),
    [
        (np.cumsum(np.random.default_rng(1).integers(8, 40, 158)), 1, 162),
        (np.cumsum(np.random.default_rng(2).integers(8, 40, 158)), 1, 132),
        ((np.arange(72) * 30.44).astype(int), 1, 180),
        (6 * np.flatnonzero(np.random.default_rng(0).random(700) < 0.3)[:158], 6, 18),
    ],
    ids=["8 to 40 days", "others", "months", "gaps"],
)
def test_steps_that_meet_few_acquisitions_are_refused_with_those_that_meet_them(days, step, horizon):
    with pytest.raises(
        TooShortError, match=r"keep to no step of \d+ days: of \d+ acquisitions .* meet \d+, too"
    ) as caught:
        plan(dates(days), methods=("persistence", "harmonic"))
    assert f"Forecaster(every='{step}D', horizon={horizon})" in str(caught.value)
    schedule = plan(dates(days), every=f"{step}D", horizon=horizon, methods=("persistence", "harmonic"))
    assert (schedule.every, schedule.horizon) == (step, horizon)
    assert np.isin(schedule.real_days, schedule.grid_days(schedule.future.grid)).mean() > 0.95


def test_steps_of_the_users_own_are_refused_where_they_meet_little_and_taken_where_they_are_sparse():
    with pytest.raises(TooShortError, match=r"Forecaster\(every='12D', horizon=5\)"):
        plan(dates(np.arange(0, 1826, 12)), every="5D")
    assert plan(dates(np.arange(0, 3000, 6)), every="24D").every == 24
    assert plan(dates(six_then_twelve()), every="5D", protocols=("as_published",)).every == 5


@pytest.mark.parametrize("days", [[0, 12, 12, 24], [0, 24, 12, 36]])
def test_repeated_or_unsorted_dates_are_refused_with_the_cure(days):
    with pytest.raises(CubeError, match=r"sortby\('time'\)\.drop_duplicates"):
        plan(dates(days))


def test_dates_that_were_made_up_are_neither_context_nor_target():
    days = np.arange(0, 1826, 6)
    observed = np.arange(len(days)) % 2 == 0
    schedule = plan(dates(days), observed=observed)
    assert schedule.every == 12
    assert len(schedule.real_days) == observed.sum()


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"every": "12 days"}, "wanted a whole number of days such as '12D'"),
        ({"level": 90}, "level is 90; wanted a share"),
        ({"test_fraction": 0}, "test_fraction is 0; wanted a share"),
        ({"horizon": 0}, "horizon is 0; wanted a whole number of steps, at least 1"),
        ({"stride": 0}, "stride is 0; wanted a whole number of steps"),
        ({"context": -3}, "context is -3; wanted a whole number of steps"),
        ({"methods": ("arima",)}, "no forecaster is called 'arima'; there are persistence"),
        ({"methods": ()}, "no forecaster was asked for"),
        ({"methods": "harmonic"}, r"forecasters are 'harmonic'; wanted several names, such as \['harmonic'\]"),
        ({"protocols": ("lucky",)}, "no protocol is called 'lucky'; there are honest, as_published"),
    ],
)
def test_settings_out_of_range_are_named(settings_, message):
    with pytest.raises(ValueError, match=message):
        plan(dates(np.arange(0, 1826, 12)), **settings_)
