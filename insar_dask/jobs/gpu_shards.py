"""A shard on its worker's GPU: it goes there as it is stored, all steps run there, and results come back once.

Each thread of a worker has a stream of its own, and memory that the GPU copies from and to by itself. So a thread only
queues copies and kernels, and waits once, at the end, without the GIL; neither do Zarr and its codec hold it, which are
most of a chunk job. While one thread waits for the GPU, another reads and unpacks its next shard, or packs and writes
its last: that is why they overlap, and why a session gives the worker of a GPU two threads. Streams do not wait for
each other, and memory that CuPy's pool hands out again stays with its stream.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import zarr

from insar_dask.jobs.devices import DEVICE, ON_GPU
from insar_dask.store import decoded, dimensions
from insar_dask.stored_arrays import StoredArray
from insar_dask.tenths import decode_tenths_on

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["brought_back", "given_to", "on_gpu", "taken", "usable_cupy"]

ALIGNED = 256
"""Bytes at whose multiples copies begin."""

CURE = f"install insar-dask[gpu12] or [gpu13] there, or set {DEVICE} to 'cpu' for the whole run"


def usable_cupy() -> ModuleType:
    """CuPy, where this process has a GPU to use it on.

    Raises
    ------
    ImportError
        When it is missing.
    OSError
        When it finds no GPU.
    """
    try:
        import cupy
    except ImportError as error:
        raise ImportError(f"this run computes on GPUs, and CuPy is missing on this worker ({error}): {CURE}") from None
    if not cupy.cuda.is_available():
        raise OSError(f"this run computes on GPUs, and CuPy finds none on this worker: give it one, {CURE}")
    return cupy  # type: ignore[no-any-return]


class _Mine(threading.local):
    """What a thread has on the GPU for good."""

    stream: Any = None
    memory: _Memory


_MINE = _Mine()


class _Memory:
    """Page-locked memory of one thread, used again by each of its tasks: to lock it costs more than to fill it."""

    def __init__(self, cupy: ModuleType) -> None:
        self._cupy = cupy
        self._blocks: list[npt.NDArray[np.uint8]] = []
        self._used = 0

    def clear(self) -> None:
        """Give all of it to the next task: in one piece, as large as what the last one asked for."""
        if len(self._blocks) > 1:
            size = sum(len(block) for block in self._blocks)
            self._blocks = []
            self._cupy.get_default_pinned_memory_pool().free_all_blocks()
            self._add(size)
        self._used = 0

    def room(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array of it, with anything in it; until `clear` nobody else's."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if not self._blocks or self._used + size > len(self._blocks[-1]):
            self._add(max(size, ALIGNED))
        at, self._used = self._used, self._used + -(-size // ALIGNED) * ALIGNED
        return self._blocks[-1][at : at + size].view(dtype).reshape(shape)

    def _add(self, size: int) -> None:
        import cupyx

        self._blocks.append(cupyx.empty_pinned((size,), np.uint8))
        self._used = 0


@contextmanager
def on_gpu() -> Iterator[None]:
    """Whatever this thread queues goes to its own stream, which is empty when the block ends.

    Raises
    ------
    ImportError, OSError
        As `usable_cupy`: a task that was given to GPUs is done on one, or fails.
    """
    cupy = usable_cupy()
    if _MINE.stream is None:
        _MINE.stream, _MINE.memory = cupy.cuda.Stream(non_blocking=True), _Memory(cupy)
    _MINE.memory.clear()
    with _MINE.stream:
        try:
            yield
        finally:
            _MINE.stream.synchronize()  # else the next task would write over what is being copied


def taken(array: zarr.Array[Any], at: tuple[slice, ...], tenths: bool) -> Any:
    """A box of a stored array: series on the GPU, copied as they are stored and decoded there; others here."""
    series = dimensions(array)[-1:] == ["time"] and array.ndim > 1 and (tenths or array.dtype == np.float32)
    if not series:
        return decoded(array, at, tenths)
    shape = tuple(len(range(*cut.indices(n))) for cut, n in zip(at, array.shape, strict=True))
    here = _MINE.memory.room(shape, array.dtype)
    StoredArray(array).read_into(here, at)
    there = _sent(here)
    return decode_tenths_on(usable_cupy(), there) if tenths else there


def given_to(function: str, data: Any) -> Any:
    """What a step is given: series on the GPU where it has a body for one, else all on the processor.

    Raises
    ------
    ValueError
        When the step has a body and there is nothing to give to it.
    """
    if function not in ON_GPU:
        return brought_back({"data": data})["data"]
    there = {
        name: _copied(variable.values)
        for name, variable in _numbers(data).items()
        if isinstance(variable.data, np.ndarray)
    }
    if not there and not any(_is_there(variable.data) for variable in data.data_vars.values()):
        raise ValueError(f"{function} runs on the GPU, and of {sorted(map(str, data.data_vars))} none is float32")
    return data.assign({name: data[name].copy(data=array) for name, array in there.items()})


def brought_back(results: Mapping[str, Any]) -> dict[str, Any]:
    """The same with all data sets in memory of the processor; what comes from the GPU is waited for once."""
    import xarray as xr

    waits = False

    def here(array: Any) -> Any:
        nonlocal waits
        room = _MINE.memory.room(array.shape, array.dtype)
        array.get(out=room, blocking=False)
        waits = True
        return room

    found = {name: _mapped(data, here) if isinstance(data, xr.Dataset) else data for name, data in results.items()}
    if waits:
        _MINE.stream.synchronize()
    return found


def _mapped(data: xr.Dataset, here: Callable[[Any], Any]) -> xr.Dataset:
    there = {name: variable.data for name, variable in data.variables.items() if _is_there(variable.data)}
    return data.assign({name: data[name].copy(data=here(array)) for name, array in there.items()}) if there else data


def _numbers(data: xr.Dataset) -> dict[Any, xr.DataArray]:
    """Series of float32; where there are none, as in what is made of them, numbers a point."""
    single = {name: variable for name, variable in data.data_vars.items() if variable.dtype == np.float32}
    series = {name: variable for name, variable in single.items() if variable.dims[-1:] == ("time",)}
    return series or single


def _copied(array: npt.NDArray[Any]) -> Any:
    """An array on the GPU."""
    here = _MINE.memory.room(array.shape, array.dtype)
    here[...] = array
    return _sent(here)


def _sent(here: npt.NDArray[Any]) -> Any:
    """An array on the GPU, from memory that it copies from by itself: the copy is only queued."""
    there = usable_cupy().empty(here.shape, here.dtype)
    there.set(here)
    return there


def _is_there(array: Any) -> bool:
    return hasattr(array, "get")
