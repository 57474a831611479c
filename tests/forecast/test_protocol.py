import itertools
import os
import pickle
import subprocess
import sys
import tracemalloc
from functools import reduce

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_equal

from insar_dask.cube import CubeError
from insar_dask.forecast import conformal, protocol, tallies
from insar_dask.forecast.gaussian import PooledGaussianProcess
from insar_dask.forecast.naive import Persistence, harmonic_fit
from insar_dask.forecast.registry import load, under
from insar_dask.forecast.ridge import HarmonicRidge
from insar_dask.forecast.strata import STRATA, stratify
from insar_dask.forecast.timetable import TooShortError
from insar_dask.forecast.windows import HonestWindows
from insar_dask.synthetic import scene

NAIVE = ("persistence", "drift", "seasonal_naive", "harmonic", "harmonic_ar1", "harmonic_ridge")


def run(cube, cuts=(), **settings_):
    """All passes over a cube cut into blocks at ``cuts``."""
    plan = protocol.plan(cube["time"].values, **settings_)
    edges = [0, *cuts, cube.sizes["point"]]
    blocks = [cube.isel(point=slice(*pair)) for pair in itertools.pairwise(edges)]
    state = protocol.fit([protocol.fit_partial(block, plan) for block in blocks], plan)
    validation = [protocol.calibrate_partial(block, plan, state) for block in blocks]
    test = [protocol.score_partial(block, plan, state) for block in blocks]
    state = protocol.calibrate(validation, plan, state)
    forecast = xr.concat(
        [protocol.forecast_block(block, plan, state) for block in blocks], "point", data_vars="minimal"
    )
    return plan, state, protocol.score(test, plan, state, cube.attrs), forecast


@pytest.fixture(scope="module")
def outcome(burst):
    return run(burst, methods=NAIVE)


def test_scores_agree_with_errors_computed_by_hand(burst, outcome):
    plan, _, scores, _ = outcome
    windows = HonestWindows(burst["displacement"].values, plan)
    errors = np.stack([Persistence().predict(windows.context(o))[0] - windows.targets(o) for o in plan.test])
    row = scores.tables["honest"]["persistence"]
    np.testing.assert_allclose(row["rmse"], np.sqrt(np.nanmean(errors.astype(float) ** 2, axis=(0, 1))), rtol=1e-6)
    np.testing.assert_allclose(row["mae"], np.nanmean(np.abs(errors.astype(float)), axis=(0, 1)), rtol=1e-6)
    assert row["n"] == np.isfinite(errors).sum(axis=(0, 1)).tolist()
    assert row["rmse_all"] == pytest.approx(np.sqrt(np.nanmean(errors.astype(float) ** 2)), rel=1e-6)
    kinds = stratify(windows.context(plan.test[0]))
    for index, name in enumerate(STRATA):
        of_kind = errors[:, kinds == index].astype(float)
        assert row["strata"][name]["n"] == np.isfinite(of_kind).sum() > 0
        assert row["strata"][name]["rmse"] == pytest.approx(np.sqrt(np.nanmean(of_kind**2)), rel=1e-6)


def test_coverage_agrees_with_intervals_drawn_by_hand(burst, outcome):
    plan, state, scores, _ = outcome
    windows = HonestWindows(burst["displacement"].values, plan)
    start = windows.context(plan.test[0])
    classes = np.searchsorted(state["honest.test.edges"], harmonic_fit(start)[1].rmse)
    classes[[13, 400]] = 0
    held = []
    for origin in plan.test:
        context, targets = windows.context(origin), windows.targets(origin)
        rmse, recent = harmonic_fit(context)[1][:2]
        half = state["honest.persistence.quantiles"][classes] * np.hypot(rmse, recent)[:, None] / np.sqrt(2)
        mean, _ = Persistence().predict(context)
        held.append(np.where(np.isfinite(mean - targets), np.abs(mean - targets) <= half, np.nan))
    expected = np.nanmean(np.stack(held), axis=(0, 1))
    np.testing.assert_allclose(scores.tables["honest"]["persistence"]["coverage"], expected, atol=4e-3)


@given(st.lists(st.integers(1, 599), max_size=4, unique=True).map(sorted))
@settings(max_examples=6, deadline=None)
def test_scores_and_forecasts_do_not_depend_on_the_cut_into_blocks(burst, outcome, cuts):
    _, state, scores, forecast = outcome
    _, state_cut, scores_cut, forecast_cut = run(burst, cuts, methods=NAIVE)
    assert state_cut.keys() == state.keys()
    for method in NAIVE:
        ours, other = (s.tables["honest"][method] for s in (scores, scores_cut))
        assert ours["n"] == other["n"] and ours["strata"].keys() == other["strata"].keys()
        for name in ("rmse", "coverage", "interval_width", "rmse_ci"):
            np.testing.assert_allclose(ours[name], other[name], rtol=1e-6)
    for name in ("displacement", "lower", "upper"):
        np.testing.assert_allclose(forecast_cut[name], forecast[name], rtol=1e-5, atol=1e-4)


def test_the_same_blocks_give_the_same_bits(burst, outcome):
    _, state, scores, forecast = outcome
    _, again, scores_again, forecast_again = run(burst, methods=NAIVE)
    assert scores.to_json() == scores_again.to_json()
    for name, array in state.items():
        np.testing.assert_array_equal(array, again[name])
    xr.testing.assert_identical(forecast, forecast_again)


@given(st.integers(0, 2**31))
@settings(max_examples=6, deadline=None)
def test_changing_the_future_changes_no_bit_of_fits_and_forecasts(burst, seed):
    rng = np.random.default_rng(seed)
    plan = protocol.plan(burst["time"].values, methods=NAIVE)
    values = burst["displacement"].values
    fits = protocol.fit([protocol.fit_partial(burst, plan)], plan)
    for stage in ("validation", "test"):
        origins = getattr(plan, stage)
        scrambled = with_nonsense_from(values, plan, origins[0], rng)
        changed = burst.assign(displacement=burst["displacement"].copy(data=scrambled))
        again = protocol.fit([protocol.fit_partial(changed, plan)], plan)
        for name in fits:
            if f".{stage}." in name:
                np.testing.assert_array_equal(fits[name], again[name])
        origin = origins[rng.integers(len(origins))]
        scrambled = with_nonsense_from(values, plan, origin, rng)
        known, blind = (HonestWindows(v, plan).context(origin) for v in (values, scrambled))
        for method in NAIVE:
            model = load(method, f"honest.{stage}.{method}.", fits)
            np.testing.assert_array_equal(model.predict(known)[0], model.predict(blind)[0])


def with_nonsense_from(values, plan, origin, rng):
    scrambled = values.copy()
    future = np.asarray(plan.days) >= plan.date(origin)
    scrambled[:, future] = rng.choice([np.nan, -1e4, 1e4], (len(values), future.sum()))
    return scrambled


def test_points_without_values_stay_in_their_rows_and_are_counted(burst, outcome):
    _, _, scores, forecast = outcome
    assert forecast.sizes == {"origin": 1, "point": 600, "lead": 6}
    for name in ("displacement", "lower", "upper"):
        empty = np.isnan(forecast[name].values[0]).all(axis=1)
        assert np.flatnonzero(empty).tolist() == [13, 400]
    np.testing.assert_array_equal(forecast["point_id"], burst["point_id"])
    assert not scores.notes[1:]  # a target needs a value, and who has one has a forecast


def test_errors_that_nothing_can_measure_are_refused(burst):
    schedule = protocol.plan(burst["time"].values, methods=("persistence", "drift"))
    first = schedule.date(schedule.validation[0])
    late = burst["time"].values.astype("datetime64[D]").astype(int) >= first - 60
    with pytest.raises(TooShortError, match=r"no error can be judged at the \d+ validation .* longer history"):
        run(burst.assign(displacement=burst["displacement"].where(late)), methods=("persistence", "drift"))


def test_a_point_that_starts_late_is_reported_as_not_forecast(burst):
    values = burst["displacement"].values.copy()
    values[5, :-25] = np.nan
    cube = burst.assign(displacement=burst["displacement"].copy(data=values))
    _, _, scores, _ = run(cube, methods=("persistence", "harmonic"))
    assert any(note.startswith("harmonic could not forecast") for note in scores.notes)


def test_the_forecast_cube_continues_the_record(burst, outcome):
    _, state, _, forecast = outcome
    times = forecast["time"].values
    assert times.shape == (1, 6)
    assert times[0, 0] > burst["time"].values[-1]
    assert (np.diff(times[0]) == np.timedelta64(12, "D")).all()
    assert forecast.attrs["level"] == 0.9 and forecast.attrs["method"] == str(state["ranking"][0])
    assert forecast["displacement"].attrs["units"] == "mm" and forecast["displacement"].dtype == np.float32
    full = forecast.isel(point=[i for i in range(600) if i not in (13, 400)])
    assert (full["lower"] < full["displacement"]).all() and (full["displacement"] < full["upper"]).all()
    assert "crs" in forecast and forecast["easting"].dtype == np.float64


def test_partials_and_state_are_small_and_travel(burst, outcome):
    plan, state, _, _ = outcome
    for part in (protocol.fit_partial(burst, plan), protocol.score_partial(burst, plan, state)):
        assert sum(array.nbytes for array in part.values()) < 1e6
        assert all(isinstance(array, np.ndarray) and array.dtype.kind in "fiuU" for array in part.values())
    assert len(pickle.dumps(plan)) < 1e4
    assert sum(array.nbytes for array in state.values()) < 1e5


@pytest.mark.parametrize(("kind", "horizon"), [("l2b", 6), ("l3u", 10)])
def test_intervals_hold_their_share_in_every_quintile_and_lead(kind, horizon):
    cube = scene(kind, n_points=3000, seed=2).compute()
    scores = protocol.evaluate(cube, methods=NAIVE)
    assert scores.horizon == horizon
    for method in NAIVE:
        coverage = np.array(scores.coverage_by_quintile[method])
        assert coverage.min() >= 0.85 and coverage.max() <= 0.95, (method, coverage.round(3))


def test_intervals_of_a_model_with_its_own_deviation_hold_their_share_too():
    scores = protocol.evaluate(scene("l2b", n_points=2000, seed=4).compute(), methods=("gaussian_process",))
    coverage = np.array(scores.coverage_by_quintile["gaussian_process"])
    assert coverage.min() >= 0.85 and coverage.max() <= 0.95


def test_the_default_is_what_validation_prefers(outcome):
    _, state, scores, _ = outcome
    assert scores.default == state["ranking"][0]
    assert (np.diff(state["validation_rmse"]) >= 0).all()
    assert f"{state['validation_rmse'][0]:.2f} mm" in scores.reason


def test_evaluate_takes_a_lazy_cube_block_by_block(burst, outcome):
    scores = protocol.evaluate(burst.chunk(point=100), block=250, methods=NAIVE)
    assert scores.tables["honest"]["harmonic"]["rmse_all"] == pytest.approx(
        outcome[2].tables["honest"]["harmonic"]["rmse_all"], rel=1e-9
    )


@pytest.mark.parametrize("days", [-1, 60])
def test_a_cube_that_has_seen_the_future_is_refused_by_the_honest_protocol(burst, days):
    with pytest.raises(CubeError, match="takes the raw cube"):
        protocol.evaluate(burst.assign_attrs(sees_future=days), methods=("persistence",))


def test_the_published_protocol_takes_it_and_says_so(burst):
    cube = burst.assign_attrs(sees_future=-1)
    scores = protocol.evaluate(cube, methods=("persistence",), protocols=("as_published",))
    assert any("have seen the whole series" in note and "LEAK" in note for note in scores.notes)
    assert "honest" not in scores.tables


def test_the_published_protocol_cannot_forecast(burst):
    plan = protocol.plan(burst["time"].values, methods=("persistence",), protocols=("as_published",))
    with pytest.raises(CubeError, match="needs the honest protocol"):
        protocol.forecast_block(burst, plan, {})


def test_a_plan_for_other_dates_is_refused(burst):
    plan = protocol.plan(burst["time"].values)
    with pytest.raises(CubeError, match="209 dates, the plan 210"):
        protocol.fit_partial(burst.isel(time=slice(209)), plan)


def test_a_record_of_two_and_a_half_years_is_scored_without_the_ridge(burst):
    scores = protocol.evaluate(burst.isel(time=slice(120, None)), methods=("persistence", "seasonal_naive", "harmonic"))
    assert scores.every_days == 12 and np.isfinite(scores.tables["honest"]["harmonic"]["rmse_all"])


def test_a_cube_of_empty_series_is_refused(burst):
    cube = burst.assign(displacement=burst["displacement"].copy(data=np.full((600, 210), np.nan, np.float32)))
    with pytest.raises(TooShortError, match=r"nothing can be scored at the .* no value was observed at their leads"):
        protocol.evaluate(cube, methods=NAIVE)


def test_the_gaussian_process_is_evaluated_beside_the_others(burst):
    scores = protocol.evaluate(burst, methods=("persistence", "gaussian_process"), protocols=("honest", "as_published"))
    assert scores.tables["honest"]["gaussian_process"]["skill"] > 0.05
    assert list(scores.tables["as_published"]) == ["persistence"]  # on a smoothed grid it would be something else


def test_the_number_of_blas_threads_changes_no_bit():
    code = """
import hashlib
from insar_dask.forecast import conformal, protocol, tallies
from insar_dask.synthetic import scene
cube = scene("l2b", n_points=1000, n_dates=210, seed=7).compute()
plan = protocol.plan(cube["time"].values, methods=("persistence", "harmonic_ridge"))
state = protocol.fit([protocol.fit_partial(cube, plan)], plan)
state = protocol.calibrate([protocol.calibrate_partial(cube, plan, state)], plan, state)
scores = protocol.score([protocol.score_partial(cube, plan, state)], plan, state)
forecast = protocol.forecast_block(cube, plan, state)["displacement"].values
print(hashlib.sha256(b"".join(state[k].tobytes() for k in sorted(state)) + forecast.tobytes()).hexdigest())
print(hashlib.sha256(scores.to_json().encode()).hexdigest())
"""
    threads = [{**os.environ, "OMP_NUM_THREADS": n, "OPENBLAS_NUM_THREADS": n} for n in ("1", "2")]
    one, two = (
        subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
        for env in threads
    )
    assert one == two and len(one) > 100


def test_evaluation_imports_no_torch():
    code = "import sys; from insar_dask.forecast import evaluate; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_merging_holds_one_partial_at_a_time_however_many_there_are(burst):
    plan = protocol.plan(burst["time"].values, methods=["persistence", "harmonic_ridge"])
    state_of = protocol.fit([part := protocol.fit_partial(burst, plan)], plan)
    errors = protocol.score_partial(burst, plan, state_of)
    process = protocol.plan(burst["time"].values, methods=["gaussian_process"])
    sample = protocol.fit_partial(burst, process)

    def peak(merge, partial, number):
        tracemalloc.start()
        merge({name: array.copy() for name, array in partial.items()} for _ in range(number))
        grown = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return grown

    for merge, partial in (
        (lambda parts: protocol.fit(parts, plan), part),
        (lambda parts: protocol._pool(parts, process), sample),  # a fit to what is pooled takes long
        (tallies.sum_partials, errors),
    ):
        size = sum(array.nbytes for array in partial.values())
        few, many = peak(merge, partial, 3), peak(merge, partial, 40)
        assert many - few < 3 * size  # a list would have grown by 37


def test_partials_merge_the_same_in_one_go_and_step_by_step(burst):
    plan = protocol.plan(burst["time"].values, methods=("harmonic_ridge", "gaussian_process"))
    cuts = np.linspace(0, burst.sizes["point"], 12).astype(int)
    parts = [protocol.fit_partial(burst.isel(point=slice(*pair)), plan) for pair in itertools.pairwise(cuts)]
    state = protocol.fit(iter(parts), plan)
    prefix = "honest.test."
    assert_equal(
        state[prefix + "edges"], conformal.class_edges(np.sum([part[prefix + "rmse"] for part in parts], axis=0))
    )
    sums = [np.sum([part[f"{prefix}harmonic_ridge.{name}"] for part in parts], axis=0) for name in ("gram", "moment")]
    ridge = HarmonicRidge.from_state({"weights": state[f"{prefix}harmonic_ridge.weights"]})
    penalty = ridge.penalty * np.trace(sums[0]) / len(sums[0])
    assert_equal(ridge.weights_, np.linalg.solve(sums[0] + penalty * np.eye(len(sums[0])), sums[1]))
    hashes, values = (np.concatenate([p[f"{prefix}gaussian_process.{n}"] for p in parts]) for n in ("hash", "values"))
    model = PooledGaussianProcess()
    first = np.argsort(hashes, kind="stable")[: model.sample]
    merged = reduce(model.merge, [under(f"{prefix}gaussian_process.", part) for part in parts])
    assert_equal(merged["values"], values[first])
