"""Arrays of .npz files that anybody could have written: nothing pickled, and no more memory than the file accounts for.

NumPy makes room for whatever the header of an array claims before it reads a value, and a megabyte can be packed so
that it inflates to a gigabyte.
"""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from typing import IO, Any

import numpy as np
import numpy.typing as npt

__all__ = ["read_arrays"]

UNASKED = 1 << 28
"""Bytes of arrays that a file may hold however well it is packed; networks and states take some ten million."""

MOST_RATIO = 100
"""Bytes out of a byte of a larger file: what is learned hardly packs at all."""

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}

MALFORMED = (
    zipfile.BadZipFile, zlib.error, tokenize.TokenError, NotImplementedError, RuntimeError, SyntaxError, IndexError,
    OSError, OverflowError, KeyError, TypeError, ValueError, EOFError,
)  # fmt: skip
"""What comes of archives, headers and values that are none: an OSError where there is no such place in the file, a
RuntimeError where a password is wanted."""


def read_arrays(file: IO[bytes]) -> dict[str, npt.NDArray[Any]]:
    """All arrays of an open .npz file by name.

    Raises
    ------
    ValueError
        When it is none, or not as it was written.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            _check_sizes(archive)
            for member in archive.infolist():
                _check_header(archive, member)
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except MALFORMED as error:
        raise ValueError(f"no file of arrays, or damaged ({str(error)[:200] or type(error).__name__})") from error


def _check_sizes(archive: zipfile.ZipFile) -> None:
    size = sum(member.file_size for member in archive.infolist())
    packed = sum(member.compress_size for member in archive.infolist())
    if size > UNASKED and size > MOST_RATIO * packed:
        raise ValueError(f"{packed:,} bytes would become {size:,}")


def _check_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Raise ValueError where an array claims to be of another size than its member."""
    with archive.open(member) as values:
        version = np.lib.format.read_magic(values)
        if version not in HEADERS:
            raise ValueError(f"{member.filename} is an array of format {version}")
        try:
            shape, _, dtype = HEADERS[version](values)
        except MemoryError as error:  # of the parser, not of this machine
            raise ValueError(f"{member.filename} has a header that goes too deep") from error
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds Python objects, which are not unpickled")
        if math.prod(shape) * dtype.itemsize != member.file_size - values.tell():
            raise ValueError(f"{member.filename} claims to be {dtype} of shape {shape}, which is not what it holds")
