"""What the network of the honest protocol costs: its inputs, its training step, and the forecast of all points.

Run as ``python tests/benchmarks/run.py correction``. CPU seconds of one thread, on 8 pieces of 1,024 points of a scene.
The network is untrained and its gate is 1: with a gate of 0 it would not run at all. All 588,600 points took 96 s on
ridge and Gaussian process and 140 s with Kriging below them too, as a fit has it, on a core of 76 GFLOP/s in float32
without AVX-512.
"""

from __future__ import annotations

import resource
import statistics
from collections.abc import Callable, Sequence
from typing import cast

import torch
import xarray as xr

from insar_dask.forecast import protocol
from insar_dask.forecast.catalogue import CORRECTED, LINEAR
from insar_dask.forecast.correction.inputs import point_inputs
from insar_dask.forecast.correction.network import CorrectingNetwork
from insar_dask.forecast.correction.origin_windows import PIECE, training_origins
from insar_dask.forecast.correction.teaching import Lesson, Settings, teach
from insar_dask.forecast.registry import fitted
from insar_dask.forecast.series.point_source import CubePoints
from insar_dask.forecast.tallies import block_places, windows_of
from insar_dask.forecast.training.job import Trained
from insar_dask.synthetic import scene
from tests.benchmarks.measure import QUICK, Row, gate, row, seconds

POINTS, CHUMAR = (2 if QUICK else 8) * PIECE, 588_600
RUNS = 1 if QUICK else 5
STEPS = 1 if QUICK else 8


def rows() -> list[Row]:
    torch.set_num_threads(1)
    cube = scene("chumar", n_points=POINTS, n_dates=158, seed=1).compute()
    lesson = lesson_on(cube, LINEAR)
    footing, plan = lesson.footing(), lesson.plan
    windows = windows_of(cube["displacement"].values, plan, "honest", block_places(cube))
    piece = windows.context(training_origins(plan)[-1]).part(0, PIECE)
    prepared = several(lambda: point_inputs(piece.part(0, PIECE), lesson.members, footing, 24))
    return [
        row(f"inputs of {PIECE:,} points at an origin", prepared, bar="<= 0.05 s"),
        forecast_row(cube, lesson, "ridge and Gaussian process"),
        forecast_row(cube, lesson_on(cube, CORRECTED), "Kriging, ridge and Gaussian process"),
        step_row(lesson),
    ]


def lesson_on(cube: xr.Dataset, below: Sequence[str]) -> Lesson:
    """What a network learns from that corrects some linear forecasters."""
    plan = protocol.plan(cube["time"].values, methods=(*below, "spacetimeformer"))
    state = protocol.fit([protocol.fit_partial(cube, plan)], plan)
    return Lesson(CubePoints(cube), plan, state, POINTS, Settings())


def forecast_row(cube: xr.Dataset, lesson: Lesson, below: str) -> Row:
    """The forecast of all points with a network that has a say."""
    trained = teach(lesson, lambda lesson, _: untrained(lesson))
    model = cast(CorrectingNetwork, fitted("spacetimeformer", "honest", "test", {**lesson.state, **trained}))
    model.gate, runs = 1.0, list[int]()
    model.network.register_forward_hook(lambda *_: runs.append(1))
    windows = windows_of(cube["displacement"].values, lesson.plan, "honest", block_places(cube))
    taken = several(lambda: model.predict(windows.context(lesson.plan.test[0])))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    note = (
        f"588,600 points: {statistics.median(taken) * CHUMAR / POINTS:.0f} CPU s; the process peaked at {peak:,.0f} MB"
    )
    ran = gate("runs of the network", len(runs), at_least=(RUNS + 1) * POINTS / PIECE)
    return row(f"forecast of {POINTS:,} points on {below}", taken, gates=[ran], note=note)


def step_row(lesson: Lesson) -> Row:
    """Training steps of the default network, preparation not counted."""
    job = lesson.job(lesson.footing())
    batch = job.windows.batch(0, 0, 1)
    optimiser = torch.optim.AdamW(job.model.parameters(), fused=True)

    def steps() -> None:
        for _ in range(STEPS):
            optimiser.zero_grad()
            job.model(batch).sub(batch["targets"]).square().mean().backward()
            optimiser.step()

    taken = several(steps)
    seen = STEPS * batch["present"].numel()
    note = f"{seen / statistics.median(taken):,.0f} point-windows/s; half a million: {5e5 / seen * min(taken):.0f} s"
    return row(f"{STEPS} training steps of {batch['present'].numel()} point-windows", taken, note=note)


def untrained(lesson: Lesson) -> Trained:
    return Trained(lesson.network().state_dict(), {"validation": []}, 0, 0.0, 0, 1)


def several(work: Callable[[], object]) -> list[float]:
    work()
    return [seconds(work) for _ in range(RUNS)]
