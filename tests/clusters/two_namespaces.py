"""Two network namespaces with a wire between them; a scheduler in one, workers in the other, who speak TLS."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.clusters.one_node_slurm import MORTAL

NEAR, FAR, WIRE = f"insar-near-{os.getpid()}", f"insar-far-{os.getpid()}", f"wire{os.getpid() % 100_000}"
ADDRESS = "tls://10.77.0.1:8786"
PAGE = "http://127.0.0.1:8787/insar"
"""Where the near namespace alone sees the page."""


def missing() -> str:
    """Why there can be no namespaces here; empty where there can."""
    lacking = os.geteuid() != 0 or shutil.which("ip") is None
    return "network namespaces want root and iproute2: apt-get install iproute2" if lacking else ""


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def within(namespace: str, *command: str) -> list[str]:
    return [*MORTAL, "ip", "netns", "exec", namespace, *command]


@contextmanager
def wired() -> Iterator[None]:
    """The namespaces, with no other way out of either than the wire between them."""
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


@contextmanager
def crew(files: Mapping[str, str], folder: Path) -> Iterator[int]:
    """A scheduler near, which shows the page, and two workers far; yields the process that starts the workers."""
    shown = ["--tls-ca-file", files["ca"], "--tls-cert", files["cert"], "--tls-key", files["key"]]
    dask = [sys.executable, "-m", "dask"]
    host = ["--host", "tls://10.77.0.1", "--port", "8786", "--dashboard-address", "127.0.0.1:8787"]
    page = ["--preload", "insar_dask.dashboard.preload"]
    hands = ["--nworkers", "2", "--nthreads", "1", "--no-dashboard"]
    with ExitStack() as stack:
        for name, each in (
            ("scheduler", within(NEAR, *dask, "scheduler", *host, *page, *shown)),
            ("workers", within(FAR, *dask, "worker", ADDRESS, *hands, *shown)),
        ):
            log = stack.enter_context((folder / f"{name}.log").open("w"))
            process = subprocess.Popen(each, cwd=folder, stdout=log, stderr=log, start_new_session=True)
            stack.callback(_ended, process)
        yield process.pid


def joining(address: str, files: Mapping[str, str] | None, timeout: str = "3s") -> list[str]:
    """Settings of a driver that joins the scheduler with some certificates, or with none."""
    named = files and ", ".join(f'{name} = "{path}"' for name, path in files.items())
    return [f"address={address}", f"timeout={timeout}", *([f"tls={{{named}}}"] if named else [])]


def _ended(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
