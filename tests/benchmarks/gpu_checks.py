"""What of the networks no processor can check, for `gpu.py`: their kernels, and that steps repeat to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from unittest.mock import patch

import torch

from insar_dask.forecast.models import blocks
from insar_dask.forecast.training.accelerator import prepared
from insar_dask.forecast.training.queued import QueuedDescent
from insar_dask.forecast.training.together import Ranks
from tests.benchmarks.gpu_networks import Bench, Ways, points_job
from tests.benchmarks.gpu_rows import Row, broken, guarded

ATTENTIONS = (
    ("spacetimeformer, own steps", 6, 24, 24, 24, False),
    ("spacetimeformer, group", 6, 384, 384, 24, True),
    ("spacetimeformer, group, from the steps to come", 6, 96, 384, 24, True),
    ("fast, group", 4, 64, 64, 32, True),
    ("fast, group, from the patch to come", 4, 16, 64, 32, True),
    ("mmstt", 8, 640, 640, 32, False),
)
"""Heads, queries, keys, features of a head as they are filled up to eights, and whether seats may be empty."""


def check_rows(bench: Bench) -> Iterator[Row]:
    """That steps repeat to the bit, however they are started, and wait for nothing; which attention is chosen."""
    with prepared(bench.device):
        yield from guarded("steps that wait for nothing", repeat_rows(bench))
        yield from attention_rows(bench)
        if bench.device.type == "cuda":
            yield from guarded("choice of kernels", kernel_rows(bench))


def repeat_rows(bench: Bench) -> Iterator[Row]:
    """Weights of some steps, twice as they come and once recorded."""
    made = {ways: trained(bench, ways) for ways in ((), ("graphs",)) if bench.device.type == "cuda" or not ways}
    again = trained(bench, ())
    for ways, state in made.items():
        same = all(torch.equal(tensor, again[name]) for name, tensor in state.items())
        what = f"fast, some steps, {', '.join(ways) or 'again'}: weights of the first run"
        yield {"what": what, "note": "the same bits" if same else "others", "bar": same, "wanted": "the same bits"}


def trained(bench: Bench, ways: Ways) -> dict[str, torch.Tensor]:
    """Weights after some steps, of which none may wait for the device."""
    job = points_job("fast", bench.checked)(bench)
    descent = QueuedDescent(job, Ranks(), bench.device, ways)
    steps = range(bench.warm + 3)
    batches = [{name: x.to(bench.device) for name, x in job.windows.batch(step, 0, 1).items()} for step in steps]
    unseen = bench.device.type == "cuda" and not ways  # recording waits, once
    if unseen:
        torch.cuda.set_sync_debug_mode("error")
    try:
        for step, batch in enumerate(batches):
            descent.step(batch, step, 1e-3)
    finally:
        if unseen:
            torch.cuda.set_sync_debug_mode("default")
    descent.settle()
    return {name: tensor.cpu() for name, tensor in job.model.state_dict().items()}


def attention_rows(bench: Bench) -> Iterator[Row]:
    """Attention of few keys by the fused kernels and by products, forward and gradient: which is faster where."""
    for keys in (4, 6, 8, 16, 24):
        shape = bench.points // keys, 4, keys, 32
        query, key, value = (torch.randn(shape, device=bench.device, dtype=torch.bfloat16) for _ in range(3))
        for most, how in ((0, "fused"), (keys, "by products")):
            what = f"attention to {keys} keys, {shape[0]:,} x 4 heads, {how}, and its gradient"
            try:
                with patch.object(blocks, "SHORT_THERE", most):
                    work = partial(attended, *(x.requires_grad_() for x in (query, key, value)))
                    work()
                    spent = bench.timed(work)
            except Exception as error:
                yield broken(what, error)
                continue
            yield {"what": what, "seconds": spent, "note": f"SHORT_THERE is {blocks.SHORT_THERE}"}


def attended(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> None:
    blocks.attend(query, key, value, None).sum().backward()


def kernel_rows(bench: Bench) -> Iterator[Row]:
    """Which fused kernels torch may take for the attentions of the networks: whole matrices of scores are none."""
    from torch.backends.cuda import SDPAParams, can_use_efficient_attention, can_use_flash_attention

    for what, heads, queries, keys, width, masked in ATTENTIONS:
        query, key = (
            torch.empty(64, heads, n, width, device=bench.device, dtype=torch.bfloat16) for n in (queries, keys)
        )
        mask = torch.ones(64, 1, 1, keys, device=bench.device, dtype=torch.bool) if masked else None
        asked = SDPAParams(query, key, key, mask, 0.0, False, False)
        able = {"flash": can_use_flash_attention(asked), "efficient": can_use_efficient_attention(asked)}
        names = [name for name, can in able.items() if can]
        yield {
            "what": f"attention of {what}",
            "note": " or ".join(names) or "neither fused kernel",
            "bar": bool(names),
            "wanted": "a fused kernel",
        }
