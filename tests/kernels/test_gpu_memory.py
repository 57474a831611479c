"""What a task takes of a GPU is no more than predicted: counted in the arrays that stand in for a GPU's."""

import time
import weakref
from typing import Any

import numpy as np
import pytest
from distributed import Client

from insar_dask.jobs import gpu_memory as predicting
from insar_dask.jobs.devices import DEVICE, ON_GPU
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.gpu_memory import POOL, gpu_memory
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.jobs.steps.patterns import fit_patterns, label_patterns
from insar_dask.jobs.steps.saving import save
from insar_dask.synthetic import scene
from tests.kernels.conftest import OnGpu, real_cupy

STEPS = {
    "prepare": (
        Step("regularise", "raw", "regular", {"every": "6D"}),
        Step("savgol", "regular", "smooth", {"window": 5, "order": 2}),
        Step("cumulative_displacement", "smooth", "cumulative"),
        Step("motion", "raw", "products"),
    ),
    "average": (Step("moving_average", "smooth", "averages"),),
    "stl": (Step("stl", "smooth", "loess", {"period": 4}), Step("component_variances", "loess", "shares")),
    "holt-winters": (Step("holt_winters", "smooth", "parts", {"period": 4}),),
}


class Counted:
    """Bytes of all arrays on the GPU, now and at most; a view is its array's."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._known: dict[int, int] = {}

    def add(self, array: Any) -> None:
        while isinstance(array.base, np.ndarray):
            array = array.base
        if id(array) not in self._known:
            self._known[id(array)] = array.nbytes
            self.now += array.nbytes
            self.most = max(self.most, self.now)
            weakref.finalize(array, self._gone, id(array))

    def _gone(self, name: int) -> None:
        self.now -= self._known.pop(name)


@pytest.mark.skipif(real_cupy() is not None, reason="counts the arrays that stand in for those of a GPU")
def test_a_task_takes_no_more_of_a_gpu_than_predicted(tmp_path, on_gpu, monkeypatch):
    made, counted, stages, found = OnGpu.__init__, Counted(), [], {}

    def counting(self: OnGpu, array: Any) -> None:
        made(self, array)
        counted.add(self.array)

    class Noted(Engine):
        def run(self, stage: Stage) -> Any:
            counted.most = counted.now
            report = super().run(stage)
            stages.append(stage)
            if "gpu" in report.steps:
                templates = self._templates(stage, self.ledger.done(stage.source)[0].checksum)
                found[stage.name] = counted.most, gpu_memory(stage, self.store, templates, 1)
            else:
                assert counted.most == counted.now
            return report

    monkeypatch.setattr(OnGpu, "__init__", counting)
    monkeypatch.setenv(DEVICE, "gpu")
    cube = scene("l2b", n_points=12, n_dates=20, seed=1).compute()
    cube["displacement"].values[np.random.default_rng(0).random(cube["displacement"].shape) < 0.2] = np.nan
    save(cube, tmp_path / "site.zarr", "site/raw", quiet=True)
    engine = Noted(tmp_path / "site.zarr", quiet=True)
    for name, steps in STEPS.items():
        saves = {step.result: f"site/{step.result}" for step in steps}
        engine.run(Stage(name, f"site/{steps[0].source}", steps, saves))
    fit_patterns(engine, "site", n_clusters=2, n_init=1, batch_size=20)
    label_patterns(engine, "site")
    assert {step.function for stage in stages for step in stage.steps} >= ON_GPU
    for name, (most, predicted) in found.items():
        assert most <= predicted / POOL, f"{name}: {found}"
    for name in ("prepare", "average"):
        assert found[name][0] >= 0.3 * found[name][1], f"{name}: refuses GPUs that are large enough: {found}"


def test_workers_that_do_not_say_what_they_have_are_told_of(monkeypatch, caplog):
    monkeypatch.setattr(predicting, "ROOM_SECONDS", 0.2)
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        assert list(predicting.ask_workers(client, lambda: 3).values()) == [3]
        assert predicting.ask_workers(client, lambda: time.sleep(1)) == {}
    assert "did not say within 0.2 s" in caplog.text
