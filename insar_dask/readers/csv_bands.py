"""A CSV stream cut into bands of whole lines, small enough that some are parsed while the next is read."""

from __future__ import annotations

import math
import queue
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.readers.csv_source import CsvSource
from insar_kernels.decimals import PADDING

__all__ = ["Band", "BandReader", "one_line"]

BAND_BYTES = 1 << 19


class Memory:
    """Room for a band and for the values parsed from it, used again and again: fresh pages cost more than parsing."""

    def __init__(self, band_bytes: int) -> None:
        self.text = bytearray(band_bytes + PADDING)
        self._values = np.empty(0, np.uint8)

    def values(self, shape: tuple[int, int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array whose content is arbitrary."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size > self._values.size:
            self._values = np.empty(size + size // 8, np.uint8)
        return self._values[:size].view(dtype).reshape(shape)


@dataclass(frozen=True)
class Band:
    """Whole lines: ``used`` bytes of ``text``, which lies in ``memory``; ``last`` if the file ends with them."""

    text: npt.NDArray[np.uint8]
    used: int
    memory: Memory
    last: bool


class BandReader:
    """Header and bands of a CSV stream.

    Memory is reused, so reading needs ``buffers`` bands of it however long the file is: ``give_back`` each band.

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
        self._idle: queue.SimpleQueue[Memory] = queue.SimpleQueue()
        for _ in range(buffers):
            self._idle.put(Memory(band_bytes))
        self._held = self._idle.get()
        self._filled = self._fill(self._held.text, 0)
        self._begin = self._held.text.find(b"\n", 0, self._filled) + 1 or self._filled
        self.header = self._decode(bytes(self._held.text[: self._begin]))

    def give_back(self, band: Band) -> None:
        """Take the memory of a band for the bands to come."""
        self._idle.put(band.memory)

    def __iter__(self) -> Iterator[Band]:
        memory, begin, filled = self._held, self._begin, self._filled
        while filled > begin:
            last = filled < self._bytes
            cut = filled if last else memory.text.rfind(b"\n", begin, filled) + 1
            if cut <= begin:
                raise CubeError(f"{self._source.name}: no line break within {self._bytes} bytes; not a CSV")
            following = self._idle.get()
            carried = filled - cut
            following.text[:carried] = memoryview(memory.text)[cut:filled]
            text = np.frombuffer(memory.text, np.uint8)[begin:]
            yield Band(text, cut - begin, memory, last)
            filled = 0 if last else self._fill(following.text, carried)
            memory, begin = following, 0

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


def one_line(line: str, source: str) -> str:
    """A line without its end; raises CubeError where it is all lines of a file, which end in CR alone."""
    text = line.rstrip("\r\n")
    if "\r" in text:
        raise CubeError(f"{source}: its lines end in CR alone; convert it to LF")
    return text
