"""One training a folder: whoever trains there holds it, for as long as its process lives and no longer."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import IO

from insar_dask.forecast.training.attempt import TOKEN

__all__ = ["HeldError", "held", "passing_folder", "remove_trainings"]

LOCK = "lock"
PREFIX = "insar-dask-passing-"

TAKEN = (errno.EAGAIN, errno.EACCES)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What file systems without locks answer, such as Lustre mounted without ``flock``."""


class HeldError(RuntimeError):
    """Another training is at work in the folder; the message says which process, and what to do."""


@contextmanager
def held(folder: Path, note: Callable[[str], None] = lambda _: None) -> Iterator[Path]:
    """Hold a folder for one training, and make it where it is not there.

    The lock is the kernel's, and on a network file system its server's: it ends with the process, whatever that dies
    of, so that a training that was killed goes on at once. Nothing is read from the file but a name for the message.

    Parameters
    ----------
    folder : Path
    note : callable
        Is told where the file system has no locks: then nothing keeps two trainings apart there.

    Raises
    ------
    HeldError
        When another training holds the folder.
    OSError
        When it is none, or cannot be written.
    """
    with _lock(folder) as (file, refused):
        if refused in TAKEN:
            raise HeldError(
                f"another training is at work in {folder}, {_holder(folder)}: wait for it, or end it, or name a folder "
                "for each training"
            )
        if refused in NO_LOCKS:
            note(f"{folder} lies on a file system without locks: see to it that no other training writes there")
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        # ranks whose driver was killed stop at once where their attempt is no longer named
        (folder / TOKEN).unlink(missing_ok=True)
        yield folder


@contextmanager
def passing_folder() -> Iterator[Path]:
    """A folder among the temporary files, held and removed in the end; what killed processes have left goes first."""
    for left in Path(gettempdir()).glob(f"{PREFIX}*"):
        _sweep(left)
    with ExitStack() as stack:
        folder = _own_folder(stack)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)  # while it is held: whoever starts now would sweep it too


def _own_folder(stack: ExitStack) -> Path:
    """A new folder among the temporary files, held; another one where it was swept before it was."""
    while True:
        with suppress(HeldError, FileNotFoundError):
            return stack.enter_context(held(Path(mkdtemp(prefix=PREFIX))))


def remove_trainings(folder: Path) -> None:
    """Remove the folders within one that trainings have held and none holds now; it too, if nothing else is there.

    >>> remove_trainings(Path("nowhere"))
    """
    for left in folder.glob("*/"):
        _sweep(left)
    with suppress(OSError):
        folder.rmdir()


def _sweep(folder: Path) -> None:
    """Remove a folder that nobody holds; one without a lock file has only just been made."""
    with suppress(OSError), (folder / LOCK).open("r+") as file:
        _flock(file)
        shutil.rmtree(folder)


@contextmanager
def _lock(folder: Path) -> Iterator[tuple[IO[str], int | None]]:
    """The open lock file, and why it could not be locked."""
    if folder.is_file():
        raise NotADirectoryError(f"{folder} is a file, and checkpoints go to a folder: name another")
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / LOCK).open("a+") as file:
            refused = None
            try:
                _flock(file)
            except OSError as error:
                if error.errno not in (*TAKEN, *NO_LOCKS):
                    raise
                refused = error.errno
            if refused is None and not _is_there(file, folder / LOCK):
                continue  # whoever held it has removed the folder meanwhile
            yield file, refused
            return


def _flock(file: IO[str]) -> None:
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_there(file: IO[str], path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def _holder(folder: Path) -> str:
    """Who holds a folder, by its own account."""
    return (folder / LOCK).read_text() or "a process that has not said its name yet"
