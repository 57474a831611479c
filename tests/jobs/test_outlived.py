"""Tasks that outlive their killed driver on an external scheduler do not spoil what the next run makes."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import xarray as xr
from distributed import Client

import insar_dask as insar
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.holding.lock import holder_of, owned
from insar_dask.jobs.receipts import SupersededError
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.jobs.steps import ingest as ingestion
from insar_dask.objects import open_store
from insar_dask.synthetic import scene, write_egms
from tests.conftest import stored_bytes
from tests.jobs.clusters import external_cluster

TARGET, SHARDS = "site/smooth", 6


def smoothing(window: int) -> Stage:
    steps = (
        Step("regularise", "raw", "regular", {"every": "12D"}),
        Step("savgol", "regular", "smooth", {"window": window, "order": 2}),
    )
    return Stage("site/smoothing", "site/raw", steps, {"smooth": TARGET})


class Gates:
    """The gates of `tests.jobs.gates`, as the test turns them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def shut(self, name: str) -> None:
        for ending in ("open", "held", "left"):
            (self.folder / f"{name}.{ending}").unlink(missing_ok=True)
        (self.folder / f"{name}.shut").touch()

    def open(self, name: str) -> None:
        (self.folder / f"{name}.open").touch()

    def wait(self, name: str) -> None:
        until((self.folder / name).exists)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def raw(small_scene: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("raw") / "site.zarr"
    insar.save(small_scene, path, "site/raw", shard_points=512, quiet=True)
    return path


@pytest.fixture
def store(raw: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(raw, tmp_path / "site.zarr"))


@pytest.fixture(scope="module")
def wanted(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the store holds when nothing disturbs the later run."""
    path = Path(shutil.copytree(raw, tmp_path_factory.mktemp("undisturbed") / "site.zarr"))
    Engine(path, quiet=True).run(smoothing(13))
    return stored_bytes(path)


@pytest.fixture
def gates(tmp_path: Path) -> Gates:
    return Gates(tmp_path / "gates")


@pytest.fixture
def address(tmp_path: Path, gates: Gates, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("GATES", str(gates.folder))
    with external_cluster(tmp_path, "--preload", str(Path(__file__).with_name("gates.py")), threads=2) as found:
        yield found


def kill_a_driver_whose_task_is_held(store: Path, address: str, gates: Gates, gate: str) -> None:
    code = (
        "import sys; from distributed import Client; from insar_dask.jobs.engine import Engine; "
        "from tests.jobs.test_outlived import smoothing; "
        "Engine(sys.argv[1], Client(sys.argv[2]), quiet=True).run(smoothing(11))"
    )
    gates.shut(gate)
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", code, str(store), address], cwd=root) as driver:
        gates.wait(f"{gate}.held")
        # else another task of this driver comes to the gate that is shut for the next one
        ledger = Engine(store).ledger
        until(lambda: set(range(1, SHARDS)) <= set(ledger.done(TARGET)))
        driver.send_signal(signal.SIGKILL)


def run_again(store: Path, address: str) -> int:
    with owned(store), Client(address) as client:
        return Engine(store, client, quiet=True).run(smoothing(13)).computed


def test_a_task_that_ends_after_the_next_run_leaves_its_shard(
    store: Path, address: str, gates: Gates, wanted: dict[str, bytes]
) -> None:
    kill_a_driver_whose_task_is_held(store, address, gates, "before-0")
    assert run_again(store, address) == SHARDS
    gates.open("before-0")
    gates.wait("before-0.left")
    assert stored_bytes(store) == wanted
    assert Engine(store).verify(TARGET) == []
    assert run_again(store, address) == 0


@pytest.mark.parametrize("order", ["after the shard", "before the shard"])
def test_what_such_a_task_writes_during_the_next_run_is_made_again(
    order: str, store: Path, address: str, gates: Gates, wanted: dict[str, bytes]
) -> None:
    kill_a_driver_whose_task_is_held(store, address, gates, "amid-0")
    ledger = Engine(store).ledger
    held = "before-5" if order == "after the shard" else "before-0"
    gates.shut(held)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(run_again, store, address)
        gates.wait(f"{held}.held")
        if order == "after the shard":
            until(lambda: 0 in ledger.done(TARGET))
        new = {receipt.key for receipt in ledger.done(TARGET).values()}
        gates.open("amid-0")
        if order == "after the shard":  # it finds that it may have spoiled what the later run made
            until(lambda: 0 not in ledger.done(TARGET))
        else:
            until(lambda: bool(ledger.done(TARGET).get(0)) and ledger.done(TARGET)[0].key not in new)
        gates.open(held)
        assert run.result(60) == SHARDS
    assert stored_bytes(store) == wanted
    assert Engine(store).verify(TARGET) == []


def test_a_reader_that_outlives_its_driver_leaves_the_cube_of_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cube, store = scene("l2b", n_points=600, n_dates=40, seed=3), tmp_path / "site.zarr"
    source = tmp_path / f"{str(cube.attrs['source']).split()[0]}.zip"
    write_egms(source, cube)
    parsed, go, read = Event(), Event(), ingestion.read_table

    def read_and_wait(*given: Any, **options: Any) -> Any:
        table = read(*given, **options)
        if not options.get("min_coherence"):
            parsed.set()
            go.wait(60)
        return table

    monkeypatch.setattr(ingestion, "read_table", read_and_wait)
    with ThreadPoolExecutor(1) as pool:
        with owned(store):  # and killed
            run = holder_of(open_store(store))
        left = pool.submit(ingestion.ingest_file, str(store), str(source), 0, "site", {}, 256, run)
        parsed.wait(60)
        with owned(store), Engine(store, quiet=True) as engine:
            ingestion.ingest(engine, source, "site", {"min_coherence": 0.7}, 256)
            before = stored_bytes(store)
            go.set()
            with pytest.raises(SupersededError, match="outlived its own"):
                left.result(60)
        assert stored_bytes(store) == before and Engine(store).verify("site/raw") == []
