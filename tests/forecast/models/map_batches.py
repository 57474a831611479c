"""Batches of random maps, and networks of maps small enough for tests."""

import torch

MAPS = {
    "mmstt": {"patch": 4, "width": 16, "hidden": 32, "heads": 2, "layers": 2},
}
"""Sizes of small networks of maps, on top of `SHAPE`."""

SHAPE = {"context": 5, "horizon": 3, "channels": 6, "side": 8}


def maps(batch=2, context=5, horizon=3, channels=6, side=8, seed=0, missing=0.2):
    noise = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=noise)

    return {
        "values": normal(batch, context, channels, side, side),
        "target_time": normal(batch, horizon, 2),
        "targets": normal(batch, horizon, side, side),
        "scored": torch.rand(batch, horizon, side, side, generator=noise) >= missing,
    }


def error(model, given):
    difference = (model(given) - given["targets"]).square()
    return (difference * given["scored"]).sum() / given["scored"].sum()
