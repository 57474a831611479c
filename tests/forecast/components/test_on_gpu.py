"""Chunk jobs whose networks forecast on a GPU; oracle: what the processor says."""

import shutil
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
import torch
import xarray as xr

import insar_dask as insar
from insar_dask import turns
from insar_dask.cube import CubeError
from insar_dask.forecast import Forecaster, gpu_networks, registry
from insar_dask.forecast.components import network
from insar_dask.forecast.tallies import block_places, block_values, windows_of
from insar_dask.jobs import engine as engines
from insar_dask.jobs.devices import DEVICE
from insar_dask.jobs.engine import Engine, JobError
from insar_dask.jobs.forecasting.prediction import predict_product
from insar_dask.jobs.gpu_networks import network_bytes
from insar_dask.jobs.recipe import Step, state_reference
from insar_dask.store import open_group
from tests.conftest import stored_bytes

HERE = not torch.cuda.is_available()


@pytest.fixture(scope="module")
def stored(plateau: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stored") / "site.zarr"
    insar.save(plateau, path, "site/raw", shard_points=64, quiet=True)
    return path


def predicted(store: Path, model: Forecaster, client: Any = None) -> dict[str, Any]:
    """What the run's stage came to."""
    engine = Engine(store, client, quiet=True)
    predict_product(engine, "site", model)
    return engine.reports[-1].to_dict()


def test_a_run_on_gpus_forecasts_there_under_keys_of_its_own(
    stored: Path, fitted: Forecaster, tmp_path: Path, networks_there: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = shutil.copytree(stored, tmp_path / "site.zarr")
    monkeypatch.setattr(network, "PIECE", 32)
    monkeypatch.setenv(DEVICE, "cpu")
    assert predicted(store, fitted)["computed"] == 3
    before, here = stored_bytes(store), open_group(store, "site/predicted").load()
    assert networks_there["turns"] == 0
    monkeypatch.setenv(DEVICE, "gpu")
    told = predicted(store, fitted)
    assert told["computed"] == 3
    assert told["steps"] == {"gpu": ["forecast_block"], "cpu": ["count_forecasts"]}
    assert 12 <= networks_there["turns"] <= 18, "one for each network that a shard has a point for, not for each piece"
    there = open_group(store, "site/predicted").load()
    assert there.attrs["recipe"] == [here.attrs["recipe"][0] | {"device": "gpu"}]
    for name in ("displacement", "lower", "upper"):
        np.testing.assert_allclose(there[name], here[name], rtol=1e-3, atol=1e-2)
    assert (there["displacement"] != here["displacement"]).any()
    assert predicted(store, fitted)["computed"] == 0
    monkeypatch.delenv(DEVICE)
    assert predicted(store, fitted)["computed"] == 3
    assert stored_bytes(store) == before


def test_what_no_network_says_needs_no_gpu(stored: Path, plateau: xr.Dataset, tmp_path: Path, monkeypatch) -> None:
    """Linear forecasters compute where they did, under the keys they had."""
    store, model = shutil.copytree(stored, tmp_path / "site.zarr"), Forecaster("harmonic").fit(plateau)
    assert predicted(store, model)["computed"] == 3
    monkeypatch.setenv(DEVICE, "gpu")
    assert predicted(store, model)["computed"] == 0


@pytest.mark.skipif(not HERE, reason="there is a GPU")
def test_without_a_gpu_nothing_is_forecast_elsewhere(
    stored: Path, fitted: Forecaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = shutil.copytree(stored, tmp_path / "site.zarr")
    predicted(store, fitted)
    before = stored_bytes(store)
    monkeypatch.setenv(DEVICE, "gpu")
    said = r"torch [\w.+]+ finds none on this worker: install insar-dask\[train\]"
    with pytest.raises(CubeError, match=f"stage site/predicted, worker of this process: .*{said}"):
        predicted(store, fitted)
    assert stored_bytes(store) == before
    monkeypatch.setattr(engines, "check_network_gpus", lambda *_: None)  # as if the worker came later
    other = shutil.copytree(stored, tmp_path / "other.zarr")
    with pytest.raises(JobError, match=f"stage site/predicted, shard 0: .*{said}"):
        predicted(other, fitted)
    assert not list((other / "jobs/receipts/site").glob("predicted/*"))


@pytest.mark.skipif(not HERE, reason="there is a GPU")
def test_a_gpu_that_is_too_small_is_refused_before_any_work(
    stored: Path, fitted: Forecaster, tmp_path: Path, networks_there: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = shutil.copytree(stored, tmp_path / "site.zarr")
    monkeypatch.setenv(DEVICE, "gpu")
    networks_there["bytes"] = gpu_networks.LIBRARIES
    with pytest.raises(CubeError, match=r"takes 1\d\d\.\d MB of the GPU of worker of this process, which has 128.0 MB"):
        predicted(store, fitted)
    assert not (store / "site/predicted").exists() and networks_there["turns"] == 0


def test_networks_may_take_what_is_free_and_cupy_may_not_take_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 80 bytes torch has 6, 2 of them for its next tensors, CuPy 10 of the 40 that it may take, others 28."""
    pool = SimpleNamespace(get_limit=lambda: 40, total_bytes=lambda: 10)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(get_default_memory_pool=lambda: pool))
    monkeypatch.setattr(gpu_networks, "found_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(gpu_networks, "_memory", lambda _: 80)
    for name, found in {"mem_get_info": (36, 80), "memory_reserved": 6, "memory_allocated": 4}.items():
        monkeypatch.setattr(torch.cuda, name, lambda _, found=found: found)
    assert gpu_networks.network_room() == (36 + 2 - 30, 80)
    pool.get_limit = lambda: 0
    assert gpu_networks.network_room() == (36 + 2, 80)


def test_weights_of_the_others_stay_beside_what_the_hungriest_takes(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, takes = Engine(stored, quiet=True).ledger, {"mmstt": 1000, "convlstm": 900}
    monkeypatch.setattr(registry, "fitted", lambda method, *_: SimpleNamespace(bytes_there=lambda *_: takes[method]))
    state = {f"honest.trained.{method}.weights.a": np.zeros(takes[method], np.int8) for method in takes}
    params = {"plan": {"plan": {"methods": [*takes]}}, "state": state_reference(ledger.write_state(state))}
    assert network_bytes([Step("score_partial", "raw", "scores", params, network=True)], 8, 10**9, ledger) == 1900


def test_dates_of_another_step_are_refused_there_too(
    fitted: Forecaster, plateau: xr.Dataset, networks_there: dict[str, int]
) -> None:
    plan = fitted.plan_
    context = windows_of(block_values(plateau, plan), plan, "honest", block_places(plateau)).context(plan.future)
    halved = {name: getattr(context, name) / 2 for name in ("years", "grid_years", "target_years")}
    for device in get_args(registry.Device):
        model = registry.fitted(network.ComponentNetworks.name, "honest", "future", fitted.state_, device)
        with pytest.raises(CubeError, match="dates are 6 to 6 days apart, those of the training were 12"):
            model.predict(replace(context, memo={}, **halved))
    assert networks_there["turns"] == 0


def test_threads_of_a_worker_take_turns_and_one_sends_the_weights(
    stored: Path, fitted: Forecaster, tmp_path: Path, networks_there: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, together = (shutil.copytree(stored, tmp_path / name) for name in ("alone.zarr", "together.zarr"))
    monkeypatch.setenv(DEVICE, "gpu")
    predicted(alone, fitted)
    monkeypatch.setattr(gpu_networks, "_KEPT", {})
    spans: list[tuple[str, int]] = []
    taken = turns.in_turn

    @contextmanager
    def noted() -> Any:
        with taken():
            spans.append(("began", threading.get_ident()))
            yield
            spans.append(("ended", threading.get_ident()))

    monkeypatch.setattr(gpu_networks, "in_turn", noted)
    with insar.session(threads=3) as client:
        assert predicted(together, fitted, client)["computed"] == 3
    assert len(gpu_networks._KEPT) == 1 and len({thread for _, thread in spans}) > 1
    assert all(one[0] != other[0] for one, other in pairwise(spans))
    assert stored_bytes(together) == stored_bytes(alone)


def test_weights_are_sent_once_and_memory_decides_how_many_groups_are_seen(
    fitted: Forecaster, networks_there: dict[str, int]
) -> None:
    arrays = {name.rpartition(f"{network.ComponentNetworks.name}.")[2]: a for name, a in fitted.state_.items()}
    arrays = {name: arrays[name] for name in arrays if name.startswith(("weights", "patterns", "settings"))}
    sizes = set()
    made = network.ComponentNetworks.from_state(arrays)
    for rows in (512, gpu_networks.MOST):
        networks_there["bytes"] = 4 * gpu_networks.counted(lambda rows=rows: made._on_meta()(rows))
        gpu_networks._KEPT.clear()
        one, again = (network.ComponentNetworks.from_state(arrays, "gpu").there for _ in range(2))
        assert one is again and len(one.networks) == 6 and (not HERE or one.at_once == rows)
        sizes.add(one.at_once)
        other = {**arrays, "weights.head.bias": arrays["weights.head.bias"] + 1}
        assert network.ComponentNetworks.from_state(other, "gpu").there is not one
    assert len(sizes) == (2 if HERE else 1)


def test_a_kept_network_is_another_for_other_settings() -> None:
    weights = {"a": np.zeros(3, np.float32)}
    names = {gpu_networks._name(*of) for of in ((weights, "x"), (weights, "y"), ({"a": weights["a"] + 1}, "x"))}
    assert len(names) == 3 and gpu_networks._name({"a": np.zeros(3, np.float32)}, "x") in names
