"""Networks that forecast on the GPU of a worker: weights are sent once, what they read once, what they say comes back.

Products are made as in training (`insar_dask.forecast.training.accelerator.prepared`): in TF32 of float32, in bfloat16
where the settings of a network of maps allow it, by kernels that repeat to the bit. How many rows are seen at a time
follows from the network and the size of the GPU, never from what is free on it: a run that goes on later makes the same
numbers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import blake3
import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from insar_dask.forecast.bfloat16 import in_bfloat16
from insar_dask.forecast.live_tensors import LiveTensors
from insar_dask.forecast.training.accelerator import prepared
from insar_dask.forecast.training.job import Batch
from insar_dask.turns import in_turn

__all__ = [
    "Run",
    "There",
    "bytes_there",
    "computing",
    "counted",
    "meta_batch",
    "network_room",
    "on_meta",
    "release",
    "there",
]

Arrays = Mapping[str, npt.NDArray[Any]]

MOST = 4096
"""Rows, groups mostly, that a network sees at a time: those of 16 points of a usual shard, all at once."""

SHARE = 4
"""Of the GPU's memory, what a network works in takes one part in so many."""

POOL = 1.2
"""What torch's allocator takes for each byte in use."""

LIBRARIES = 128_000_000
"""Bytes in which products are made, of cuBLAS by `accelerator.WORKSPACE` 32 MiB, and small things."""

KEPT = 2
"""Forecasters whose weights stay on the GPU."""

CURE = "install insar-dask[train] with a torch that is built for its driver, or set INSAR_DASK_DEVICE to 'cpu'"

_KEPT: dict[bytes, There] = {}
_LOCK = threading.Lock()


@dataclass(frozen=True, eq=False)
class There:
    """The networks of one forecaster on a GPU."""

    networks: Sequence[nn.Module]
    device: torch.device
    at_once: int
    """Rows that they see at a time."""

    def said(self, arrays: Arrays, *, bf16: bool = False) -> npt.NDArray[np.float32]:
        """What the first of them says of all rows of some arrays; each row is sent once, and all come back at once.

        ``bf16``: multiply matrices in bfloat16 where that is faster.
        """
        (network, *_), n_rows = self.networks, len(next(iter(arrays.values())))
        with computing(self.device):
            parts = []
            for first in range(0, n_rows, self.at_once):
                some = {name: torch.from_numpy(a[first : first + self.at_once]) for name, a in arrays.items()}
                with in_bfloat16(self.device, bf16):
                    parts.append(network({name: tensor.to(self.device) for name, tensor in some.items()}).float())
            return np.asarray(torch.cat(parts).cpu().numpy())


def found_device() -> torch.device:
    """The GPU of this process.

    Raises
    ------
    OSError
        When torch finds none.
    """
    if not torch.cuda.is_available():
        raise OSError(
            f"networks of this run forecast on GPUs, and torch {torch.__version__} finds none on this worker: {CURE}"
        )
    return torch.device("cuda", torch.cuda.current_device())


def there(weights: Arrays, told: str, make: Callable[[], Iterable[nn.Module]], on_meta: Callable[[], Run]) -> There:
    """Networks on the GPU of this process, sent there unless they are there already.

    Parameters
    ----------
    weights : mapping of arrays
        What they have learned.
    told : str
        All else that they are built by: the same of both is the same networks.
    make : callable
        Builds them, with these weights, on the processor; each may be changed when the next one comes.
    on_meta : callable
        Gives what `rows_at_once` takes.

    Raises
    ------
    OSError
        When torch finds no GPU.
    """
    device, name = found_device(), _name(weights, told)
    with _LOCK:
        if name not in _KEPT:
            while len(_KEPT) >= KEPT:
                del _KEPT[next(iter(_KEPT))]
            at_once, _ = rows_at_once(on_meta(), _memory(device))
            _KEPT[name] = There([deepcopy(network).eval().to(device) for network in make()], device, at_once)
        return _KEPT[name]


@contextmanager
def computing(device: torch.device) -> Iterator[None]:
    """No other thread has the GPU meanwhile, and torch computes there as it does in training, without gradients."""
    with in_turn(), prepared(device), torch.inference_mode():
        yield


Run = Callable[[int], object]
"""Has a network forecast so many rows on torch's device ``meta``, which computes nothing but shapes."""


def rows_at_once(run: Run, memory: int) -> tuple[int, int]:
    """Rows, a power of two, that a network sees at a time on a GPU of ``memory`` bytes, and the bytes that takes."""
    rows = MOST
    while (taken := counted(partial(run, rows))) > memory // SHARE and rows > 1:
        rows //= 2
    return rows, taken


def bytes_there(weights: Arrays, run: Run, memory: int, beside: int = 0) -> int:
    """Predicted bytes of a GPU of ``memory`` bytes that a forecaster takes, ``beside`` being held all the time."""
    _, taken = rows_at_once(run, memory)
    return int(POOL * (sum(array.nbytes for array in weights.values()) + taken + beside)) + LIBRARIES


def on_meta(network: nn.Module) -> Callable[[Batch], torch.Tensor]:
    """The network on the device ``meta``."""
    parts = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    shapes = {name: tensor.detach().to("meta") for name, tensor in parts.items()}

    def forward(batch: Batch) -> torch.Tensor:
        out: torch.Tensor = torch.func.functional_call(network.eval(), shapes, (batch,))
        return out

    return forward


def meta_batch(
    groups: int, *, length: int, context: int, horizon: int, time_features: int, known: int
) -> dict[str, torch.Tensor]:
    """A batch of so many groups on the device ``meta``, as `insar_dask.forecast.correction.inputs.group_inputs` is."""
    seats = groups, length
    shapes = {
        "values": (*seats, context),
        "known": (*seats, known),
        "baseline": (*seats, horizon),
        "places": (*seats, 2),
        "context_time": (groups, context, time_features),
        "target_time": (groups, horizon, time_features),
    }
    others = {"given": ((*seats, context), torch.bool), "present": (seats, torch.bool), "pattern": (seats, torch.int64)}
    batch = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    return batch | {name: torch.empty(shape, dtype=of, device="meta") for name, (shape, of) in others.items()}


def counted(work: Callable[[], object]) -> int:
    """Most bytes of tensors that some work has at a time, of those that it makes; attention is taken to be fused."""
    tensors = LiveTensors()
    with torch.no_grad(), _Fused(), tensors:
        work()
    return tensors.peak


def network_room() -> tuple[int, int] | str:
    """Bytes of this worker's GPU that networks may take, and all of its bytes; or why there is none to take any of.

    What CuPy may still take is CuPy's; what other processes have is nobody's here.
    """
    try:
        device = found_device()
        free, whole = torch.cuda.mem_get_info(device)
        own = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return max(free + own - _of_cupy(whole), 0), _memory(device)
    except Exception as error:  # of a driver, too
        return str(error) or repr(error)


def release() -> None:
    """Give back what torch keeps of the GPU for its next tensors; weights stay."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _of_cupy(whole: int) -> int:
    """Bytes that CuPy may take by a limit and has not yet; 0 where it is not installed or has none."""
    try:
        import cupy
    except ImportError:
        return 0
    pool = cupy.get_default_memory_pool()
    limit = int(pool.get_limit())
    return max(limit - int(pool.total_bytes()), 0) if limit < whole else 0


def _memory(device: torch.device) -> int:
    """All bytes of a GPU."""
    return int(torch.cuda.get_device_properties(device).total_memory)


def _name(weights: Arrays, told: str) -> bytes:
    """Hash of what networks are made of."""
    name = blake3.blake3(told.encode())
    for key, array in sorted(weights.items()):
        name.update(f"{key} {array.dtype.str} {array.shape}".encode())
        name.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    return name.digest()


class _Fused(TorchFunctionMode):
    """Attention makes what it gives and no table of scores, as the fused kernels of a GPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.scaled_dot_product_attention:
            query, _, value = args
            return query.new_empty(*query.shape[:-1], value.shape[-1])
        return func(*args, **(kwargs or {}))
