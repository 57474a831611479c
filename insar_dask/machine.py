"""What this process takes of the machine: cores it may use, and memory it has freed."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["give_back", "memory_used_again", "usable_cpus"]

ARRAY = 32 * 2**20
"""glibc takes arrays up to this size [bytes] from memory that it keeps, the most that it may be asked for."""

KEPT = 256 * 2**20
"""Freed memory [bytes] that glibc keeps at the end of an arena until the work ends."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of malloc.h."""


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
    """Within a worker's job, arrays take the memory of arrays before them; at its end all that is freed is returned.

    Dask starts its workers with ``MALLOC_TRIM_THRESHOLD_=65536``, so that they return what they free. Set to anything,
    it also has glibc ask the system for each array over 128 KiB, and clear it page by page: of the CPU time of
    Kriging with a network above it, that was half. Processes that Dask does not start, and those with a
    ``MALLOC_MMAP_THRESHOLD_`` of their own, stay as they are. See mallopt(3).
    """
    if "MALLOC_TRIM_THRESHOLD_" not in os.environ or "MALLOC_MMAP_THRESHOLD_" in os.environ:
        yield
        return
    if (mallopt := _glibc("mallopt")) is not None:
        mallopt(M_MMAP_THRESHOLD, ARRAY)
        mallopt(M_TRIM_THRESHOLD, KEPT)
    try:
        yield
    finally:
        give_back()


def _glibc(name: str) -> Callable[..., int] | None:
    """A function of glibc, where that is what Python runs on."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
