"""Products of matrices in bfloat16 where the machine makes them faster, in float32 elsewhere."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch

__all__ = ["FLOAT32_INSTEAD", "in_bfloat16", "is_quick"]

FLOAT32_INSTEAD = "matrices are multiplied in float32: torch is slower in bfloat16 on this processor"
"""What a training says whose settings allow bfloat16 where it does not pay."""


def in_bfloat16(device: torch.device | str, wanted: bool = True) -> AbstractContextManager[object]:
    """While it lasts, torch multiplies matrices on the device in bfloat16, if that is wanted and `is_quick`.

    Each process decides for its device, so chunk jobs, which run on any worker, take it on GPUs alone: a cube that was
    forecast in either by turns would differ among its shards by the rounding of bfloat16.
    """
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16) if wanted and is_quick(kind) else nullcontext()


@cache
def is_quick(kind: str) -> bool:
    """Whether bfloat16 pays on a kind of device: on all but processors that have to convert what they multiply.

    Where a processor has AVX2 alone, a step of MM-STT takes 14 times as long in bfloat16 as in float32, one of ConvLSTM
    50 times, and torch 2.13 cannot start an LSTM in it at all. Not measured: AVX-512 without its BF16, where oneDNN
    converts too, and GPUs older than Ampere; both count as quick.
    """
    if kind != "cpu":
        return True
    asked = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)  # None without oneDNN, as on macOS
    return asked is not None and bool(asked())
