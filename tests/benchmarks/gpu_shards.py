"""A run's chunk jobs on a GPU, for `gpu.py`: shards as they are stored, read, sent, computed, brought back and written.

Measured with one thread and more: the first does one thing after the other, of the others some read and write while the
GPU works for one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import xarray as xr

from insar_dask.jobs import task
from insar_dask.jobs.devices import DEVICE
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.jobs.steps.saving import save
from insar_dask.synthetic import scene
from tests.benchmarks.gpu_rows import Row

STEPS = (
    Step("regularise", "raw", "regular", {"every": "12D"}),
    Step("savgol", "regular", "smooth", {"window": 11, "order": 2}),
    Step("cumulative_displacement", "smooth", "cumulative"),
    Step("motion", "raw", "products"),
    Step("holt_winters", "smooth", "parts", {"period": 30}),
    Step("component_variances", "parts", "variances"),
)
RUN = Stage("site/run", "site/raw", STEPS, {step.result: f"site/{step.result}" for step in STEPS})
"""All that a run does to a shard on a GPU, in one task: the integers go there once, each result comes back once."""

PHASES = {"read_input": "here", "run_steps": "there", "_write": "here"}
"""What a task does: series are queued for the GPU as they are read, and steps end when all is back."""

BLOCK = 36_864

Span = tuple[str, float, float]


def shard_rows(n_points: int = 588_600, device: str = "gpu", threads: tuple[int, ...] = (1, 2, 8)) -> Iterator[Row]:
    """Seconds of the run for each number of threads, and how much of the GPU's work others read and wrote beside."""
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, {DEVICE: device}):
        path = Path(folder) / "site.zarr"
        save(repeated(n_points), path, "site/raw", quiet=True)
        for number in threads:
            store = Path(shutil.copytree(path, Path(folder) / f"{number}.zarr"))
            began = time.perf_counter()
            with noted() as spans, Engine(store, threads=number, quiet=True) as engine:
                report = engine.run(RUN)
            spent = time.perf_counter() - began
            shutil.rmtree(store)
            busy, beside = overlap(spans)
            what = f"all steps of {n_points:,} stored series, {report.shards} shards, {number} threads"
            row = {"what": what, "seconds": spent, "share": beside / busy}
            row["note"] = (
                f"{report.bytes / 1e9:.2f} GB written; the GPU's part {busy:.3g} s, {beside / busy:.0%} of it while "
                "another thread reads or writes"
            )
            yield row | ({"bar": row["share"] >= 0.8, "wanted": ">= 80 %"} if number == 2 else {})


def repeated(n_points: int) -> xr.Dataset:
    """A scene of so many points, of which each block repeats the first, 100 km on: to draw all would take a minute."""
    first = scene("chumar", n_points=min(BLOCK, n_points)).compute()
    count = -(-n_points // BLOCK)
    blocks = [first.assign_coords(easting=first["easting"] + 1e5 * k) for k in range(count)]
    kept = {name for name in first.variables if "point" not in first[name].dims}
    whole = xr.concat(blocks, "point", data_vars="minimal", coords="minimal", compat="override", join="override")
    return whole.assign({name: first[name] for name in kept}).isel(point=slice(n_points))


@contextmanager
def noted() -> Iterator[list[Span]]:
    """When each task reads, computes and writes."""
    spans: list[Span] = []

    def timing(function: Callable[..., Any], phase: str) -> Callable[..., Any]:
        def timed(*given: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*given)
            finally:
                spans.append((phase, began, time.perf_counter()))

        return timed

    with ExitStack() as patches:
        for name, phase in PHASES.items():
            patches.enter_context(patch.object(task, name, timing(getattr(task, name), phase)))
        yield spans


def overlap(spans: list[Span]) -> tuple[float, float]:
    """Seconds in which a thread waits for what it has queued, and those of them in which another reads or writes."""
    moments = sorted(
        [(began, phase, 1) for phase, began, _ in spans] + [(ended, phase, -1) for phase, _, ended in spans]
    )
    active, last, busy, beside = {"here": 0, "there": 0}, 0.0, 0.0, 0.0
    for moment, phase, change in moments:
        if active["there"]:
            busy += moment - last
            beside += (moment - last) * bool(active["here"])
        active[phase] += change
        last = moment
    return busy, beside
