"""What is said of a chunk job that failed: to whoever waits for its stage, and to the page."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import replace

from insar_dask.jobs.flights.blame import BlamedError
from insar_dask.jobs.progress.events import Event, failure

__all__ = ["JobError", "LackingError", "blaming", "cure_of", "failed"]


class JobError(RuntimeError):
    """A chunk job failed; the message names stage, shard and the cause. What is done stays done.

    Attributes
    ----------
    blamed : tuple of BlamedError
        Shards that killed their workers, where that is the cause; all others of the stage are done.
    """

    blamed: tuple[BlamedError, ...] = ()


class LackingError(JobError):
    """A group that is to be read is not there, or not whole; the message has the call that makes it."""


def failed(stage: str, index: int, error: BaseException) -> Event:
    """That a shard is given up."""
    said = failure(error)
    event = Event("failed", stage, index, error=said["error"], traceback=said["traceback"])
    if isinstance(error, BlamedError):
        extra = {"deaths": error.deaths, "workers": list(error.workers)}
        return replace(event, kind="blamed", worker=error.workers[-1], extra=extra)
    return event


def blaming(name: str, blamed: Mapping[int, BlamedError]) -> JobError:
    """The error of a stage of which some shards killed their workers."""
    error = JobError(f"{name}: {'; '.join(map(str, blamed.values()))}. All other shards of it are done")
    error.blamed = tuple(blamed.values())
    return error


def cure_of(error: BaseException) -> str:
    """What helps against a full disk, quota or GPU, to be put at the end of a message; nothing for other errors."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "; make room and run again: the shards that are done stay done"
    if type(error).__name__ == "OutOfMemoryError":  # CuPy's, which need not be installed here
        return "; take threads_per_worker=1, smaller shards, or INSAR_DASK_DEVICE=cpu, and run again"
    return ""
