"""The door to every place where work may run: one call, one cluster, one client."""

from __future__ import annotations

import ipaddress
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from insar_dask.jobs.devices import mark_gpus
from insar_dask.sessions.encryption import Tls
from insar_dask.sessions.gpus import threads_of_gpu, usable_gpus
from insar_dask.sessions.joining import joined, service_address
from insar_dask.sessions.local import gpu_workers, processes, threads_here
from insar_dask.sessions.slurm import SlurmJobs, slurm_workers
from insar_dask.settings import whole

if TYPE_CHECKING:
    from distributed import Client, Security

__all__ = ["WITHOUT_WORKERS", "session"]

WITHOUT_WORKERS = ("threads", "address", "kubernetes")
"""Places where no worker is started whose threads could be said."""

Options = TypeVar("Options", Tls, SlurmJobs)


@contextmanager
def session(
    workers: int | None = None,
    *,
    threads: int | None = None,
    address: str | None = None,
    kubernetes: str | None = None,
    slurm: SlurmJobs | Mapping[str, Any] | None = None,
    gpus: int | Literal["all"] | None = None,
    threads_per_worker: int | None = None,
    memory_limit: str | int = "auto",
    host: str = "127.0.0.1",
    dashboard: str = "127.0.0.1:0",
    tls: Tls | Mapping[str, Any] | None = None,
    timeout: str = "20s",
) -> Iterator[Client]:
    """Start or join a Dask cluster for the length of a ``with`` block.

    One of ``threads``, ``address``, ``kubernetes``, ``slurm`` and ``gpus`` says where; none of them: worker processes
    on this machine. The keys of ``[cluster]`` in a configuration are the same.

    Parameters
    ----------
    workers : int, optional
        Worker processes on this machine, default one a core; with ``slurm``, the jobs that are kept.
    threads : int, optional
        Threads of this process instead of other processes: kernels release the GIL, nothing is pickled.
    address : str, optional
        Join the scheduler at this address, such as ``"tls://10.0.0.1:8786"``.
    kubernetes : str, optional
        Join the scheduler behind this service, ``"insar-scheduler"`` or ``"insar-scheduler.NAMESPACE"``, from a pod of
        the same Kubernetes cluster; ``deploy/kubernetes`` makes one. The manifests are validated; on a live cluster
        this was not tried.
    slurm : SlurmJobs or mapping, optional
        Submit ``workers`` jobs, such as ``{"interface": "ib0", "walltime": "04:00:00", "queue": "short"}``, each one
        worker of ``threads_per_worker`` threads and ``memory_limit``. They retire before the walltime, at different
        moments, and a job that is cancelled is replaced (needs the deploy extra).
    gpus : int or "all", optional
        One worker process for each of so many GPUs of this machine, which sees that one alone (needs a gpu extra).
        On it are computed networks, that learn or forecast, and, to 1e-5 of what the processor gives, the steps of
        chunk jobs that `insar_dask.jobs.devices.ON_GPU` lists. What a GPU has made has keys of its own: a store that
        was made on processors is made again where its runs move to GPUs, and the other way round.
        ``INSAR_DASK_DEVICE=cpu`` in the environment of the process that drives a run keeps its chunk jobs off them.
        CuPy takes half of a GPU's memory unless ``CUPY_GPU_MEMORY_LIMIT`` says otherwise. No GPU has been tried yet.
    threads_per_worker : int, optional
        Threads of each worker that is started: one unless said, with ``gpus`` 2 to 8, each GPU's share of the cores,
        of which one has the GPU while the others read and write.
    memory_limit : str or int
        Memory of each worker, such as ``"2GiB"``; ``"auto"`` shares the machine's.
    host : str
        Where the scheduler and workers of this machine listen: on this machine alone unless said. Whoever reaches a
        scheduler without ``tls`` can run any code as the user that started it.
    dashboard : str
        Where Dask's own dashboard listens; a free port of this machine unless said. It asks for no password.
    tls : Tls or mapping, optional
        Encrypt, and refuse whoever has no certificate of the same authority:
        ``{"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}``, which ``deploy/tls`` makes.
    timeout : str
        How long to wait for the scheduler at ``address`` or behind ``kubernetes``.

    Yields
    ------
    distributed.Client
        Connected client; workers that were started here end with the block, those that were joined stay.

    Raises
    ------
    ValueError
        When options exclude each other or are wrong, or certificates do not fit together.
    OSError
        When no scheduler answers, a file of ``tls`` is missing, or no GPU is usable.
    ImportError, RuntimeError
        Without dask-jobqueue; when SLURM refuses the jobs, or they fail one after another.
    """
    where = _one_place(workers, threads=threads, address=address, kubernetes=kubernetes, slurm=slurm, gpus=gpus)
    security = None if tls is None else _options(Tls, "tls", tls).security()
    if where in WITHOUT_WORKERS and threads_per_worker is not None:
        raise ValueError(f"threads_per_worker is of workers that are started; with {where}=... leave it out")
    of_worker = 1 if threads_per_worker is None else whole("threads_per_worker", threads_per_worker, of="threads")
    if where in ("address", "kubernetes"):
        goal = address if address is not None else service_address(str(kubernetes), security)
        with joined(goal, security, timeout) as client:
            yield client
        return
    if where == "threads":
        _check_unencrypted(security)
        opened = threads_here(whole("threads", threads, of="threads"), memory_limit, dashboard)
    elif where == "slurm":
        jobs = _options(SlurmJobs, "slurm", slurm)
        _check_jobs(workers, memory_limit)
        count = whole("workers", workers, of="jobs")
        opened = slurm_workers(jobs, count, of_worker, memory_limit, dashboard, security)
    else:
        _check_host(host, encrypted=security is not None)
        common = memory_limit, host, dashboard, security
        if where == "gpus":
            devices = usable_gpus(gpus)
            of_worker = of_worker if threads_per_worker else threads_of_gpu(len(devices))
            opened = gpu_workers(devices, of_worker, *common)
        else:
            opened = processes(_count(workers), of_worker, *common)
    with opened as cluster, cluster.get_client() as client:
        if where == "gpus":
            mark_gpus(client)
        yield client


def _one_place(workers: int | None, **places: Any) -> str:
    """Which place was named; worker processes of this machine where none was."""
    named = [name for name, value in places.items() if value is not None]
    if len(named) > 1:
        raise ValueError(f"{' and '.join(named)} exclude each other: each says where the work runs, give one")
    if named and workers is not None and named != ["slurm"]:
        raise ValueError(
            f"give workers=... for a cluster of this machine or jobs of slurm, or {named[0]}=..., not both"
        )
    return named[0] if named else "workers"


def _count(workers: int | None) -> int:
    from dask.system import CPU_COUNT

    if workers is None:
        return int(CPU_COUNT)
    if workers < 1:
        raise ValueError(f"workers is {workers}; wanted at least 1, or no session at all to work in this process")
    return workers


def _options(kind: type[Options], name: str, given: Any) -> Options:
    """The options themselves, or made of a mapping."""
    if isinstance(given, kind):
        return given
    try:
        return kind(**given)
    except TypeError as error:
        known = ", ".join(field.name for field in fields(kind))
        said = str(error).rpartition("__init__() ")[2]
        raise ValueError(f"{name}: {said}; wanted a mapping of {known}") from None


def _check_unencrypted(security: Security | None) -> None:
    if security is not None:
        raise ValueError("threads of one process speak over no network: leave tls out, or give workers=...")


def _check_jobs(workers: int | None, memory_limit: str | int) -> None:
    if workers is None:
        raise ValueError("slurm needs workers=..., the jobs that are to be kept in the queue")
    if memory_limit == "auto":
        raise ValueError('slurm needs memory_limit=..., what each job asks for, such as "8GiB"')


def _check_host(host: str, *, encrypted: bool) -> None:
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local and not encrypted:
        warnings.warn(
            f"the scheduler listens at {host} without tls: whoever reaches it can run any code as you; give tls=...",
            RuntimeWarning,
            stacklevel=2,
        )
