"""Forecasting as a shard's task does it: seconds per origin and method, and all passes together.

Run as ``python tests/benchmarks/run.py forecast``. One shard of 65,536 points x 158 dates is measured, in CPU seconds
of one thread; 588,600 points are 8.98 of them.
"""

from __future__ import annotations

import statistics
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
from tests.benchmarks.measure import QUICK, Row, gate, paired, row, seconds, size, worst

SHARD, CHUMAR, DATES = size(65_536), 588_600, 158
RUNS = 1 if QUICK else 5
METHODS = ("persistence", "drift", "seasonal_naive", "harmonic", "harmonic_ar1", "harmonic_ridge")
LEAST_SQUARES_SAMPLE = 20_000
LOOP_SAMPLE = 500


def rows() -> list[Row]:
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


def fit_rows(cube: xr.Dataset, gaps: bool = False) -> list[Row]:
    """The harmonic fit of every point against what NumPy and SciPy offer for it."""
    values, years = histories(cube)
    design = harmonic_design(years)
    few = values[: LOOP_SAMPLE if gaps else LEAST_SQUARES_SAMPLE].astype(np.float64)

    def loop() -> Any:
        return np.array(
            [np.linalg.lstsq(design[ok], one[ok], rcond=None)[0] for one in few if (ok := ~np.isnan(one)).any()]
        )

    def batch() -> Any:
        return scipy.linalg.lstsq(design, few.T)[0].T

    rival = loop if gaps else batch
    drawn = [coefficients @ design.T for coefficients in (least_squares(values[: len(few)], design), rival())]
    gates = [gate("mm of the fitted curve", worst(*drawn), 1e-3)]
    timed = paired(lambda: least_squares(values, design), rival, RUNS)
    what, name = ("5 % gaps", "np.linalg.lstsq loop") if gaps else ("no gaps", "SciPy lstsq, one batch")
    scale = len(values) / len(few)
    return [row(f"harmonic fit of {len(values):,}, {what}", timed[0], name, timed[1], scale=scale, gates=gates)]


def rolling_row(cube: xr.Dataset) -> Row:
    values, years = histories(cube)
    values, design = values[:4096], harmonic_design(years)
    steps = np.arange(61, len(years) - 6, 3)

    def ours() -> Any:
        return rolling_residuals(values, design, steps, 24, 6)

    def anew() -> Any:
        return [
            values[:, step - 24 : step + 6]
            - least_squares(values[:, :step], design[:step]) @ design[step - 24 : step + 6].T
            for step in steps
        ]

    gates = [gate("mm", worst(ours(), np.stack(anew(), axis=1)), 1e-3)]
    timed, what = paired(ours, anew, RUNS), f"ridge: {len(values):,} points, {len(steps)} training origins"
    return row(what, timed[0], "our fit anew at each", timed[1], gates=gates)


def method_rows(cube: xr.Dataset) -> list[Row]:
    """Each method's forecast of a shard at one origin, its own fit included."""
    plan, state = fitted(cube)
    windows = windows_of(cube["displacement"].values, plan, "honest")
    windows.grid(0)
    out = []
    for method in METHODS:
        model = load(method, f"honest.test.{method}.", state)
        taken = several(lambda model=model: model.predict(windows.context(plan.test[0])))
        note = f"588,600 points: {statistics.median(taken) * CHUMAR / SHARD:.2f} s per origin"
        out.append(row(f"{method}, {SHARD:,} points, one origin, 5 % gaps", taken, note=note))
    return out


def pass_rows(full: xr.Dataset, gappy: xr.Dataset) -> list[Row]:
    """All passes of the evaluation and the forecast, all naive methods."""
    out = []
    for name, cube in (("no gaps", full), ("5 % gaps", gappy)):
        taken = several(lambda cube=cube: everything(cube), runs=min(RUNS, 3))
        plan, _ = fitted(cube.isel(point=slice(100)))
        total = statistics.median(taken) * CHUMAR / SHARD
        note = (
            f"588,600 points: {total:.0f} CPU s for {len(plan.validation)} validation and {len(plan.test)} test "
            f"origins, {total / 2:.0f} s on 2 idle cores; bar 120 s on 2 cores"
        )
        out.append(row(f"all passes, {SHARD:,} points, 6 methods, {name}", taken, note=note))
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


def several(work: Callable[[], Any], runs: int = RUNS) -> list[float]:
    """CPU seconds of warm runs."""
    work()
    return [seconds(work) for _ in range(runs)]
