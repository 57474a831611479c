"""What training a network takes of memory, from its sizes alone: nothing of it is built but names and shapes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from insar_dask.forecast.models import build, network_class

__all__ = ["lesson_bytes", "times_the_preset", "weight_bytes"]

HELD = 8
"""Copies of the weights that training holds: they and the best, gradients, two moments, a checkpoint being packed."""

LAYERS = "encoder_layers", "decoder_layers"


def lesson_bytes(network: str, sizes: Mapping[str, Any], windows: int, per_window: int) -> int:
    """Bytes that training a network on batches of ``windows`` points takes, ``per_window`` being those of its preset.

    With 2 to 4 times the width, twice the layers or 5 times the context, two presets took 55 to 85 % of it.
    """
    return int(windows * per_window * times_the_preset(network, sizes)) + HELD * weight_bytes(network, sizes)


def weight_bytes(network: str, sizes: Mapping[str, Any]) -> int:
    """Bytes of the weights of a network of these sizes; those it does not have do not matter.

    Layers are alike, so that two networks of few tell what one of many has.
    """
    wanted = _sizes(network, sizes)
    counts = [_count(network, wanted, *layers) for layers in ((1, 1), (2, 1), (1, 2))]
    deeper = sum((wanted[name] - 1) * (count - counts[0]) for name, count in zip(LAYERS, counts[1:], strict=True))
    return int(4 * (counts[0] + deeper))


def times_the_preset(network: str, sizes: Mapping[str, Any]) -> float:
    """How many times the features that a step of the preset computes one of these sizes does; at least 1."""
    return max(_features(_sizes(network, sizes)) / _features(_sizes(network, {})), 1.0)


def _features(sizes: Mapping[str, Any]) -> float:
    """Of a token, over all layers; a decoder's has two more attentions than an encoder's."""
    attention = 2 * sizes["width"] + 4 * sizes["heads"] * sizes["head_width"]
    forward = 2 * sizes["width"] + 3 * sizes["hidden"]
    encoder, decoder = (sizes[name] for name in LAYERS)
    steps = sizes["context"] + sizes["horizon"]
    return float(steps * (encoder * (2 * attention + forward) + decoder * (4 * attention + forward)))


def _sizes(network: str, sizes: Mapping[str, Any]) -> dict[str, Any]:
    asked = inspect.signature(network_class(network)).parameters
    return {name: sizes.get(name, parameter.default) for name, parameter in asked.items()}


def _count(network: str, sizes: Mapping[str, Any], encoder: int, decoder: int) -> int:
    import torch

    with torch.device("meta"):
        made = build(network, **{**sizes, "encoder_layers": encoder, "decoder_layers": decoder})
    return sum(parameter.numel() for parameter in made.parameters())
