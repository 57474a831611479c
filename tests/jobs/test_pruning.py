import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.jobs import pruning
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.forecasting.evaluation import evaluate, forecast
from insar_dask.jobs.pruning import prune_states
from insar_dask.jobs.receipts import Ledger
from insar_dask.objects import delete, list_keys, open_store
from insar_dask.store import open_group
from tests.conftest import stored_bytes

SETTINGS = {"every": "12D", "methods": ("persistence", "harmonic")}


@pytest.fixture(scope="module")
def twice(small_scene: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A product that was forecast with other settings before."""
    path = tmp_path_factory.mktemp("twice") / "site.zarr"
    insar.save(small_scene.drop_vars("observed"), path, "site/raw", shard_points=1024, quiet=True)
    engine = Engine(path, quiet=True)
    for level in (0.5, 0.9):
        evaluate(engine, "site", level=level, **SETTINGS)
        forecast(engine, "site", 0.0, level=level, **SETTINGS)
    return path


@pytest.fixture
def engine(twice: Path, tmp_path: Path) -> Engine:
    return Engine(shutil.copytree(twice, tmp_path / "site.zarr"), quiet=True)


def states(engine: Engine) -> set[str]:
    return set(list_keys(engine.store, "jobs/states/"))


def test_what_a_later_run_no_longer_names_is_let_go(engine: Engine) -> None:
    before = states(engine)
    prune_states(engine.ledger)
    assert 0 < len(states(engine)) < len(before)
    kept = stored_bytes(Path(str(engine.path)))
    evaluate(engine, "site", **SETTINGS)
    forecast(engine, "site", 0.0, **SETTINGS)
    assert engine.reports[-1].computed == 0
    assert prune_states(engine.ledger) == []
    assert stored_bytes(Path(str(engine.path))) == kept


def test_a_lost_shard_of_a_forecast_is_made_again_after_pruning(engine: Engine) -> None:
    prune_states(engine.ledger)
    values = open_group(engine.store, "site/forecast").compute()
    engine.ledger.revoke("site/forecast", [1])
    forecast(engine, "site", 0.0, **SETTINGS)
    assert engine.reports[-1].computed == 1
    xr.testing.assert_identical(open_group(engine.store, "site/forecast").compute(), values)


def test_a_state_that_any_note_or_recipe_names_stays(engine: Engine) -> None:
    centres = engine.ledger.write_state({"centres": np.arange(8.0)})
    engine.ledger.write_note("clusters/site", {"fitted": {"state": centres}})
    lost = engine.ledger.write_state({"lost": np.zeros(2)})
    assert lost in prune_states(engine.ledger)
    assert "centres" in engine.ledger.read_state(centres)
    delete(engine.store, "jobs/forecaster/site.json")
    recipe = open_group(engine.store, "site/forecast").attrs["recipe"]
    prune_states(engine.ledger)
    assert engine.ledger.read_state(recipe[0]["params"]["state"]["state"])


def test_pruning_that_is_killed_halfway_is_ended_by_the_next(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in range(3):
        engine.ledger.write_state({"lost": np.full(2, value)})
    removed = []

    def die_at_the_second(store: object, key: str) -> None:
        if removed:
            raise KeyboardInterrupt
        removed.append(key)
        delete(engine.store, key)

    with monkeypatch.context() as patched:
        patched.setattr(pruning, "delete", die_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            prune_states(engine.ledger)
    assert len(prune_states(engine.ledger)) >= 2
    assert not engine.ledger.damaged()
    assert prune_states(Ledger(open_store(str(engine.path)))) == []
