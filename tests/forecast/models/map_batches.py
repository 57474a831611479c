"""Batches of random maps, and networks of maps small enough for tests."""

import torch
from torch import nn

from insar_dask.forecast.models import build

MAPS = {
    "mmstt": {"patch": 4, "width": 16, "hidden": 32, "heads": 2, "layers": 2},
    "cnn_lstm": {"first": 8, "features": 16, "width": 32},
    "convlstm": {"width": 8},
    "mm_stgcn": {"width": 12, "narrow": 8, "last": 16, "kernel": 2},
    "mm_staeformer": {"patch": 2, "width": 8, "adaptive": 8, "hidden": 32, "heads": 2, "layers": 1},
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


def shaken(name, **sizes):
    """Small network in use, its every weight random: none is 0 or 1."""
    model = build(name, **SHAPE | MAPS[name] | sizes).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return model


def torch_layer(attention, widen, narrow, norms, activation, norm_first):
    """Torch's own encoder layer on the weights of one of ours, without dropout."""
    width, hidden = narrow.out_features, widen.out_features
    like = nn.TransformerEncoderLayer(width, attention.heads, hidden, 0.0, activation, 1e-5, True, norm_first)
    like.norm1, like.norm2, like.linear1, like.linear2 = *norms, widen, narrow
    like.self_attn.in_proj_weight = attention.query_key_value.weight
    like.self_attn.in_proj_bias = attention.query_key_value.bias
    like.self_attn.out_proj = attention.out
    return like


def assert_same(model, given, plain):
    """Forecast and gradients to 1e-5."""
    ours, theirs = model(given), plain(model, given)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    weights = list(model.parameters())
    pairs = (torch.autograd.grad(out.square().mean(), weights) for out in (ours, theirs))
    for mine, other in zip(*pairs, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5 * max(float(other.abs().max()), 0.1), rtol=1e-4)
