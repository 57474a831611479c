"""Dask clusters of processes that no driver owns."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def unwound() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end this process as an error does: what it started is ended, its folders are removed.

    Nothing helps against SIGKILL.
    """
    wanted = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]

    def leave(number: int, _: object) -> None:
        for one in wanted:  # whoever sends a second one does not hinder it
            signal.signal(one, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in wanted:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in wanted:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def external_cluster(
    folder: Path,
    *worker: str,
    workers: int = 3,
    threads: int = 1,
    hosts: tuple[str, str] = ("127.0.0.1", "127.0.0.1"),
    within: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> Iterator[str]:
    """A scheduler and workers started by their own commands, the latter with further arguments.

    Each on its host, its command within another one.
    """
    note = folder / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    # the scheduler unpacks what it is to pass on, functions of tests too
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True, "env": environment}
    here, there = (["--host", host, "--dashboard-address", "127.0.0.1:0"] for host in hosts)
    with ExitStack() as stack:

        def start(around: Sequence[str], *arguments: str) -> None:
            process = subprocess.Popen([*around, *dask, *arguments], cwd=folder, **quiet)  # type: ignore[call-overload]
            stack.callback(process.wait)
            stack.callback(os.killpg, process.pid, signal.SIGKILL)

        start(within[0], "scheduler", *here, "--port", "0", "--scheduler-file", str(note))
        for _ in range(workers):
            start(within[1], "worker", *there, "--nthreads", str(threads), "--scheduler-file", str(note), *worker)
        deadline = time.monotonic() + 200
        while not (note.exists() and note.read_text().strip()):
            assert time.monotonic() < deadline, "the scheduler did not start"
            time.sleep(0.05)
        yield json.loads(note.read_text())["address"]
