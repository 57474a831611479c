"""Chunk jobs on GPUs: what is stored goes there once, as it is stored; what comes of it is in memory here again."""

import shutil
import sys
import types
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.jobs import engine as engines
from insar_dask.jobs import gpu_memory, gpu_shards
from insar_dask.jobs.devices import DEVICE, ON_GPU, mark_gpus
from insar_dask.jobs.engine import Engine, JobError
from insar_dask.jobs.gpu_shards import on_gpu as computing_there
from insar_dask.jobs.recipe import STEPS, Stage, Step
from insar_dask.jobs.steps.patterns import fit_patterns, label_patterns
from insar_dask.jobs.steps.saving import save
from insar_dask.jobs.task import run_steps
from insar_dask.store import open_group
from insar_dask.synthetic import scene
from insar_dask.tenths import decode_tenths, decode_tenths_on
from tests.benchmarks.gpu_shards import noted as noted_phases
from tests.conftest import stored_bytes

STAGES = {
    "smooth": (
        Step("regularise", "raw", "regular", {"every": "6D"}),
        Step("savgol", "regular", "smooth", {"window": 5, "order": 2}),
    ),
    "products": (
        Step("motion", "raw", "motion"),
        Step("cumulative_displacement", "raw", "cumulative"),
    ),
    "parts": (
        Step("regularise", "raw", "regular", {"every": "6D"}),
        Step("stl", "regular", "parts", {"period": 12}),
        Step("component_variances", "parts", "variances"),
    ),
    "averages": (Step("moving_average", "raw", "average"),),
}
NEEDED = "displacement", "time", "point_id", "easting", "northing", "crs"
SAMPLE = {"share": 1.0, "seed": 0}


@pytest.fixture(scope="module")
def block():
    return scene("l2b", n_points=4, n_dates=26, seed=1).compute()


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A store of 41 points x 26 dates of int16 tenths, in one shard; one series is missing, one date of all others."""
    path = tmp_path_factory.mktemp("stored") / "site.zarr"
    cube = scene("l2b", n_points=41, n_dates=26, seed=1).compute()
    cube = cube.drop_vars([name for name in cube.variables if name not in NEEDED])
    cube["displacement"][7], cube["displacement"][:, 3] = np.nan, np.nan
    save(cube, path, "site/raw", quiet=True)
    assert open_group(path, "site/raw")["displacement"].encoding["dtype"] == "int16"
    return path


def on(stage, device, block, wanted):
    """What a task computes, from a block in memory here."""
    stage = replace(stage, device=device)
    if device == "cpu":
        return run_steps(stage, block, wanted, None)
    with computing_there():
        return run_steps(stage, block, wanted, None)


def close(found, wanted):
    assert found.attrs == wanted.attrs
    for name, values in wanted.data_vars.items():
        assert type(found[name].data) is np.ndarray
        assert (found[name].dtype, found[name].attrs) == (values.dtype, values.attrs)
        if values.dtype.kind == "f":
            np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=2e-3, err_msg=str(name))


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("kind", ["some points", "one point", "nothing but gaps"])
def test_a_shard_takes_its_steps_on_the_gpu_of_its_worker(kind, name, block, on_gpu, monkeypatch):
    if kind == "one point":
        block = block.isel(point=slice(1))
    elif kind == "nothing but gaps":
        block = block.assign(displacement=block["displacement"].where(False))
    stage = Stage(name, "raw", STAGES[name], {})
    wanted = {step.result for step in stage.steps}
    here = on(stage, "cpu", block, wanted)
    sent = noted(monkeypatch)
    there = on(stage, "gpu", block, wanted)
    assert sent == [(np.dtype(np.float32), block["displacement"].shape)]
    for result in wanted:
        close(there[result], here[result])


def noted(monkeypatch):
    """Dtype and shape of all that is copied to the GPU."""
    sent, copied = [], gpu_shards._sent

    def note(array):
        sent.append((array.dtype, array.shape))
        return copied(array)

    monkeypatch.setattr(gpu_shards, "_sent", note)
    return sent


def test_tenths_are_decoded_there_to_the_bit(on_gpu):
    every = np.arange(-32768, 32768, dtype=np.int16).reshape(-1, 64)
    for xp, tenths in ((np, every), (sys.modules.get("cupy", np), on_gpu(every))):
        found = decode_tenths_on(xp, tenths)
        found = found.get() if hasattr(found, "get") else found
        assert found.view(np.uint32).tolist() == decode_tenths(every).view(np.uint32).tolist()


def test_a_run_on_gpus_keeps_its_shards_apart_from_those_of_processors(stored, tmp_path, on_gpu, monkeypatch, caplog):
    store = shutil.copytree(stored, tmp_path / "site.zarr")
    monkeypatch.setenv(DEVICE, "cpu")
    assert [computed(store) for _ in range(2)] == [[1, 1], [0, 0]]
    before = stored_bytes(store)
    here = {name: open_group(store, f"site/{name}").load() for name in RESULTS}
    monkeypatch.setenv(DEVICE, "gpu")
    sent = noted(monkeypatch)
    assert not caplog.messages
    assert computed(store) == [1, 1]
    told = "was made on a cpu and is made again on a gpu"
    assert {message.split(",")[0] for message in caplog.messages} == {f"site/{name} {told}" for name in RESULTS}
    assert sent == [(np.dtype(np.int16), (41, 26)), (np.dtype(np.float32), (41, 41))]
    assert computed(store) == [0, 0]
    for name in RESULTS:
        there = open_group(store, f"site/{name}").load()
        recipe = [step | {"device": "gpu"} for step in here[name].attrs["recipe"]]
        close(there, here[name].assign_attrs(recipe=recipe))
    monkeypatch.delenv(DEVICE)
    assert computed(store) == [1, 1]
    assert stored_bytes(store) == before
    assert "on a cpu, as this run computes; INSAR_DASK_DEVICE=gpu in its environment keeps it" in caplog.messages[-1]


RESULTS = "motion", "cumulative", "regular", "smooth", "averages"


def computed(store):
    """Shards that each stage computes."""
    engine = Engine(store, quiet=True)
    steps = (*STAGES["products"], *STAGES["smooth"])
    raw = Stage("site/prepare", "site/raw", steps, {step.result: f"site/{step.result}" for step in steps})
    smooth = Stage(
        "site/a", "site/smooth", (Step("moving_average", "smooth", "averages"),), {"averages": "site/averages"}
    )
    return [engine.run(stage).computed for stage in (raw, smooth)]


def test_threads_of_a_worker_take_turns_on_its_gpu(tmp_path, on_gpu, monkeypatch):
    cube = scene("l2b", n_points=520, n_dates=7, seed=2).compute()
    cube = cube.drop_vars([name for name in cube.variables if name not in NEEDED])
    stage = Stage("site/average", "site/raw", STAGES["averages"], {"average": "site/average"})
    for name in ("alone", "together"):
        save(cube, tmp_path / name, "site/raw", shard_points=128, quiet=True)
    monkeypatch.setenv(DEVICE, "gpu")
    Engine(tmp_path / "alone", quiet=True).run(stage)
    monkeypatch.delenv(DEVICE)
    with noted_phases() as spans, insar.session(threads=3) as client:
        mark_gpus(client)  # as a session on GPUs does
        assert Engine(tmp_path / "together", client, quiet=True).run(stage).computed == 5
        turns = sorted((began, ended) for phase, began, ended in spans if phase == "there")
        assert len(turns) == 5
        assert all(later >= ended for (_, ended), (later, _) in pairwise(turns))
        assert stored_bytes(tmp_path / "together") == stored_bytes(tmp_path / "alone")
        monkeypatch.setattr(sys.modules["cupy"].cuda, "is_available", lambda: False)
        other = replace(stage, saves={"average": "site/other"})
        with pytest.raises(
            CubeError, match=r"stage site/average, worker inproc://.*: .* CuPy finds none on this worker"
        ):
            Engine(tmp_path / "together", client, quiet=True).run(other)


def test_patterns_of_series_and_of_features_are_found_there(stored, tmp_path, on_gpu, monkeypatch):
    found = {}
    for device in ("cpu", "gpu"):
        store = shutil.copytree(stored, tmp_path / f"{device}.zarr")
        monkeypatch.setenv(DEVICE, device)
        computed(store)
        engine, how = Engine(store, quiet=True), {"n_clusters": 2, "n_init": 1, "batch_size": 20}
        for source, more in (("smooth", {}), ("motion", {"features": ("velocity", "n_dates", "easting")})):
            fit_patterns(engine, "site", source, **how, **more)
            label_patterns(engine, "site")
            found[device, source] = open_group(store, "site/patterns").load()
            assert engine.reports[-1].to_dict().get("steps") == (
                {"gpu": ["label_patterns"]} if device == "gpu" else None
            )
    for source in ("smooth", "motion"):
        here, there = found["cpu", source], found["gpu", source]
        np.testing.assert_array_equal(there["cluster"], here["cluster"])
        assert set(there.coords) == set(here.coords)
        assert there["easting"].identical(here["easting"])
        np.testing.assert_allclose(there["cluster_distance"], here["cluster_distance"], rtol=1e-3)


def test_a_step_without_a_body_has_its_series_brought_back(block, on_gpu):
    steps = (Step("motion", "raw", "motion"), Step("sample_patterns", "raw", "rows", SAMPLE), *STAGES["smooth"])
    found = on(Stage("mixed", "raw", steps, {}), "gpu", block, {"motion", "rows", "smooth"})
    assert type(found["rows"]["rows"]) is np.ndarray
    np.testing.assert_array_equal(found["rows"]["rows"], block["displacement"])


def test_keys_tell_the_device_of_what_a_gpu_makes_alone():
    steps = (*STAGES["smooth"], Step("sample_patterns", "raw", "rows", SAMPLE))
    here = Stage("mixed", "raw", steps, {})
    there = replace(here, device="gpu")
    assert here.key("smooth", "x") != there.key("smooth", "x")
    assert here.key("rows", "x") == there.key("rows", "x")
    assert there.runs_on_gpu({"rows", "smooth"})
    assert not there.runs_on_gpu({"rows"})


def test_every_step_on_a_gpu_is_a_step():
    assert set(STEPS) >= ON_GPU


def test_a_worker_without_a_gpu_says_what_to_do_and_leaves_what_processors_made(stored, tmp_path, monkeypatch):
    store = shutil.copytree(stored, tmp_path / "site.zarr")
    computed(store)
    before = stored_bytes(store)
    for cupy, said in (
        (None, "CuPy is missing on this worker .* install insar-dask"),
        (types.SimpleNamespace(cuda=types.SimpleNamespace(is_available=lambda: False)), "CuPy finds none on this"),
    ):
        monkeypatch.setenv(DEVICE, "gpu")
        monkeypatch.setitem(sys.modules, "cupy", cupy)
        with pytest.raises(CubeError, match=f"stage site/prepare, worker of this process: .*{said}"):
            computed(store)
        assert stored_bytes(store) == before
        monkeypatch.setattr(engines, "check_gpus", lambda *_: None)  # as if the worker came later
        other = shutil.copytree(stored, tmp_path / said[:9])
        with pytest.raises(JobError, match=f"stage site/prepare, shard 0: .*{said}"):
            computed(other)
        assert not list((other / "jobs/receipts/site").glob("smooth/*"))
        monkeypatch.undo()
    monkeypatch.setenv(DEVICE, "tpu")
    with pytest.raises(ValueError, match="INSAR_DASK_DEVICE is 'tpu'; wanted 'cpu' or 'gpu'"):
        computed(store)


def test_what_gpus_made_stands_where_there_is_none(stored, tmp_path, on_gpu, monkeypatch):
    store = shutil.copytree(stored, tmp_path / "site.zarr")
    monkeypatch.setenv(DEVICE, "gpu")
    computed(store)
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert computed(store) == [0, 0]


def test_a_gpu_that_cannot_hold_a_shard_is_refused_before_any_work(stored, tmp_path, on_gpu, monkeypatch):
    store = shutil.copytree(stored, tmp_path / "site.zarr")
    computed(store)
    before = stored_bytes(store)
    monkeypatch.setenv(DEVICE, "gpu")
    monkeypatch.setattr(gpu_memory, "gpu_room", lambda: (10_000, 1))
    with pytest.raises(CubeError, match=r"needs 0\.\d MB of the GPU .* \(1 threads\), .*: take threads_per_worker=1"):
        computed(store)
    assert stored_bytes(store) == before
