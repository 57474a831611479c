from dataclasses import replace

import numpy as np
import pytest

from insar_dask.forecast import catalogue, protocol
from insar_dask.forecast.audit import LeakageError, audit_fit, audit_schedule, leakage_audit
from insar_dask.forecast.naive import Unpooled
from insar_dask.forecast.schedule import asked_day, grid_start, plan
from insar_dask.forecast.tallies import block_places
from insar_dask.forecast.windows import PublishedWindows

METHODS = ("persistence", "harmonic", "harmonic_ar1", "harmonic_ridge")


class Peeper(Unpooled):
    """Reads beyond its context, in the memory that the context is a view of."""

    name = "peeper"

    def predict(self, context):
        return context.values.base[:, -len(context.target_years) :].astype(np.float32), None


class Cribber(Unpooled):
    """Learns from values after the cut-off."""

    name = "cribber"

    def partial(self, context):
        return {"mean": np.nanmean(context.values.base).reshape(1)}


@pytest.fixture
def with_cheats(monkeypatch):
    for name in ("Peeper", "Cribber"):
        monkeypatch.setitem(catalogue.FORECASTERS, name.lower(), (__name__, name))


def test_all_our_forecasters_pass(burst):
    burst = burst.isel(point=slice(0, 150))
    schedule = plan(
        burst["time"].values, methods=[name for name in catalogue.FORECASTERS if name not in catalogue.TRAINED]
    )
    values, places = burst["displacement"].values, block_places(burst)
    state = protocol.fit([protocol.fit_partial(burst, schedule)], schedule)
    audit_schedule(schedule)
    for stage in ("validation", "test"):
        origins = getattr(schedule, stage)
        audit_fit(values, schedule, origins[0], places=places)
        leakage_audit(values, schedule, state, stage, origins, places=places)


def test_a_forecaster_that_reads_the_future_fails_the_run(burst, with_cheats):
    with pytest.raises(LeakageError, match=r"the forecast of peeper \(mean\) at origin 20\d\d-"):
        protocol.evaluate(burst, methods=("persistence", "peeper"))


def test_a_fit_that_reads_the_future_fails_the_run(burst, with_cheats):
    with pytest.raises(LeakageError, match=r"the fit of cribber \(mean\) at origin"):
        protocol.evaluate(burst, methods=("persistence", "cribber"))


def test_windows_filtered_as_a_whole_fail(burst):
    schedule, values = plan(burst["time"].values, methods=METHODS), burst["displacement"].values
    state = protocol.fit([protocol.fit_partial(burst, schedule)], schedule)
    with pytest.raises(LeakageError, match="the context"):
        leakage_audit(values, schedule, state, "test", schedule.test, windows=PublishedWindows)
    with pytest.raises(LeakageError, match="the context"):
        audit_fit(values, schedule, schedule.test[0], windows=PublishedWindows)


def test_a_validation_window_that_straddles_the_split_fails(burst):
    schedule = plan(burst["time"].values)
    late = replace(schedule.test[0], step=schedule.test[0].step - schedule.horizon + 1)
    with pytest.raises(LeakageError, match="which the test forecasts"):
        audit_schedule(replace(schedule, validation=(*schedule.validation, late)))


def test_targets_beyond_the_record_fail(burst):
    schedule = plan(burst["time"].values)
    late = replace(schedule.test[-1], step=schedule.test[-1].step + schedule.horizon)
    with pytest.raises(LeakageError, match="after the record"):
        audit_schedule(replace(schedule, test=(*schedule.test, late)))


def test_a_grid_that_knows_later_dates_fails(burst):
    schedule = plan(burst["time"].values)
    with pytest.raises(LeakageError, match="chosen from its history"):
        audit_schedule(replace(schedule, starts=tuple(start + 1 for start in schedule.starts)))


def uneven(seed):
    """Dates 12 days apart, one in five of them lost."""
    lost = np.random.default_rng(seed).random(200) < 0.2
    return np.datetime64("2018-01-01") + 12 * np.flatnonzero(~lost)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_date_between_the_choice_of_a_grid_and_its_origin_has_no_say_in_it(seed):
    schedule = plan(uneven(seed), every="24D", methods=("persistence", "harmonic"))
    chosen = [asked_day(schedule, origin) for origin in schedule.test]
    dated = [schedule.date(origin) for origin in schedule.test]
    assert all(day <= date < day + 24 for day, date in zip(chosen, dated, strict=True))
    choices = [[grid_start(schedule.real_days, 24, day) for day in days] for days in (chosen, dated)]
    assert choices[0] != choices[1], "these dates do not show it"
    audit_schedule(schedule)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_grid_that_was_chosen_from_dates_after_its_origin_fails(seed, monkeypatch):
    def peeping(days, step, before):
        return grid_start(days, step, before + 10 * step)

    monkeypatch.setattr("insar_dask.forecast.schedule.grid_start", peeping)
    schedule = plan(uneven(seed), every="24D", methods=("persistence", "harmonic"))
    with pytest.raises(LeakageError, match="chosen from its history"):
        audit_schedule(schedule)
