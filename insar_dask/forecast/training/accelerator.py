"""What a training asks of a GPU: how products are rounded, that a run repeats to the bit, and how steps are started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import Any, cast

import torch

__all__ = ["STEPS", "WAYS", "prepared", "room_on", "ways_of"]

STEPS = "INSAR_DASK_GPU_STEPS"
"""Variable of the environment of the process that trains: ``graphs``, ``compiled``, or both with a comma between them;
nothing by default, since neither has been measured. See `insar_dask.forecast.training.queued`."""

WAYS = "graphs", "compiled"

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""Without it torch refuses to promise that products repeat, and it looks at the first product of a process alone. As
large as the one that an H100 gets anyway."""

os.environ.setdefault(WORKSPACE, ":4096:8")

STOCK_SHARE = 3
"""Of the device's free memory, what windows lie on may take one part in so many, and validation batches another."""


def ways_of(device: torch.device) -> frozenset[str]:
    """Ways of starting steps on a device that are asked for.

    Raises
    ------
    ValueError
        When there is no such way, or none on this device.
    """
    asked = frozenset(filter(None, (way.strip() for way in os.environ.get(STEPS, "").split(","))))
    if unknown := sorted(asked - set(WAYS)):
        raise ValueError(f"{STEPS} asks for {', '.join(unknown)}; there are {' and '.join(WAYS)}")
    if "graphs" in asked and device.type != "cuda":
        raise ValueError(f"{STEPS} asks for graphs, which {device} does not have: take them out there")
    return asked


def room_on(device: torch.device) -> int:
    """Bytes that windows may lie on, on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) // STOCK_SHARE
    from insar_dask.forecast.memory import free_bytes

    return free_bytes() // STOCK_SHARE


_ONE_AT_A_TIME = RLock()
"""Settings are of the process: who comes while another has them waits."""


@contextmanager
def prepared(device: torch.device) -> Iterator[None]:
    """While it lasts, torch works on this device, and on a GPU as a training wants it; a processor works as before.

    Products of float32 are made in TF32, whose mantissa of 10 bits is that of half precision (bfloat16 has 7); with
    ``bf16`` they are made in bfloat16. Sums, norms, losses and weights stay float32. Kernels whose sums depend on how
    threads were scheduled are not taken, so that a run that was killed ends like one that was not.
    """
    if device.type != "cuda":
        yield
        return
    with _ONE_AT_A_TIME, _settings(), torch.cuda.device(device):
        _try_product(device)
        yield


@contextmanager
def _settings() -> Iterator[None]:
    products, filled = torch.backends.cuda.matmul, cast("Any", torch.utils.deterministic)
    before = products.fp32_precision, filled.fill_uninitialized_memory, torch.are_deterministic_algorithms_enabled()
    products.fp32_precision = "tf32"
    filled.fill_uninitialized_memory = False  # it would write all fresh memory once more
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        products.fp32_precision, filled.fill_uninitialized_memory, repeatable = before
        torch.use_deterministic_algorithms(repeatable)


@cache
def _try_product(device: torch.device) -> None:
    """Raise RuntimeError with the cure where products are not let repeat: something came before the setting."""
    one = torch.ones(1, 1, device=device)
    try:
        torch.mm(one, one)
    except RuntimeError as error:
        raise RuntimeError(f"set {WORKSPACE}=:4096:8 before this process computes on a GPU: {error}") from error
