"""Neural networks by name; each is whole in its file and knows tensors only. Importing this loads no torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MODELS", "build", "network_class"]

MODELS = {
    "spacetimeformer": ("insar_dask.forecast.models.spacetimeformer", "Spacetimeformer"),
    "fast": ("insar_dask.forecast.models.patched", "PatchedSpacetimeformer"),
    "lstm": ("insar_dask.forecast.models.lstm", "LSTM"),
    "transformer": ("insar_dask.forecast.models.transformer", "Transformer"),
    "mmstt": ("insar_dask.forecast.models.mmstt", "MMSTT"),
    "cnn_lstm": ("insar_dask.forecast.models.cnn_lstm", "CNNLSTM"),
    "convlstm": ("insar_dask.forecast.models.convlstm", "ConvLSTM"),
    "mm_stgcn": ("insar_dask.forecast.models.stgcn", "MMSTGCN"),
    "mm_staeformer": ("insar_dask.forecast.models.staeformer", "MMSTAEformer"),
}
"""Name -> where its class lives: four networks of points, then those of maps."""


def build(name: str, **sizes: Any) -> nn.Module:
    """Network called ``name``, with the sizes of its preset except where ``sizes`` says otherwise.

    Raises
    ------
    ValueError
        When no network has that name.
    """
    return network_class(name)(**sizes)


def network_class(name: str) -> type[nn.Module]:
    """Class of the network called ``name``; its arguments are the sizes that it has.

    Raises
    ------
    ValueError
        When no network has that name.
    """
    if name not in MODELS:
        raise ValueError(f"no network is called {name!r}; there are {', '.join(MODELS)}")
    module, class_name = MODELS[name]
    found: type[nn.Module] = getattr(importlib.import_module(module), class_name)
    return found
