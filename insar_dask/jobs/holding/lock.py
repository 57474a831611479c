"""One driver a store: whoever runs holds it, and sweeps up after one that was killed."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from zarr.abc.store import Store
from zarr.storage import LocalStore

from insar_dask.buckets import Bucket
from insar_dask.jobs.engine import JobError
from insar_dask.jobs.holding.holder import Holder
from insar_dask.jobs.holding.lease import KEY, HeldError, Lease
from insar_dask.jobs.receipts import SupersededError
from insar_dask.objects import delete_all, get_bytes, list_keys, list_names, open_store

__all__ = ["check_holder", "holder_of", "owned", "unused_gone"]

log = logging.getLogger(__name__)

LOCK = "jobs/lock"

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What file systems without locks answer, such as Lustre mounted without ``flock``."""


@contextmanager
def owned(path: str | Path | Store) -> Iterator[None]:
    """Hold a store for one run: refuse a second driver, and sweep what a killed one, or its workers, left half written.

    Raises
    ------
    JobError
        When another run holds the store, or the folder or bucket holds something else there.
    """
    store = open_store(path)
    if isinstance(store, Bucket):
        with _leased(store):
            yield
        return
    if not isinstance(store, LocalStore):
        yield
        return
    import fcntl

    folder = store.root.absolute()
    names = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    if names and not names & {"zarr.json", "jobs"}:
        raise JobError(f"{folder} is no store and not empty, so nothing is written there; name a new folder")
    (folder / "jobs").mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JobError(f"another run is working on {folder}; wait for it, or end it") from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            log.warning("%s lies on a file system without locks: see to it that no other run writes there", folder)
        _sign(lock, uuid.uuid4().hex)
        _sweep(folder)
        yield
        _sign(lock, "")
        _sweep(folder)  # of workers that died while they wrote: the tasks of a run that ends well have all ended


def holder_of(store: Store) -> str:
    """Name of the run that holds a store, or held it last; empty where none does that is known.

    A driver gives it to tasks that are to change more than their own shards, which look again before they do.
    """
    if isinstance(store, Bucket):
        return Holder.read(get_bytes(store, KEY)).run
    return (get_bytes(store, LOCK) or b"").decode(errors="replace")


def check_holder(store: Store, run: str) -> None:
    """Raise `SupersededError` in a task where another run holds the store than its driver's, which is gone."""
    if holder_of(store) != run:
        raise SupersededError("another run holds the store; this task has outlived its own")


@contextmanager
def unused_gone(path: str | Path | Store, *beside: Path) -> Iterator[None]:
    """Within `owned`: leave nothing of a store that is begun here where what it is begun for is refused.

    A store that has a group, or was begun before, stays as it is; ``beside`` are files that belong to it alone. Of a
    store in a bucket the lease stays.
    """
    store = open_store(path)
    begun = set(list_names(store, "")) - {"jobs"} or set(list_keys(store, "jobs/")) - {LOCK, KEY}
    files = [file for file in beside if not file.exists()]
    try:
        yield
    except ValueError:
        if not begun and get_bytes(store, "zarr.json") is None:
            delete_all(store, (key for key in list_keys(store, "jobs/") if key != KEY))
            if isinstance(store, LocalStore):
                shutil.rmtree(store.root / "jobs")
                with suppress(OSError):  # of a link to a folder
                    store.root.rmdir()
            for file in files:
                file.unlink(missing_ok=True)
        raise


def _sign(lock: TextIO, run: str) -> None:
    """Say whose a lock is, at once and to other machines too."""
    lock.truncate(0)
    lock.write(run)
    lock.flush()
    os.fsync(lock.fileno())


def _sweep(folder: Path) -> None:
    for leftover in folder.rglob("*.partial"):
        if not leftover.is_dir():  # a group may be called so
            leftover.unlink(missing_ok=True)


@contextmanager
def _leased(bucket: Bucket) -> Iterator[None]:
    names = set(list_names(bucket, ""))
    if names and not names & {"zarr.json", "jobs"}:
        raise JobError(f"{bucket.address} is no store and not empty, so nothing is written there; name a new prefix")
    lease = Lease(bucket)
    try:
        lease.take()
    except HeldError as error:
        raise JobError(str(error)) from None
    with lease.kept():
        yield
