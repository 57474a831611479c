"""What a task takes of a GPU is no more than predicted: counted in the arrays that stand in for a GPU's."""

import time
import weakref
from typing import Any

import numpy as np
import pytest
from distributed import Client

from insar_dask.cluster.learning import scaled
from insar_dask.jobs import gpu_memory as predicting
from insar_dask.jobs.devices import DEVICE, ON_GPU
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.gpu_memory import POOL, gpu_memory
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.jobs.steps.patterns import fit_patterns, label_patterns
from insar_dask.jobs.steps.saving import save
from insar_dask.synthetic import scene
from insar_kernels import conditioning, namespace
from insar_kernels.gpu import running
from insar_kernels.history import least_squares
from insar_kernels.holt_winters_gaps import concentrate_gappy
from insar_kernels.holt_winters_starts import MOST
from insar_kernels.lloyd import lloyd_sums
from insar_kernels.rolling import rolling_residuals
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


stood_in = pytest.mark.skipif(real_cupy() is not None, reason="counts the arrays that stand in for those of a GPU")


@pytest.fixture
def counted(on_gpu, monkeypatch):
    made, bytes_there = OnGpu.__init__, Counted()

    def counting(self: OnGpu, array: Any) -> None:
        made(self, array)
        bytes_there.add(self.array)

    monkeypatch.setattr(OnGpu, "__init__", counting)
    return bytes_there


@stood_in
def test_a_task_takes_no_more_of_a_gpu_than_predicted(tmp_path, counted, monkeypatch):
    stages, found = [], {}

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


@stood_in
@pytest.mark.parametrize(("n_dates", "period"), [(166, 30), (300, 61), (600, 122)])
def test_columns_for_gaps_of_a_long_record_are_predicted(n_dates, period, tmp_path, on_gpu, counted, monkeypatch):
    monkeypatch.setattr(running, "RESIDENT", predicting.RESIDENT)
    monkeypatch.setattr(running, "_launch", lambda *_: None)  # arithmetic takes no memory
    cube = scene("l2b", n_points=12, n_dates=n_dates, seed=1).compute()
    cube["time"] = cube["time"].values[0] + np.arange(n_dates) * np.timedelta64(6, "D")
    save(cube, tmp_path / "site.zarr", "site/smooth", quiet=True)
    step = Step("holt_winters", "smooth", "parts", {} if period == 30 else {"period": period})
    stage = Stage("parts", "site/smooth", (step,), {"parts": "site/parts"})
    templates = {"parts": step.resolve()(cube.isel(point=slice(0, 2)), **step.params)}
    predicted = gpu_memory(stage, Engine(tmp_path / "site.zarr", quiet=True).store, templates, 1)
    series = on_gpu(cube["displacement"].values)
    problems, gains = on_gpu(np.repeat(np.arange(12), MOST)), on_gpu(np.zeros((12 * MOST, 3), np.float32))
    concentrate_gappy(namespace(series), series, problems, gains, period, False)
    assert 0.4 * predicted <= counted.most <= predicted / POOL


@stood_in
@pytest.mark.parametrize("k", [8, 100, 1000])
def test_sums_of_many_patterns_are_predicted(k, on_gpu, counted, monkeypatch):
    monkeypatch.setattr(running, "_launch", zeros_as_output)
    series, centroids = on_gpu(np.zeros((34_816, 9), np.float32)), on_gpu(np.zeros((k, 9), np.float32))
    before = counted.most = counted.now
    lloyd_sums(scaled(series, {"centred": np.array(True), "centroids": centroids}), centroids)
    assert counted.most - before <= predicting.WORK["sum_patterns"] * series.nbytes


def zeros_as_output(*launched: Any) -> None:
    """In place of arithmetic, which takes no memory: what is not written to holds anything, also what no cast takes."""
    for written in launched[-1][-2:]:
        written[:] = 0


@stood_in
@pytest.mark.parametrize("fit", [least_squares, lambda y, design: rolling_residuals(y, design, [120, 150], 9, 9)])
def test_normal_equations_are_summed_in_little_memory(fit, on_gpu, counted):
    design = np.random.default_rng(0).normal(size=(166, 12))
    series = on_gpu(np.zeros((400, 166), np.float32))
    before = counted.most = counted.now
    fit(series, design)
    assert counted.most - before <= 8 * series.nbytes  # a product of all dates and columns: 24 times


@stood_in
def test_series_with_few_dates_are_conditioned_in_bounded_memory(on_gpu, counted, monkeypatch):
    monkeypatch.setattr(conditioning, "MATRICES", 2**14)
    y = np.random.default_rng(0).normal(0, 5, (400, 20)).astype(np.float32)
    y[:, 3:] = np.nan
    terms = np.eye(20) + 0.5, np.full((2, 20), 0.01), np.array([1.5, 2.0])
    series, here = on_gpu(y), conditioning.posterior(y, *terms)
    before = counted.most = counted.now
    there = conditioning.posterior(series, *terms)
    assert counted.most - before <= 8 * 2**14 * 8 + 400 * 20 * 8
    for one, other in zip(there, here, strict=True):
        np.testing.assert_allclose(one.get(), other, rtol=1e-9)


def test_workers_that_do_not_say_what_they_have_are_told_of(monkeypatch, caplog):
    monkeypatch.setattr(predicting, "ROOM_SECONDS", 0.2)
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as client:
        assert list(predicting.ask_workers(client, lambda: 3).values()) == [3]
        assert predicting.ask_workers(client, lambda: time.sleep(1)) == {}
    assert "did not say within 0.2 s" in caplog.text
