"""Limits of one try: seconds, and memory beyond what the process has."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

__all__ = ["MEMORY", "SECONDS", "HangError", "limited"]

SECONDS = 10.0
"""A try takes milliseconds; cores may be busy."""

MEMORY = 1 << 30
"""Address space beyond what there is: all inputs are small."""


class HangError(BaseException):
    """A try took too long; no handler of errors may take it for one."""


@contextmanager
def limited(seconds: float = SECONDS, memory: int = MEMORY) -> Iterator[None]:
    """Bounds on what is done in the block, in the main thread."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, _end)
    resource.setrlimit(resource.RLIMIT_AS, (_used() + memory, hard))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _end(_: int, frame: FrameType | None) -> None:
    raise HangError(f"still at work after {SECONDS:.0f} s, in {frame and frame.f_code.co_qualname}")


def _used() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
