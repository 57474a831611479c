"""Limits of one try: seconds, of the CPU and of waiting, and memory beyond what the process has."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pyarrow

__all__ = ["MEMORY", "SECONDS", "HangError", "limited"]

SECONDS = 10.0
"""Of the CPU: a try takes milliseconds."""

PATIENCE = 12
"""Times as long as that a try may wait, on cores that are busy with others or for what never comes."""

MEMORY = 1 << 30
"""Private memory beyond what there is: all inputs are small. Address space would be the wrong measure: each thread of a
pool reserves 128 MiB of it that it never touches, and a thread that cannot start hangs the one that waits for it."""

pyarrow.set_memory_pool(pyarrow.system_memory_pool())  # its own one takes a gibibyte at once, and touches little of it


class HangError(BaseException):
    """A try took too long; no handler of errors may take it for one."""


@contextmanager
def limited(seconds: float = SECONDS, memory: int = MEMORY) -> Iterator[None]:
    """Bounds on what is done in the block, in the main thread."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    before = {number: signal.signal(number, _end) for number in (signal.SIGPROF, signal.SIGALRM)}
    resource.setrlimit(resource.RLIMIT_DATA, (_used() + memory, hard))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE * seconds)
    try:
        yield
    finally:
        for clock in (signal.ITIMER_PROF, signal.ITIMER_REAL):
            signal.setitimer(clock, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _end(_: int, frame: FrameType | None) -> None:
    raise HangError(f"no end in sight, in {frame and frame.f_code.co_qualname}")


def _used() -> int:
    """Bytes that count towards the limit, those of writable private mappings."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmData:"))
