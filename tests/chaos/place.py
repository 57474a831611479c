"""Where the job of chaos runs: workers of this machine, forked from a warm process, and drivers that can be killed."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask
from distributed import Client, LocalCluster
from distributed.utils import get_mp_context

WARM = "tests.chaos.warm"
"""What a worker of the job has imported when its life begins to count."""

FORKED = {"distributed.worker.multiprocessing-method": "forkserver"}


def forkserver() -> Any:
    """Processes forked from a warm one: a worker's start takes 0.1 s of CPU and not 3."""
    with dask.config.set(FORKED):
        context = get_mp_context()  # sets a preload of its own, the first time
    multiprocessing.get_context("forkserver").set_forkserver_preload(["distributed", WARM, "tests.chaos.killing"])
    return context


@contextmanager
def cluster(workers: int = 2, **others: Any) -> Iterator[Client]:
    """Workers of one thread."""
    forkserver()
    where = {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1", "memory_limit": "1GiB", **others}
    with (
        dask.config.set(FORKED),
        LocalCluster(n_workers=workers, threads_per_worker=1, **where) as found,
        Client(found) as client,
    ):
        yield client
