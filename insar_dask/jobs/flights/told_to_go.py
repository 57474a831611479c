"""A worker that is told to go by SIGTERM says so before it goes: whoever sends one is not the chunk that ran.

Queues end a job by a SIGTERM to each of its processes, to the nanny, who would close its worker in order, and to the
worker, who dies of it at once and looks as if its chunk had killed it. Of those who send one only the nanny does so on
a chunk's account, for its memory, and notes that with the scheduler beforehand.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Any

__all__ = ["ACTION", "MEMORY_TOPIC", "say_before_going"]

ACTION = "insar-dask-told-to-go"
MEMORY_TOPIC = "worker-restart-memory"
"""Where nannies note, with the worker's address, that they end it at 95 % of its memory."""

_HANDLED: set[int] = set()

WORD_SECONDS = 0.2
"""For the word to reach the scheduler; a second SIGTERM ends the worker at once."""


def say_before_going(worker: Any) -> None:
    """Have a worker's process say so when it gets a SIGTERM, once a process; to be called in any thread.

    A process that handles the signal itself, as workers without a nanny do, is left to it.
    """
    # once: a chunk that begins after the word must not undo what ends the process
    if os.getpid() not in _HANDLED:
        _HANDLED.add(os.getpid())
        worker.loop.add_callback(_handle, worker)


def _handle(worker: Any) -> None:
    process = os.getpid()

    def terminated(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getpid() == process:
            with suppress(RuntimeError):  # the loop has ended, and the process with it
                worker.loop.asyncio_loop.call_soon_threadsafe(_say_and_go, worker)
                return
        os.kill(os.getpid(), signal.SIGTERM)  # a process that was forked here has no loop, and no word to say

    try:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, terminated)
    except ValueError:  # a worker in a thread of somebody's process
        return


def _say_and_go(worker: Any) -> None:
    worker.loop.call_later(WORD_SECONDS, os.kill, os.getpid(), signal.SIGTERM)  # first: it goes, heard or not
    worker.log_event(worker.address, {"action": ACTION})
