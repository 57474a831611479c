"""Training of the networks of maps: ten maps of 64 x 64 cells in and ten out, and an epoch of 200 windows.

Run as ``python tests/benchmarks/run.py maps``. Each network's training step in bfloat16 is paired with its own in
float32, where the processor multiplies in it; MM-STT's also with torch's own encoder layers in its place. An epoch is
told in wall seconds, which a loaded machine lengthens, on one thread and on two.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from insar_dask.forecast.bfloat16 import is_quick
from insar_dask.forecast.models import build
from insar_dask.forecast.training.adamw import AdamW
from tests.benchmarks.measure import QUICK, Row, gate, paired, row, seconds

NAMES = ("mmstt", "cnn_lstm", "convlstm", "mm_stgcn", "mm_staeformer")
BATCH, RUNS = (1, 1) if QUICK else (4, 3)
WINDOWS, EPOCH_BATCH = 200, 8
EPOCH = 180.0
"""Seconds that an epoch of MM-STT may take on two cores."""
EMULATED = None if is_quick("cpu") else "this processor has no products in bfloat16: torch would emulate them"


def rows() -> list[Row]:
    torch.manual_seed(0)
    speed = {dtype: product(dtype) for dtype in (torch.float32, torch.bfloat16)}
    core = f"this core's product: float32 {speed[torch.float32]:.0f}, bfloat16 {speed[torch.bfloat16]:.0f} GFLOP/s"
    return [
        *(step_row(name, core) for name in NAMES),
        *(torch_row(bf16, core) for bf16 in ((False,) if EMULATED else (False, True))),
        *(epoch_row(head, threads) for head in ("reuse", "queries") for threads in (1, 2)),
    ]


def product(dtype: torch.dtype, n: int = 1024) -> float:
    """GFLOP/s of a product of two square matrices on this core, the best of 20."""
    left, right = torch.randn(n, n, dtype=dtype), torch.randn(n, n, dtype=dtype)
    return 2e-9 * n**3 / min(seconds(lambda: left @ right) for _ in range(20))


def step_row(name: str, core: str) -> Row:
    """A training step a sample, in bfloat16 and in float32."""
    model, given = build(name), batch(BATCH)
    if EMULATED:
        step = trainer(model, model, given)
        step()
        return row(
            f"{name}, training, a sample, float32", per_sample([seconds(step) for _ in range(RUNS)]), note=core,
            missing=EMULATED,
        )  # fmt: skip
    ours, theirs = (
        per_sample(times)
        for times in paired(trainer(model, model, given, bf16=True), trainer(model, model, given), RUNS)
    )
    return row(f"{name}, training, a sample, bfloat16", ours, "the same in float32", theirs, note=core)


def torch_row(bf16: bool, core: str) -> Row:
    """MM-STT beside torch's own encoder layers with the same weights."""
    model, given = build("mmstt"), batch(BATCH)
    plain = Plain(model)
    gates = [] if bf16 else agreement(model, plain, given)
    kind = "bfloat16" if bf16 else "float32"
    ours, theirs = (
        per_sample(times)
        for times in paired(trainer(model, model, given, bf16), trainer(model, plain, given, bf16), RUNS)
    )
    return row(f"mmstt, training, a sample, {kind}", ours, "nn.TransformerEncoder", theirs, gates=gates, note=core)


def epoch_row(head: str, threads: int) -> Row:
    """An epoch of MM-STT as training runs it, in batches of 8, in bfloat16 where that pays; three steps of 25."""
    model, given = build("mmstt", head=head), batch(BATCH if QUICK else EPOCH_BATCH)
    step, count = trainer(model, model, given, bf16=is_quick("cpu")), len(given["values"])
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        step()
        spent = [(seconds(step, time.perf_counter), seconds(step)) for _ in range(RUNS)]
    finally:
        torch.set_num_threads(before)
    wall, cpu = ([WINDOWS / count * one for one in column] for column in zip(*spent, strict=True))
    return row(
        f"mmstt, {head}, an epoch of {WINDOWS} windows, threads: {threads}",
        wall,
        bar=f"<= {EPOCH:.0f} s" if threads == 2 else None,
        clock="wall seconds",
        note=f"CPU seconds {statistics.median(cpu):.0f}",
    )


def agreement(model: nn.Module, plain: Plain, given: dict[str, Tensor]) -> list[Row]:
    """Differences of forecasts and of gradients, relative to the largest; where nothing is random."""
    weights = list(model.parameters())
    ours, theirs = model.eval()(given), plain(given)
    pairs = zip(*(torch.autograd.grad(out.square().mean(), weights) for out in (ours, theirs)), strict=True)
    worst = max(((a - b).abs().max() / b.abs().max().clamp(min=1e-3)).item() for a, b in pairs)
    return [
        gate("forecast", (ours - theirs).abs().max().item(), at_most=1e-5),
        gate("gradient, relative", worst, at_most=1e-4),
    ]


def batch(count: int) -> dict[str, Tensor]:
    return {
        "values": torch.randn(count, 10, 6, 64, 64),
        "target_time": torch.randn(count, 10, 2),
        "targets": torch.randn(count, 10, 64, 64),
    }


def trainer(
    model: nn.Module, forward: Callable[[Any], Tensor], given: dict[str, Tensor], bf16: bool = False
) -> Callable[[], object]:
    """Forward, backward and one step of AdamW on the model's weights, as training takes it."""
    optimizer = AdamW(list(model.parameters()), 1e-5)

    def step() -> None:
        model.train()
        optimizer.forget_gradients()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            out = forward(given)
        functional.smooth_l1_loss(out.float(), given["targets"]).backward()  # type: ignore[no-untyped-call]
        optimizer.step(1e-6)

    return step


def per_sample(times: list[float]) -> list[float]:
    return [one / BATCH for one in times]


class Plain:
    """MM-STT of torch's own layers on the weights of ours, its head and its fusion one after the other."""

    def __init__(self, model: nn.Module) -> None:
        self.model: Any = model
        self.layers = [torch_layer(layer) for layer in self.model.layers]

    def __call__(self, given: dict[str, Tensor]) -> Tensor:
        model, values = self.model, given["values"]
        count, steps = values.shape[:2]
        cut = functional.unfold(values.flatten(0, 1), model.patch, stride=model.patch).transpose(1, 2)
        tokens = self.drop(model.embed(cut).view(count, -1, model.position.shape[1]) + model.position)
        for layer in self.layers:
            tokens = layer.train(model.training)(tokens)
        flat = model.head(model.norm(tokens)).view(count * steps, model.cells, -1).transpose(1, 2)
        side = values.shape[-1]
        maps = functional.fold(flat, side, model.patch, stride=model.patch)  # (B·T, C, Y, X)
        out: Tensor = functional.conv2d(maps, model.fusion.weight[..., None, None], model.fusion.bias)
        return out.view(count, steps, side, side)

    def drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.model.drop.threshold / 256, self.model.training)


def torch_layer(ours: Any) -> nn.TransformerEncoderLayer:
    width, hidden = ours.feed_forward.widen.in_features, ours.feed_forward.widen.out_features
    like: Any = nn.TransformerEncoderLayer(
        width, ours.attention.heads, hidden, 0.1, functional.gelu, batch_first=True, norm_first=True
    )
    like.norm1, like.norm2 = ours.norms
    like.linear1, like.linear2 = ours.feed_forward.widen, ours.feed_forward.narrow
    like.self_attn.in_proj_weight = ours.attention.query_key_value.weight
    like.self_attn.in_proj_bias = ours.attention.query_key_value.bias
    like.self_attn.out_proj = ours.attention.out
    like.self_attn.dropout = (
        0.0  # ours drops what a layer adds, not weights of attention: torch's would leave its kernel
    )
    return like
