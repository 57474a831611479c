"""What a step of a network asks of a GPU at the least: products by formula, kernels and their bytes by counting.

``PYTHONPATH=. python tests/benchmarks/gpu_roofline.py`` prints the predictions of `gpu_networks.py` for an H100; it
needs no GPU, since it counts what torch would start there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from insar_dask.forecast.models import blocks, build

__all__ = ["Counted", "Machine", "as_on_a_gpu", "counted", "mmstt_flops", "spacetimeformer_flops"]

BACKWARD = 2
"""Products of a backward pass for each of the forward one."""

REACHED = 0.7, 0.4
"""Shares of the copy's bandwidth and of the largest product's rate that kernels of these sizes are taken to reach."""

LAUNCH = 6e-6
"""Seconds of the processor for each kernel that it starts by way of torch and of its gradient's bookkeeping."""

JOINED = 0.5
"""Share of the bytes that a compiler is taken to leave, which reads and writes once what follows element by element."""

SILENT = {"empty", "empty_like", "new_empty", "empty_strided", "detach", "_to_copy_none", "set_"}
"""Operations that move nothing."""


@dataclass(frozen=True)
class Machine:
    """What a GPU allows."""

    copy: float = 2.8e12
    """Bytes/s read and written; 3.35e12 on an H100's data sheet."""
    product: float = 7e14
    """FLOP/s of a large product in bfloat16; 9.89e14 on the data sheet."""


@dataclass(frozen=True)
class Counted:
    """Work of a step."""

    flops: float
    bytes: float
    """Read and written by all kernels, each for itself: what a compiler joins is counted as if it were apart."""
    kernels: int

    def busy(self, machine: Machine) -> float:
        """Seconds of the GPU."""
        return self.bytes / (REACHED[0] * machine.copy) + self.flops / (REACHED[1] * machine.product)

    def seconds(self, machine: Machine) -> float:
        """Seconds where each kernel is started by itself: of the GPU, or of the processor that starts them."""
        return max(self.busy(machine), self.kernels * LAUNCH)


def spacetimeformer_flops(
    points: int,
    width: int,
    hidden: int,
    inner: int,
    *,
    patch: int = 1,
    context: int = 24,
    horizon: int = 6,
    layers: tuple[int, int] = (5, 5),
) -> float:
    """FLOP of products for the forecast of one point of a group; ``inner`` are the features of all heads together.

    Of a token 8 D I for the maps of a self-attention, 4 D I for query and output of one that crosses and as much for
    key and value of each token that it looks at, 4 D F for the feed-forward, and 4 I for each key; embeddings and head,
    under 1 %, are left out.
    """
    seen, asked = math.ceil(context / patch), math.ceil(horizon / patch)
    own, forward, key = width * inner, 4 * width * hidden, 4 * inner
    encoder = 16 * own + forward + key * (seen + points * seen)
    decoder = 16 * own + 8 * own + forward + key * (asked + points * asked + seen + points * seen)
    return float(layers[0] * seen * encoder + layers[1] * (asked * decoder + seen * 8 * own))


def mmstt_flops(
    width: int = 256, hidden: int = 1024, layers: int = 16, tokens: int = 640, cells: int = 6 * 64, horizon: int = 10
) -> float:
    """FLOP of products for one window of maps: embedding, layers and the head, which head and fusion are one of."""
    layer = 8 * width**2 + 4 * width * hidden + 4 * tokens * width
    return float(tokens * (layers * layer + 2 * cells * width) + 2 * horizon * 64 * 64 * width)


@contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """Networks on the processor start what they start on a GPU."""
    native = lambda x, p, training=True: torch.native_dropout(x, p, training)[0]  # noqa: E731
    with patch.object(blocks, "WAITED_FOR", frozenset()), patch("torch.nn.functional.dropout", native):
        yield


class _Counter(TorchDispatchMode):
    """Kernels and their bytes; a view of a tensor is none."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels, self.bytes = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::")
        if not (func.is_view or name in SILENT):
            self.kernels += 1
            self.bytes += sum(map(_moved, tree_leaves((args, kwargs, out))))
        return out


def _moved(leaf: Any) -> int:
    """Bytes of a tensor, each once however often it is repeated."""
    if not isinstance(leaf, torch.Tensor):
        return 0
    sizes = [size for size, stride in zip(leaf.shape, leaf.stride(), strict=True) if stride]
    return math.prod(sizes) * leaf.element_size()


def counted(work: Callable[[], object], flops: float) -> Counted:
    """Kernels and bytes of some work on the processor, done as on a GPU, and the products that it is known to have."""
    with as_on_a_gpu(), _Counter() as counter:
        work()
    return Counted(flops, counter.bytes, counter.kernels)


def predicted(network: str, groups: int, bf16: bool, flops: float) -> Counted:
    """Work of a training step on so many groups or windows of maps, whose products are ``flops`` forward.

    Kernels are as many for one group as for any number; bytes are reckoned from a step of one and one of two.
    """
    from insar_dask.forecast.training.job import Job, Training
    from insar_dask.forecast.training.queued import QueuedDescent
    from insar_dask.forecast.training.together import Ranks
    from tests.benchmarks import bench_maps, bench_models

    sizes = {"points": 16} if network == "spacetimeformer" else {}
    job = Job(build(network, **sizes), cast("Any", None), Training(bf16=bf16))
    descent = QueuedDescent(job, Ranks(), torch.device("cpu"))
    found = []
    for few in (1, 2):
        times = 3 if network == "spacetimeformer" else 5
        given = bench_maps.batch(few) if network == "mmstt" else bench_models.batch(16, times, few)
        given["scored"] = torch.ones_like(given["targets"], dtype=torch.bool)
        found.append(counted(partial(descent.step, given, 0, 1e-5), (1 + BACKWARD) * flops))
    each = found[1].bytes - found[0].bytes
    return replace(found[1], bytes=found[1].bytes + (groups - 2) * each)


def main() -> None:
    machine = Machine()
    cases = (
        ("fast", 512, True, 16, spacetimeformer_flops(16, 128, 512, 128, patch=6)),
        ("fast", 4096, True, 16, spacetimeformer_flops(16, 128, 512, 128, patch=6)),
        ("spacetimeformer", 512, True, 16, spacetimeformer_flops(16, 100, 400, 120)),
        ("spacetimeformer", 512, False, 16, spacetimeformer_flops(16, 100, 400, 120)),
        ("mmstt", 32, True, 1, mmstt_flops()),
    )
    for network, groups, bf16, points, flops in cases:
        work = predicted(network, groups, bf16, groups * points * flops)
        joined = replace(work, bytes=JOINED * work.bytes)
        print(
            f"{network}, {groups} {'bfloat16' if bf16 else 'TF32'}: {work.flops / 1e12:.2f} TFLOP, "
            f"{work.bytes / 1e9:.1f} GB in {work.kernels:,} kernels; as it comes {1e3 * work.seconds(machine):.1f} ms, "
            f"graphs {1e3 * work.busy(machine):.1f} ms, compiled and graphs {1e3 * joined.busy(machine):.1f} ms, "
            f"{groups * points / work.busy(machine):,.0f} samples/s by graphs"
        )


if __name__ == "__main__":
    main()
