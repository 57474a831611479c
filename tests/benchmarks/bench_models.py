"""Training and forecasting steps of the networks: 16 groups of neighbours, 24 steps in and 6 out, on one thread.

Run as ``python tests/benchmarks/run.py models``. CPU seconds of paired runs. Bars in seconds are for a core whose
float32 product makes 105 GFLOP/s; each is scaled by the product of this core, measured beside it. The rival is the
same network with the same weights written as it stands in the specification: point after point in one sequence, time
features for each token, softmax over whole matrices. The published implementation itself takes 1.25 to 1.78 s at 8
points a group and 2.50 s at 16 on a core of 90 to 120 GFLOP/s.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from insar_dask.forecast.bfloat16 import in_bfloat16, is_quick
from insar_dask.forecast.models import build
from tests.benchmarks.measure import QUICK, Row, gate, paired, row, seconds

GROUPS, CONTEXT, HORIZON, KNOWN = (2, 24, 6, 16) if QUICK else (16, 24, 6, 16)
RUNS = 1 if QUICK else 5
CORE = 105.0
"""GFLOP/s of the core that the bars are for."""
PUBLISHED = 2.50
"""Seconds that the published implementation takes for a training step at 16 points a group."""
MAP = 588_600
FASTER = "bfloat16" if is_quick("cpu") else "float32"
"""What training and forecasting with ``bf16`` multiply in here."""


def rows() -> list[Row]:
    torch.manual_seed(0)
    speed, speed_bf16 = product(torch.float32), product(torch.bfloat16)
    core = f"this core's product: float32 {speed:.0f}, bfloat16 {speed_bf16:.0f} GFLOP/s"
    slower = CORE / speed
    return [
        published_row(8, f"<= {0.75 * slower:.3g} s", core),
        published_row(16, f"<= {1.4 * slower:.3g} s", core),
        fast_train_row(slower, core),
        forecast_row(core),
        whole_map_row(core),
        *(rival_row(name, core) for name in ("lstm", "transformer")),
    ]


def product(dtype: torch.dtype, n: int = 1024) -> float:
    """GFLOP/s of a product of two square matrices on this core, the best of 20."""
    left, right = torch.randn(n, n, dtype=dtype), torch.randn(n, n, dtype=dtype)
    return 2e-9 * n**3 / min(seconds(lambda: left @ right) for _ in range(20))


def published_row(points: int, bar: str, core: str) -> Row:
    """Training step of the published network, and of the same weights written plainly."""
    model, given = build("spacetimeformer", points=points), batch(points, 3)
    plain = Plain(model)
    gates = agreement(model, plain, given)
    timed = paired(trainer(model, model, given), trainer(model, plain, given), RUNS)
    return row(
        f"spacetimeformer, training step, L={points}", timed[0], "the same, plainly", timed[1], bar=bar, gates=gates,
        note=core,
    )  # fmt: skip


def agreement(model: nn.Module, plain: Plain, given: dict[str, Tensor]) -> list[Row]:
    """Differences of forecasts and of gradients, relative to the largest; both in use, where nothing is random."""
    weights = list(model.parameters())
    model.train()(given)  # running means that fit the weights
    ours, theirs = model.eval()(given), plain(given)
    pairs = zip(*(torch.autograd.grad(out.square().mean(), weights) for out in (ours, theirs)), strict=True)
    worst = max(((a - b).abs().max() / b.abs().max().clamp(min=1e-3)).item() for a, b in pairs)
    model.train()
    return [
        gate("forecast", (ours - theirs).abs().max().item(), at_most=1e-5),
        gate("gradient, relative", worst, at_most=1e-4),
    ]


def fast_train_row(slower: float, core: str) -> Row:
    """Training step on patches in bfloat16, against our own published network."""
    fast, paper = build("fast", known=KNOWN), build("spacetimeformer", points=16)
    given, theirs = batch(16, 5), batch(16, 3)
    timed = paired(trainer(fast, fast, given, bf16=True), trainer(paper, paper, theirs), RUNS)
    single = statistics.median(seconds(trainer(fast, fast, given)) for _ in range(RUNS))
    times = GROUPS / 16 * PUBLISHED * slower / statistics.median(timed[0])
    note = f"{times:.1f} times the published implementation, wanted >= 10; float32 {single:.3f} s; {core}"
    return row(f"fast, training step, L=16, {FASTER}", timed[0], "our spacetimeformer", timed[1], bar=">= 5", note=note)


def forecast_row(core: str) -> Row:
    fast, paper = build("fast", known=KNOWN), build("spacetimeformer", points=16)
    given, theirs = batch(16, 5), batch(16, 3)
    timed = paired(forecaster(fast, given, bf16=True), forecaster(paper, theirs), RUNS)
    return row(f"fast, forecasting step, L=16, {FASTER}", timed[0], "our spacetimeformer", timed[1], note=core)


def whole_map_row(core: str) -> Row:
    """All points of the paper's map in batches of 32 groups, scaled from one batch.

    Two cores have 360 CPU seconds in the 3 minutes that were promised; the network alone may take half of them.
    """
    fast, given = build("fast", known=KNOWN), batch(16, 5, groups=2 * GROUPS)
    points = given["present"].numel()
    work = forecaster(fast, given, bf16=True)
    work()
    spent = [seconds(work) * MAP / points for _ in range(RUNS)]
    rate = MAP / statistics.median(spent)
    note = f"{rate:,.0f} points/s on one core, the network alone; {core}"
    return row(f"fast, {MAP:,} points forecast, {FASTER}", spent, bar="<= 180 s", note=note)


def rival_row(name: str, core: str) -> Row:
    """The published rivals: 16 groups of 16 points a step."""
    model, given = build(name), batch(16, 3)
    step, use = trainer(model, model, given), forecaster(model, given)
    use()
    spent, used = [seconds(step) for _ in range(RUNS)], statistics.median(seconds(use) for _ in range(RUNS))
    return row(f"{name}, training step, L=16", spent, note=f"forecasting step {used:.3f} s; {core}")


def batch(points: int, times: int, groups: int = GROUPS) -> dict[str, Tensor]:
    given = torch.rand(groups, points, CONTEXT) < 0.9
    return {
        "values": torch.randn(groups, points, CONTEXT) * given,
        "given": given,
        "present": torch.ones(groups, points, dtype=torch.bool),
        "context_time": torch.randn(groups, CONTEXT, times),
        "target_time": torch.randn(groups, HORIZON, times),
        "places": 300 * torch.randn(groups, points, 2),
        "pattern": torch.randint(0, 9, (groups, points)),
        "known": torch.randn(groups, points, KNOWN),
        "baseline": torch.randn(groups, points, HORIZON),
        "targets": torch.randn(groups, points, HORIZON),
    }


def trainer(
    model: nn.Module, forward: Callable[[Any], Tensor], given: dict[str, Tensor], bf16: bool = False
) -> Callable[[], object]:
    """Forward, backward and one step of fused AdamW on the model's weights."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-6, fused=True)

    def step() -> None:
        model.train()
        optimizer.zero_grad()
        with in_bfloat16("cpu", bf16):
            loss = (forward(given) - given["targets"]).square().mean()
        loss.backward()
        optimizer.step()

    return step


def forecaster(model: nn.Module, given: dict[str, Tensor], bf16: bool = False) -> Callable[[], object]:
    def use() -> None:
        model.eval()
        with torch.inference_mode(), in_bfloat16("cpu", bf16):
            model(given)

    return use


class Plain:
    """Spacetimeformer written as it stands in its specification, on the weights of ours; every point is present."""

    def __init__(self, model: nn.Module) -> None:
        self.model: Any = model

    def __call__(self, given: dict[str, Tensor]) -> Tensor:
        model, ahead = self.model, torch.zeros_like(given["targets"])
        source = self.tokens(model.embed_context, given["values"], given["given"], given["context_time"])
        target = self.tokens(model.embed_target, ahead, torch.zeros_like(ahead, dtype=torch.bool), given["target_time"])
        points = ahead.shape[1]
        for layer in model.encoder.layers:
            source = source + self.local(layer.local_self, self.norm(layer.norms[0], source), points)
            source = source + self.attention(layer.global_self, self.norm(layer.norms[1], source))
            source = source + self.feed_forward(layer.feed_forward, self.norm(layer.norms[2], source))
        memory = self.norm(model.encoder.norm, source)
        for layer in model.decoder.layers:
            target = target + self.local(layer.local_self, self.norm(layer.norms[0], target), points)
            target = target + self.attention(layer.global_self, self.norm(layer.norms[1], target))
            target = target + self.local(layer.local_cross, self.norm(layer.norms[2], target), points, memory)
            target = target + self.attention(layer.global_cross, self.norm(layer.norms[3], target), memory)
            target = target + self.feed_forward(layer.feed_forward, self.norm(layer.norms[4], target))
        out: Tensor = model.head(self.norm(model.decoder.norm, target))
        return out.view(ahead.shape)

    def tokens(self, embedding: Any, values: Tensor, given: Tensor, times: Tensor) -> Tensor:
        """(B, L·T, D), each token's calendar computed for itself."""
        groups, points, steps = values.shape
        calendar = embedding.calendar(times.repeat(1, points, 1))
        token = embedding.time(calendar) + values.reshape(groups, -1, 1) * embedding.value
        token = token + embedding.position(torch.arange(steps).repeat(points))
        token = self.drop(token + embedding.given(given.reshape(groups, -1).long()), embedding.drop)
        return token + self.drop(
            embedding.point(torch.arange(points).repeat_interleave(steps)).expand_as(token), embedding.drop
        )

    def local(self, block: Any, x: Tensor, points: int, memory: Tensor | None = None) -> Tensor:
        apart = [None if t is None else t.reshape(len(t) * points, -1, t.shape[-1]) for t in (x, memory)]
        return self.attention(block, *apart).reshape(x.shape)

    def attention(self, block: Any, x: Any, memory: Any = None) -> Tensor:
        if memory is None:
            query, key, value = block.query_key_value(x).chunk(3, dim=-1)
        else:
            query, (key, value) = block.query(x), block.key_value(memory).chunk(2, dim=-1)
        query, key, value = (part.unflatten(2, (block.heads, -1)) for part in (query, key, value))
        scores = torch.einsum("nshe,nmhe->nhsm", query, key) / math.sqrt(block.head_width)
        mixed = torch.einsum("nhsm,nmhe->nshe", torch.softmax(scores, dim=-1), value)
        out: Tensor = block.out(mixed.reshape(*mixed.shape[:2], -1))
        return out

    def feed_forward(self, block: Any, x: Tensor) -> Tensor:
        hidden = self.drop(functional.gelu(block.widen(x)), block.drop)
        return self.drop(block.narrow(hidden), block.drop)

    def norm(self, block: Any, x: Tensor) -> Tensor:
        out: Tensor = block.norm(x.transpose(1, 2)).transpose(1, 2)
        return out

    def drop(self, x: Tensor, block: Any) -> Tensor:
        return functional.dropout(x, block.threshold / 256, self.model.training)
