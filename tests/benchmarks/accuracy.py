"""How well forecasts do, by the honest protocol: on three real products, and on scenes where neighbours move together.

Run as ``python -m tests.benchmarks.accuracy`` with INSAR_DASK_DATA naming the folder of real products; names of
products and ``--methods`` narrow it down. One JSON file each goes to ``tests/benchmarks/results/accuracy``.

A forecast's error is against raw values at really observed dates, at every step of the grid's last fifth as origin. The
oracle forecasts a scene's true signal, so what is left of its error is noise; ``removed`` is the share of the better
linear forecaster's excess over it, RMSE² - oracle², that a method removes. Intervals are of 90 %, by a bootstrap of
500 m cells and of runs of origins that share target dates; differences are paired: all methods share the draws.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

import insar_dask as insar
from insar_dask.forecast import protocol
from insar_dask.forecast.catalogue import TRAINED
from insar_dask.forecast.correction.teaching import Lesson, Settings, teach, train_here
from insar_dask.forecast.registry import Arrays, fitted
from insar_dask.forecast.series.point_source import CubePoints
from insar_dask.forecast.tallies import block_places, block_values, windows_of
from insar_dask.forecast.timetable import Plan
from insar_dask.shards import SHARD_POINTS
from insar_dask.synthetic import scene

Float64 = npt.NDArray[np.float64]

RESULTS = Path(__file__).with_name("results") / "accuracy"
REAL = {
    "l3_up": "EGMS_L3_E45N17_100km_U_2020_2024_1.zip",
    "l2b_descending": "EGMS_L2b_022_0845_IW2_VV_2020_2024_1.zip",
    "l2b_ascending": "EGMS_L2b_117_0227_IW2_VV_2020_2024_1.zip",
}
SCENES = {"bowls": 1, "fronts": 2, "slopes": 3}
"""Kind of scene and its seed: fixed, with its noise, before any forecaster that reads neighbours was tried on them."""

LINEAR = ("harmonic_ridge", "gaussian_process")
METHODS = ("persistence", "harmonic", *LINEAR, "kriging")
CELL, CHUNK = 500.0, 8192
REPLICATES, LEVEL = 1000, 0.9


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("products", nargs="*", default=[*REAL, *SCENES], help=f"of {[*REAL, *SCENES]}")
    parser.add_argument("--methods", nargs="+", default=METHODS, help="forecasters, the two linear ones among them")
    parser.add_argument("--into", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args(arguments)
    options.into.mkdir(parents=True, exist_ok=True)
    for product in options.products:
        result = measure(product, tuple(options.methods))
        (options.into / f"{product}.json").write_text(json.dumps(result, indent=1) + "\n")
        print(table(result), flush=True)


def measure(product: str, methods: Sequence[str] = METHODS, trained: Arrays | None = None) -> dict[str, Any]:
    """Scores of some methods on a product; ``trained`` has the arrays of networks; without them they are trained."""
    cube, signal = load(product)
    plan = protocol.plan(cube["time"].values, methods=methods, stride=1)
    start = time.process_time()
    state = protocol.fit([protocol.fit_partial(cube, plan)], plan)
    if set(methods) & set(TRAINED):
        state |= trained or teach(Lesson(CubePoints(cube), plan, state, SHARD_POINTS, Settings()), train_here)
    learned = time.process_time()
    errors = forecast_errors(cube, plan, state)
    forecast = time.process_time()
    if signal is not None:
        errors["oracle"] = targets(signal, plan) - targets(cube, plan)
    return {
        "product": product,
        **({"seed": SCENES[product]} if product in SCENES else {}),
        "n_points": cube.sizes["point"],
        "n_dates": cube.sizes["time"],
        "every_days": plan.every,
        "origins": [str(np.datetime64(plan.date(origin), "D")) for origin in plan.test],
        "cpu_s": {"learn_three_times": round(learned - start, 1), "forecast_all_origins": round(forecast - learned, 1)},
        **summary(errors, cells_of(cube), -(-plan.horizon // plan.stride)),
    }


def load(product: str) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Cube in memory, and its true signal where there is one."""
    if product in SCENES:
        seed = SCENES[product]
        return scene(product, seed=seed).load(), scene(product, seed=seed, noise=0.0).load()
    return insar.read_egms(Path(os.environ["INSAR_DASK_DATA"]) / "egms" / REAL[product]).load(), None


def targets(cube: xr.Dataset, plan: Plan) -> npt.NDArray[np.float32]:
    """Values (origins, n, h) at the dates asked for."""
    windows = windows_of(block_values(cube, plan), plan, "honest")
    return np.stack([windows.targets(origin) for origin in plan.test])


def forecast_errors(cube: xr.Dataset, plan: Plan, state: Arrays) -> dict[str, npt.NDArray[np.float32]]:
    """Errors (origins, n, h) of all methods of a plan, in chunks as the protocol forecasts."""
    values, places = block_values(cube, plan), block_places(cube)
    models = {method: fitted(method, "honest", "test", state) for method in plan.methods}
    errors = {m: np.empty((len(plan.test), len(values), plan.horizon), np.float32) for m in models}
    for at in range(0, len(values), CHUNK):
        some = slice(at, at + CHUNK)
        windows = windows_of(values[some], plan, "honest", places[some])
        first = windows.context(plan.test[0])
        for number, origin in enumerate(plan.test):
            context, wanted = windows.context(origin, first), windows.targets(origin)
            for method, model in models.items():
                errors[method][number, some] = model.predict(context)[0] - wanted
    return errors


def cells_of(cube: xr.Dataset) -> npt.NDArray[np.intp]:
    """Number of each point's cell."""
    cells = np.floor(block_places(cube) / CELL).astype(np.int64)
    return np.unique(cells, axis=0, return_inverse=True)[1].ravel()


def summary(errors: Mapping[str, npt.NDArray[np.float32]], cells: npt.NDArray[np.intp], overlap: int) -> dict[str, Any]:
    """RMSE by lead and over all, differences to the better linear forecaster, and shares of its excess removed."""
    sums = square_sums(errors, cells)
    draws = bootstrap(sums, overlap)
    names, whole = list(errors), sums.sum(axis=(1, 2))
    rmse = with_all(whole)
    drawn = with_all(draws)  # (replicates, methods, leads + all)
    candidates = [names.index(name) for name in LINEAR]
    better = np.array(candidates)[np.argmin(rmse[candidates], axis=0)]
    columns = np.arange(rmse.shape[1])
    against = rmse[better, columns], drawn[:, better, columns]
    methods = {}
    for at, name in enumerate(names):
        scores: dict[str, Any] = {
            "rmse": rounded(rmse[at]),
            "minus_better": rounded(rmse[at] - against[0]),
            "minus_better_90": [rounded(bound) for bound in interval(drawn[:, at] - against[1])],
        }
        if "oracle" in names:
            oracle = names.index("oracle")
            excess, excesses = against[0] ** 2 - rmse[oracle] ** 2, against[1] ** 2 - drawn[:, oracle] ** 2
            shares = (against[1] ** 2 - drawn[:, at] ** 2) / excesses
            scores["excess_mm2"] = rounded(rmse[at] ** 2 - rmse[oracle] ** 2)
            scores["rmse_by_oracle"] = rounded(rmse[at] / rmse[oracle])
            scores["removed_all"] = round(float((against[0] ** 2 - rmse[at] ** 2)[-1] / excess[-1]), 4)
            scores["removed_all_90"] = [round(float(bound[-1]), 4) for bound in interval(shares)]
        methods[name] = scores
    return {
        "leads": [*range(1, rmse.shape[1]), "all"],
        "n": int(whole[0, :, 0].sum()),
        "better_linear": [names[at] for at in better],
        "methods": methods,
    }


def square_sums(errors: Mapping[str, npt.NDArray[np.float32]], cells: npt.NDArray[np.intp]) -> Float64:
    """Number and sum of squares (methods, origins, cells, leads, 2) of the errors that all methods have."""
    shared = np.logical_and.reduce([np.isfinite(error) for error in errors.values()])
    n_origins, _, n_leads = shared.shape
    sums = np.zeros((len(errors), n_origins, cells.max() + 1, n_leads, 2))
    for out, error in zip(sums, errors.values(), strict=True):
        squares = np.where(shared, error.astype(np.float64) ** 2, 0.0)
        for at in range(n_origins):
            np.add.at(out[at, :, :, 0], cells, shared[at])
            np.add.at(out[at, :, :, 1], cells, squares[at])
    return sums


def bootstrap(sums: Float64, overlap: int) -> Float64:
    """Sums (replicates, methods, leads, 2) of cells and runs of origins drawn anew, the same ones for all methods."""
    rng = np.random.default_rng(0)
    _, n_origins, n_cells, _, _ = sums.shape
    space = rng.multinomial(n_cells, np.full(n_cells, 1 / n_cells), REPLICATES).astype(np.float64)
    starts = rng.integers(0, n_origins, (REPLICATES, -(-n_origins // overlap)))
    runs = ((starts[:, :, None] + np.arange(overlap)) % n_origins).reshape(REPLICATES, -1)[:, :n_origins]
    often = np.stack([(runs == origin).sum(axis=1) for origin in range(n_origins)], axis=1).astype(np.float64)
    drawn = np.empty((REPLICATES, sums.shape[0], *sums.shape[3:]))
    for at in range(REPLICATES):
        drawn[at] = np.einsum("o,c,moclk->mlk", often[at], space[at], sums, optimize=True)
    return drawn


def with_all(sums: Float64) -> Float64:
    """RMSE (..., leads + 1) from sums (..., leads, 2); the last is over all leads."""
    whole = np.concatenate([sums, sums.sum(axis=-2, keepdims=True)], axis=-2)
    return np.asarray(np.sqrt(whole[..., 1] / whole[..., 0]))


def interval(draws: Float64) -> Float64:
    return np.asarray(np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0))


def rounded(values: Float64) -> list[float]:
    return [round(float(value), 4) for value in values]


def table(result: Mapping[str, Any]) -> str:
    """Lines for the terminal: RMSE by lead, and what lies above (+) or below the better linear one beyond doubt."""
    lines = [f"\n{result['product']}: {result['n_points']:,} points, {len(result['origins'])} origins; RMSE mm by lead"]
    lines.append(f"{'':22}" + "".join(f"{lead!s:>9}" for lead in result["leads"]) + "   removed")
    for name, scores in result["methods"].items():
        low, high = scores["minus_better_90"]
        marks = ["-" if b < 0 else "+" if a > 0 else " " for a, b in zip(low, high, strict=True)]
        cells = "".join(f"{value:8.3f}{mark}" for value, mark in zip(scores["rmse"], marks, strict=True))
        share = f"   {scores['removed_all']:.1%} {scores['removed_all_90']}" if "removed_all" in scores else ""
        lines.append(f"{name:22}{cells}{share}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
