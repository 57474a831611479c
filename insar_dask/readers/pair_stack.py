"""Interferograms as a stack of rasters on one grid, read window by window; reversed pairs are negated here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from insar_dask.readers.grid import PixelGrid
from insar_dask.readers.pair_headers import GAMMA
from insar_dask.readers.pixels import Piece, Pieces, PixelStack, Tile
from insar_dask.readers.source_files import SourceFiles

__all__ = ["BinaryStack", "SignedStack"]

BIG, LITTLE = np.dtype(">f4"), np.dtype("<f4")


@dataclass(frozen=True)
class BinaryStack:
    """Files of bare float32: GAMMA's, one band big endian, or ROI_PAC's, lines of amplitude and phase in turn."""

    paths: tuple[Path, ...]
    kind: str
    grid: PixelGrid
    times: npt.NDArray[np.datetime64]
    nodata: float | None
    tile: Tile
    files: SourceFiles
    name: str

    @property
    def identity(self) -> str:
        """Changes whenever the values might."""
        return f"{self.files.checksum} {self.kind} {self.nodata!r} {[path.name for path in self.paths]}"

    @contextmanager
    def pieces(self) -> Iterator[Pieces]:
        """A window comes pair by pair; files are mapped, not read whole."""
        with self.files.unchanged():
            yield self._windows

    def _windows(self, rows: slice, columns: slice) -> Iterator[Piece]:
        for place, path in enumerate(self.paths):
            yield np.array([place]), self._window(path, rows, columns)[None]

    def _window(self, path: Path, rows: slice, columns: slice) -> npt.NDArray[np.float32]:
        plane: npt.NDArray[np.float32]
        if self.kind == GAMMA:
            plane = np.memmap(path, BIG, "r", shape=(self.grid.rows, self.grid.columns))
        else:
            plane = np.memmap(path, LITTLE, "r", shape=(self.grid.rows, 2, self.grid.columns))[:, 1]
        values = plane[rows, columns].astype(np.float32)
        if self.nodata is not None:
            values[values == np.float32(self.nodata)] = np.nan
        return values


@dataclass(frozen=True)
class SignedStack:
    """A stack whose planes are multiplied: by -1 where the file's first date is the later one."""

    source: PixelStack
    signs: tuple[int, ...]

    @property
    def grid(self) -> PixelGrid:
        """Where the pixels lie."""
        return self.source.grid

    @property
    def times(self) -> npt.NDArray[np.datetime64]:
        """(pair,) second dates."""
        return self.source.times

    @property
    def tile(self) -> Tile:
        """Window that is read at once."""
        return self.source.tile

    @property
    def identity(self) -> str:
        """Changes whenever the values might."""
        return f"{self.source.identity} {self.signs}"

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.source.name

    @contextmanager
    def pieces(self) -> Iterator[Pieces]:
        """As of the source."""
        signs = np.array(self.signs, np.float32)
        with self.source.pieces() as pieces:

            def signed(rows: slice, columns: slice) -> Iterator[Piece]:
                for places, values in pieces(rows, columns):
                    yield places, values * signs[places, None, None]

            yield signed
