"""Interferograms to displacement: the network of pairs, its corrections, its inversion, and a season of frost and thaw.

One idea a module; a pair cube has dims ``(point, pair)``, its phase is in radians (`insar_dask.inversion.pairs`). In
the order of a run: `choose_pairs`, `correct_closure`, `correct_delays`, `pair_residuals` and `reject_pairs`,
`remove_surfaces`, `find_reference` and `refer_pairs`, and then `insar_dask.invert` or `fit_motion`.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "check_pairs": "pairs",
    "choose_pairs": "choosing",
    "composite_index": "season",
    "correct_closure": "closure",
    "correct_delays": "delays",
    "date_baselines": "baselines",
    "find_reference": "finding",
    "fit_motion": "joint",
    "fit_weight": "frost_weight",
    "invert": "solve",
    "line_fit": "lines",
    "pair_residuals": "residuals",
    "refer_pairs": "reference",
    "reject_pairs": "choosing",
    "remove_surfaces": "surfaces",
    "timeline": "pairs",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
