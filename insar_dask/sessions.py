"""Where the work runs: this process, worker processes of this machine, or a scheduler at an address."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

__all__ = ["session"]


@contextmanager
def session(
    workers: int | None = None,
    *,
    address: str | None = None,
    threads_per_worker: int = 1,
    memory_limit: str | int = "auto",
    dashboard: str = "127.0.0.1:0",
    timeout: str = "20s",
) -> Iterator[Client]:
    """Start or join a Dask cluster for the length of a ``with`` block.

    Parameters
    ----------
    workers : int, optional
        Worker processes on this machine; default: one a core.
    address : str, optional
        Join the scheduler at this address, such as ``"tcp://10.0.0.1:8786"``, instead.
    threads_per_worker : int
        Threads of each worker; kernels release the GIL, so one worker with many threads also scales.
    memory_limit : str or int
        Memory of each worker, such as ``"2GiB"``; ``"auto"`` shares the machine's.
    dashboard : str
        Where Dask's own dashboard listens; a free port of this machine unless said.

    timeout : str
        How long to wait for the scheduler at ``address``.

    Yields
    ------
    distributed.Client
        Connected client; workers of this machine end with the block, those behind an address stay.

    Raises
    ------
    ValueError
        When both ``workers`` and ``address`` are given, or ``workers`` is below 1.
    OSError
        When no scheduler answers at ``address``.
    """
    from dask.system import CPU_COUNT
    from distributed import Client, LocalCluster

    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers}; wanted at least 1, or no session at all to work in this process")
    if address is not None:
        if workers is not None:
            raise ValueError("give workers=... for a cluster of this machine, or address=... to join one, not both")
        with Client(address, timeout=timeout) as client:
            yield client
        return
    with _born_deaf_to_interrupts():
        cluster = LocalCluster(
            n_workers=workers or CPU_COUNT,
            threads_per_worker=threads_per_worker,
            memory_limit=memory_limit,
            dashboard_address=dashboard,
            host="127.0.0.1",
        )
    try:
        with Client(cluster) as client:
            yield client
    finally:
        _close_quietly(cluster)


@contextmanager
def _born_deaf_to_interrupts() -> Iterator[None]:
    """Ctrl-C goes to every process of a terminal; only this one shall hear it, and end its workers without a trace."""
    if threading.current_thread() is not threading.main_thread():  # others cannot set signals
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _close_quietly(cluster: LocalCluster) -> None:
    """End the workers; that one is slow to go when its work is done is no news to anybody."""
    log = logging.getLogger("distributed.nanny")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        cluster.close()
    finally:
        log.setLevel(level)
