"""Every network learns one batch by heart, in single precision and with bfloat16 products."""

import pytest
import torch

from insar_dask.forecast.bfloat16 import is_quick
from insar_dask.forecast.models import build
from tests.forecast.models.batches import SMALL, TIMES, batch

ONE = {"encoder_layers": 1, "decoder_layers": 1}
STILL = {
    "spacetimeformer": {"dropout": 0.0, "dropout_embedding": 0.0} | ONE,
    "fast": {"dropout": 0.0, "dropout_embedding": 0.0, "dropout_pattern": 0.0} | ONE,
    "lstm": {},
    "transformer": {"dropout": 0.0, "layers": 1, "width": 64, "hidden": 128},
}
RATE = {"spacetimeformer": 1e-2, "fast": 1e-2, "lstm": 1e-2, "transformer": 1e-3}
"""The norms after the sums of the Transformer of 2017 want it slow, or a warm-up."""

NO_KERNEL = pytest.mark.skipif(not is_quick("cpu"), reason="oneDNN has no LSTM in bfloat16 without AVX-512")


def error(model, given):
    difference = (model(given) - given["targets"]).square()
    return (difference * given["scored"]).sum() / given["scored"].sum()


@pytest.mark.parametrize(("name", "bf16"), [*((name, False) for name in SMALL), ("fast", True)])
def test_one_batch_is_learned_by_heart(name, bf16):
    model = build(name, **SMALL[name] | STILL[name])
    given = batch(groups=2, points=3, times=TIMES[name])
    optimizer = torch.optim.AdamW(model.parameters(), RATE[name], fused=True)
    first = error(model, given).item()
    for _ in range(60):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = error(model, given)
        loss.backward()
        optimizer.step()
    assert error(model, given).item() < 0.1 * first


@pytest.mark.parametrize("name", [pytest.param(name, marks=NO_KERNEL if name == "lstm" else ()) for name in SMALL])
def test_bfloat16_products_change_little(name):
    model = build(name, **SMALL[name]).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
        given = batch(times=TIMES[name], absent=[(1, 3), (2, 0)])
        exact = model(given)
        with torch.autocast("cpu", torch.bfloat16):
            near = model(given)
    assert (near - exact).abs().max() < 0.03 * exact.abs().max()
