"""A stage as data: which steps turn a shard of one group into which others, and the key that says when it is done."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from insar_dask.jobs.devices import ON_GPU, steps_by_device
from insar_dask.layout import CODEC

__all__ = ["STEPS", "Stage", "Step", "canonical_key", "key_of", "plan_reference", "state_reference"]

STEPS: dict[str, tuple[str, int]] = {
    "ingest": ("insar_dask.readers.egms:read_table", 1),
    "mintpy": ("insar_dask.readers.mintpy:read_mintpy", 1),
    "raster": ("insar_dask.readers.raster:read_raster", 1),
    "psi_csv": ("insar_dask.readers.psi_csv:read_psi_csv", 1),
    "pairs": ("insar_dask.readers.pair_cube:read_pairs", 1),
    "ifgram_stack": ("insar_dask.readers.ifgram_stack:read_ifgram_stack", 1),
    "regularise": ("insar_dask.resample:regularise", 1),
    "savgol": ("insar_dask.smooth:savgol", 2),
    "moving_average": ("insar_dask.smooth:moving_average", 1),
    "rasterise": ("insar_dask.tiling.rasterising:rasterise", 1),
    "east_up": ("insar_dask.geometry.series:east_up", 2),
    "velocity_errors": ("insar_dask.detect.errors:velocity_errors", 2),
    "sum_errors": ("insar_dask.detect.errors:sum_errors", 2),
    "find_areas": ("insar_dask.detect.finding:find_areas", 2),
    "prepare_pairs": ("insar_dask.inversion.blocks:prepare_block", 3),
    "count_missing": ("insar_dask.inversion.blocks:missing_block", 1),
    "sum_coherence": ("insar_dask.inversion.blocks:coherence_block", 1),
    "sample_phase": ("insar_dask.inversion.finding:sample_block", 1),
    "judge_ground": ("insar_dask.inversion.finding:ground_block", 2),
    "sum_series": ("insar_dask.inversion.frost_weight:series_moments", 1),
    "sum_surfaces": ("insar_dask.inversion.blocks:surface_block", 2),
    "flatten_pairs": ("insar_dask.inversion.blocks:flatten_block", 1),
    "sum_residuals": ("insar_dask.inversion.residuals:residual_sums", 1),
    "invert": ("insar_dask.inversion.solve:invert", 3),
    "take_as_known": ("insar_dask.inversion.blocks:known_block", 1),
    "fit_motion": ("insar_dask.inversion.joint:fit_motion", 1),
    "motion": ("insar_dask.kinematics:motion", 1),
    "holt_winters": ("insar_dask.decompose:holt_winters", 2),
    "stl": ("insar_dask.decompose:stl", 1),
    "cumulative_displacement": ("insar_dask.totals:cumulative_displacement", 1),
    "component_variances": ("insar_dask.totals:component_variances", 1),
    "sample_patterns": ("insar_dask.cluster.blocks:sample_block", 1),
    "sum_patterns": ("insar_dask.cluster.blocks:sums_block", 1),
    "label_patterns": ("insar_dask.cluster.blocks:label_block", 1),
    "fit_partial": ("insar_dask.forecast.protocol:fit_partial", 1),
    "calibrate_partial": ("insar_dask.forecast.protocol:calibrate_partial", 2),
    "score_partial": ("insar_dask.forecast.protocol:score_partial", 2),
    "outlook_block": ("insar_dask.forecast.outlook:outlook_block", 1),
    "forecast_block": ("insar_dask.forecast.protocol:forecast_block", 2),
    "forecast_tiles": ("insar_dask.forecast.maps.tile_forecasts:forecast_tiles", 6),
    "hindcast_tile": ("insar_dask.forecast.maps.hindcasts:hindcast_tile", 7),
    "count_forecasts": ("insar_dask.jobs.forecasting.prediction:count_forecasts", 2),
    "compare_vintages": ("insar_dask.updating.overlap:compare_vintages", 1),
    "join_vintages": ("insar_dask.updating.joining:joined_series", 1),
    "find_departures": ("insar_dask.forecast.departure_blocks:find_departures", 1),
    "count_departures": ("insar_dask.forecast.departure_blocks:count_departures", 1),
    "judge_departures": ("insar_dask.forecast.departure_blocks:judge_departures", 2),
    "flag_departures": ("insar_dask.forecast.departure_blocks:flag_departures", 1),
    "explore": ("insar_dask.viewer.overview:explore_chunk", 1),
}
"""Step name -> where its function lives and its RESULT_VERSION: raise that number whenever its numbers change."""


@dataclass(frozen=True)
class Step:
    """``result = function(source, **params)`` on the data sets of one shard.

    ``reads`` names the arrays over ``point`` that it looks at; without it all are read. A small reduction looks at few
    of the 25 of an EGMS product, and the others, small as they are, cost more than the series. ``network`` says that a
    network has a say in its result: in a run on GPUs its function is told so, by ``device="gpu"``.
    """

    function: str
    source: str
    result: str
    params: Mapping[str, Any] = field(default_factory=dict)
    reads: tuple[str, ...] | None = None
    network: bool = False

    def resolve(self) -> Callable[..., Any]:
        """The function itself, imported where the task runs."""
        module, name = STEPS[self.function][0].split(":")
        function: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return function

    def identity(self, device: str = "cpu") -> dict[str, Any]:
        """What determines the step's numbers; a GPU's are others, where the step has a body or a network for one."""
        where = {"device": device} if device != "cpu" and (self.network or self.function in ON_GPU) else {}
        return {"function": self.function, "version": STEPS[self.function][1], "params": dict(self.params), **where}


@dataclass(frozen=True)
class Stage:
    """Steps run in one task per shard of ``source``, and where their results go.

    ``saves`` maps a result's name to its target: a group of the store (``SITE/smooth``) for a data set, or
    ``jobs/partials/...`` for the small arrays of a reduction. ``device`` is what its tasks compute on, as the run that
    has them done decides (`insar_dask.jobs.devices.device_of`): whoever makes a stage leaves it out.
    """

    name: str
    source: str
    steps: tuple[Step, ...]
    saves: Mapping[str, str]
    device: str = "cpu"

    def ancestors(self, result: str) -> list[Step]:
        """Steps that lead to ``result``, in order."""
        makers = {step.result: step for step in self.steps}
        chain: list[Step] = []
        while result in makers:
            chain.append(makers[result])
            result = makers[result].source
        return chain[::-1]

    def needed(self, results: set[str]) -> list[Step]:
        """Steps that lead to any of ``results``, each once, in order."""
        wanted = {step.result for result in results for step in self.ancestors(result)}
        return [step for step in self.steps if step.result in wanted]

    def reads(self, results: set[str]) -> frozenset[str] | None:
        """Arrays over ``point`` of the stage's source that ``results`` are made of; None for all of them."""
        first = [step.reads for step in self.needed(results) if step.source == self.steps[0].source]
        return None if None in first else frozenset(name for reads in first for name in reads or ())

    def runs_on_gpu(self, results: set[str]) -> bool:
        """Whether a step that leads to ``results`` has its series on a GPU."""
        return self.device == "gpu" and any(step.function in ON_GPU for step in self.needed(results))

    def networks_on_gpu(self, results: set[str]) -> list[Step]:
        """Steps that lead to ``results`` and forecast with networks, if these are on a GPU."""
        return [step for step in self.needed(results) if step.network and self.device == "gpu"]

    def by_device(self) -> dict[str, Sequence[str]]:
        """Names of the steps by what they compute on."""
        networks = {step.function for step in self.steps if step.network}
        return steps_by_device(self.device, (step.function for step in self.steps), networks)

    def recipe(self, result: str) -> list[dict[str, Any]]:
        """What determines the numbers of one result, step by step."""
        return [step.identity(self.device) for step in self.ancestors(result)]

    def key(self, result: str, input_checksum: str) -> str:
        """Key of one result of the shard whose input has ``input_checksum``."""
        return key_of(self.recipe(result), input_checksum)


def key_of(recipe: Sequence[Mapping[str, Any]], input_checksum: str) -> str:
    """Key of what a recipe makes of the shard that has ``input_checksum``."""
    return canonical_key({"input": input_checksum, "recipe": recipe, "codec": CODEC})


def canonical_key(identity: Mapping[str, Any]) -> str:
    """SHA-256 of canonical JSON: sorted names, no spaces, full-precision numbers.

    >>> canonical_key({"b": 1, "a": 0.1}) == canonical_key({"a": 0.1, "b": 1})
    True
    """
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def state_reference(sha256: str) -> dict[str, Any]:
    """A parameter that stands for stored arrays, named by their hash: tasks stay small and keys exact."""
    return {"state": sha256}


def plan_reference(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter that stands for a forecasting plan, given as plain values."""
    return {"plan": dict(plan)}
