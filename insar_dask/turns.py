"""Who has the GPU of this process: one thread at a time, whatever library it computes with there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["in_turn"]

_TURN = threading.RLock()


@contextmanager
def in_turn() -> Iterator[None]:
    """No other thread of this process has work for the GPU meanwhile."""
    with _TURN:
        yield
