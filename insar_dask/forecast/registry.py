"""Forecasters by name, made from a plan or from what they learned."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from insar_dask.cube import DAYS_PER_YEAR
from insar_dask.forecast.catalogue import (
    COMPONENTS,
    CORRECTED,
    CORRECTING,
    FORECASTERS,
    MAPPED,
    RAW_DATES_ONLY,
    RIDGE,
    TRAINED,
)
from insar_dask.forecast.timetable import Plan
from insar_dask.forecast.windows import Context

__all__ = [
    "Arrays",
    "Device",
    "Forecaster",
    "accounts",
    "computes",
    "fitted",
    "load",
    "methods_of",
    "moved",
    "new",
    "pooled_methods",
    "trained_methods",
    "under",
]

Arrays = Mapping[str, npt.NDArray[Any]]

Device = Literal["cpu", "gpu"]
"""What networks forecast on."""


class Forecaster(Protocol):
    """What a forecaster offers; the simplest are in `insar_dask.forecast.naive`."""

    name: str

    def partial(self, context: Context) -> dict[str, npt.NDArray[Any]]:
        """What a block of points contributes to the pooled fit: additive or a bounded sample, well below 1 MB."""

    def merge(self, one: Arrays, other: Arrays) -> dict[str, npt.NDArray[Any]]:
        """Partial of two runs of blocks together, ``one`` before ``other``; no larger than either may be."""

    def fit(self, partials: Sequence[Arrays], axes: Context) -> Self:
        """Learn from the partials of all blocks; ``axes`` has the dates, and no points."""

    def predict(self, context: Context) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """Mean and standard deviation, if it has one, of the displacement (n, h) [mm]; NaN where it has none."""

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What was learned."""


def new(method: str, plan: Plan) -> Forecaster:
    """Forecaster called ``method`` with the plan's settings, not fitted."""
    made: Forecaster
    if method == "harmonic_ridge":
        made = _class(method)(context=plan.context, train_start=plan.train_start, train_stride=plan.stride)
    else:
        made = _class(method)()
    return made


def load(method: str, prefix: str, state: Arrays) -> Forecaster:
    """Forecaster called ``method`` as fitted: its arrays are those of ``state`` whose names start with ``prefix``."""
    made: Forecaster = _class(method).from_state(under(prefix, state))
    return made


def fitted(method: str, protocol: str, stage: str, state: Arrays, device: Device = "cpu") -> Forecaster:
    """Forecaster called ``method`` as the fitted state of an evaluation has it for one of its stages.

    A network is the same at all stages: it was trained before the first of them. The linear forecasters that one
    corrects or adds to are those of the stage, and so is the gate on a correction. ``device`` is what a network
    forecasts on: the processor, or the GPU of this process (`insar_dask.forecast.gpu_networks`); all others compute
    here.
    """
    if method not in TRAINED:
        return load(method, f"{protocol}.{stage}.{method}.", state)
    arrays = under(f"{protocol}.trained.{method}.", state)
    if method == CORRECTING:
        arrays["gate"] = arrays[f"gate.{stage}"]
    below = CORRECTED if method == CORRECTING else (RIDGE,) if method in MAPPED else ()
    for member in below:
        arrays.update({f"members.{member}.{k}": v for k, v in under(f"{protocol}.{stage}.{member}.", state).items()})
    made: Forecaster = _class(method).from_state(arrays, device)
    return made


def moved(state: Arrays, learned: Plan, plan: Plan) -> dict[str, npt.NDArray[Any]]:
    """A state fitted under one plan for forecasts under another, whose years count from another first date.

    Kriging keeps a date in years, and the network that corrects reads phases of the year: other states have shares,
    spans, or days from 1970-01-01.
    """
    if learned.days[0] == plan.days[0]:
        return dict(state)
    kriging, network = _class("kriging"), f"honest.trained.{CORRECTING}."
    made = {n: kriging.moved(a, learned, plan) if n.endswith(".kriging.scalars") else a for n, a in state.items()}
    if under(network, state):
        made[f"{network}later"] = np.array((plan.days[0] - learned.days[0]) / DAYS_PER_YEAR)
    return made


def computes(method: str, stage: str, state: Arrays) -> bool:
    """Whether a network has a say in what a method forecasts at a stage: one that corrects, if its gate is open."""
    gate = state.get(f"honest.trained.{CORRECTING}.gate.{stage}") if method == CORRECTING else None
    return method in TRAINED and (gate is None or float(gate) != 0)


def accounts(method: str, state: Arrays) -> list[dict[str, Any]]:
    """What the networks of components saw, one of them after the other; of any other method nothing."""
    if method != COMPONENTS:
        return []
    told: list[dict[str, Any]] = json.loads(str(state[f"honest.trained.{method}.settings"]))["accounts"]
    return told


def under(prefix: str, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    """Arrays whose names start with ``prefix``, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def methods_of(plan: Plan, protocol: str) -> tuple[str, ...]:
    """Methods that a protocol evaluates."""
    if protocol == "honest":
        return plan.methods
    return tuple(method for method in plan.methods if method not in RAW_DATES_ONLY)


def pooled_methods(plan: Plan, protocol: str) -> tuple[str, ...]:
    """Those of them that are fitted at each stage, from what the blocks contribute."""
    return tuple(method for method in methods_of(plan, protocol) if method not in TRAINED)


def trained_methods(plan: Plan) -> tuple[str, ...]:
    """Networks of the plan's honest protocol."""
    return tuple(method for method in plan.methods if method in TRAINED and "honest" in plan.protocols)


def _class(method: str) -> Any:
    module, name = FORECASTERS[method]
    return getattr(importlib.import_module(module), name)
