"""What training a network of maps takes of memory: a step of it is played through on tensors without content."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from insar_dask.forecast.bfloat16 import is_quick
from insar_dask.forecast.live_tensors import LiveTensors
from insar_dask.forecast.models import build, network_class

__all__ = ["training_bytes"]

FIXED = 40_000_000
"""Kernels that are compiled or loaded at their first use, once torch itself is loaded; measured."""

GAPS = {"mmstt": 1.22, "mm_stgcn": 1.8}
OTHERS = 1.48
"""Memory that a process takes over what the tensors of a step hold, as glibc hands it out and keeps it; measured with
1 to 32 windows. Pages of its own for each tensor would leave no gaps (MALLOC_MMAP_THRESHOLD_), and make a step 1.2 to
2 times as long."""

KEPT = 6
"""Copies of the weights beside a step: two moments, the best, and what packing a checkpoint took and leaves as gaps."""

FEW = 3
"""Layers up to which a network is played through as it is; deeper ones are alike from there."""


def training_bytes(name: str, sizes: Mapping[str, Any], batch: int, bf16: bool = False, *, device: str = "cpu") -> int:
    """Bytes that training a network of maps takes, beyond what a process holds that has torch loaded.

    Parameters
    ----------
    name : str
        As in `insar_dask.forecast.models.MODELS`.
    sizes : mapping
        Arguments of the network other than its defaults.
    batch : int
        Windows a rank has in a step.
    bf16 : bool
        Whether matrices are multiplied in bfloat16 where that is faster.
    device : str
        What is trained on: a GPU, or a processor like that of this process.

    Returns
    -------
    int
        Weights, gradients, two moments, best weights, and all that forward and backward pass hold at once. Nothing is
        computed: tensors have shapes alone, so that a network of any size costs the same. Within 12 % of 28 trainings
        measured, of all five networks.

    Raises
    ------
    ValueError
        When there is no such network, or its sizes do not fit together.
    """
    asked = inspect.signature(network_class(name)).parameters
    arguments = {size: parameter.default for size, parameter in asked.items()} | dict(sizes)
    bf16 = bf16 and is_quick(torch.device(device).type)
    layers = int(arguments.get("layers", 1))
    if layers <= FEW:
        return _bytes(name, arguments, batch, bf16)
    fewer, few = (_bytes(name, arguments | {"layers": n}, batch, bf16) for n in (FEW - 1, FEW))
    return few + (layers - FEW) * (few - fewer)


def _bytes(name: str, arguments: Mapping[str, Any], batch: int, bf16: bool) -> int:
    context, horizon, channels, side = (arguments[size] for size in ("context", "horizon", "channels", "side"))
    tally = LiveTensors()
    with FakeTensorMode(), tally:
        model = build(name, **arguments)
        weights: int = sum(weight.nbytes for weight in model.parameters())
        given = {
            "values": torch.empty(batch, context, channels, side, side),
            "target_time": torch.empty(batch, horizon, 2),
        }
        targets = torch.empty(batch, horizon, side, side)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            out = model(given)
        (out.float() - targets).square().sum().backward()
    return FIXED + int(GAPS.get(name, OTHERS) * tally.peak) + KEPT * weights
