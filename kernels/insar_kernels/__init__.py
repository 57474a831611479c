"""Per-point mathematics of ground-motion time series on plain arrays ``(..., time)``: Numba bodies and their twins."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "component_variances": "variances",
    "error_sums": "scoring",
    "close_loops": "network_closure",
    "fit_network_model": "network_model",
    "hilbert_index": "hilbert",
    "holt_winters": "holt_winters_fit",
    "holt_winters_forecast": "holt_winters_fit",
    "holt_winters_update": "holt_winters_states",
    "invert_network": "network",
    "lloyd_sums": "lloyd",
    "map_correlation": "similarity",
    "map_similarity": "similarity",
    "merge_error_sums": "scoring",
    "motion": "harmonic",
    "moving_average": "smoothing",
    "namespace": "dispatch",
    "nearest": "lloyd",
    "regularise": "resampling",
    "savgol": "smoothing",
    "stl": "seasonal_trend",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
