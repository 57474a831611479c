"""Files behind a cube that is read later: known by their bytes, and not to change before all is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from blake3 import blake3

from insar_dask.cube import CubeError
from insar_dask.readers.csv_source import file_blake3

__all__ = ["SourceFiles", "checksum_of"]


@dataclass(frozen=True)
class SourceFiles:
    """Files as they were when they were first looked at; ``looks`` has size and time of each."""

    paths: tuple[Path, ...]
    looks: tuple[tuple[int, int], ...]
    checksum: str = ""
    """BLAKE3 of what they hold, see `checksum_of`; nothing before `hashed`."""

    @classmethod
    def seen(cls, paths: Iterable[Path]) -> SourceFiles:
        """Look at files before anything is read of them; raises FileNotFoundError where one is not there."""
        found = tuple(paths)
        return cls(found, tuple(map(_look, found)))

    @property
    def size(self) -> int:
        """Bytes of all."""
        return sum(size for size, _ in self.looks)

    def hashed(self) -> SourceFiles:
        """The same files with their checksum; raises CubeError where one has changed since it was looked at."""
        made = replace(self, checksum=checksum_of(self.paths))
        made.check()
        return made

    def check(self) -> None:
        """Raise CubeError naming the first file that has changed since it was looked at."""
        for path, look in zip(self.paths, self.looks, strict=True):
            if _look(path) != look:
                raise CubeError(
                    f"{path.name} was written to while it was read: its size or time is another; read it again when "
                    "it is whole"
                )

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Read within; raises CubeError where a file has changed before, or when all is read."""
        self.check()
        yield
        self.check()


def checksum_of(paths: Sequence[Path]) -> str:
    """BLAKE3 of a file, or of the checksums of several."""
    each = [file_blake3(path) for path in paths]
    return each[0] if len(each) == 1 else blake3("".join(each).encode()).hexdigest()


def _look(path: Path) -> tuple[int, int]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    found = path.stat()
    return found.st_size, found.st_mtime_ns
