"""Which pixels of a stack of rasters hold a series: found tile by tile, one byte a pixel being kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.readers.grid import PixelGrid
from insar_dask.readers.quarantine import write_rejected
from insar_dask.tenths import NotTenthsError, encode_tenths

__all__ = ["Kept", "PixelStack", "Tile", "find_pixels", "is_tenths", "tiles"]

Float32 = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int64]
Window = tuple[slice, slice]
Kinds = npt.NDArray[np.int8]
Piece = tuple[npt.NDArray[np.intp], Float32]
Pieces = Callable[[slice, slice], Iterator[Piece]]

TILE_BYTES = 1 << 24
"""Bytes of a tile, all dates: 16 MiB, some 200 x 200 pixels of 100 dates; every thread holds one."""

EXAMPLES = 3
NOTHING, SERIES, INFINITE, CONSTANT = 0, 1, 2, 3
"""What a pixel is found to hold."""


@dataclass(frozen=True)
class Tile:
    """A window of a raster that is worth reading at once."""

    rows: int
    columns: int

    @classmethod
    def of(cls, grid: PixelGrid, bytes_per_pixel: int, chunk: tuple[int, int] | None = None) -> Tile:
        """About `TILE_BYTES` in whole chunks of the file; of whole rows where the file has no chunks."""
        rows, columns = chunk or (1, grid.columns)
        while columns < grid.columns and rows * columns * 2 * bytes_per_pixel <= TILE_BYTES:
            columns *= 2
        columns = min(columns, grid.columns)
        fit = max(TILE_BYTES // (bytes_per_pixel * columns * rows), 1)
        return cls(min(rows * fit, grid.rows), columns)


class PixelStack(Protocol):
    """Rasters of all dates on one grid, as a reader of files offers them; it must survive pickling."""

    @property
    def grid(self) -> PixelGrid:
        """Where the pixels lie."""

    @property
    def times(self) -> npt.NDArray[np.datetime64]:
        """(time,) dates, increasing."""

    @property
    def tile(self) -> Tile:
        """Window that is read at once."""

    @property
    def identity(self) -> str:
        """Changes whenever the values might."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def pieces(self) -> AbstractContextManager[Pieces]:
        """Hold the files open; calling what comes yields, for rows and columns, dates and (dates, rows, columns) mm."""


@dataclass(frozen=True, eq=False)
class Kept:
    """What the first pass found: flat numbers of the pixels that hold a series, and of those that hold nonsense.

    ``tenths`` is true where every value is known to be a multiple of 0.1 mm that int16 holds.
    """

    pixels: Whole
    n_empty: int
    rejected: list[tuple[int, str]]
    tenths: bool


def is_tenths(values: Float32) -> bool:
    """Whether all values are multiples of 0.1 mm within +-3276.7, or missing."""
    try:
        encode_tenths(values)
    except NotTenthsError:
        return False
    return True


def tiles(grid: PixelGrid, tile: Tile) -> Iterator[Window]:
    """Windows that cover a raster, row by row."""
    for top in range(0, grid.rows, tile.rows):
        for left in range(0, grid.columns, tile.columns):
            yield (
                slice(top, min(top + tile.rows, grid.rows)),
                slice(left, min(left + tile.columns, grid.columns)),
            )


def find_pixels(
    stack: PixelStack,
    *,
    zero_is_missing: bool,
    max_rejected: float,
    always: Sequence[tuple[int, int]] = (),
    may_be_tenths: bool = False,
    quarantine: Path | None = None,
    alike: str = "mm at every date",
) -> Kept:
    """Find the pixels that hold a series, reading everything once, tile by tile.

    Parameters
    ----------
    stack : PixelStack
        The rasters.
    zero_is_missing : bool
        Whether a pixel that is 0 at every date holds nothing.
    max_rejected : float
        Largest share of pixels with values that may hold nonsense: an infinite value, or one value at all of several
        dates that is not 0 (a fill value that nobody declared).
    always : sequence of (row, column)
        Pixels where it does not, such as the reference pixel, which is 0 by definition.
    may_be_tenths : bool
        Whether to find out if all values are tenths of a millimetre.
    quarantine : Path, optional
        Where the place and reason of each rejected pixel go, if there are any.
    alike : str
        What is said behind a value that a pixel has everywhere.

    Raises
    ------
    CubeError
        When no pixel holds a series, or too many hold nonsense.
    OSError
        When the rejected pixels cannot be written.
    """
    grid, found = stack.grid, np.zeros((stack.grid.rows, stack.grid.columns), np.int8)
    ruler = _Ruler(may_be_tenths)
    with stack.pieces() as pieces:
        for rows, columns in tiles(grid, stack.tile):
            shape = rows.stop - rows.start, columns.stop - columns.start
            found[rows, columns] = _kinds(ruler.watch(pieces(rows, columns)), shape, zero_is_missing)
        for row, column in always:
            if 0 <= row < grid.rows and 0 <= column < grid.columns and found[row, column] == NOTHING:
                window = slice(row, row + 1), slice(column, column + 1)
                zero = all((values == 0).all() for _, values in pieces(*window))
                found[row, column] = SERIES if zero else NOTHING
        rejected = list(_reasons(found, pieces, grid, alike))
    n_filled = int(np.count_nonzero(found))
    if quarantine is not None and rejected:
        write_rejected(quarantine, rejected, "pixel")
    _check_rejected(stack.name, rejected, n_filled, max_rejected)
    kept = np.flatnonzero(found == SERIES)
    if kept.size == 0:
        raise CubeError(f"{stack.name}: none of {found.size} pixels has a value other than no-data")
    return Kept(kept, found.size - n_filled, rejected, ruler.tenths)


class _Ruler:
    """Looks at values as they pass, until one is no tenth of a millimetre."""

    def __init__(self, tenths: bool) -> None:
        self.tenths = tenths

    def watch(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        for dates, values in pieces:
            self.tenths = self.tenths and is_tenths(values)
            yield dates, values


def _kinds(pieces: Iterator[Piece], shape: tuple[int, int], zero_is_missing: bool) -> Kinds:
    """What each pixel of a window of ``shape`` holds."""
    first, (infinite, varies, again) = np.full(shape, np.nan, np.float32), np.zeros((3, *shape), bool)
    for _, values in pieces:
        for plane in values:
            infinite |= np.isinf(plane)
            varies |= (plane != first) & ~np.isnan(plane) & ~np.isnan(first)
            again |= plane == first
            np.copyto(first, plane, where=np.isnan(first))
    found = np.where(np.isnan(first), NOTHING, SERIES).astype(np.int8)
    found[~varies & (first == 0) & zero_is_missing] = NOTHING
    found[~varies & (first != 0) & again] = CONSTANT
    found[infinite] = INFINITE
    return found


def _reasons(found: Kinds, pieces: Pieces, grid: PixelGrid, alike: str) -> Iterator[tuple[int, str]]:
    for number, flat in enumerate(np.flatnonzero(found > SERIES).tolist()):
        row, column = divmod(flat, grid.columns)
        what = "an infinite value" if found[row, column] == INFINITE else f"one value {alike.partition(' ')[2]}"
        if number < EXAMPLES and found[row, column] == CONSTANT:
            _, values = next(pieces(slice(row, row + 1), slice(column, column + 1)))
            what = f"{float(values[0, 0, 0]):g} {alike}"
        yield flat, f"row {row}, column {column}: {what}"


def _check_rejected(name: str, rejected: list[tuple[int, str]], n_filled: int, most: float) -> None:
    if len(rejected) <= most * n_filled:
        return
    examples = "; ".join(reason for _, reason in rejected[:EXAMPLES])
    raise CubeError(
        f"{name}: {len(rejected)} of {n_filled} pixels rejected, more than {most:.2%}: {examples}. Has "
        "the file a value for no data that it does not declare? Pass nodata=, or allow it with max_rejected="
        f"{min(1.0, len(rejected) / max(n_filled, 1) * 1.01 + 1e-4):.4f}"
    )
