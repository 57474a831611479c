"""Which errors of a chunk job may pass by themselves, and how long to wait before it is tried again."""

from __future__ import annotations

import errno
from collections.abc import Iterator

__all__ = ["MOST_TRIES", "is_transient", "pause"]

MOST_TRIES = 4
"""The first included. With pauses of 1, 4 and 16 s a store may be away for 21 s and more."""

FIRST_PAUSE, GROWTH = 1.0, 4.0

PASSING = frozenset(
    getattr(errno, name)
    for name in (
        *("EAGAIN", "EBUSY", "EINTR", "EIO", "EMFILE", "ENFILE", "ENOLCK", "EREMOTEIO", "ESTALE", "ETIMEDOUT"),
        *("ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETRESET"),
        *("ENETUNREACH", "ENOTCONN", "EPIPE"),
    )
    if hasattr(errno, name)
)
"""A network file system that has lost its server, a connection that broke. Never a full disk, a missing file or a
refused right: these are the same a minute later, and whoever can mend them should hear of them at once."""

OBJECT_STORE = ("obstore.exceptions", "GenericError")
"""What obstore raises for a server's error or a timeout, after its own tries; no OSError."""


def is_transient(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from, may be gone the next time.

    >>> is_transient(ConnectionResetError()), is_transient(FileNotFoundError("raw.csv")), is_transient(ValueError())
    (True, False, False)
    """
    return any(_passes(one) for one in _causes(error))


def pause(failures: int) -> float:
    """Seconds before the next try, after so many that failed.

    >>> [pause(failures) for failures in (1, 2, 3)]
    [1.0, 4.0, 16.0]
    """
    return FIRST_PAUSE * GROWTH ** (failures - 1)


def _passes(error: BaseException) -> bool:
    if isinstance(error, TimeoutError | ConnectionError):
        return True
    if isinstance(error, OSError):
        return error.errno in PASSING
    return any((one.__module__, one.__name__) == OBJECT_STORE for one in type(error).__mro__)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__
