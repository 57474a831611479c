"""What a training whose store is in a bucket has come to: made in a folder here, kept in the bucket."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from zarr.abc.store import Store

from insar_dask.forecast.training.hold import passing_folder
from insar_dask.objects import delete_all, delete_below, get_blocks, list_keys, put_blocks
from insar_dask.store_errors import StoreError

__all__ = ["checkpoints_in"]

ROOT = "jobs/training"
NAME = re.compile(r"(?:[A-Za-z0-9_-]+/)*(?:checkpoint-\d{8}-[0-9a-f]{16}\.pt|[a-z]+-\d+\.npz)")
"""What is kept, checkpoints and those of several networks that are done, and taken from a bucket to a folder: nothing
that leads out of it."""

BLOCK_BYTES = 1 << 20

SHARED = "is not the folder that the driver writes to"
CURE = (
    "the store is in a bucket, and what ranks save passes through a folder of temporary files: set TMPDIR, where the "
    "driver runs, to a folder that every worker shares, or leave out ranks to train in the driver"
)

log = logging.getLogger(__name__)


@contextmanager
def checkpoints_in(store: Store, training: str, key: str) -> Iterator[tuple[Path, Callable[[], None]]]:
    """Folder for the checkpoints of a training, with those that a bucket keeps of it, and what keeps the new ones.

    Parameters
    ----------
    store : zarr Store
        In a bucket.
    training : str
        Its name; when it has ended well, the bucket keeps nothing of it.
    key : str
        What it depends on: checkpoints of other data or settings are not taken.

    Yields
    ------
    (Path, callable)
        A bucket that cannot be reached is no reason to end a training: then ``keep`` warns.

    Raises
    ------
    RuntimeError
        When ranks on other machines do not see the folder; the message says what to do.
    """
    prefix, there = f"{ROOT}/{training}/{key}/", set[str]()

    def keep() -> None:
        found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*-*.*")}
        here = {name: path for name, path in found.items() if NAME.fullmatch(name)}
        try:
            for name in sorted(here.keys() - there):
                _put(store, f"{prefix}{name}", here[name])
                there.add(name)
            gone = there - here.keys()
            if gone:
                delete_all(store, [f"{prefix}{name}" for name in sorted(gone)])
                there.difference_update(gone)
        except StoreError as error:
            log.warning("a checkpoint is kept here alone, in %s: %s", folder, error)

    with passing_folder() as passing:
        folder = passing / "checkpoints"
        folder.mkdir()
        for name in (kept.removeprefix(prefix) for kept in list_keys(store, prefix)):
            if NAME.fullmatch(name):
                _fetch(store, f"{prefix}{name}", folder / name)
                there.add(name)
        try:
            yield folder, keep
        except RuntimeError as error:
            if SHARED not in str(error):
                raise
            raise RuntimeError(f"{error}; {CURE}") from error
    delete_below(store, f"{ROOT}/{training}")


def _put(store: Store, key: str, path: Path) -> None:
    try:
        file = path.open("rb")
    except FileNotFoundError:  # a newer one has taken its place meanwhile
        return
    with file:
        deque(put_blocks(store, key, iter(lambda: file.read(BLOCK_BYTES), b""))[1], maxlen=0)  # lets go of them


def _fetch(store: Store, key: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.writelines((get_blocks(store, key) or (0, ()))[1])
