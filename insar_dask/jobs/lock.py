"""One driver a store: whoever runs holds it, and sweeps up after one that was killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zarr.abc.store import Store
from zarr.storage import LocalStore

from insar_dask.jobs.engine import JobError
from insar_dask.objects import open_store

__all__ = ["owned"]


@contextmanager
def owned(path: str | Path | Store) -> Iterator[None]:
    """Hold a store for one run: refuse a second driver, and sweep what a killed one left half written.

    Raises
    ------
    JobError
        When another run holds the store, or the folder holds something else.
    """
    if not isinstance(open_store(path), LocalStore):
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
        for leftover in folder.rglob("*.partial"):
            leftover.unlink()
        yield
