import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from insar_dask.jobs import gpu_shards
from insar_kernels.gpu import running

ROOM = 8 << 30
"""Bytes that the library may take of its GPU."""


class OnGpu(np.lib.mixins.NDArrayOperatorsMixin):
    """An array in place of CuPy's: it takes part in nothing beside an array of NumPy, and only `get` brings it back."""

    __array_priority__ = 100

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)

    def get(self, stream: Any = None, out: Any = None, blocking: bool = True) -> Any:
        """Into an array that may be looked at when its stream has been waited for, unless the call waits."""
        if out is None:
            return self.array
        QUEUED.append(lambda: np.copyto(out, self.array, casting="no"))
        if blocking:
            Event.synchronize()
        return out

    def set(self, array: Any, stream: Any) -> None:
        """From an array that nobody writes to until the stream has been waited for."""
        if array.shape != self.array.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.array.shape}, new shape: {array.shape}")
        np.copyto(self.array, array, casting="no")
        before = array.copy()

        def unchanged() -> None:
            assert np.array_equal(before.view(np.uint8), array.view(np.uint8)), "written to while it was copied"

        QUEUED.append(unchanged)

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
        if name == "einsum":
            return in_pairs
        if name == "asarray":
            return lambda *given: OnGpu(np.array(*(one.array if isinstance(one, OnGpu) else one for one in given)))
        return lambda *given, **options: there(found(*bare(list(given)), **options))


def in_pairs(text: str, *given: Any) -> Any:
    """`einsum` as CuPy does it: the last two arrays are multiplied first, and their product is kept whole."""
    factors, result = text.split("->")
    terms, arrays = factors.split(","), list(given)
    while terms:
        pair = terms[-2:]
        del terms[-2:]
        letters = [x for x in dict.fromkeys("".join(pair)) if x != "." and x in "".join([*terms, result])]
        product = ("..." if "..." in "".join(pair) else "") + "".join(letters) if terms else result
        arrays[-2:] = [there(np.einsum(f"{','.join(pair)}->{product}", *map(bare, arrays[-2:])))]
        terms += [product] if terms else []
    return arrays[0]


QUEUED: list[Callable[[], None]] = []
"""What the GPU has still to do."""


class Stream:
    """A stream of a GPU, which does nothing before it is waited for."""

    def __init__(self, non_blocking: bool) -> None:
        assert non_blocking

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Event:
    """A moment of a stream."""

    def __init__(self, block: bool, disable_timing: bool) -> None:
        assert block and disable_timing

    def record(self, stream: Stream) -> None:
        pass

    @staticmethod
    def synchronize() -> None:
        while QUEUED:
            QUEUED.pop(0)()


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """Bring an array to the GPU; where there is none, its bodies are run as they read, place after place."""
    if (cupy := real_cupy()) is not None:
        return cupy.asarray
    library: Any = Library("cupy", np)
    library.ndarray = OnGpu
    device = types.SimpleNamespace(attributes={"MultiProcessorCount": 1}, mem_info=(2 * ROOM, 2 * ROOM))
    library.cuda = types.SimpleNamespace(Device=lambda: device, is_available=lambda: True, Stream=Stream, Event=Event)
    library.get_default_memory_pool = lambda: types.SimpleNamespace(
        get_limit=lambda: ROOM, total_bytes=lambda: 0, free_all_blocks=lambda: None
    )
    library.get_default_pinned_memory_pool = lambda: types.SimpleNamespace(free_all_blocks=lambda: None)
    monkeypatch.setitem(sys.modules, "cupy", library)
    monkeypatch.setitem(sys.modules, "cupyx", types.SimpleNamespace(empty_pinned=np.empty))
    monkeypatch.setattr(gpu_shards, "_MINE", gpu_shards._Mine())
    monkeypatch.setattr(gpu_shards, "_STREAMS", [])
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
    assert_laid_out(kind, blocks, block, height, width)
    given = [bare(array) for array in arrays]
    with np.errstate(all="ignore"):  # a GPU warns of nothing
        for i in range(height):
            for j in range(width) if kind == "cells" else [i % width]:
                body(i, j, *([()] if kind == "series" else []), *given)


def assert_laid_out(kind: str, blocks: Any, block: Any, height: int, width: int) -> None:
    """Assert that the threads of a launch are as many as it needs, no block in vain, and as CUDA takes them."""
    if kind == "cells":
        assert block[0] % 32 == 0 and block[0] * block[1] <= 1024
        assert blocks == (-(-width // block[0]), min(-(-height // block[1]), 65_535))
    else:
        assert blocks == -(-width // block) and block <= 1024
    if kind == "series":
        assert blocks * block == width and block == 128  # each thread waits for all of its block
