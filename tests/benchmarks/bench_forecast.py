"""Forecasting as a shard's task does it: seconds per origin and method, and all passes together.

Run as ``OMP_NUM_THREADS=1 python tests/benchmarks/bench_forecast.py``. One shard of 65,536 points x 158 dates is
measured, in CPU seconds of one thread, medians of paired runs; 588,600 points are 8.98 of them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
import xarray as xr

from insar_dask.forecast import protocol
from insar_dask.forecast.naive import harmonic_design
from insar_dask.forecast.registry import load
from insar_dask.forecast.schedule import Plan
from insar_dask.forecast.tallies import windows_of
from insar_dask.synthetic import scene
from insar_kernels.history import least_squares
from insar_kernels.rolling import rolling_residuals

SHARD, CHUMAR, DATES = 65_536, 588_600, 158
RUNS = 5
METHODS = ("persistence", "drift", "seasonal_naive", "harmonic", "harmonic_ar1", "harmonic_ridge")
LEAST_SQUARES_SAMPLE = 20_000
LOOP_SAMPLE = 500


def rows() -> list[dict[str, Any]]:
    full = scene("chumar", n_points=SHARD, n_dates=DATES, seed=1).compute()
    values = full["displacement"].values.copy()
    values[np.random.default_rng(0).random(values.shape) < 0.05] = np.nan
    gappy = full.assign(displacement=full["displacement"].copy(data=values))
    return [
        *fit_rows(full),
        *fit_rows(gappy, gaps=True),
        rolling_row(full),
        *method_rows(gappy),
        *pass_rows(full, gappy),
    ]


def fit_rows(cube: xr.Dataset, gaps: bool = False) -> list[dict[str, Any]]:
    """The harmonic fit of every point against what NumPy and SciPy offer for it."""
    values, years = histories(cube)
    design = harmonic_design(years)
    ours = median_seconds(lambda: least_squares(values, design))
    if gaps:
        few = values[:LOOP_SAMPLE].astype(np.float64)

        def rival() -> Any:
            return [
                np.linalg.lstsq(design[ok], row[ok], rcond=None)[0] for row in few if (ok := np.isfinite(row)).any()
            ]

        theirs = median_seconds(rival) * SHARD / LOOP_SAMPLE
        return [row("harmonic fit, 5 % gaps", ours, "np.linalg.lstsq loop", theirs, None)]
    some = values[:LEAST_SQUARES_SAMPLE].astype(np.float64).T
    theirs = median_seconds(lambda: scipy.linalg.lstsq(design, some)) * SHARD / LEAST_SQUARES_SAMPLE
    return [row("harmonic fit, no gaps", ours, "scipy lstsq, one batch", theirs, None)]


def rolling_row(cube: xr.Dataset) -> dict[str, Any]:
    values, years = histories(cube)
    values, design = values[:4096], harmonic_design(years)
    steps = np.arange(61, len(years) - 6, 3)

    def anew() -> Any:
        return [
            values[:, step - 24 : step + 6]
            - least_squares(values[:, :step], design[:step]) @ design[step - 24 : step + 6].T
            for step in steps
        ]

    ours, theirs = median_seconds(lambda: rolling_residuals(values, design, steps, 24, 6)), median_seconds(anew)
    return row(f"ridge: windows of {len(steps)} training origins", ours, "our fit anew at each", theirs, None, 4096)


def method_rows(cube: xr.Dataset) -> list[dict[str, Any]]:
    """Each method's forecast of a shard at one origin, its own fit included."""
    plan, state = fitted(cube)
    windows = windows_of(cube["displacement"].values, plan, "honest")
    windows.grid(0)
    out = []
    for method in METHODS:
        model = load(method, f"honest.test.{method}.", state)
        seconds = median_seconds(lambda model=model: model.predict(windows.context(plan.test[0])))
        note = f"588,600 points: {seconds * CHUMAR / SHARD:.2f} s per origin"
        out.append({**row(f"{method}, one origin, 5 % gaps", seconds, None, None, None), "note": note})
    return out


def pass_rows(full: xr.Dataset, gappy: xr.Dataset) -> list[dict[str, Any]]:
    """All passes of the evaluation and the forecast, all naive methods."""
    out = []
    for name, cube in (("no gaps", full), ("5 % gaps", gappy)):
        seconds = median_seconds(lambda cube=cube: everything(cube), runs=3)
        plan, _ = fitted(cube.isel(point=slice(100)))
        total = seconds * CHUMAR / SHARD
        note = (
            f"588,600 points: {total:.0f} CPU s for {len(plan.validation)} validation and {len(plan.test)} test "
            f"origins, {total / 2:.0f} s on 2 idle cores; bar 120 s on 2 cores"
        )
        out.append({**row(f"all passes, 6 methods, {name}", seconds, None, None, None), "note": note})
    return out


def everything(cube: xr.Dataset) -> None:
    plan, state = fitted(cube)
    calibrated = protocol.calibrate([protocol.calibrate_partial(cube, plan, state)], plan, state)
    protocol.score([protocol.score_partial(cube, plan, state)], plan, calibrated)
    protocol.forecast_block(cube, plan, calibrated)


def fitted(cube: xr.Dataset) -> tuple[Plan, dict[str, Any]]:
    plan = protocol.plan(cube["time"].values, methods=METHODS)
    return plan, protocol.fit([protocol.fit_partial(cube, plan)], plan)


def histories(cube: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    plan = protocol.plan(cube["time"].values, methods=METHODS)
    context = windows_of(cube["displacement"].values, plan, "honest").context(plan.test[0])
    return np.ascontiguousarray(context.values), context.years


def median_seconds(run: Callable[[], Any], runs: int = RUNS) -> float:
    """Median CPU seconds of a warm run: other people's load does not count."""
    run()
    seconds = []
    for _ in range(runs):
        began = time.process_time()
        run()
        seconds.append(time.process_time() - began)
    return statistics.median(seconds)


def row(
    what: str, ours: float, rival: str | None, theirs: float | None, bar: float | None, points: int = SHARD
) -> dict[str, Any]:
    ratio = theirs / ours if theirs is not None else None
    entry = {"what": what, "ours_s": ours, "rival": rival, "rival_s": theirs, "ratio": ratio, "bar": bar}
    return entry | {"note": f"{points:,} points"}


if __name__ == "__main__":
    for entry in rows():
        seconds = f"{entry['ours_s']:8.3f} s"
        against = f"{entry['ratio']:8.1f}x {entry['rival']}" if entry["ratio"] else ""
        print(f"{entry['what']:<46}{seconds} {against}  {entry['note']}")
