"""One driver a store: whoever runs holds it, and sweeps up after one that was killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zarr.abc.store import Store
from zarr.storage import LocalStore

from insar_dask.buckets import Bucket
from insar_dask.jobs.engine import JobError
from insar_dask.jobs.holding.lease import HeldError, Lease
from insar_dask.objects import list_names, open_store

__all__ = ["owned"]


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

    folder = Path(str(path)).absolute()
    names = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    if names and not names & {"zarr.json", "jobs"}:
        raise JobError(f"{folder} is no store and not empty, so nothing is written there; name a new folder")
    (folder / "jobs").mkdir(parents=True, exist_ok=True)
    with (folder / "jobs" / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JobError(f"another run is working on {folder}; wait for it, or end it") from None
        _sweep(folder)
        yield
        _sweep(folder)  # of workers that died while they wrote: the tasks of a run that ends well have all ended


def _sweep(folder: Path) -> None:
    for leftover in folder.rglob("*.partial"):
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
