"""Training and forecasting steps of the networks on a GPU, for `gpu.py`; data lie on it already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from insar_dask.forecast.models import build
from tests.benchmarks import bench_maps, bench_models

GROUPS, WINDOWS = 512, 32
"""In a step of the networks of points, and of those of maps."""

EPOCH, SCENE, CONTINENT = 41_800_000, 588_600, 100_000_000
"""Point-windows of an epoch; points of two forecasts."""

NETWORKS: tuple[tuple[str, dict[str, int], int, bool], ...] = (
    ("spacetimeformer", {"points": 8}, 3, False),
    ("spacetimeformer", {"points": 16}, 3, True),
    ("fast", {"known": bench_models.KNOWN}, 5, True),
)
"""Name, sizes, calendar features, bfloat16 or not."""

Row = dict[str, Any]
Batch = dict[str, Any]
Work = Callable[[], object]


def network_rows(timed: Callable[[Work], float], product: float, *, compiled: bool) -> Iterator[Row]:
    """Seconds of each step, by ``timed``, and its share of the ``product`` that the GPU makes in bfloat16 [FLOP/s]."""
    torch.manual_seed(0)
    for name, sizes, times, bf16 in NETWORKS:
        points = sizes.get("points", 16)
        model, given = build(name, **sizes).cuda(), there(bench_models.batch(points, times, GROUPS))
        counted = operations(trainer(model, model, given, bf16))
        for forward, how in ways(model, compiled):
            what = f"{name}, L={points}, {'bfloat16' if bf16 else 'float32'}{how}, {GROUPS} groups"
            spent = timed(trainer(model, forward, given, bf16))
            rate = GROUPS * points / spent
            note = f"{rate:,.0f} point-windows/s, {counted / spent / product:.1%} of the product"
            note += f", {EPOCH / rate:.0f} s for {EPOCH:,}"
            yield {"what": f"{what}, training step", "seconds": spent, "rate": rate, "note": note}
            spent = timed(forecaster(model, forward, given, bf16))
            rate = GROUPS * points / spent
            note = f"{SCENE / rate:.2f} s for {SCENE:,} points, {CONTINENT / rate:.0f} s for {CONTINENT:,}"
            yield {"what": f"{what}, forecast", "seconds": spent, "rate": rate, "note": note}
        del model, given, forward
        torch.cuda.empty_cache()
    model, given = build("mmstt").cuda(), there(bench_maps.batch(WINDOWS))
    counted = operations(trainer(model, model, given, bf16=True))
    for forward, how in ways(model, compiled):
        spent = timed(trainer(model, forward, given, bf16=True))
        note = f"{WINDOWS / spent:,.1f} samples/s, {counted / spent / product:.1%} of the product"
        yield {"what": f"mmstt, P=8, bfloat16{how}, training step of {WINDOWS}", "seconds": spent, "note": note}


def ways(model: Any, compiled: bool) -> list[tuple[Any, str]]:
    return [(model, ""), *([(torch.compile(model), ", compiled")] if compiled else [])]


def there(batch: Batch) -> Batch:
    return {name: value.cuda() for name, value in batch.items()}


def trainer(model: Any, forward: Any, given: Batch, bf16: bool) -> Work:
    """Forward, backward and a fused step of AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-6, fused=True)

    def step() -> None:
        model.train()
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16, enabled=bf16):
            out = forward(given)
        (out.float() - given["targets"]).square().mean().backward()
        optimizer.step()

    return step


def forecaster(model: Any, forward: Any, given: Batch, bf16: bool) -> Work:
    def use() -> None:
        model.eval()
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16, enabled=bf16):
            forward(given)

    return use


def operations(step: Work) -> float:
    """Floating-point operations of a step's products, as torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        step()
    return float(counter.get_total_flops())
