"""Jobs of a SLURM queue as workers: they leave before their time is up, and one that is lost is asked for again."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from insar_dask.sessions.encryption import protocol
from insar_dask.sessions.queue_watch import QueueWatch, watched
from insar_dask.terminal import TerminalBar

if TYPE_CHECKING:
    from dask_jobqueue.slurm import SLURMCluster
    from distributed import Security
    from rich.progress import ProgressColumn

__all__ = ["SlurmJobs", "slurm_workers"]

LEAST_WALLTIME = 120
"""Seconds: of a shorter job, starting Python and leaving in peace are most."""

LOOK_EVERY = 0.2
"""Seconds between looks at whether the first worker has come."""


@dataclass(frozen=True, kw_only=True)
class SlurmJobs:
    """What a job of one worker asks SLURM for, besides its threads and memory.

    Parameters
    ----------
    interface : str
        Network that nodes and this host share, such as ``"ib0"``; the scheduler listens there, and there alone.
    walltime : str
        Time limit of a job in SLURM's own form: ``"02:00:00"``, ``"1-12:00:00"``.
    queue, account : str, optional
        Partition, and who pays.
    options : sequence of str
        Further options of ``sbatch``, such as ``["--constraint=icelake"]``.
    setup : sequence of str
        Lines of shell that a job runs first, such as ``["module load cuda"]``.
    logs : str
        Folder for what jobs print; nodes and this host share it.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    interface: str
    walltime: str = "01:00:00"
    queue: str | None = None
    account: str | None = None
    options: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    logs: str = "slurm-logs"

    def __post_init__(self) -> None:
        """Check the walltime, and that lists are lists: a text would be taken for one of letters."""
        for name in ("options", "setup"):
            if isinstance(given := getattr(self, name), str):
                raise ValueError(f"slurm: {name} is {given!r}; wanted a list, such as [{given!r}]")
        if self.seconds < LEAST_WALLTIME:
            raise ValueError(f"slurm: walltime is {self.walltime!r}; wanted two minutes at least, better hours")

    @property
    def seconds(self) -> int:
        """The walltime."""
        found = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)", self.walltime)
        if not found:
            raise ValueError(f'slurm: walltime is {self.walltime!r}; wanted "HH:MM:SS" or "D-HH:MM:SS"')
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return ((24 * days + hours) * 60 + minutes) * 60 + seconds

    def lifetime(self) -> tuple[int, int]:
        """Seconds that a worker lives, and by how many more or less each draws its own.

        A worker that SLURM kills at its walltime loses the shard it works on; one that retires before hands its shards
        back. The earliest leaves at 80 % of the walltime, the latest at 90 % or a minute before it, so that a queue
        which takes all jobs at once does not lose all workers at once.
        """
        last = self.seconds - max(self.seconds // 10, 60)
        stagger = self.seconds // 20
        return last - stagger, stagger


@contextmanager
def slurm_workers(
    jobs: SlurmJobs,
    workers: int,
    threads_per_worker: int,
    memory_limit: str | int,
    dashboard: str,
    security: Security | None,
) -> Iterator[SLURMCluster]:
    """A scheduler in this process and so many jobs, of which each is one worker; they end with the block.

    Raises
    ------
    ImportError
        Without dask-jobqueue.
    FileNotFoundError
        Without SLURM's commands.
    ValueError
        When the interface is not one of this host.
    RuntimeError
        When SLURM refuses a job, or jobs end without ever having been a worker.
    """
    _check(jobs.interface)
    from dask_jobqueue.slurm import SLURMCluster

    cluster = SLURMCluster(
        cores=threads_per_worker,
        memory=str(memory_limit),
        processes=1,
        protocol=protocol(security),
        security=security,
        scheduler_options={"interface": jobs.interface, "dashboard_address": dashboard},
        **_asked_for(jobs),
    )
    try:
        _rehearsed(cluster.job_script())
        cluster.scale(jobs=workers)
        _wait_for_one(cluster, watched(cluster, workers, Path(jobs.logs)))
        yield cluster
    finally:
        cluster.close()


def _check(interface: str) -> None:
    import psutil

    try:
        import dask_jobqueue  # noqa: F401
    except ImportError:
        raise ImportError("slurm needs dask-jobqueue: pip install 'insar-dask[deploy]'") from None
    lacking = [command for command in ("sbatch", "squeue", "scancel") if shutil.which(command) is None]
    if lacking:
        raise FileNotFoundError(
            f"slurm: no {', '.join(lacking)} on this host; run where jobs can be submitted, such as a login node"
        )
    known = list(psutil.net_if_addrs())
    if interface not in known:
        raise ValueError(f"slurm: interface is {interface!r}; wanted one of this host's: {', '.join(known)}")


def _asked_for(jobs: SlurmJobs) -> dict[str, Any]:
    life, stagger = jobs.lifetime()
    leaving = ["--lifetime", f"{life}s", "--lifetime-stagger", f"{stagger}s", "--no-dashboard"]
    return {
        "interface": jobs.interface,
        "walltime": jobs.walltime,
        "queue": jobs.queue,
        "account": jobs.account,
        "job_name": "insar-worker",
        "job_extra_directives": list(jobs.options),
        "job_script_prologue": list(jobs.setup),
        "log_directory": jobs.logs,
        "local_directory": "${TMPDIR:-/tmp}",  # what spills goes to the node's own disk, not to the shared one
        "worker_extra_args": leaving,
    }


def _rehearsed(script: str) -> None:
    """Let SLURM judge a job without taking it: Dask would tell a log alone that it was refused."""
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
        file.write(script)
        file.flush()
        judged = subprocess.run(["sbatch", "--test-only", file.name], capture_output=True, text=True)
    if judged.returncode:
        raise RuntimeError(
            f"slurm: jobs are refused: {judged.stderr.strip()}; see queue, account, walltime, options and memory_limit"
        )


def _wait_for_one(cluster: SLURMCluster, watch: QueueWatch) -> None:
    """Wait for the first worker; a queue may take hours, so only jobs that fail end it otherwise."""
    with TerminalBar("waiting for the first job of SLURM", _elapsed):
        while not cluster.scheduler_info["workers"]:
            watch.check()
            time.sleep(LOOK_EVERY)


def _elapsed(_: int) -> list[ProgressColumn]:
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    return [SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()]
