"""For an external scheduler: ``dask scheduler --preload insar_dask.dashboard.preload`` has the page from its start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insar_dask.dashboard.plugin import NAME, JobsPlugin

if TYPE_CHECKING:
    from distributed import Scheduler

__all__ = ["dask_setup"]


async def dask_setup(scheduler: Scheduler) -> None:
    """Open the page; Dask calls this."""
    await scheduler.register_scheduler_plugin(JobsPlugin(), name=NAME, idempotent=True)
