"""Forecasts and their honest evaluation; the only folder that may import torch, and never on its own account."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "Context": "windows",
    "Drift": "naive",
    "Forecaster": "forecaster",
    "Harmonic": "naive",
    "HarmonicAR1": "naive",
    "HarmonicRidge": "ridge",
    "Kriging": "kriging",
    "Persistence": "naive",
    "Plan": "timetable",
    "PooledGaussianProcess": "gaussian",
    "Scores": "scores",
    "SeasonalNaive": "naive",
    "build_job": "series.jobs",
    "evaluate": "protocol",
    "train_anywhere": "training.anywhere",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
