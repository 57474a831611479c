"""Several pieces of work at a time on threads of this process, which end as one: Ctrl-C is for all of them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from contextvars import ContextVar
from queue import Empty, SimpleQueue
from typing import TypeVar

__all__ = ["as_they_end", "stop_if_told"]

LOOK_SECONDS = 0.5
"""A signal that another thread took is seen by this one when it wakes."""

PATIENCE = 10.0
"""Seconds for threads that were told to stop: what is no chunk job, such as a page, each brings to its end."""

Name = TypeVar("Name")
Made = TypeVar("Made")

Ended = SimpleQueue[tuple[Name, Made | BaseException]]

_STOP: ContextVar[threading.Event] = ContextVar("stop")


def stop_if_told() -> None:
    """Raise `KeyboardInterrupt` in a thread whose crew is to stop; whoever waits for chunk jobs calls it meanwhile."""
    told = _STOP.get(None)
    if told is not None and told.is_set():
        raise KeyboardInterrupt


def as_they_end(
    work: Callable[[Name], Made], names: Iterable[Name], at_once: int
) -> Generator[tuple[Name, Made | Exception]]:
    """Names as their work ends, and what came of each; in this thread where there is one at a time.

    A generator that is closed, or that Ctrl-C interrupts, begins nothing more, and has `stop_if_told` raise
    `KeyboardInterrupt` in the threads that work: each ends as it would have alone, and gives back what it holds. One
    that has not done so within 10 s is left: it holds up nobody, and dies with the process.

    Parameters
    ----------
    work : callable
        Called with each name; its exceptions are what came of it, but for those, such as `SystemExit`, that end all.
    names : iterable
    at_once : int

    >>> sorted(as_they_end(lambda n: 6 / n, [1, 2, 3], 2))
    [(1, 6.0), (2, 3.0), (3, 2.0)]
    """
    if at_once == 1:
        for name in names:
            yield name, _outcome(work, name)
        return
    left, ended, stop = deque(names), Ended[Name, Made](), threading.Event()
    count = len(left)

    def take() -> None:
        _STOP.set(stop)
        with suppress(IndexError):  # nothing is left
            while not stop.is_set():
                name = left.popleft()
                try:
                    ended.put((name, _outcome(work, name)))
                except BaseException as error:  # such as SystemExit, and that of a cancelled call
                    ended.put((name, error))
                    return

    threads = [threading.Thread(target=take, name=f"product-{n}", daemon=True) for n in range(min(at_once, count))]
    try:
        for thread in threads:
            thread.start()
        # in a frame of its own: what a signal raises between two turns of a loop would pass by the `try` about it
        yield from _as_put(ended, count)
    except BaseException:  # Ctrl-C, or nobody wants more
        stop.set()
        until = time.monotonic() + PATIENCE
        for thread in threads:
            if thread.ident:
                thread.join(max(until - time.monotonic(), 0))
        raise


def _as_put(ended: Ended[Name, Made], count: int) -> Generator[tuple[Name, Made | Exception]]:
    while count:
        try:
            name, made = ended.get(timeout=LOOK_SECONDS)
        except Empty:
            continue
        if isinstance(made, BaseException) and not isinstance(made, Exception):
            raise made
        count -= 1
        yield name, made


def _outcome(work: Callable[[Name], Made], name: Name) -> Made | Exception:
    try:
        return work(name)
    except Exception as error:
        return error
