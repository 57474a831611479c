"""A scheduler in one network namespace and workers in another, which speak TLS over a wire that can be cut."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from insar_dask.jobs.receipts import Ledger
from insar_dask.objects import open_store
from tests.clusters.conftest import SHARDS, Command
from tests.clusters.one_node_slurm import MORTAL
from tests.conftest import stored_bytes
from tests.sessions.conftest import Certify

NEAR, FAR, WIRE = f"insar-near-{os.getpid()}", f"insar-far-{os.getpid()}", f"wire{os.getpid() % 100_000}"
ADDRESS = "tls://10.77.0.1:8786"
CUT = 6.0
"""Seconds that the wire is down."""


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def within(namespace: str, *command: str) -> list[str]:
    return [*MORTAL, "ip", "netns", "exec", namespace, *command]


@pytest.fixture(scope="module")
def wired() -> Iterator[None]:
    """Two namespaces with a wire between them, and no other way out of either."""
    if os.geteuid() or shutil.which("ip") is None:
        pytest.skip("network namespaces want root and iproute2: apt-get install iproute2")
    with ExitStack() as stack:
        for namespace in (NEAR, FAR):
            ip("netns", "add", namespace)
            stack.callback(ip, "netns", "delete", namespace)
        ip("link", "add", WIRE, "netns", NEAR, "type", "veth", "peer", "name", WIRE, "netns", FAR)
        for namespace, address in ((NEAR, "10.77.0.1/24"), (FAR, "10.77.0.2/24")):
            ip("-n", namespace, "address", "add", address, "dev", WIRE)
            for device in ("lo", WIRE):
                ip("-n", namespace, "link", "set", device, "up")
        yield


@pytest.fixture(scope="module")
def cluster(wired: None, certify: Certify, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The scheduler near, two workers far; yields the files of their authority."""
    ours, folder = certify(), tmp_path_factory.mktemp("cluster")
    files = ["--tls-ca-file", ours["ca"], "--tls-cert", ours["cert"], "--tls-key", ours["key"]]
    dask = [sys.executable, "-m", "dask"]
    host = ["--host", "tls://10.77.0.1", "--port", "8786", "--dashboard-address", "127.0.0.1:0"]
    crew = ["--nworkers", "2", "--nthreads", "1", "--no-dashboard"]
    with ExitStack() as stack:
        for name, each in (
            ("scheduler", within(NEAR, *dask, "scheduler", *host, *files)),
            ("workers", within(FAR, *dask, "worker", ADDRESS, *crew, *files)),
        ):
            log = stack.enter_context((folder / f"{name}.log").open("w"))
            process = subprocess.Popen(each, cwd=folder, stdout=log, stderr=log, start_new_session=True)
            stack.callback(ended, process)
        yield ours


def ended(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def settings(address: str, files: dict[str, str] | None) -> list[str]:
    named = files and ", ".join(f'{name} = "{path}"' for name, path in files.items())
    return [f"address={address}", "timeout=3s", *([f"tls={{{named}}}"] if named else [])]


def done(store: Path) -> int:
    ledger, product = Ledger(open_store(store)), "EGMS_L2b_022_0845_IW2_VV_2020_2024_1"
    return len(ledger.done(f"{product}/raw")) if store.exists() else 0


def test_a_run_over_a_wire_that_is_cut_for_a_while_ends_as_one_here(
    cluster: dict[str, str], command: Command, here: dict[str, bytes], tmp_path: Path
) -> None:
    store = tmp_path / "site.zarr"
    driver = [*settings(ADDRESS, cluster)[:1], "timeout=60s", settings(ADDRESS, cluster)[-1]]
    with subprocess.Popen(
        within(NEAR, *command(tmp_path, *driver)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while process.poll() is None and done(store) < 2:
            time.sleep(0.05)
        before = done(store)
        ip("-n", FAR, "link", "set", WIRE, "down")
        time.sleep(CUT)
        ip("-n", FAR, "link", "set", WIRE, "up")
        went_on = process.poll() is None
        _, complaints = process.communicate(timeout=300)
    assert process.returncode == 0, complaints
    assert went_on
    assert 2 <= before <= SHARDS
    assert stored_bytes(store) == here


@pytest.mark.parametrize(("who", "complaint"), [("stranger", "did the same authority sign"), ("plain", "speak tcp")])
def test_who_has_no_certificate_of_the_authority_is_refused(
    who: str, complaint: str, cluster: dict[str, str], certify: Certify, command: Command, tmp_path: Path
) -> None:
    told = settings(ADDRESS, certify()) if who == "stranger" else settings(ADDRESS.replace("tls", "tcp"), None)
    refused = subprocess.run(
        within(NEAR, *command(tmp_path, *told)), capture_output=True, text=True, check=False, timeout=120
    )
    assert refused.returncode == 1
    assert complaint in refused.stderr
    assert not (tmp_path / "site.zarr").exists() or done(tmp_path / "site.zarr") == 0
