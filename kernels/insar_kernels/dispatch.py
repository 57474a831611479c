"""Which array library a kernel was handed, and the rows it loops over."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["destination", "namespace", "rows"]


def namespace(array: Any) -> ModuleType:
    """Array library of ``array``: ``cupy`` for a CuPy array, ``numpy`` for anything else.

    >>> namespace(np.zeros(3)).__name__
    'numpy'
    """
    library = type(array).__module__.partition(".")[0]
    return importlib.import_module("cupy") if library == "cupy" else np


def rows(values: Any, xp: ModuleType = np) -> npt.NDArray[np.float32]:
    """View ``(..., time)`` as contiguous float32 rows ``(n, time)`` of its library, copying only where it must.

    >>> rows(np.zeros((2, 3, 5), np.float32)).shape
    (6, 5)
    """
    array: npt.NDArray[np.float32] = xp.ascontiguousarray(values, dtype=np.float32)
    return array.reshape(int(np.prod(array.shape[:-1])), array.shape[-1])


def destination(shape: tuple[int, ...], out: Any, xp: ModuleType = np) -> Any:
    """``out``, or fresh memory if it is None; NumPy's own, which asks the kernel for huge pages (Numba's does not)."""
    if out is None:
        return xp.empty(shape, xp.float32)
    if namespace(out) is not xp or out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise ValueError(
            f"out is an array of {namespace(out).__name__} of shape {out.shape} and dtype {out.dtype}; wanted "
            f"one of {xp.__name__}, C-contiguous float32 of shape {shape}"
        )
    return out
