import os
import shutil
import signal
import subprocess
import sys
import time
from copy import copy
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.forecast import Forecaster
from insar_dask.jobs.progress.status import damaged, damaged_documents
from insar_dask.jobs.receipts import Ledger
from insar_dask.objects import open_store
from insar_dask.synthetic import scene
from tests.conftest import stored_bytes
from tests.forecast.test_kriging import kriging_forecaster
from tests.gaps import with_gaps

SCRIPT = Path(__file__).with_name("predict_run.py")
TARGETS = "site/predicted", "jobs/partials/site/predicted-counts"


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    """1,300 points x 158 dates, one without any value: 11 shards of 128 points."""
    return with_gaps(scene("chumar", n_points=1300, seed=2), 100)


@pytest.fixture(scope="module")
def model(cube: xr.Dataset) -> Forecaster:
    return Forecaster("harmonic_ridge").fit(cube)


@pytest.fixture(scope="module")
def folder(cube: xr.Dataset, model: Forecaster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the cube, and the model beside it."""
    folder = tmp_path_factory.mktemp("site")
    insar.save(cube, folder / "site.zarr", "site/raw", shard_points=128, quiet=True)
    model.save(folder / "model")
    return folder


@pytest.fixture(scope="module")
def done(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store with its forecast, undisturbed."""
    path = tmp_path_factory.mktemp("done") / "site.zarr"
    shutil.copytree(folder / "site.zarr", path)
    insar.predict_stored(path, folder / "model", threads=1, quiet=True)
    return path


def test_a_stored_forecast_has_the_numbers_of_predict(cube: xr.Dataset, model: Forecaster, done: Path) -> None:
    stored, oracle = insar.predict_stored(done, model, quiet=True), model.predict(cube)
    for name in ("displacement", "lower", "upper", "time", "point_id"):
        np.testing.assert_array_equal(stored[name].values, oracle[name].values)
    for name in ("level", "method", "points_without_forecast", "points_without_interval"):
        assert stored.attrs[name] == oracle.attrs[name]
    assert stored.attrs["points_without_forecast"] == 1
    assert not damaged(done) and not damaged_documents(done)


def test_a_stored_record_with_another_first_date_has_the_numbers_of_predict(cube: xr.Dataset, tmp_path: Path) -> None:
    few = cube.isel(point=slice(0, 40)).compute()
    later, kriging = few.isel(time=slice(60, None)), kriging_forecaster(few, 100)
    insar.save(later, tmp_path / "site.zarr", "site/raw", quiet=True)
    stored = insar.predict_stored(tmp_path / "site.zarr", kriging, quiet=True)
    stored, oracle = (forecast.sortby("point_id") for forecast in (stored, kriging.predict(later)))
    np.testing.assert_array_equal(stored["displacement"].values, oracle["displacement"].values)
    unmoved = copy(kriging)
    unmoved.plan_ = kriging.plan_to_predict(later)
    assert (unmoved.predict(later)["displacement"] != kriging.predict(later)["displacement"]).any()


def test_points_with_a_forecast_and_no_interval_are_counted(tmp_path: Path) -> None:
    cube = with_gaps(scene("chumar", n_points=300, seed=2), 100, (3, slice(-7)), (250, slice(-20)))
    insar.save(cube, tmp_path / "site.zarr", "site/raw", shard_points=128, quiet=True)
    stored = insar.predict_stored(tmp_path / "site.zarr", Forecaster("persistence").fit(cube), quiet=True)
    assert (stored.attrs["points_without_forecast"], stored.attrs["points_without_interval"]) == (1, 2)


def test_what_is_up_to_date_is_not_made_again(model: Forecaster, done: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (done / "site/predicted").rglob("c/*")}
    insar.predict_stored(done, model, quiet=True)
    assert {path: path.stat().st_mtime_ns for path in (done / "site/predicted").rglob("c/*")} == before


def test_a_killed_prediction_goes_on_and_ends_with_the_same_bytes(folder: Path, done: Path, tmp_path: Path) -> None:
    store = tmp_path / "site.zarr"
    shutil.copytree(folder / "site.zarr", store)
    ledger = Ledger(open_store(store))
    with subprocess.Popen([sys.executable, str(SCRIPT), str(store), str(folder / "model")]) as process:
        while process.poll() is None and len(ledger.done(TARGETS[0])) < 3:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    kept = set.intersection(*(set(ledger.done(target)) for target in TARGETS))
    assert 1 <= len(kept) < 11, "the kill missed the work"
    with pytest.raises(CubeError, match="is not whole"):
        insar.open_cube(store, "site/predicted")
    signed = {index: receipt for index, receipt in ledger.done(TARGETS[0]).items() if index in kept}
    insar.predict_stored(store, folder / "model", quiet=True)
    again = ledger.done(TARGETS[0])
    assert {index: again[index] for index in kept} == signed, "what was done is not done again"
    assert stored_bytes(store) == stored_bytes(done)


def test_another_model_replaces_the_forecast(cube: xr.Dataset, folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "site.zarr"
    shutil.copytree(folder / "site.zarr", store)
    few = cube.isel(point=slice(0, 200))
    for method in ("persistence", "harmonic"):
        made = insar.predict_stored(store, Forecaster(method).fit(few), "site", quiet=True)
        assert made.attrs["method"] == method
    np.testing.assert_array_equal(made["lower"].values, Forecaster("harmonic").fit(few).predict(cube)["lower"].values)


def test_a_store_that_does_not_go_with_the_model_is_refused_untouched(
    model: Forecaster, cube: xr.Dataset, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match="not a store"):
        insar.predict_stored(tmp_path / "nowhere.zarr", model)
    insar.save(cube.isel(time=slice(0, 100)), tmp_path / "site.zarr", "site/raw", quiet=True)
    before = stored_bytes(tmp_path / "site.zarr")
    with pytest.raises(CubeError, match="up to which this forecaster has learned"):
        insar.predict_stored(tmp_path / "site.zarr", model, quiet=True)
    with pytest.raises(ValueError, match="call fit"):
        insar.predict_stored(tmp_path / "site.zarr", Forecaster(), quiet=True)
    assert stored_bytes(tmp_path / "site.zarr") == before


@pytest.mark.parametrize(("memory", "cure"), [(50_000_000, "threads=2 would fit"), (5_000_000, "store smaller shards")])
def test_more_threads_than_memory_are_refused(memory: int, cure: str, model: Forecaster, folder: Path) -> None:
    with pytest.raises(
        CubeError, match=rf"forecasting takes [\d,]+ MB on 4 threads, {memory // 10**6} MB are free: {cure}"
    ):
        insar.predict_stored(folder / "site.zarr", model, threads=4, memory=memory)


def test_a_stored_fit_wants_a_forecaster_and_threads(folder: Path) -> None:
    with pytest.raises(ValueError, match="model is 'harmonic'; wanted a Forecaster"):
        insar.fit_stored(folder / "site.zarr", "harmonic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="threads is 0; wanted a whole number, at least 1"):
        insar.fit_stored(folder / "site.zarr", Forecaster("harmonic"), threads=0)


def test_a_stored_fit_has_the_numbers_of_fit(cube: xr.Dataset, model: Forecaster, folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "site.zarr"
    insar.save(cube, store, "site/raw", shard_points=1024, quiet=True)
    fitted = insar.fit_stored(store, Forecaster("harmonic_ridge"), quiet=True)
    oracle = Forecaster("harmonic_ridge").fit(insar.open_cube(store))
    assert fitted.card()["data"] == oracle.card()["data"] == model.card()["data"]
    for name, array in oracle.state_.items():
        np.testing.assert_array_equal(fitted.state_[name], array, err_msg=name)
    assert fitted.scores_.tables == oracle.scores_.tables
