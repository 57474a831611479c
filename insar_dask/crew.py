"""Several pieces of work at a time on threads of this process, which end as one: Ctrl-C is for all of them."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

__all__ = ["as_they_end"]

LOOK_SECONDS = 0.5
"""A signal that another thread took is seen by this one when it wakes."""

AGAIN_SECONDS = 2.0

PATIENCE = 5.0
"""Seconds that threads are waited for which were told to stop; they do between two steps of Python."""

GIVING_BACK = 20.0
"""Seconds for those that have heard it, and end."""

Name = TypeVar("Name")
Made = TypeVar("Made")

Ended = SimpleQueue[tuple[Name, Made | BaseException]]


def as_they_end(
    work: Callable[[Name], Made], names: Iterable[Name], at_once: int
) -> Generator[tuple[Name, Made | Exception]]:
    """Names as their work ends, and what came of each; in this thread where there is one at a time.

    A generator that is closed, or that Ctrl-C interrupts, begins nothing more, and raises `KeyboardInterrupt` in the
    threads that work: each ends as it would have alone, and gives back what it holds. One that has not heard it within
    5 s, as in a long call of a library, is left: it holds up nobody, and dies with the process.

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
    left, ended = deque(names), Ended[Name, Made]()
    count = len(left)

    def take() -> None:
        with suppress(KeyboardInterrupt, IndexError):  # told to stop; or nothing is left
            while True:
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
        left.clear()
        _stop([thread for thread in threads if thread.ident])
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


def _stop(threads: list[threading.Thread]) -> None:
    """Raise `KeyboardInterrupt` in threads, again where it fell into a callback and was lost, and wait for them.

    Those that have heard it and give back what they hold, such as the lease of a bucket, are told no more.
    """
    began = time.monotonic()
    while alive := [thread for thread in threads if thread.is_alive()]:
        ending = [thread for thread in alive if _has_heard(thread)]
        if time.monotonic() - began > (GIVING_BACK if ending else PATIENCE):
            return
        for thread in alive:
            if thread not in ending:
                number = ctypes.c_ulong(thread.ident or 0)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(KeyboardInterrupt))
        again = time.monotonic() + AGAIN_SECONDS
        for thread in alive:
            thread.join(max(again - time.monotonic(), 0))


def _has_heard(thread: threading.Thread) -> bool:
    """Whether a thread handles a `KeyboardInterrupt`, in what follows upon it too."""
    found: Any = sys._current_exceptions().get(thread.ident or 0)
    return isinstance(found[1] if isinstance(found, tuple) else found, KeyboardInterrupt)  # of 3.11 a tuple


def _outcome(work: Callable[[Name], Made], name: Name) -> Made | Exception:
    try:
        return work(name)
    except Exception as error:
        return error
