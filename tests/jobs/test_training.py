import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.forecast import protocol
from insar_dask.forecast.catalogue import LINEAR
from insar_dask.forecast.correction.origin_windows import Shape
from insar_dask.forecast.correction.teaching import Lesson, Settings
from insar_dask.forecast.schedule import plan
from insar_dask.forecast.series.stored_points import StoredPoints
from insar_dask.forecast.training import checkpoint, train
from insar_dask.forecast.training.job import Training
from insar_dask.jobs.devices import DEVICE
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.forecasting import evaluation, training
from insar_dask.jobs.forecasting.evaluation import evaluate, forecast
from insar_dask.jobs.forecasting.training import build_job
from insar_dask.jobs.pruning import prune_states
from insar_dask.store import open_group
from insar_dask.synthetic import scene

TINY = {"width": 16, "hidden": 32, "heads": 1, "head_width": 16, "encoder_layers": 1, "decoder_layers": 1}
NETWORK = Settings(
    Shape(length=8), TINY, Training(max_steps=4, batch=8, rate=3e-3, warmup=0, check_every=2, checkpoint_every=2)
)
METHODS = {"methods": ("persistence", *LINEAR, "spacetimeformer")}


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    return scene("l2b", n_points=300, n_dates=170, seed=4).compute()


@pytest.fixture
def engine(tmp_path: Path, cube: xr.Dataset) -> Engine:
    insar.save(cube, tmp_path / "site.zarr", "site/raw", shard_points=128, quiet=True)
    return Engine(tmp_path / "site.zarr", quiet=True)


def stop_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a training die after some steps."""
    taken = train._Loop.step

    def step(self: Any) -> None:
        if self.done == steps:
            raise KeyboardInterrupt
        taken(self)

    monkeypatch.setattr(train._Loop, "step", step)


def test_a_network_is_trained_once_goes_on_after_a_kill_and_forecasts(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="2 ranks are asked for, and none of persistence, harmonic is a network"):
        evaluate(engine, "site", ranks=2, methods=("persistence", "harmonic"))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after(3, patch)
        evaluate(engine, "site", network=NETWORK, **METHODS)
    found = checkpoint.load(next((tmp_path / "site-training").rglob("*.pt")).parent)
    assert found is not None and len(found.state["identity"]) == 64, "other data have another identity"
    with monkeypatch.context() as patch:
        seen = []
        taken = train._Loop.step
        patch.setattr(train._Loop, "step", lambda self: (seen.append(self.done), taken(self))[1])
        scores = evaluate(engine, "site", network=NETWORK, **METHODS)
    assert seen == [2, 3]
    assert not (tmp_path / "site-training").exists()
    assert "spacetimeformer" in scores["tables"]["honest"]

    note = engine.ledger.read_note("forecaster/site")
    assert note is not None
    assert_a_rank_builds_the_same_job(engine, note)
    assert any("weights" in name for name in engine.ledger.read_state(note["trained"]))
    assert not any("weights." in name and "trained" in name for name in engine.ledger.read_state(note["state"]))
    prune_states(engine.ledger)

    with monkeypatch.context() as patch:
        stop_after(0, patch)  # nothing may be trained again
        assert evaluate(engine, "site", network=NETWORK, **METHODS) == scores
        assert evaluate(engine, "site", network=NETWORK, level=0.8, **METHODS)["level"] == 0.8
        other = replace(NETWORK, training=replace(NETWORK.training, seed=1))
        with pytest.raises(KeyboardInterrupt):
            evaluate(engine, "site", network=other, **METHODS)
        patch.setattr(training, "RESULT_VERSION", training.RESULT_VERSION + 1)
        with pytest.raises(KeyboardInterrupt):
            evaluate(engine, "site", network=NETWORK, **METHODS)

    evaluate(engine, "site", network=NETWORK, **METHODS)
    state = {**engine.ledger.read_state(note["state"]), "ranking": np.array(["spacetimeformer"])}
    engine.ledger.write_note("forecaster/site", {**note, "state": engine.ledger.write_state(state)})
    forecast(engine, "site", 0.0, **METHODS)
    made = open_group(engine.store, "site/forecast")
    assert made.attrs["method"] == "spacetimeformer"
    assert np.isfinite(made["displacement"].values).all()


def test_networks_of_an_evaluation_compute_on_gpus_where_their_gates_are_open(
    cube: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, networks_there: dict[str, int]
) -> None:
    """At each stage the gate of that stage decides, and what it decides is in the keys."""
    insar.save(cube.isel(point=slice(64)), tmp_path / "site.zarr", "site/raw", quiet=True)
    engine = Engine(tmp_path / "site.zarr", quiet=True)
    trained = evaluation.train_networks

    def with_gates(*given: Any, **how: Any) -> str:
        """Open at the test and beyond the record, and closed at the validation."""
        state = engine.ledger.read_state(trained(*given, **how))
        for stage, gate in {"validation": 0.0, "test": 1.0, "future": 1.0}.items():
            state[f"honest.trained.spacetimeformer.gate.{stage}"] = np.array(gate)
        return engine.ledger.write_state(state)

    def ranked(state: Any, _: Any) -> dict[str, Any]:
        return {"ranking": np.array(["spacetimeformer"]), "validation_rmse": np.zeros(1)}

    monkeypatch.setattr(evaluation, "train_networks", with_gates)
    monkeypatch.setattr(protocol, "ranked", ranked)
    monkeypatch.setenv(DEVICE, "gpu")
    scores = evaluate(engine, "site", network=NETWORK, stride=9, **METHODS)
    forecast(engine, "site", 0.0, stride=9, **METHODS)
    assert {report.stage: report.steps for report in engine.reports} == {
        "site/fit": {"cpu": ["fit_partial"]},
        "site/score": {"gpu": ["score_partial"], "cpu": ["calibrate_partial"]},
        "site/forecast": {"gpu": ["forecast_block"], "cpu": ["outlook_block"]},
    }
    recipes = [open_group(engine.store, f"site/{name}").attrs["recipe"][0] for name in ("forecast", "outlook")]
    assert [recipe.get("device") for recipe in recipes] == ["gpu", None]
    assert networks_there["turns"] > 2 and "spacetimeformer" in scores["tables"]["honest"]


def assert_a_rank_builds_the_same_job(engine: Engine, note: dict[str, Any]) -> None:
    """From what can travel to another process."""
    observed = np.ones(170, bool)
    schedule = plan(open_group(engine.store, "site/raw")["time"].values, observed=observed, **METHODS)
    fitted = engine.ledger.read_state(note["uncalibrated"])
    lesson = Lesson(StoredPoints(str(engine.path), "site/raw"), schedule, fitted, 128, NETWORK)
    footing = lesson.footing()
    params = {"plan": schedule.to_dict(), "settings": NETWORK.to_dict(), "weights": footing.weights.tolist()}
    travelled = json.loads(
        json.dumps({**params, "scale": footing.scale, "fitted": note["uncalibrated"], "identity": "a"})
    )
    job = build_job(str(engine.path), "site", **travelled)
    ours, theirs = (made.windows.batch(0, 0, 2) for made in (lesson.job(footing), job))
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours) and job.identity == "a"
