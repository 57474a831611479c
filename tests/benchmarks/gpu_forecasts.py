"""Forecasts of a run's chunk jobs on a GPU, for `gpu.py`: from store to store, linear forecasters and all.

Networks have the weights that they begin with: what they say costs the same.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import xarray as xr

from insar_dask.forecast import gpu_networks, protocol
from insar_dask.forecast.catalogue import COMPONENTS, CORRECTING, LINEAR
from insar_dask.forecast.components.history import PARTS, blocks_of, first_unknown
from insar_dask.forecast.components.network import ComponentNetworks, Learned
from insar_dask.forecast.components.patterns import learn_patterns
from insar_dask.forecast.components.settings import NETWORK
from insar_dask.forecast.components.settings import Settings as ComponentSettings
from insar_dask.forecast.conformal import N_CLASSES
from insar_dask.forecast.correction.footing import Footing
from insar_dask.forecast.correction.network import CorrectingNetwork
from insar_dask.forecast.correction.teaching import Lesson, Settings
from insar_dask.forecast.series import prediction_blocks
from insar_dask.forecast.series.framing import Framing
from insar_dask.forecast.series.jobs import seeded
from insar_dask.forecast.series.point_source import ArrayPoints, CubePoints
from insar_dask.forecast.timetable import Plan
from insar_dask.jobs.devices import DEVICE
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.recipe import Stage, Step, plan_reference, state_reference
from insar_dask.jobs.steps.saving import save
from insar_dask.store import open_group
from tests.benchmarks.gpu_rows import Row, guarded
from tests.benchmarks.gpu_shards import repeated

CONTINENT = 100_000_000
FEW = 2048
"""Points that linear forecasters and patterns are learned from."""

State = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Subject:
    """A method that forecasts by chunk jobs."""

    method: str
    about: str
    wanted: float | None = None
    """Most seconds that the GPU may be had for a scene."""


SUBJECTS = (
    Subject(CORRECTING, "one network above the Gaussian process and the ridge", 2.0),
    Subject(COMPONENTS, "24 published networks, of components and patterns"),
)


def job_rows(n_points: int = 588_600, device: str = "gpu", threads: int = 8) -> Iterator[Row]:
    """Seconds of a stage that forecasts a scene, store to store, and of those the seconds that the GPU was had for."""
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, {DEVICE: device}):
        save(repeated(n_points), Path(folder) / "site.zarr", "site/raw", quiet=True)
        for subject in SUBJECTS:
            yield from guarded(subject.method, rows_of(subject, Path(folder) / "site.zarr", threads))


def rows_of(subject: Subject, store: Path, threads: int) -> Iterator[Row]:
    raw = open_group(store, "site/raw")
    few = raw.isel(point=slice(FEW)).load()
    below = LINEAR if subject.method == CORRECTING else ("harmonic",)
    plan = protocol.plan(raw["time"].values, every="12D", methods=(*below, subject.method))
    states = {"state": fitted(few, plan, subject.method)}
    states["trained"] = untrained(few, plan, subject.method, states["state"])
    with Engine(store, threads=threads, quiet=True) as engine, noted() as had:
        params = {name: state_reference(engine.ledger.write_state(state)) for name, state in states.items()}
        params["plan"] = plan_reference(plan.to_dict())
        step = Step("forecast_block", "raw", "predicted", params, network=True)
        stage = Stage(f"site/{subject.method}", "site/raw", (step,), {"predicted": f"site/{subject.method}"})
        began = time.perf_counter()
        report = engine.run(stage)
        spent = time.perf_counter() - began
    n_points, seconds = report.points, sum(had)
    note = (
        f"{subject.about}; {report.shards} shards, {n_points / spent:,.0f} points/s; the GPU had for {seconds:.3g} s, "
        f"in {len(had)} turns; {CONTINENT:,} points, reckoned from these: {CONTINENT / n_points * spent / 3600:.2g} h, "
        f"{CONTINENT / n_points * seconds:.0f} s of the GPU"
    )
    what = f"{subject.method}, {n_points:,} stored points forecast, {threads} threads"
    row = {"what": what, "seconds": spent, "share": seconds / spent, "note": note}
    bar = {} if subject.wanted is None else {"bar": seconds <= subject.wanted}
    yield row | bar | ({"wanted": f"<= {subject.wanted:g} s of the GPU"} if bar else {})


@contextmanager
def noted() -> Iterator[list[float]]:
    """Seconds of each turn on the GPU, from when it is had to when all is back; weights are sent before it, once."""
    had: list[float] = []
    computing = gpu_networks.computing

    @contextmanager
    def timed(device: Any) -> Iterator[None]:
        with computing(device):
            began = time.perf_counter()
            yield
            had.append(time.perf_counter() - began)

    with ExitStack() as patches:
        for module in (gpu_networks, prediction_blocks):
            patches.enter_context(patch.object(module, "computing", timed))
        yield had


def fitted(few: xr.Dataset, plan: Plan, method: str) -> State:
    """What is learned without a network, and intervals of one width."""
    state = protocol.fit([protocol.fit_partial(few, plan)], plan)
    widths = np.ones((N_CLASSES, plan.horizon), np.float32)
    return state | {"ranking": np.array([method]), f"honest.{method}.quantiles": widths}


def untrained(few: xr.Dataset, plan: Plan, method: str, state: State) -> State:
    """Networks with the weights that they begin with."""
    made = corrects(few, plan, state) if method == CORRECTING else components(few, plan)
    arrays = {f"honest.trained.{method}.{name}": array for name, array in made.state().items()}
    if method == CORRECTING:
        arrays[f"honest.trained.{method}.gate.future"] = arrays.pop(f"honest.trained.{method}.gate")
    return arrays


def corrects(few: xr.Dataset, plan: Plan, state: State) -> CorrectingNetwork:
    lesson, n_linear = Lesson(CubePoints(few), plan, state, FEW, Settings()), len(LINEAR)
    footing = Footing(np.full((n_linear, plan.horizon), 1 / n_linear), 3.0)
    return CorrectingNetwork(
        lesson.members, footing, lesson.settings.shape, lesson.network(), 1.0, lesson.settings.all_sizes
    )


def components(few: xr.Dataset, plan: Plan) -> ComponentNetworks:
    settings, until = ComponentSettings(), first_unknown(plan)
    patterns = learn_patterns(CubePoints(few), until, settings.shape.patterns, settings.shape.length, 0)
    shape, days = settings.shape, plan.grid_days(0)
    grid = ArrayPoints.of(np.zeros((1, len(days)), np.float32), np.zeros((1, 2)), days.astype("datetime64[D]"))
    sizes = {"context": shape.context, "horizon": plan.horizon, "length": shape.length, "reach": shape.reach}
    framing = Framing.of(grid, blocks_of(plan).train, **sizes, scaling="global", scale=3.0)
    weights = {name: x.numpy() for name, x in seeded(NETWORK, framing, settings.sizes, 0).state_dict().items()}
    learned = [Learned(framing, weights, {}) for _ in PARTS for _ in range(len(patterns))]
    return ComponentNetworks(settings, patterns, until, learned)
