"""A CSV stream cut into bands of whole lines, small enough that some are parsed while the next is read."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.readers.csv_source import CsvSource
from insar_kernels.decimals import PADDING

__all__ = ["Band", "BandReader"]

BAND_BYTES = 2 << 20

T = TypeVar("T")


@dataclass(frozen=True)
class Band:
    """Whole lines: ``used`` bytes of ``text``, which lies in ``buffer``; ``last`` if the file ends with them."""

    text: npt.NDArray[np.uint8]
    used: int
    buffer: bytearray
    last: bool


class BandReader:
    """Header and bands of a CSV stream.

    Buffers are reused, so reading needs ``buffers * band_bytes`` of memory however long the file is: parse each band
    through ``lend``.

    Parameters
    ----------
    source : CsvSource
        Where the bytes come from.
    buffers : int
        How many bands may be in use at once; two of them are the reader's own; it waits for the next to come back.
    band_bytes : int
        Size of a band.
    """

    def __init__(self, source: CsvSource, buffers: int, band_bytes: int = BAND_BYTES) -> None:
        self._source, self._bytes = source, band_bytes
        self._idle: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        for _ in range(buffers):
            self._idle.put(bytearray(band_bytes + PADDING))
        self._held = self._idle.get()
        self._filled = self._fill(self._held, 0)
        self._begin = self._held.find(b"\n", 0, self._filled) + 1 or self._filled
        self.header = self._decode(bytes(self._held[: self._begin]))

    def lend(self, parse: Callable[[Band], T], band: Band) -> T:
        """Parse a band, then take its memory back for the bands to come."""
        try:
            return parse(band)
        finally:
            self._idle.put(band.buffer)

    def __iter__(self) -> Iterator[Band]:
        buffer, begin, filled = self._held, self._begin, self._filled
        while filled > begin:
            last = filled < self._bytes
            cut = filled if last else buffer.rfind(b"\n", begin, filled) + 1
            if cut <= begin:
                raise CubeError(f"{self._source.name}: no line break within {self._bytes} bytes; not a CSV")
            following = self._idle.get()
            carried = filled - cut
            following[:carried] = memoryview(buffer)[cut:filled]
            text = np.frombuffer(buffer, np.uint8)[begin:]
            yield Band(text, cut - begin, buffer, last)
            filled = 0 if last else self._fill(following, carried)
            buffer, begin = following, 0

    def _fill(self, buffer: bytearray, filled: int) -> int:
        view = memoryview(buffer)
        while filled < self._bytes:
            count = self._source.stream.readinto(view[filled : self._bytes])
            if not count:
                break
            filled += count
        return filled

    def _decode(self, header: bytes) -> str:
        if header[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise CubeError(f"{self._source.name} is UTF-16: save it as UTF-8")
        try:
            return header.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise CubeError(f"{self._source.name}, line 1: not text; is it a compressed file named .csv?") from None
