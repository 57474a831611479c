"""How well forecasts do, by the honest protocol: on three real products, and on scenes where neighbours move together.

Run as ``python -m tests.benchmarks.accuracy`` with INSAR_DASK_DATA naming the folder of real products; names of
products, ``--methods`` and ``--seeds`` narrow it down. One JSON file each goes to the folder of results, and
``tests.benchmarks.accuracy_table`` makes the table of these.

A forecast's error is against raw values at really observed dates, at 28 origins 12 days apart. Everything is learned
from earlier dates: pooled fits before the first origin, networks and interval widths before the first validation
origin and the first test origin. The oracle forecasts a scene's true signal, so what is left of its error is noise.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

import insar_dask as insar
from insar_dask.forecast import protocol
from insar_dask.forecast.catalogue import CORRECTING, LINEAR
from insar_dask.forecast.conformal import classify
from insar_dask.forecast.correction.teaching import STAGES, TRAINING, Lesson, Settings, teach, train_here
from insar_dask.forecast.naive import harmonic_fit
from insar_dask.forecast.registry import Arrays, Forecaster, fitted
from insar_dask.forecast.series.point_source import CubePoints
from insar_dask.forecast.tallies import block_places, block_values, forecast_with_scale, windows_of
from insar_dask.forecast.timetable import Plan
from insar_dask.forecast.training.job import Trained
from insar_dask.shards import SHARD_POINTS
from insar_dask.synthetic import scene
from tests.benchmarks.accuracy_scores import ORACLE, Outcomes, coverage, summary
from tests.benchmarks.accuracy_table import lines_of
from tests.benchmarks.unit_files import machine

RESULTS = Path(__file__).with_name("results") / "accuracy"
REAL = {
    "l3_up": "EGMS_L3_E45N17_100km_U_2020_2024_1.zip",
    "l2b_descending": "EGMS_L2b_022_0845_IW2_VV_2020_2024_1.zip",
    "l2b_ascending": "EGMS_L2b_117_0227_IW2_VV_2020_2024_1.zip",
}
SCENES = {"bowls": 1, "fronts": 2, "slopes": 3}
"""Kind of scene and its seed: fixed, with its noise, before any forecaster that reads neighbours was tried on them."""

METHODS = ("persistence", "harmonic", *LINEAR, "kriging", CORRECTING)
CELL, CHUNK = 500.0, 8192

ORIGINS, APART = 28, 12
"""Test origins, and days from one to the next."""


@dataclass(frozen=True)
class Taught:
    """A network as it was learned, and what that took."""

    arrays: Arrays
    record: Mapping[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("products", nargs="*", default=[*REAL, *SCENES], help=f"of {[*REAL, *SCENES]}")
    parser.add_argument("--methods", nargs="+", default=METHODS, help="forecasters, the two linear ones among them")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of the network, one training each")
    parser.add_argument("--into", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args(arguments)
    options.into.mkdir(parents=True, exist_ok=True)
    for product in options.products:
        result = measure(product, tuple(options.methods), tuple(options.seeds))
        (options.into / f"{product}.json").write_text(json.dumps(result, indent=1) + "\n")
        print("\n".join(lines_of(result)), flush=True)


def measure(
    product: str,
    methods: Sequence[str] = METHODS,
    seeds: Sequence[int] = (0,),
    taught: Mapping[int, Taught] | None = None,
) -> dict[str, Any]:
    """Scores of some methods on a product; ``taught`` has networks that need not be trained again, by their seed."""
    cube, signal = load(product)
    plan = timetable(cube, methods)
    start = time.process_time()
    state = protocol.fit([protocol.fit_partial(cube, plan)], plan)
    costs = {"fit_linear_three_times": round(time.process_time() - start, 1)}
    networks = {}
    if CORRECTING in methods:
        networks = {seed: (taught or {}).get(seed) or learn(cube, plan, state, seed) for seed in seeds}
        state |= networks[seeds[0]].arrays
    start = time.process_time()
    state = protocol.calibrate([protocol.calibrate_partial(cube, plan, state)], plan, state)
    costs["calibrate"] = round(time.process_time() - start, 1)
    models = {method: fitted(method, "honest", "test", state) for method in methods}
    for seed in seeds[1:] if networks else ():
        models[f"{CORRECTING} seed {seed}"] = fitted(CORRECTING, "honest", "test", state | networks[seed].arrays)
    outcomes, seconds = forecasts(cube, plan, state, models)
    if signal is not None:
        outcomes.errors[ORACLE] = targets(signal, plan) - targets(cube, plan)
    cells, overlap = cells_of(cube), -(-plan.horizon // plan.stride)
    return {
        "product": product,
        "machine": machine(),
        **({"seed": SCENES[product]} if product in SCENES else {}),
        "n_points": cube.sizes["point"],
        "n_dates": cube.sizes["time"],
        "every_days": plan.every,
        "origins": [str(np.datetime64(plan.date(origin), "D")) for origin in plan.test],
        "ranking_before_the_test": state["ranking"].tolist(),
        "cpu_s": {**costs, "forecast_one_origin": seconds},
        "trainings": {str(seed): dict(network.record) for seed, network in networks.items()},
        **summary(outcomes.errors, cells, overlap),
        "level": plan.level,
        "coverage": coverage(outcomes, cells, overlap),
    }


def load(product: str) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Cube in memory, and its true signal where there is one."""
    if product in SCENES:
        seed = SCENES[product]
        return scene(product, seed=seed).load(), scene(product, seed=seed, noise=0.0).load()
    return insar.read_egms(Path(os.environ["INSAR_DASK_DATA"]) / "egms" / REAL[product]).load(), None


def timetable(cube: xr.Dataset, methods: Sequence[str]) -> Plan:
    """Plan whose test has `ORIGINS` origins `APART` days from one another, the last ones that the record allows."""
    times = cube["time"].values
    draft = protocol.plan(times, methods=methods)
    stride = max(APART // draft.every, 1)
    wanted = ORIGINS * stride + draft.horizon
    plan = protocol.plan(times, methods=methods, stride=stride, test_fraction=(wanted - 0.5) / len(draft.grid_days(0)))
    if len(plan.test) != ORIGINS:
        raise ValueError(f"{len(plan.test)} test origins, wanted {ORIGINS}")
    return plan


def learn(cube: xr.Dataset, plan: Plan, state: Arrays, seed: int) -> Taught:
    """Train the default network with a seed."""
    record: dict[str, Any] = {}

    def remembering(lesson: Lesson, footing: Any) -> Any:
        trained = train_here(lesson, footing)
        record.update(account(lesson.settings, trained))
        return trained

    start = time.process_time()
    settings = Settings(training=replace(TRAINING, seed=seed))
    arrays = teach(Lesson(CubePoints(cube), plan, state, SHARD_POINTS, settings), remembering)
    record["cpu_s"] = round(time.process_time() - start, 1)
    record["gate"] = {stage: round(float(arrays[f"honest.trained.{CORRECTING}.gate.{stage}"]), 3) for stage in STAGES}
    return Taught(arrays, record)


def account(settings: Settings, trained: Trained) -> dict[str, Any]:
    """What a network was trained by and saw; point-windows are seats of groups, of which some are empty."""
    return {
        "steps": trained.steps,
        "point_windows": trained.steps * settings.training.batch * settings.shape.length,
        "best_step": trained.best_step,
        "still_falling": trained.still_falling,
        "configuration": {**settings.to_dict(), "sizes": settings.all_sizes},
    }


def targets(cube: xr.Dataset, plan: Plan) -> npt.NDArray[np.float32]:
    """Values (origins, n, h) at the dates asked for."""
    windows = windows_of(block_values(cube, plan), plan, "honest")
    return np.stack([windows.targets(origin) for origin in plan.test])


def forecasts(
    cube: xr.Dataset, plan: Plan, state: Arrays, models: Mapping[str, Forecaster]
) -> tuple[Outcomes, dict[str, float]]:
    """What came of all forecasts at all test origins, and the CPU seconds of each model for all points at one origin.

    In chunks, with classes of noise and interval widths, as the protocol scores.
    """
    values, places = block_values(cube, plan), block_places(cube)
    shape = len(plan.test), len(values), plan.horizon
    widths = {name: state[f"honest.{name}.quantiles"] for name in models if name in plan.methods}
    outcomes = Outcomes(
        {name: np.empty(shape, np.float32) for name in models},
        {name: np.empty(shape, np.bool_) for name in widths},
        np.empty(len(values), np.int8),
    )
    seconds = dict.fromkeys(models, 0.0)
    for at in range(0, len(values), CHUNK):
        some = slice(at, at + CHUNK)
        windows = windows_of(values[some], plan, "honest", places[some])
        first = windows.context(plan.test[0])
        classes = outcomes.classes[some] = classify(harmonic_fit(first)[1].rmse, state["honest.test.edges"])
        for number, origin in enumerate(plan.test):
            context, wanted = windows.context(origin, first), windows.targets(origin)
            for name, model in models.items():
                start = time.process_time()
                mean, scale = forecast_with_scale(model, context)
                seconds[name] += time.process_time() - start
                outcomes.errors[name][number, some] = mean - wanted
                if name in widths:
                    outcomes.held[name][number, some] = np.abs(mean - wanted) <= widths[name][classes] * scale
    return outcomes, {name: round(spent / len(plan.test), 2) for name, spent in seconds.items()}


def cells_of(cube: xr.Dataset) -> npt.NDArray[np.intp]:
    """Number of each point's cell."""
    cells = np.floor(block_places(cube) / CELL).astype(np.int64)
    return np.unique(cells, axis=0, return_inverse=True)[1].ravel()


if __name__ == "__main__":
    main()
