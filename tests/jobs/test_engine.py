import errno
import fcntl
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits
from zarr.storage import LocalStore

from insar_dask.forecast import protocol
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.holding.lock import holder_of, owned
from insar_dask.jobs.progress.job_errors import JobError, LackingError
from insar_dask.jobs.receipts import Receipt
from insar_dask.jobs.recipe import Stage, Step, plan_reference
from insar_dask.objects import get_bytes, list_keys
from insar_dask.store import open_group
from tests.conftest import stored_bytes
from tests.jobs.clusters import external_cluster
from tests.jobs.site_run import PREPARE, run


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory, product: Path) -> Path:
    store = tmp_path_factory.mktemp("serial") / "site.zarr"
    assert run(str(store), str(product), "serial") == {"site/raw": [21, 21], "site/prepare": [21, 21]}
    return store


@pytest.fixture
def engine(serial: Path, tmp_path: Path) -> Engine:
    """An engine on a copy of the finished store."""
    copy = tmp_path / "site.zarr"
    subprocess.run(["cp", "-r", str(serial), str(copy)], check=True)
    return Engine(copy, quiet=True)


def test_a_finished_run_computes_nothing(engine: Engine) -> None:
    assert engine.run(PREPARE).computed == 0


def test_threads_write_the_same_bytes(serial: Path, tmp_path: Path, product: Path) -> None:
    run(str(tmp_path / "site.zarr"), str(product), "threads")
    assert stored_bytes(tmp_path / "site.zarr") == stored_bytes(serial)


def test_processes_write_the_same_bytes(serial: Path, tmp_path: Path, finish: Callable[..., Any]) -> None:
    finish(tmp_path / "site.zarr", "processes")
    assert stored_bytes(tmp_path / "site.zarr") == stored_bytes(serial)


def test_an_external_scheduler_writes_the_same_bytes(serial: Path, tmp_path: Path, finish: Any) -> None:
    with external_cluster(tmp_path) as address:
        finish(tmp_path / "site.zarr", address)
    assert stored_bytes(tmp_path / "site.zarr") == stored_bytes(serial)


def test_a_changed_parameter_recomputes_exactly_what_depends_on_it(engine: Engine) -> None:
    wider = Step("savgol", "regular", "smooth", {"window": 13, "order": 2})
    steps = tuple(wider if step.result == "smooth" else step for step in PREPARE.steps)
    before = {target: engine.ledger.done(target) for target in ("site/regular", "site/smooth", "site/products")}
    assert engine.run(Stage(PREPARE.name, PREPARE.source, steps, PREPARE.saves)).computed == 21
    after = {target: engine.ledger.done(target) for target in before}
    assert after["site/regular"] == before["site/regular"]
    assert after["site/products"] == before["site/products"]
    assert all(after["site/smooth"][i].key != before["site/smooth"][i].key for i in range(21))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "gone"])
def test_a_damaged_shard_is_found_and_rebuilt(damage: str, engine: Engine, serial: Path) -> None:
    path = Path(engine.path) / "site/smooth/displacement/c/7/0"  # type: ignore[arg-type]
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data[: len(data) // 2] if damage == "truncated" else data)
    assert engine.verify("site/smooth") == [7]
    assert engine.run(PREPARE).computed == 1
    assert engine.verify("site/smooth") == []
    assert stored_bytes(Path(engine.path)) == stored_bytes(serial)  # type: ignore[arg-type]


def test_receipts_are_small_and_bound_into_books(engine: Engine) -> None:
    for target in PREPARE.saves.values():
        (book,) = list_keys(engine.store, f"jobs/receipts/{target}/")
        receipts = json.loads(get_bytes(engine.store, book) or b"")
        assert len(receipts) == 21
        assert max(len(json.dumps(receipt)) for receipt in receipts) <= 1024


def test_a_wrong_parameter_is_refused_before_any_shard(engine: Engine) -> None:
    steps = (Step("savgol", "raw", "odd", {"window": 4, "order": 2}),)
    with pytest.raises(ValueError, match="odd"):
        engine.run(Stage("site/odd", "site/raw", steps, {"odd": "site/odd"}))
    assert engine.ledger.done("site/odd") == {}


def test_a_stage_whose_input_is_not_done_says_which_shards_lack(engine: Engine) -> None:
    engine.ledger.revoke("site/raw", [3])
    with pytest.raises(LackingError, match=r"site/raw lacks shards \[3\] of 21: `insar-dask ingest SOURCE\.\.\. /"):
        engine.run(PREPARE)


@pytest.mark.parametrize(
    ("group", "call"),
    [
        ("site/parts", "products {}"),
        ("site/patterns", "cluster {}"),
        ("site/forecast", "forecast {}"),
        ("other/raw", r"ingest SOURCE\.\.\. {}"),
        ("site/pairs", r"invert SOURCE\.\.\. {}"),
        ("incoming/site/raw", "update {} NEWER"),
        ("tiles/up", r"tiles SOURCE\.\.\. {}"),
        ("site/errors", "areas {}"),
    ],
)
def test_what_is_not_there_has_the_call_that_makes_it(group: str, call: str, serial: Path) -> None:
    with pytest.raises(LackingError, match=f"there is no {group} yet: `insar-dask {call.format(serial)}` makes it"):
        Engine(serial, quiet=True).require(group)


def test_partial_results_of_an_earlier_longer_source_are_let_go(engine: Engine) -> None:
    target = "jobs/partials/site/fits"
    times = open_group(engine.store, "site/raw")["time"].values
    plan = protocol.plan(times, every="12D", horizon=1, stride=1, methods=["persistence"])
    step = Step("fit_partial", "raw", "fits", {"plan": plan_reference(plan.to_dict())})
    fit = Stage("site/fit", "site/raw", (step,), {"fits": target})
    engine.run(fit)
    checksum, size = engine.ledger.write_partial(target, 21, {"left": np.zeros(3)})
    engine.ledger.write(target, Receipt(21, "a key", checksum, size, 128))
    assert engine.run(fit).computed == 0
    assert len(list(engine.partials(target))) == len(engine.ledger.done(target)) == 21


def test_no_thread_of_the_engine_gives_blas_its_threads_back_under_another(tmp_path: Path) -> None:
    first_is_done = Event()

    def work(_path: str, _stage: str, index: int) -> set[int]:
        if index:
            first_is_done.wait(10)
        with threadpool_limits(1):
            pass
        first_is_done.set()
        return blas_threads()

    with threadpool_limits(2):
        found = dict(Engine(tmp_path, threads=2).map(work, [("", "", 0), ("", "", 1)], label="work"))
        assert found == {0: {1}, 1: {1}}
        assert blas_threads() == {2}


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_two_runs_of_one_store_do_not_mix(engine: Engine) -> None:
    with owned(engine.path), pytest.raises(JobError, match="another run is working on"), owned(engine.path):
        pass


def test_a_run_on_an_object_of_zarr_holds_the_folder_that_it_stands_for(engine: Engine) -> None:
    with owned(LocalStore(engine.path)), pytest.raises(JobError, match="another run is working on"), owned(engine.path):
        pass


def test_a_store_on_a_file_system_without_locks_is_held_by_whoever_sees_to_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refused)
    with owned(engine.path):
        assert holder_of(engine.store)
    assert f"{engine.path} lies on a file system without locks: see to it" in caplog.text
