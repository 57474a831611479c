"""What this process takes of the machine: cores it may use, and memory it has freed."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = ["give_back", "memory_used_again", "one_blas_thread", "usable_cpus"]

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of malloc.h: freed memory [bytes] that is kept at the end of an arena, and from which size on arrays have pages of
their own."""

WITHIN_JOBS = {M_MMAP_THRESHOLD: 32 * 2**20, M_TRIM_THRESHOLD: 256 * 2**20}
"""The first is the most that may be asked for."""

GLIBC_MMAP_THRESHOLD = 128 * 2**10

_jobs, _counting = 0, Lock()

_on_one_thread, _limiting = 0, Lock()
_LIMITS: list[Any] = []
"""What gives BLAS its threads back, of libraries as they were loaded."""


def usable_cpus() -> int:
    """Cores that this process may use, which a container or a queue may have made fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def give_back() -> None:
    """Return freed memory: glibc keeps up to 32 MB of it in each of its arenas, in case it is wanted again.

    After a file of 1,000,000 rows is read and sorted, that is 45 MB. Other C libraries keep their own counsel.
    """
    if (trim := _glibc("malloc_trim")) is not None:
        trim(0)


@contextmanager
def memory_used_again() -> Iterator[None]:
    """Within a worker's jobs, arrays take the memory of arrays before them; at their end all that is freed is returned.

    Dask starts its workers with ``MALLOC_TRIM_THRESHOLD_=65536``, so that they return what they free. Set to anything,
    it also has glibc ask the system for each array over 128 KiB, and clear it page by page: of the CPU time of
    Kriging with a network above it, that was half. When no job is left, it is again as Dask has it, but that arrays may
    lie where those of the jobs had lain, and stay there. A process that Dask did not start, or that has a
    ``MALLOC_MMAP_THRESHOLD_`` of its own, is let alone. See mallopt(3).
    """
    asked = os.environ.get("MALLOC_TRIM_THRESHOLD_", "")
    if not asked.isdecimal() or "MALLOC_MMAP_THRESHOLD_" in os.environ:
        yield
        return
    _count(1, int(asked))
    try:
        yield
    finally:
        _count(-1, int(asked))
        give_back()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS computes on one thread while anybody in this process is within: the last to leave gives it its threads back.

    The bits of a product of matrices may depend on their number, which is one for all threads of a process: where each
    of two jobs limited it for itself, the first to end would give BLAS its threads back under the other.
    """
    loaded = ThreadpoolController()
    with loaded.select(user_api="openmp").limit(limits=1):  # of which each thread has a number of its own
        _enter(loaded.select(user_api="blas"))
        try:
            yield
        finally:
            _leave()


def _enter(blas: ThreadpoolController) -> None:
    global _on_one_thread
    with _limiting:
        _on_one_thread += 1
        if any(library["num_threads"] != 1 for library in blas.info()):  # else others have limited all that is loaded
            _LIMITS.append(blas.limit(limits=1))


def _leave() -> None:
    global _on_one_thread
    with _limiting:
        _on_one_thread -= 1
        while _LIMITS and not _on_one_thread:
            _LIMITS.pop().restore_original_limits()


def _count(more: int, asked: int) -> None:
    """One job more or less: glibc keeps memory while there is any, and else ``asked`` bytes of it."""
    global _jobs
    with _counting:
        _jobs += more
        if (mallopt := _glibc("mallopt")) is None or _jobs > max(more, 0):
            return
        outside = {M_MMAP_THRESHOLD: GLIBC_MMAP_THRESHOLD, M_TRIM_THRESHOLD: asked}
        for which, size in (WITHIN_JOBS if _jobs else outside).items():
            mallopt(which, size)


def _glibc(name: str) -> Callable[..., int] | None:
    """A function of glibc, where that is what Python runs on."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
