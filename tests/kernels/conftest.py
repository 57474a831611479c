import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from insar_kernels.gpu import running


class OnGpu(np.lib.mixins.NDArrayOperatorsMixin):
    """An array in place of CuPy's: it takes part in nothing beside an array of NumPy, and only `get` brings it back."""

    __array_priority__ = 100

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)

    def get(self) -> Any:
        return self.array

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def __array_ufunc__(self, ufunc: Any, method: str, *given: Any, **options: Any) -> Any:
        if method not in ("__call__", "reduce"):
            raise TypeError(f"CuPy has no {ufunc.__name__}.{method}")
        found = getattr(ufunc, method)(*bare(list(given)), **{name: bare(value) for name, value in options.items()})
        return there(found) if options.get("out") is None else options["out"][0]

    def __array_function__(self, function: Any, kinds: Any, given: Any, options: Any) -> Any:
        return there(function(*bare(list(given)), **{name: bare(value) for name, value in options.items()}))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "array":
            raise AttributeError(name)
        found = getattr(self.array, name)
        if not callable(found):
            return there(found) if isinstance(found, np.ndarray) else found
        return lambda *given, **options: there(found(*bare(given), **{k: bare(v) for k, v in options.items()}))

    def __getitem__(self, key: Any) -> Any:
        return there(self.array[bare(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.array[bare(key)] = bare(value)

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[Any]:
        return map(there, self.array)

    def __bool__(self) -> bool:
        return bool(self.array)

    def __int__(self) -> int:
        return int(self.array)

    def __float__(self) -> float:
        return float(self.array)


def bare(value: Any) -> Any:
    """What NumPy works on; refuses its arrays, alone or in a sequence."""
    if isinstance(value, OnGpu):
        return value.array
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    return type(value)(map(bare, value)) if type(value) in (list, tuple) else value


def there(found: Any) -> Any:
    """As CuPy answers: no number leaves the GPU, it becomes an array without axes."""
    if isinstance(found, np.ndarray | np.generic):
        return OnGpu(found)
    return type(found)(map(there, found)) if type(found) in (list, tuple) else found


class Library(types.ModuleType):
    """NumPy's functions, which give arrays of the GPU and take no others; only `asarray` brings one there."""

    def __init__(self, name: str, functions: Any) -> None:
        super().__init__(name)
        self.functions = functions

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.functions, name)
        if name.startswith("__") or isinstance(found, type) or not callable(found):
            return Library(name, found) if isinstance(found, types.ModuleType) else found
        if name == "asarray":
            return lambda *given: OnGpu(np.array(*(one.array if isinstance(one, OnGpu) else one for one in given)))
        return lambda *given, **options: there(found(*bare(list(given)), **options))


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """Bring an array to the GPU; where there is none, its bodies are run as they read, place after place."""
    if (cupy := real_cupy()) is not None:
        return cupy.asarray
    library: Any = Library("cupy", np)
    library.ndarray = OnGpu
    library.cuda = types.SimpleNamespace(Device=lambda: types.SimpleNamespace(attributes={"MultiProcessorCount": 1}))
    monkeypatch.setitem(sys.modules, "cupy", library)
    monkeypatch.setattr(OnGpu, "__module__", "cupy._core.core")
    monkeypatch.setattr(running, "RESIDENT", 5)
    monkeypatch.setattr(running, "_launch", place_after_place)
    return library.asarray


def real_cupy() -> Any:
    """CuPy where it has a GPU to work on; importing it says nothing of that."""
    try:
        import cupy
    except ImportError:
        return None
    return cupy if cupy.cuda.is_available() else None


def place_after_place(kind: str, body: Any, blocks: Any, block: Any, height: int, width: int, arrays: Any) -> None:
    given = [bare(array) for array in arrays]
    with np.errstate(all="ignore"):  # a GPU warns of nothing
        for i in range(height):
            for j in range(width) if kind == "cells" else [i % width]:
                body(i, j, *given)
