"""A shard on its worker's GPU: it goes there as it is stored, all steps run there, and results come back once.

One thread of a worker at a time has the GPU, for the steps of one shard; the others meanwhile read and unpack their
next shard, or pack and write their last, which is most of a chunk job and does not hold the GIL, as waiting for a GPU
does not. So the GPU works beside them, and the turns it is had in keep it so: threads that may have it together come
to ask for it together, and all write while it is idle. Measured with the processor in its place, two threads: 27 % of
its work was done while another thread read or wrote, and 91 % in turns.

All threads queue to one stream: what is copied there for the next shard comes after the kernels of this one, in memory
that the GPU copies from by itself, and nobody waits for it. What CuPy's pool has given back is at hand for all of them.
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
    """What a thread has for good."""

    memory: _Memory | None = None


_MINE = _Mine()
_LOCK = threading.Lock()
_STREAMS: list[Any] = []
"""The one of this process, once there is one."""


class _Memory:
    """Page-locked memory of one thread, used again by each of its tasks: to lock it costs more than to fill it."""

    def __init__(self, cupy: ModuleType) -> None:
        self._cupy = cupy
        cupy.get_default_pinned_memory_pool().free_all_blocks()  # what threads that have ended had
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
    """Whatever this thread computes with CuPy goes to the GPU by way of the worker's stream.

    Raises
    ------
    ImportError, OSError
        As `usable_cupy`: a task that was given to GPUs is done on one, or fails.
    """
    cupy = usable_cupy()
    with _LOCK:
        if not _STREAMS:
            _STREAMS.append(cupy.cuda.Stream(non_blocking=True))
    if _MINE.memory is None:
        _MINE.memory = _Memory(cupy)
    _MINE.memory.clear()
    with _STREAMS[0]:
        try:
            yield
        except BaseException:
            _wait()  # else the next task would write over what is being copied
            raise


def taken(array: zarr.Array[Any], at: tuple[slice, ...], tenths: bool) -> Any:
    """A box of a stored array: series on the GPU, copied as they are stored and decoded there; others here."""
    series = dimensions(array)[-1:] == ["time"] and array.ndim > 1 and (tenths or array.dtype == np.float32)
    if not series:
        return decoded(array, at, tenths)
    shape = tuple(len(range(*cut.indices(n))) for cut, n in zip(at, array.shape, strict=True))
    here = _room(shape, array.dtype)
    StoredArray(array).read_into(here, at)
    there = _sent(here)
    return decode_tenths_on(usable_cupy(), there) if tenths else there


def given_to(function: str, data: Any, params: Mapping[str, Any]) -> Any:
    """What a step is given: its series, or features, on the GPU where it has a body for one; else all here.

    Raises
    ------
    ValueError
        When the step has a body and there is nothing to give to it.
    """
    if function not in ON_GPU:
        return brought_back({"data": data})["data"]
    features = params.get("state", {}).get("features")
    names = _series(data) if features is None else [str(name) for name in features]
    if not names:
        raise ValueError(f"{function} runs on the GPU, and of {sorted(map(str, data.data_vars))} none is a series")
    variables = {name: data.variables[name] for name in names}
    here = {name: variable for name, variable in variables.items() if not _is_there(variable.data)}
    return data.assign({name: variable.copy(data=_copied(variable.values)) for name, variable in here.items()})


def brought_back(results: Mapping[str, Any]) -> dict[str, Any]:
    """The same with all data sets in memory of the processor; the GPU is waited for, once."""
    import xarray as xr

    def here(array: Any) -> Any:
        room = _room(array.shape, array.dtype)
        array.get(stream=_STREAMS[0], out=room, blocking=False)
        return room

    found = {name: _mapped(data, here) if isinstance(data, xr.Dataset) else data for name, data in results.items()}
    _wait()
    return found


def _mapped(data: xr.Dataset, here: Callable[[Any], Any]) -> xr.Dataset:
    there = {name: variable for name, variable in data.variables.items() if _is_there(variable.data)}
    return data.assign({name: variable.copy(data=here(variable.data)) for name, variable in there.items()})


def _series(data: xr.Dataset) -> list[str]:
    """Names of its series of float32."""
    variables = data.data_vars.items()
    return [str(name) for name, one in variables if one.dims[-1:] == ("time",) and one.dtype == np.float32]


def _copied(array: npt.NDArray[Any]) -> Any:
    """An array on the GPU."""
    here = _room(array.shape, array.dtype)
    here[...] = array
    return _sent(here)


def _sent(here: npt.NDArray[Any]) -> Any:
    """An array on the GPU, from memory that it copies from by itself: the copy is only queued."""
    there = usable_cupy().empty(here.shape, here.dtype)
    there.set(here, stream=_STREAMS[0])
    return there


def _room(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    if _MINE.memory is None:
        raise RuntimeError("nothing goes to a GPU or comes back outside `on_gpu`")
    return _MINE.memory.room(shape, dtype)


def _wait() -> None:
    """For all that is queued now, without turning round and round."""
    done = usable_cupy().cuda.Event(block=True, disable_timing=True)
    done.record(_STREAMS[0])
    done.synchronize()


def _is_there(array: Any) -> bool:
    return hasattr(array, "get")
