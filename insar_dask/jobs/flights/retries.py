"""Which errors of a chunk job may pass by themselves, and how long to wait before it is tried again."""

from __future__ import annotations

import errno

from insar_dask.store_errors import StoreError, TransientStoreError

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


def is_transient(error: BaseException) -> bool:
    """Whether an error may be gone the next time.

    >>> is_transient(ConnectionResetError()), is_transient(FileNotFoundError("raw.csv")), is_transient(ValueError())
    (True, False, False)
    """
    if isinstance(error, StoreError):  # says itself what it is
        return isinstance(error, TransientStoreError)
    if isinstance(error, TimeoutError | ConnectionError):
        return True
    return isinstance(error, OSError) and error.errno in PASSING


def pause(failures: int) -> float:
    """Seconds before the next try, after so many that failed.

    >>> [pause(failures) for failures in (1, 2, 3)]
    [1.0, 4.0, 16.0]
    """
    return FIRST_PAUSE * GROWTH ** (failures - 1)
