"""Workers of this machine: processes, threads of this process, or a process for each GPU."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

from insar_dask.sessions.encryption import protocol

if TYPE_CHECKING:
    from distributed import Security, SpecCluster

__all__ = ["gpu_workers", "processes", "threads_here"]

NOWHERE_ELSE = "127.0.0.1:0"
"""A worker's own page; one that speaks over no network would else show it on every interface."""


CUPY_SHARE = {"CUPY_GPU_MEMORY_LIMIT": "50%"}
"""Environment of workers with a GPU, where the session's own does not say otherwise: CuPy, which keeps what it once
had until a stage ends, leaves half of its memory to torch, which forecasts beside it and trains in another process."""


@contextmanager
def processes(
    workers: int, threads_per_worker: int, memory_limit: str | int, host: str, dashboard: str, security: Security | None
) -> Iterator[SpecCluster]:
    """A scheduler in this process, and worker processes that end with the block."""
    from distributed import LocalCluster

    with _ended(
        LocalCluster,
        n_workers=workers,
        threads_per_worker=threads_per_worker,
        memory_limit=memory_limit,
        dashboard_address=dashboard,
        host=host,
        security=security,
        protocol=protocol(security),
    ) as cluster:
        yield cluster


@contextmanager
def threads_here(n_threads: int, memory_limit: str | int, dashboard: str) -> Iterator[SpecCluster]:
    """One worker of many threads in this process: nothing listens but the dashboard, and nothing is pickled."""
    from distributed import LocalCluster

    with _ended(
        LocalCluster,
        n_workers=1,
        threads_per_worker=n_threads,
        memory_limit=memory_limit,
        dashboard_address=dashboard,
        processes=False,
        protocol="inproc://",
        worker_dashboard_address=NOWHERE_ELSE,
    ) as cluster:
        yield cluster


@contextmanager
def gpu_workers(
    devices: Sequence[str],
    threads_per_worker: int,
    memory_limit: str | int,
    host: str,
    dashboard: str,
    security: Security | None,
) -> Iterator[SpecCluster]:
    """A worker process for each device, which sees that one alone and offers it as the resource ``GPU``.

    ``"auto"`` is an equal share of the machine's memory for each: not, as Dask has it, one by threads.
    """
    from distributed import Nanny, Scheduler, SpecCluster
    from distributed.system import MEMORY_LIMIT

    if memory_limit == "auto":
        memory_limit = MEMORY_LIMIT // len(devices)
    common_environment = {name: os.environ.get(name, default) for name, default in CUPY_SHARE.items()}
    common = {
        "nthreads": threads_per_worker,
        "memory_limit": memory_limit,
        "host": host,
        "protocol": protocol(security),
        "security": security,
        "dashboard": False,
        "resources": {"GPU": 1},
    }
    offered = {"host": host, "dashboard_address": dashboard, "protocol": protocol(security), "security": security}
    with _ended(
        SpecCluster,
        scheduler={"cls": Scheduler, "options": offered},
        workers={
            number: {"cls": Nanny, "options": {**common, "env": environment}}
            for number, device in enumerate(devices)
            for environment in [{**common_environment, "CUDA_VISIBLE_DEVICES": device}]
        },
        security=security,
    ) as cluster:
        yield cluster


@contextmanager
def _ended(kind: type[SpecCluster], **options: object) -> Iterator[SpecCluster]:
    cluster = None
    try:
        with _born_deaf_to_interrupts():
            cluster = _started(kind, options)
        yield cluster
    finally:
        if cluster is not None:
            _close_quietly(cluster)


def _started(kind: type[SpecCluster], options: Mapping[str, object]) -> SpecCluster:
    try:
        return kind(**options)
    except RuntimeError as error:  # of Dask's, whose cause alone says why
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise OSError(f"no cluster could be started here: {cause}; see host, dashboard and workers") from error


@contextmanager
def _born_deaf_to_interrupts() -> Iterator[None]:
    """Ctrl-C goes to every process of a terminal; only this one shall hear it, and end its workers without a trace.

    Threads that begin meanwhile, among them the one that starts workers, and all processes that these start, inherit
    that the signal is blocked. This process hears it once they are born: by then they are known, and are ended.
    """
    if threading.current_thread() is not threading.main_thread():  # others cannot set signals
        yield
        return
    resource_tracker.ensure_running()  # whose start unblocks the signal, in the thread that starts workers else
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))  # threads of before may take it
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGINT, before)
    if heard:  # what that comes to is for the handler to say that was there
        signal.raise_signal(signal.SIGINT)


def _close_quietly(cluster: SpecCluster) -> None:
    """End the workers; that one is slow to go when its work is done is no news to anybody."""
    log = logging.getLogger("distributed.nanny")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        cluster.close()
    finally:
        log.setLevel(level)
