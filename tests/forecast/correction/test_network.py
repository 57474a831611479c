"""The correcting network: its inputs know nothing of the future, its bits not how the points were cut."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from insar_dask.forecast import gpu_networks, protocol
from insar_dask.forecast.audit import LeakageError, leakage_audit
from insar_dask.forecast.catalogue import LINEAR
from insar_dask.forecast.correction import network, origin_windows, teaching
from insar_dask.forecast.correction.inputs import group_inputs, n_known, n_signed, point_inputs
from insar_dask.forecast.correction.network import CorrectingNetwork, require_torch
from insar_dask.forecast.correction.origin_windows import OriginWindows, Shape, inner_origins, pieces, training_origins
from insar_dask.forecast.correction.teaching import Lesson, Settings, teach, train_here
from insar_dask.forecast.groups import cut_groups
from insar_dask.forecast.registry import computes, fitted, moved
from insar_dask.forecast.schedule import plan
from insar_dask.forecast.series.point_source import CubePoints
from insar_dask.forecast.tallies import block_places, windows_of
from insar_dask.forecast.timetable import TooShortError
from insar_dask.forecast.training.job import Training

TINY = {"width": 16, "hidden": 32, "heads": 1, "head_width": 16, "encoder_layers": 1, "decoder_layers": 1}
SETTINGS = Settings(
    shape=Shape(length=8),
    sizes=TINY,
    training=Training(max_steps=6, batch=8, rate=3e-3, warmup=0, check_every=3, checkpoint_every=6),
)


@pytest.fixture(scope="module")
def taught(burst):
    """A plan, what was fitted and trained on 600 points, and the lesson."""
    torch.set_num_threads(1)
    schedule = plan(burst["time"].values, methods=("persistence", *LINEAR, "spacetimeformer"))
    state = protocol.fit([protocol.fit_partial(burst, schedule)], schedule)
    lesson = Lesson(CubePoints(burst), schedule, state, 65_536, SETTINGS)
    state |= teach(lesson, train_here)
    return SimpleNamespace(plan=schedule, state=state, lesson=lesson, values=burst["displacement"].values, cube=burst)


def scrambled(values, plan, origin):
    """Values whose future is nonsense."""
    out = values.copy()
    future = np.asarray(plan.days) >= plan.date(origin)
    out[:, future] = np.where(np.arange(future.sum()) % 3 == 0, np.nan, 1e4)
    return out


@pytest.mark.parametrize("at", [0, -1])
def test_inputs_do_not_change_with_what_lies_after_the_origin(taught, at):
    origin = taught.plan.test[at]
    members, footing = taught.lesson.members, taught.lesson.footing()
    places = block_places(taught.cube)
    arrays = []
    for values in (taught.values, scrambled(taught.values, taught.plan, origin)):
        context = windows_of(values, taught.plan, "honest", places).context(origin)
        inputs = point_inputs(context, members, footing, 24)
        arrays.append(group_inputs(inputs, cut_groups(places, 8, 1000.0), 8) | {"mean": inputs.mean})
    for name, known in arrays[0].items():
        np.testing.assert_array_equal(known, arrays[1][name], err_msg=name)


def test_weights_do_not_change_with_dates_from_the_first_validation_origin_on(taught):
    first = taught.plan.validation[0]
    blind = taught.cube.assign(
        displacement=taught.cube["displacement"].copy(data=scrambled(taught.values, taught.plan, first))
    )
    lesson = replace(taught.lesson, source=CubePoints(blind))
    for name, array in teach(lesson, train_here).items():
        if ".gate." not in name:
            np.testing.assert_array_equal(array, taught.state[name], err_msg=name)


def test_the_gate_is_fitted_at_the_validation_origins_and_knows_nothing_later(taught, monkeypatch):
    monkeypatch.setattr(teaching, "fit_gate", lambda gains, runs: gains.sum(axis=(0, 1)))  # what it is fitted to
    model = fitted("spacetimeformer", "honest", "test", taught.state)
    known = taught.lesson.gate(model, "test")
    for origins, same in ((taught.plan.test, True), (taught.plan.validation, False)):
        values = scrambled(taught.values, taught.plan, origins[0])
        blind = taught.cube.assign(displacement=taught.cube["displacement"].copy(data=values))
        assert np.array_equal(replace(taught.lesson, source=CubePoints(blind)).gate(model, "test"), known) == same


def test_each_stage_has_the_gate_above_its_own_forecasters(taught):
    for stage in teaching.STAGES:
        model = fitted("spacetimeformer", "honest", stage, taught.state)
        assert model.gate == taught.lesson.gate(model, stage)
        kept = fitted("gaussian_process", "honest", stage, taught.state).state()
        np.testing.assert_array_equal(taught.lesson.members_at(stage)[1].state()["theta"], kept["theta"])


def test_no_training_target_is_dated_on_the_first_validation_origin_or_later(taught):
    first = taught.plan.date(taught.plan.validation[0])
    trained, checked = inner_origins(taught.plan)
    assert all(taught.plan.target_days(origin)[-1] < first for origin in training_origins(taught.plan))
    assert max(o.step for o in trained) + taught.plan.horizon <= min(o.step for o in checked)


@given(seed=st.integers(0, 2**31), at=st.floats(0, 1), offset=st.integers(0, 7), share=st.sampled_from([0.0, 0.3, 1.0]))
@settings(max_examples=15)
def test_what_is_trained_on_knows_nothing_from_its_origin_on(taught, seed, at, offset, share):
    """Values on the origin and later become nonsense or missing; only what is asked for may tell."""
    some, rng = taught.cube.isel(point=slice(0, 96)), np.random.default_rng(seed)
    origins = training_origins(taught.plan)
    origin = origins[round(at * (len(origins) - 1))]
    future = np.asarray(taught.plan.days) >= taught.plan.date(origin)
    values = some["displacement"].values.copy()
    shape = len(values), future.sum()
    values[:, future] = np.where(rng.random(shape) < share, np.nan, rng.normal(0, 1e4, shape))
    model = fitted("spacetimeformer", "honest", "validation", taught.state)
    seen = []
    for cube in (some, some.assign(displacement=some["displacement"].copy(data=values))):
        source, sizes = CubePoints(cube), {"batch": 8, "shard": 64, "seed": seed}
        windows = OriginWindows(source, taught.plan, model.members, model.footing, SETTINGS.shape, **sizes)
        windows.origins = [origin]
        seen.append((windows.grouped(windows.pieces[0], origin, offset), windows.batch(1, 0, 1)))
    for known, unseen in zip(*seen, strict=True):
        assert known.keys() == unseen.keys() > {"targets", "scored"}
        for name in known.keys() - {"targets", "scored"}:
            np.testing.assert_array_equal(known[name], unseen[name], err_msg=name)
        assert known["scored"].any() and not np.array_equal(known["targets"], unseen["targets"])


def test_the_audit_passes_the_network_and_catches_one_that_peeps(taught, monkeypatch):
    places = block_places(taught.cube)
    leakage_audit(taught.values, taught.plan, taught.state, "test", taught.plan.test, places=places)

    def peep(self, context):
        return context.values.base[: len(context.values), -len(context.target_years) :].astype(np.float32), None

    monkeypatch.setattr(CorrectingNetwork, "predict", peep)
    with pytest.raises(LeakageError, match="the forecast of spacetimeformer"):
        leakage_audit(taught.values, taught.plan, taught.state, "test", taught.plan.test, places=places)


def test_a_forecast_has_the_same_bits_in_blocks_of_any_number_of_pieces(burst, taught, monkeypatch):
    monkeypatch.setattr(network, "PIECE", 128)
    model = fitted("spacetimeformer", "honest", "test", taught.state)
    context = windows_of(taught.values, taught.plan, "honest", block_places(burst)).context(taught.plan.test[0])
    whole = model.predict(context)[0]
    parts = [model.predict(context.part(at, at + 256))[0] for at in (0, 256, 512)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert np.isfinite(whole).any(axis=1).sum() == 598  # two points have no value at all


def test_a_closed_gate_leaves_the_linear_forecast(taught):
    state = {**taught.state, "honest.trained.spacetimeformer.gate.test": np.zeros(())}
    model = fitted("spacetimeformer", "honest", "test", state)
    context = windows_of(taught.values, taught.plan, "honest", block_places(taught.cube)).context(taught.plan.test[0])
    mean, deviation = model.predict(context)
    said = point_inputs(context, model.members, model.footing, 24)
    np.testing.assert_array_equal(mean, said.mean)
    np.testing.assert_array_equal(deviation, said.deviation)


def test_a_gpu_says_what_the_processor_says_of_all_pieces_at_once(taught, networks_there, monkeypatch):
    monkeypatch.setattr(network, "PIECE", 128)
    state = {**taught.state, "honest.trained.spacetimeformer.gate.test": np.array(0.7)}
    context = windows_of(taught.values, taught.plan, "honest", block_places(taught.cube)).context(taught.plan.test[0])
    here, there = (fitted("spacetimeformer", "honest", "test", state, device) for device in ("cpu", "gpu"))
    assert computes("spacetimeformer", "test", state)
    wanted = here.predict(context)
    found = there.predict(context)
    assert networks_there["turns"] == 1, "five pieces, sent together"
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(found[1], wanted[1])
    assert (found[0] != point_inputs(context, here.members, here.footing, 24).mean).any()
    again = fitted("spacetimeformer", "honest", "test", {k: v.copy() for k, v in state.items()}, "gpu")
    assert again.there is there.there, "weights are sent once"
    leakage_audit(taught.values, taught.plan, state, "test", taught.plan.test, places=block_places(taught.cube),
                  device="gpu")  # fmt: skip


def test_a_closed_gate_asks_for_no_gpu(taught, monkeypatch):
    monkeypatch.setattr(gpu_networks, "found_device", lambda: pytest.fail("nobody needs one"))
    state = {**taught.state, "honest.trained.spacetimeformer.gate.test": np.zeros(())}
    assert not computes("spacetimeformer", "test", state) and not computes("kriging", "test", state)
    assert fitted("spacetimeformer", "honest", "test", state, "gpu").there is None


def test_a_gpu_takes_no_more_than_predicted(taught, networks_there):
    state = {**taught.state, "honest.trained.spacetimeformer.gate.test": np.ones(())}
    context = windows_of(taught.values, taught.plan, "honest", block_places(taught.cube)).context(taught.plan.test[0])
    model = fitted("spacetimeformer", "honest", "test", state)
    inputs = point_inputs(context, model.members, model.footing, 24)
    arrays = group_inputs(inputs, cut_groups(context.located, 8, 1000.0), 8)
    for name in arrays:
        arrays[name] = np.concatenate([arrays[name]] * 14)  # 1,050 groups and more
    networks_there["bytes"] = 4 * gpu_networks.counted(lambda: model._on_meta()(1024))
    there = fitted("spacetimeformer", "honest", "test", state, "gpu").there
    assert there.at_once == 1024
    if there.device.type == "cpu":
        taken = gpu_networks.counted(lambda: there.said(arrays))
        predicted = (model.bytes_there(600 * 14, networks_there["bytes"]) - gpu_networks.LIBRARIES) / gpu_networks.POOL
        assert 0.5 * predicted <= taken <= predicted


def test_the_forecast_of_a_series_upside_down_has_inputs_upside_down(taught):
    context = windows_of(taught.values, taught.plan, "honest", block_places(taught.cube)).context(taught.plan.test[0])
    turned = replace(context, values=-context.values, grid_values=-context.grid_values, memo={})
    members, footing = taught.lesson.members, taught.lesson.footing()
    one, other = (point_inputs(c, members, footing, 24) for c in (context, turned))
    signed = n_signed(len(members), taught.plan.horizon)
    assert one.known.shape[1] == n_known(len(members), taught.plan.horizon)
    for name in ("values", "baseline", "mean"):
        np.testing.assert_allclose(getattr(one, name), -getattr(other, name), atol=1e-4, err_msg=name)
    np.testing.assert_allclose(one.known[:, :signed], -other.known[:, :signed], atol=1e-4)
    np.testing.assert_allclose(one.known[:, signed:], other.known[:, signed:], atol=1e-4)


def test_phases_of_the_year_count_from_the_first_date_that_was_learned_from(taught):
    """A record that begins 90 days earlier, without a value there, is told of in the same terms."""
    plan, context = taught.plan, windows_of(taught.values, taught.plan, "honest", block_places(taught.cube)).context
    known = context(plan.test[0])
    years = {name: getattr(known, name) + 90 / 365 for name in ("years", "grid_years", "target_years")}
    moved_plan = replace(plan, days=(plan.days[0] - 90, *plan.days), observed=(False, *plan.observed))
    told = [
        fitted("spacetimeformer", "honest", "test", state)._read(one)[0].known
        for state, one in (
            (taught.state, known),
            (moved(taught.state, plan, moved_plan), replace(known, **years, memo={})),
        )
    ]
    np.testing.assert_allclose(told[1], told[0], atol=0.01)


def test_batches_are_a_function_of_the_step_and_shared_out_among_ranks(taught, monkeypatch):
    monkeypatch.setattr(origin_windows, "PAIRS", 1)
    lesson = taught.lesson
    footing = lesson.footing()
    one, other = lesson.job(footing).windows, lesson.job(footing).windows
    later = one.batch(17, 0, 1)
    one.batch(3, 0, 1)
    again = one.batch(17, 0, 1)
    shares = [other.batch(17, rank, 2) for rank in range(2)]
    for name, tensor in later.items():
        assert torch.equal(tensor, again[name])
        assert torch.equal(tensor[0::2], shares[0][name])
        assert torch.equal(tensor[1::2], shares[1][name])
    ranks = [list(other.validation(rank, 3)) for rank in range(3)]
    assert len({len(batches) for batches in ranks}) == 1
    assert all(len({len(batch["present"]) for batch in step}) == 1 for step in zip(*ranks, strict=True))
    whole = sum(int(batch["scored"].sum()) for batch in one.validation(0, 1))
    assert sum(int(batch["scored"].sum()) for batches in ranks for batch in batches) == whole


def test_a_small_cube_is_read_once_at_each_origin_of_a_round(taught, monkeypatch):
    windows = taught.lesson.job(taught.lesson.footing()).windows
    windows.pieces = [slice(0, 3)]
    asked = []
    monkeypatch.setattr(
        origin_windows, "point_inputs", lambda *given: asked.append(given[0].target_years[0]) or point_inputs(*given)
    )
    batch = windows.batch(0, 0, 1)
    assert len(batch["present"]) == windows.groups_a_batch
    assert 1 < len(asked) == len(set(asked)) <= len(windows.origins)


def test_pieces_cover_every_point_once_and_cross_no_shard():
    runs = pieces(5000, 1500)
    assert np.concatenate([np.arange(5000)[run] for run in runs]).tolist() == list(range(5000))
    assert all(run.start // 1500 == (run.stop - 1) // 1500 for run in runs)


def test_the_network_is_scored_beside_the_others(taught):
    errors = protocol.calibrate_partial(taught.cube, taught.plan, taught.state)
    calibrated = protocol.calibrate([errors], taught.plan, taught.state)
    scores = protocol.score([protocol.score_partial(taught.cube, taught.plan, taught.state)], taught.plan, calibrated)
    assert scores.tables["honest"]["spacetimeformer"]["rmse_all"] < scores.tables["honest"]["persistence"]["rmse_all"]
    first = {**calibrated, "ranking": np.array(["spacetimeformer"]), "validation_rmse": np.zeros(1)}
    forecast = protocol.forecast_block(taught.cube, taught.plan, first)
    assert forecast.attrs["method"] == "spacetimeformer"
    assert np.isfinite(forecast["displacement"].values).any(axis=(0, 2)).sum() == 598


def test_settings_travel_as_plain_values():
    assert Settings.from_dict(json.loads(json.dumps(SETTINGS.to_dict()))) == SETTINGS


def test_a_plan_with_a_network_needs_what_it_corrects(burst):
    with pytest.raises(ValueError, match="add harmonic_ridge, gaussian_process to the methods"):
        plan(burst["time"].values, methods=("persistence", "spacetimeformer"))


def test_too_short_a_record_has_no_training_origins(taught):
    early = replace(
        taught.plan.validation[0],
        step=max(taught.plan.context, round(365 / taught.plan.every)) + taught.plan.horizon + 2,
    )
    with pytest.raises(TooShortError, match="a network needs 4"):
        training_origins(replace(taught.plan, validation=(early,)))


def test_without_torch_the_cure_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'insar-dask\[train\]'"):
        require_torch()


def test_a_plan_with_a_network_that_nothing_trains_is_refused(taught):
    with pytest.raises(ValueError, match="spacetimeformer has to be trained"):
        protocol.learn(lambda: [taught.cube], taught.plan)
