"""Keep jobs of a queue at their number: what was cancelled, or died before it was a worker, is asked for again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dask_jobqueue.slurm import SLURMCluster

__all__ = ["QueueWatch", "watched"]

ASK_EVERY = 5.0
"""Seconds between questions to SLURM, whose controller serves everybody."""

MOST_DEAD = 3
"""Jobs that end before there was ever a worker: then it is the jobs' fault, not a node's."""

LONGEST_WAIT = 300.0
"""Seconds between replacements, where one after another dies; from 5 they double."""


@dataclass
class QueueWatch:
    """What became of jobs that are not workers yet.

    Dask's own adaptive scaling replaces workers that it has seen leave. A job that ends before it was a worker, as one
    that is cancelled in the queue or meets a bad node, stays in its books as if it were about to come.
    """

    cluster: SLURMCluster
    logs: Path
    worked: set[str] = field(default_factory=set)
    dead: int = 0
    failure: str = ""
    asked: float = field(default_factory=time.monotonic)
    replaced: float = 0.0

    def check(self) -> None:
        """Raise what ended the jobs before there was a worker.

        Raises
        ------
        RuntimeError
            With the last lines of what a job printed.
        """
        if self.failure:
            raise RuntimeError(self.failure)

    async def forget_lost(self) -> None:
        """Take jobs off the books that are neither in the queue nor workers, so that others are submitted."""
        from distributed import Status

        now = time.monotonic()
        arrived = {worker["name"] for worker in self.cluster.scheduler_info["workers"].values()}
        if arrived:
            self.dead = 0
        self.worked.update(job.job_id for name, job in self.cluster.workers.items() if name in arrived)
        if self.failure or now - self.asked < ASK_EVERY or now - self.replaced < self._pause():
            return
        self.asked = now
        # those that worked are Dask's to replace: it closes whatever has their name 15 s after they left
        waiting = {name: job for name, job in self.cluster.workers.items() if job.job_id not in self.worked}
        queued = await _queued() if waiting else None
        if queued is None:
            return
        lost = [name for name, job in waiting.items() if job.job_id not in queued]
        if not lost:
            return
        self.dead, self.replaced = self.dead + 1, now
        if self.dead >= MOST_DEAD and not self.worked:
            self.failure = self._told([str(waiting[name].job_id) for name in lost])
            return
        for name in lost:
            waiting[name].status = Status.closed  # a cluster that closes insists that all its jobs are
            self.cluster.workers.pop(name, None)

    def _pause(self) -> float:
        return min(ASK_EVERY * 2 ** max(self.dead - 1, 0), LONGEST_WAIT) if self.worked else 0.0

    def _told(self, jobs: list[str]) -> str:
        printed = sorted(path for job in jobs for path in self.logs.glob(f"*-{job}.err"))
        last = printed[-1].read_text(errors="replace").strip().splitlines()[-3:] if printed else []
        said = " | ".join(last) or f"they printed nothing into {self.logs}"
        return (
            f"slurm: {MOST_DEAD} times jobs ended before they were workers: {said}; does a node see this Python, and "
            "reach this host at the interface?"
        )


def watched(cluster: SLURMCluster, workers: int, logs: Path) -> QueueWatch:
    """Keep so many jobs from now on."""
    from distributed.deploy.adaptive import Adaptive

    watch = QueueWatch(cluster, logs)

    class Keeping(Adaptive):
        async def recommendations(self, target: int) -> dict[str, Any]:
            await watch.forget_lost()
            found: dict[str, Any] = await super().recommendations(target)
            return found

    cluster.adapt(Adaptive=Keeping, minimum=workers, maximum=workers)
    return watch


async def _queued() -> set[str] | None:
    """Numbers of the user's jobs that wait or run; None where SLURM does not answer, which says nothing of them."""
    asking = await asyncio.create_subprocess_exec(
        "squeue", "--me", "--noheader", "--format=%A", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    told, _ = await asking.communicate()
    return set(told.decode().split()) if asking.returncode == 0 else None
