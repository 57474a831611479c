"""How many tasks a configured cluster runs at a time: what it says, or where it joins one, what that has."""

from __future__ import annotations

from dataclasses import dataclass

from insar_dask.config import Config
from insar_dask.machine import usable_cpus
from insar_dask.sessions.gpus import threads_of_gpu

__all__ = ["Capacity", "capacity_of"]


@dataclass(frozen=True)
class Capacity:
    """Threads of all workers, and how they are told of."""

    threads: int
    told: str

    @classmethod
    def of(cls, threads: int, where: str = "") -> Capacity:
        """So many threads; ``where`` they are, of a cluster that is joined."""
        workers = "1 worker" if threads == 1 else f"{threads} workers"
        return cls(threads, f"{workers} {where}".rstrip())


def capacity_of(config: Config) -> Capacity:
    """What the cluster of a configuration has; of one that others started it is asked, and may not answer."""
    cluster = config.cluster
    if cluster.address is not None or cluster.kubernetes is not None:
        return _joined(config)
    if cluster.threads is not None or cluster.alone:
        return Capacity.of(cluster.threads or 1)
    said = cluster.threads_per_worker
    if isinstance(cluster.gpus, int):
        return Capacity.of(cluster.gpus * (said or threads_of_gpu(cluster.gpus)))
    return Capacity.of((cluster.workers or usable_cpus()) * (said or 1))


def _joined(config: Config) -> Capacity:
    from insar_dask.sessions import session

    place = config.cluster.address or config.cluster.kubernetes
    try:
        with session(**config.cluster.model_dump()) as client:
            threads = sum(client.nthreads().values())
    except OSError as error:
        here = Capacity.of(usable_cpus())
        why = (str(error).splitlines() or [type(error).__name__])[0]
        return Capacity(
            here.threads, f"{here.told} such as this machine's, for {place} did not say what it has ({why})"
        )
    if not threads:
        return Capacity(1, f"1 worker, for {place} has none now")
    return Capacity.of(threads, f"of {place}")
