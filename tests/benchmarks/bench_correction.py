"""What the network of the honest protocol costs: its inputs, its training step, and the forecast of all points.

Run as ``python tests/benchmarks/run.py correction``. CPU seconds of one thread, on 8 pieces of 1,024 points of a scene.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch

from insar_dask.forecast import protocol
from insar_dask.forecast.catalogue import LINEAR
from insar_dask.forecast.correction.inputs import point_inputs
from insar_dask.forecast.correction.origin_windows import PIECE, training_origins
from insar_dask.forecast.correction.teaching import Lesson, Settings, teach
from insar_dask.forecast.registry import fitted
from insar_dask.forecast.series.point_source import CubePoints
from insar_dask.forecast.tallies import block_places, windows_of
from insar_dask.forecast.training.job import Trained
from insar_dask.synthetic import scene
from tests.benchmarks.measure import QUICK, Row, row, seconds

POINTS, CHUMAR = (2 if QUICK else 8) * PIECE, 588_600
RUNS = 1 if QUICK else 5
STEPS = 1 if QUICK else 8


def rows() -> list[Row]:
    torch.set_num_threads(1)
    cube = scene("chumar", n_points=POINTS, n_dates=158, seed=1).compute()
    plan = protocol.plan(cube["time"].values, methods=(*LINEAR, "spacetimeformer"))
    state = protocol.fit([protocol.fit_partial(cube, plan)], plan)
    lesson = Lesson(CubePoints(cube), plan, state, POINTS, Settings())
    footing = lesson.footing()
    windows = windows_of(cube["displacement"].values, plan, "honest", block_places(cube))
    piece = windows.context(training_origins(plan)[-1]).part(0, PIECE)
    prepared = several(lambda: point_inputs(piece.part(0, PIECE), lesson.members, footing, 24))
    trained = teach(lesson, lambda lesson, _: untrained(lesson))
    model = fitted("spacetimeformer", "honest", "test", {**state, **trained})
    forecast = several(lambda: model.predict(windows.context(plan.test[0])))
    note = f"588,600 points: {statistics.median(forecast) * CHUMAR / POINTS:.0f} CPU s, half of it on 2 idle cores"
    return [
        row(f"inputs of {PIECE:,} points at an origin", prepared, bar="<= 0.05 s"),
        row(f"forecast of {POINTS:,} points", forecast, note=note),
        step_row(lesson),
    ]


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
