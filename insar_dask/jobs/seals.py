"""Small documents that prove themselves: JSON with a seal, arrays as bytes that are the same for the same arrays.

The seal, the first half of a SHA-256 over the rest, tells what was written from what a failing disk, a flipped bit or a
power cut made of it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.array_files import read_arrays

__all__ = ["pack", "parsed", "sealed", "unpack", "unsealed"]

SEAL = "seal"


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """JSON-able content with its seal.

    >>> unsealed(sealed({"shards": 3})), unsealed(sealed({"shards": 3}) | {"shards": 2})
    ({'shards': 3}, None)
    """
    plain: dict[str, Any] = json.loads(json.dumps(content))
    return {**plain, SEAL: _digest(plain)}


def unsealed(document: Any) -> dict[str, Any] | None:
    """Content of a sealed document; None where it is not what was sealed."""
    if not isinstance(document, dict):
        return None
    content = {name: value for name, value in document.items() if name != SEAL}
    return content if document.get(SEAL) == _digest(content) else None


def parsed(data: str | bytes) -> Any:
    """Value of a JSON text; ValueError where it is none, or goes deeper than can be followed.

    >>> parsed("[" * 100_000)
    Traceback (most recent call last):
    ...
    ValueError: not JSON: brackets within brackets, too many of them
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("not JSON: brackets within brackets, too many of them") from None


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def pack(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Arrays as .npz bytes, equal for equal arrays (NumPy dates every member 1980-01-01)."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **{name: arrays[name] for name in sorted(arrays)})
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """The arrays of .npz bytes; ValueError where they are none. Nothing pickled is read."""
    return read_arrays(io.BytesIO(data))
