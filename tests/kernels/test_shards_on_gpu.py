"""Chunk jobs of a worker with a GPU: its kernels are run, and what they give is in the processor's memory again."""

import sys

import numpy as np
import pytest

from insar_dask.jobs.devices import DEVICE, ON_GPU
from insar_dask.jobs.recipe import STEPS, Stage, Step
from insar_dask.jobs.task import run_steps
from insar_dask.synthetic import scene

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


@pytest.fixture(scope="module")
def block():
    return scene("l2b", n_points=4, n_dates=26, seed=1).compute()


@pytest.mark.parametrize("name", STAGES)
def test_a_shard_takes_its_steps_on_the_gpu_of_its_worker(name, block, on_gpu, monkeypatch):
    stage = Stage(name, "raw", STAGES[name], {})
    wanted = {step.result for step in stage.steps}
    here = run_steps(stage, block, wanted, None)
    monkeypatch.setenv(DEVICE, "gpu")
    import cupy

    asarray, sent = cupy.asarray, []

    def noted(array, *more):
        sent.append(np.shape(array))
        return asarray(array, *more)

    monkeypatch.setattr(cupy, "asarray", noted, raising=False)
    there = run_steps(stage, block, wanted, None)
    assert sent.count(block["displacement"].shape) == 1
    for result in wanted:
        for variable, values in here[result].data_vars.items():
            found = there[result][variable]
            assert type(found.data) is np.ndarray
            assert found.dtype == values.dtype
            assert found.attrs == values.attrs
            if values.dtype.kind == "f":
                np.testing.assert_allclose(found, values, rtol=1e-4, atol=2e-3, err_msg=str(variable))


def test_other_steps_and_other_workers_are_given_what_the_processor_has(block, on_gpu, monkeypatch):
    monkeypatch.setenv(DEVICE, "gpu")
    stage = Stage("mixed", "raw", (Step("motion", "raw", "motion"), Step("sample_patterns", "raw", "rows", SAMPLE)), {})
    found = run_steps(stage, block, {"motion", "rows"}, None)
    assert type(found["rows"]["rows"]) is np.ndarray
    monkeypatch.setenv(DEVICE, "tpu")
    with pytest.raises(ValueError, match="INSAR_DASK_DEVICE is 'tpu'; wanted 'cpu' or 'gpu'"):
        run_steps(stage, block, {"motion"}, None)


SAMPLE = {"share": 1.0, "seed": 0}


def test_every_step_on_a_gpu_is_a_step():
    assert set(STEPS) >= ON_GPU


def test_a_worker_without_cupy_says_what_to_install(block, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setenv(DEVICE, "gpu")
    with pytest.raises(ImportError, match=r"CuPy is missing on this worker .* set it to 'cpu'"):
        run_steps(Stage("products", "raw", STAGES["products"], {}), block, {"motion"}, None)
