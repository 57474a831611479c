import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import socket
from typing import Any

import pytest
import xarray as xr
from hypothesis import settings
from threadpoolctl import threadpool_limits

from insar_dask.buckets import Bucket
from insar_dask.synthetic import scene

CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]

# a busy machine is no failure; what CI runs is the same twice, and new examples are drawn wherever people work
settings.register_profile("untimed", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("untimed")

# where Python is told to keep no bytecode, each program that a test starts would compile three hundred modules anew,
# and each process of pytest all tests
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: two processes that share the files then end at about the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def interrupts_heard() -> Iterator[None]:
    """Ctrl-C, which a shell's background jobs ignore, and all programs that these begin."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread() -> Iterator[None]:
    """BLAS threads that wait for a busy core spin: a third of the CPU time of some tests. So do those of torch, which
    is there where tests are of networks. Programs that tests start have as many as anybody's."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    with threadpool_limits(1, "blas"):
        yield


@pytest.fixture(scope="module", autouse=True)
def own_environment() -> Iterator[None]:
    """A Dask cluster leaves settings of malloc behind, with which programs of later tests take another peak of memory:
    which files ran before must not matter."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


@pytest.fixture(scope="session", autouse=True)
def dask_port_taken() -> Iterator[None]:
    """A scheduler that is not told where to show its page takes port 8787, ``dashboard=False`` or not, and two tests at
    once then fail of each other. With the port taken always, such a test fails each time."""
    with socket() as taken:
        with suppress(OSError):  # whoever has it, it is taken
            taken.bind(("127.0.0.1", 8787))
            taken.listen()
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real products; see the data's own README for where they come from."""
    folder = os.environ.get("INSAR_DASK_DATA")
    if not folder:
        pytest.skip("real data: set INSAR_DASK_DATA to the folder that holds egms/")
    return Path(folder)


@pytest.fixture(scope="session")
def small_scene() -> xr.Dataset:
    """3,000 points x 90 dates in memory."""
    return scene("l2b", n_points=3000, n_dates=90, seed=1).compute()


@pytest.fixture
def networks_there(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """A GPU for networks that forecast; where there is none the processor stands in. In each turn nothing is looked at,
    and one copy comes back. Yields its bytes, which a test may change, and the turns that were taken."""
    import torch

    from insar_dask.forecast import gpu_networks
    from insar_dask.forecast.models import blocks
    from tests.forecast.training.test_queued import LOOKED_AT, Unseen

    gpu, computing = {"bytes": 80 * 10**9, "turns": 0}, gpu_networks.computing

    @contextmanager
    def counted(device: torch.device) -> Iterator[None]:
        gpu["turns"] += 1
        with computing(device), Fetching() as fetching:
            yield
        assert fetching.copies == 1

    class Fetching(Unseen):
        """Refuses whatever asks for a number, but for what has come back."""

        copies = 0

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = getattr(func, "__name__", "")
            self.copies += name == "cpu"
            if name in LOOKED_AT & {"cpu", "numpy"}:
                return func(*args, **(kwargs or {}))
            return super().__torch_function__(func, types, args, kwargs)

    monkeypatch.setattr(gpu_networks, "_KEPT", {})
    monkeypatch.setattr(gpu_networks, "computing", counted)
    monkeypatch.setattr("insar_dask.forecast.series.prediction_blocks.computing", counted)
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
        monkeypatch.setattr(blocks, "WAITED_FOR", frozenset())
        monkeypatch.setattr(gpu_networks, "found_device", lambda: torch.device("cpu"))
        monkeypatch.setattr(gpu_networks, "_memory", lambda _: gpu["bytes"])
        monkeypatch.setattr(gpu_networks, "network_room", lambda: (gpu["bytes"], gpu["bytes"]))
    yield gpu


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Address of a store in a bucket in the memory of this process; what lies beside it lies in the test's folder."""
    monkeypatch.chdir(tmp_path)
    memory = pytest.importorskip("obstore.store").MemoryStore()
    opened = Bucket(memory, f"s3://{tmp_path.name}/site.zarr")
    monkeypatch.setattr("insar_dask.bucket_opening._opened", lambda *_: opened)
    return opened.address


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB; mounting one takes root."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system of our own: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra test)")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


def stored_bytes(store: Path) -> dict[str, bytes]:
    """Every object of a store but those that may differ between equal runs: receipts and history hold times, hosts."""
    skipped = ("jobs/receipts/", "jobs/history/", "jobs/lock")
    files = {p.relative_to(store).as_posix(): p for p in sorted(store.rglob("*")) if p.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(skipped)}
