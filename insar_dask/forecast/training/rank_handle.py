"""The process of one rank as its supervisor holds it: started, listened to, and killed with all that it started."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from insar_dask.forecast.training.attempt import Assignment

__all__ = ["RankHandle"]

MODULE = "insar_dask.forecast.training.rank_process"
LOG_LINES = 30

HOARD = {"MALLOC_TRIM_THRESHOLD_": str(2**31 - 1), "MALLOC_MMAP_THRESHOLD_": str(2**30)}
"""glibc keeps the memory of a step for the next one. Dask has its workers give freed memory back at once, at 0.4 s of
page faults in a step of the published network that computes for 0.7 s."""


class RankHandle:
    """A rank's process; its standard input is a lifeline, its standard output one JSON mapping a line.

    Parameters
    ----------
    assignment : Assignment
    address : str
        By which the other ranks reach this machine.
    """

    def __init__(self, assignment: Assignment, address: str) -> None:
        self.log = Path(assignment.folder) / f"rank-{assignment.rank}.log"
        self.lines: queue.Queue[dict[str, Any]] = queue.Queue()
        with self.log.open("ab") as log:
            self._log_from = log.tell()
            if assignment.rank:
                self.store = assignment.store
                self._start(assignment, address, log.fileno(), {})
                return
            # the kernel names a free port, and keeps it for us until the rank has booted
            with socket.create_server((address, 0), family=_family(address)) as listener:
                self.store = (address, listener.getsockname()[1])
                self._start(assignment, address, log.fileno(), {"store": self.store, "listener": listener.fileno()})

    def _start(self, assignment: Assignment, address: str, log: int, more: dict[str, Any]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=_environment(assignment, address),
            pass_fds=[more["listener"]] if "listener" in more else [],
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True, name=f"rank-{assignment.rank}")
        self._reader.start()
        with suppress(BrokenPipeError):  # it is dead already, and that will be noticed
            os.write(self._stdin, assignment.to_json(**more))

    @property
    def _stdin(self) -> int:
        if self.process.stdin is None:
            raise ValueError("the rank's process has no lifeline")
        return self.process.stdin.fileno()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            with suppress(ValueError):  # the half line of a process that was killed
                self.lines.put(json.loads(line))

    def hear(self, seconds: float) -> Iterator[dict[str, Any]]:
        """What it has said; waits for so long where it has said nothing."""
        with suppress(queue.Empty):
            yield self.lines.get(timeout=seconds)
            while True:
                yield self.lines.get_nowait()

    @property
    def exit_code(self) -> int | None:
        """None while it runs, or while something that it said was not heard yet."""
        code = self.process.poll()
        if code is None:
            return None
        self._reader.join(timeout=1.0)
        return code if self.lines.empty() else None

    @property
    def stopped(self) -> bool:
        """Whether somebody froze it."""
        with suppress(psutil.Error):
            return bool(psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED)
        return False

    def last_words(self) -> str:
        """End of what this process left in its log."""
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            return "\n".join(log.read().decode(errors="replace").splitlines()[-LOG_LINES:])

    def kill(self) -> None:
        """Leave nothing running: the process leads a session of its own, with whatever it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def _environment(assignment: Assignment, address: str) -> dict[str, str]:
    """The worker's own, and: what the worker can import, a number of threads, and the network that the ranks share."""
    found = _interface(address)
    network = {"GLOO_SOCKET_IFNAME": found, "NCCL_SOCKET_IFNAME": found} if found else {}
    path = os.pathsep.join(entry or "." for entry in sys.path)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(assignment.threads))
    return {**os.environ, "PYTHONPATH": path, **threads, **network, **HOARD}


def _interface(address: str) -> str:
    """Network interface of an address: gloo would take whatever the host's name resolves to, often 127.0.1.1."""
    for name, addresses in psutil.net_if_addrs().items():
        if any(entry.address.partition("%")[0] == address for entry in addresses):
            return str(name)
    return ""


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
