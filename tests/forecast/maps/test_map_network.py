"""How far each tile believes a network."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from insar_dask.forecast.correction.gate import fit_gate
from insar_dask.forecast.maps.lattice import as_points
from insar_dask.forecast.maps.map_network import GATE_ORIGINS, MapNetwork
from insar_dask.forecast.maps.map_settings import MapSettings
from insar_dask.forecast.ridge import HarmonicRidge
from insar_dask.forecast.schedule import moved, plan
from insar_dask.forecast.tallies import block_places, block_values, windows_of
from tests.forecast.maps.toy_tiles import toy_tiles

SIDE, HORIZON = 8, 10


class Rising(torch.nn.Module):
    """Says of every tile that each map will be a little higher than the ridge has it."""

    def forward(self, batch):
        n, _, _, *cells = batch["values"].shape
        return torch.full((n, HORIZON, *cells), 0.5)


def tile(bend=0.0, seed=0):
    """White noise on an annual signal; with ``bend`` mm/yr² the ground leaves its line more and more from 2022 on."""
    made = toy_tiles(("E32N34",), side=SIDE)
    years = (np.arange(made.sizes["time"]) * 6 / 365)[:, None, None]
    noise = np.random.default_rng(seed).normal(0, 1, made["displacement"].shape)
    moved = 3 * np.cos(2 * np.pi * years) + bend * np.maximum(years - 2, 0) ** 2
    return made.assign(displacement=made["displacement"].copy(data=(moved + noise).astype(np.float32)))


def windows_and_plan(tiles):
    cells = as_points(tiles).load()
    schedule = plan(cells["time"].values, horizon=HORIZON, context=HORIZON)
    return windows_of(block_values(cells, schedule), schedule, "honest", block_places(cells)), schedule


def rising(schedule, gate=0.25):
    settings = MapSettings("mmstt", context=HORIZON, horizon=HORIZON, side=SIDE)
    since = schedule.date(schedule.validation[0])
    ridge = HarmonicRidge.from_state({"weights": np.zeros((HORIZON, HORIZON))})
    return MapNetwork(settings, Rising(), ridge, gate, since)


def replaced(model, gate):
    """The same, believed so far everywhere."""
    return MapNetwork(model.settings, model.network, model.ridge, gate, 10**6)


@pytest.mark.parametrize("stage", ["test", "future"])
def test_a_tile_believes_what_its_own_dates_bear_out(stage):
    shares = {}
    for bend in (0.0, 6.0):
        windows, schedule = windows_and_plan(tile(bend))
        model = rising(schedule)
        known = windows.context(schedule.test[0] if stage == "test" else schedule.future)
        shares[bend] = model.share(known)
        said, _ = model.predict(known)
        closed, opened = (replaced(model, gate).predict(known)[0] for gate in (0.0, 1.0))
        assert np.nanmin(opened - closed) > 0
        np.testing.assert_allclose(said, closed + shares[bend] * (opened - closed), atol=1e-4)
    assert shares[0.0] < 0.2 and shares[6.0] > 0.8


def test_what_is_believed_is_the_gate_of_origins_that_nothing_was_learned_from():
    windows, schedule = windows_and_plan(tile(6.0))
    model, known = rising(schedule), windows.context(schedule.test[0])
    first = schedule.validation[0].step
    steps = np.linspace(first, schedule.test[0].step - HORIZON, GATE_ORIGINS).round().astype(int)
    series = known.grid_values
    gains = np.stack([model.gains(known.before(s, HORIZON), series[:, s : s + HORIZON]) for s in steps], axis=1)
    assert model.share(known) == fit_gate(gains, (steps - steps[0]) // HORIZON)
    # at an origin of the plan, an earlier context is what is known there
    origin = schedule.validation[3]
    there, then = windows.context(origin), known.before(origin.step, HORIZON)
    for name in ("values", "years", "grid_values", "grid_years", "target_years"):
        np.testing.assert_array_equal(getattr(then, name), getattr(there, name))
    np.testing.assert_array_equal(series[:, origin.step : origin.step + HORIZON], windows.targets(origin))


def test_where_too_few_dates_came_since_it_learned_the_gate_of_training_counts():
    windows, schedule = windows_and_plan(tile(6.0))
    model = rising(schedule)
    assert [model.share(windows.context(origin)) for origin in schedule.validation[:2]] == [0.25, 0.25]
    model.since = schedule.date(schedule.test[0]) - (2 * HORIZON - 1) * schedule.every
    assert model.share(windows.context(schedule.test[0])) == 0.25
    model.since -= schedule.every
    assert model.share(windows.context(schedule.test[0])) > 0.8


def test_a_record_that_begins_after_it_learned_is_forecast():
    _, schedule = windows_and_plan(tile(6.0))
    model = rising(schedule)
    for begin in (schedule.validation[0].step - 4, schedule.validation[0].step + 20):
        cells = as_points(tile(6.0).isel(time=slice(begin, None))).load()
        later = moved(schedule, cells["time"].values)
        windows = windows_of(block_values(cells, later), later, "honest", block_places(cells))
        said, _ = model.predict(windows.context(later.future))
        assert np.isfinite(said).all(axis=1).sum() > 40


def test_a_tile_whose_own_dates_tell_nothing_believes_the_gate_of_training():
    windows, schedule = windows_and_plan(tile(6.0))
    model, known = rising(schedule), windows.context(schedule.test[0])
    last = schedule.test[0].step - HORIZON
    bare = known.grid_values.copy()
    bare[:, model.settings.context : last] = np.nan  # measured at first, and when it is too late for two horizons
    holed = replace(known, grid_values=bare, values=bare, fitted=None, memo={})
    assert model.share(holed) == model.gate
    for first, expected in ((schedule.test[0].step - 70, True), (schedule.validation[0].step - 70, False)):
        late = known.grid_values.copy()
        late[:, :first] = np.nan  # a year of dates is 61
        share = model.share(replace(known, grid_values=late, values=late, fitted=None, memo={}))
        assert (share == model.gate) is expected, (first, share)


def test_all_origins_of_one_evaluation_believe_what_was_known_at_the_first():
    windows, schedule = windows_and_plan(tile(6.0))
    model, first = rising(schedule), windows.context(schedule.test[0])
    asked = []
    gains = model.gains
    model.gains = lambda *given: asked.append(1) or gains(*given)
    for origin in schedule.test[:3]:
        model.predict(windows.context(origin, first))
    assert len(asked) == GATE_ORIGINS


def test_cells_without_a_year_before_an_origin_do_not_count_there():
    windows, schedule = windows_and_plan(tile(6.0))
    model = rising(schedule)
    known = windows.context(schedule.future)
    assert not model.gains(known.before(40, HORIZON), known.grid_values[:, 40 : 40 + HORIZON]).any()
    assert model.gains(known.before(100, HORIZON), known.grid_values[:, 100 : 100 + HORIZON]).all()
