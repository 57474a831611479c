import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.receipts import Ledger
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.jobs.steps.patterns import fit_patterns, label_patterns, stored_patterns
from insar_dask.objects import open_store
from insar_dask.store import open_group
from tests.conftest import stored_bytes

SETTINGS: dict[str, Any] = {"n_clusters": 4, "sample_size": 1000, "n_init": 2, "batch_size": 200}
SHARDS = 6


def prepare(window: int) -> Stage:
    steps = (
        Step("regularise", "raw", "regular", {"every": "12D", "max_gap": "60D"}),
        Step("savgol", "regular", "smooth", {"window": window, "order": 2}),
    )
    return Stage("site/prepare", "site/raw", steps, {"smooth": "site/smooth"})


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, small_scene: xr.Dataset) -> Path:
    """A store of 6 shards with smoothed series."""
    path = tmp_path_factory.mktemp("prepared") / "site.zarr"
    insar.save(small_scene, path, "site/raw", shard_points=512, quiet=True)
    Engine(path, quiet=True).run(prepare(11))
    return path


@pytest.fixture(scope="module")
def finished(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = copied(prepared, tmp_path_factory.mktemp("finished"))
    assert cluster(Engine(path, quiet=True)) == [SHARDS] * 4
    return path


def copied(store: Path, folder: Path) -> Path:
    subprocess.run(["cp", "-r", str(store), str(folder / "site.zarr")], check=True)
    return folder / "site.zarr"


def cluster(engine: Engine, **settings: Any) -> list[int]:
    """Fit and label; returns how many shards each stage computed: sample, step, count, labels."""
    fit_patterns(engine, "site", **{**SETTINGS, **settings})
    label_patterns(engine, "site")
    return [report.computed for report in engine.reports[-4:]]


def test_jobs_and_memory_give_the_same_bits(finished: Path) -> None:
    engine = Engine(finished, quiet=True)
    smooth = open_group(engine.store, "site/smooth")
    jobs, memory = stored_patterns(engine, "site"), insar.Clusters(**SETTINGS).fit(smooth.compute())
    for name, array in memory.state().items():
        assert jobs.state()[name].tobytes() == array.tobytes(), name
    stored = open_group(engine.store, "site/patterns").compute()
    labels = memory.predict(smooth).compute()
    for variable in ("cluster", "cluster_distance", "centroid", "centroid_velocity", "cluster_size", "time"):
        np.testing.assert_array_equal(stored[variable], labels[variable])
    assert stored["cluster"].dtype == np.int8
    assert stored["cluster"].attrs["flag_meanings"] == labels["cluster"].attrs["flag_meanings"]
    assert stored.attrs["sees_future"] == -1


def test_the_note_tells_what_a_report_needs(finished: Path) -> None:
    engine = Engine(finished, quiet=True)
    note = engine.ledger.read_note("patterns/site")
    assert note is not None
    model = stored_patterns(engine, "site")
    assert note["inertia"] == model.inertia_
    assert note["sizes"] == model.sizes_.tolist() and "velocities" not in note  # patterns say what they are ordered by
    assert sum(note["sizes"]) + note["unlabelled"] == note["n_points"] == 3000
    assert note["parameters"]["n_clusters"] == 4


def test_a_finished_run_computes_nothing(finished: Path) -> None:
    assert cluster(Engine(finished, quiet=True)) == [0] * 4


@pytest.mark.parametrize("how", ["threads", "processes"])
def test_threads_and_processes_write_the_same_bytes(how: str, prepared: Path, finished: Path, tmp_path: Path) -> None:
    path = copied(prepared, tmp_path)
    if how == "threads":
        cluster(Engine(path, threads=2, quiet=True))
    else:
        with insar.session(workers=2) as client:
            cluster(Engine(path, client, quiet=True))
    assert stored_bytes(path) == stored_bytes(finished)


def test_another_number_of_clusters_draws_no_new_sample(finished: Path, tmp_path: Path) -> None:
    engine = Engine(copied(finished, tmp_path), quiet=True)
    assert cluster(engine, n_clusters=3) == [0, SHARDS, SHARDS, SHARDS]
    assert cluster(engine) == [0, SHARDS, SHARDS, SHARDS]
    assert cluster(engine, random_state=1) == [SHARDS] * 4


def test_changed_series_are_clustered_anew(finished: Path, tmp_path: Path) -> None:
    engine = Engine(copied(finished, tmp_path), quiet=True)
    engine.run(prepare(13))
    assert cluster(engine) == [SHARDS] * 4


def test_what_a_kill_left_out_is_computed_and_nothing_else(finished: Path, tmp_path: Path) -> None:
    engine = Engine(copied(finished, tmp_path), quiet=True)
    engine.ledger.revoke("jobs/partials/site/pattern-sums-0", [3, 4])
    engine.ledger.revoke("site/patterns", [1])
    (Path(engine.path) / "site/patterns/cluster/c/5").unlink()  # type: ignore[arg-type]
    assert cluster(engine) == [0, 2, 0, 2]
    assert stored_bytes(tmp_path / "site.zarr") == stored_bytes(finished)


@pytest.mark.parametrize("target", ["jobs/partials/site/pattern-sums-0", "site/patterns"])
def test_a_killed_run_goes_on_where_it_was(target: str, prepared: Path, finished: Path, tmp_path: Path) -> None:
    path = copied(prepared, tmp_path)
    code = f"from tests.jobs.test_patterns import *; cluster(Engine({str(path)!r}, quiet=True))"
    ledger = Ledger(open_store(path))
    with subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2]) as process:
        while process.poll() is None and not ledger.done(target):
            time.sleep(0.01)
        process.kill()
    targets = (
        "jobs/partials/site/pattern-sample",
        *(f"jobs/partials/site/pattern-sums-{i}" for i in (0, 1)),
        "site/patterns",
    )
    done = [len(ledger.done(each)) for each in targets]
    assert cluster(Engine(path, quiet=True)) == [SHARDS - n for n in done]
    assert stored_bytes(path) == stored_bytes(finished)


def test_points_that_begin_later_are_counted_as_unlabelled(small_scene: xr.Dataset, tmp_path: Path) -> None:
    late = np.arange(small_scene.sizes["point"]) % 4 == 0
    cube = small_scene.assign(zero_day=("point", np.where(late, 60, 0).astype(np.int32)))
    insar.save(cube, tmp_path / "site.zarr", "site/raw", shard_points=512, quiet=True)
    engine = Engine(tmp_path / "site.zarr", quiet=True)
    engine.run(prepare(11))
    note = fit_patterns(engine, "site", **SETTINGS)
    label_patterns(engine, "site")
    assert note["unlabelled"] == late.sum()
    labels = open_group(engine.store, "site/patterns")["cluster"].values
    np.testing.assert_array_equal(labels < 0, late)
    smooth = open_group(engine.store, "site/smooth")
    np.testing.assert_array_equal(labels, insar.Clusters(**SETTINGS).fit(smooth).predict(smooth)["cluster"].values)


def test_until_is_kept(prepared: Path, tmp_path: Path) -> None:
    engine = Engine(copied(prepared, tmp_path), quiet=True)
    cluster(engine, until="2021-03-01")
    stored = open_group(engine.store, "site/patterns")
    smooth = open_group(engine.store, "site/smooth")
    assert stored.attrs["until"] == "2021-03-01" and stored.attrs["sees_future"] == 0
    known = smooth["time"].values + np.timedelta64(smooth.attrs["sees_future"], "D") < np.datetime64("2021-03-01")
    np.testing.assert_array_equal(stored["time"], smooth["time"].values[known])


def test_labels_need_a_fit(prepared: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no patterns yet"):
        label_patterns(Engine(prepared, quiet=True), "site")
