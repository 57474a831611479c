"""STL as a linear operator against statsmodels, which decomposes one series after the other.

Run as ``python tests/benchmarks/run.py stl``; about two minutes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from statsmodels.tsa.seasonal import STL

from insar_kernels.seasonal_trend import _on_array, stl, stl_lengths
from tests.benchmarks.bench_kernels import cost_of_gaps
from tests.benchmarks.measure import Row, gate, limit, paired, row, size, whole_process, worst

PERIOD, N_DATES = 30, 166
ONE_BY_ONE = 300
"""Series that statsmodels is given, its time being scaled up."""


def rows() -> list[Row]:
    y = series(size(588_600))
    few = y[:ONE_BY_ONE]
    scale = len(y) / len(few)
    half = -(-N_DATES // 2)
    more: Row = {"limit": limit("sgemm", 8 * half**2 * len(y))}
    ours, theirs = stl(few, PERIOD), statsmodels_one_by_one(few)
    names = "trend", "season", "residual"
    more["gates"] = [
        gate(f"mm of {name} from statsmodels", worst(one, other), 1e-3)
        for name, one, other in zip(names, ours, theirs, strict=True)
    ]
    more["gates"].append(gate("mm of the sum from the series", worst(sum(ours), few), 1e-3))
    more["process"] = whole_process(
        f"from insar_kernels import stl; stl(y, {PERIOD})",
        "from tests.benchmarks.bench_stl import statsmodels_one_by_one; statsmodels_one_by_one(y)",
        y=y[: size(2000)],
    )
    more["note"] = f"statsmodels was given {len(few)} series; the whole processes decompose {size(2000):,} each"
    timed = paired(lambda: stl(y, PERIOD), lambda: statsmodels_one_by_one(few))
    what = f"STL {len(y):,} x {N_DATES}, period {PERIOD}"
    first = row(what, timed[0], "statsmodels", timed[1], scale=scale, bar=">= 1000", **more)
    return [first, *(gaps_row(y[: size(20_000)], kind) for kind in ("its own", "shared"))]


def gaps_row(y: Any, kind: str) -> Row:
    """Series with gaps go the long way: local regressions, one series after the other."""
    holes, few = y.copy(), 100
    missing = np.random.default_rng(1).random(y.shape, dtype=np.float32) < 0.05
    holes[missing if kind == "its own" else np.broadcast_to(missing[0], y.shape)] = np.nan
    exact = _on_array(np, holes[:few].astype(np.float64), PERIOD, stl_lengths(PERIOD), (1, 1, 1), 5)
    error = max(worst(one, other) for one, other in zip(stl(holes[:few], PERIOD), exact, strict=True))
    gates = [gate("mm from the regressions as matrices", error, 1e-3)]
    return cost_of_gaps(f"STL, {kind} dates", lambda: stl(holes, PERIOD), lambda: stl(y, PERIOD), gates)


def statsmodels_one_by_one(y: Any) -> Any:
    """Trend, season and residual (3, n, T), with its defaults, which are ours."""
    fits = (STL(one.astype(np.float64), PERIOD).fit() for one in y)
    return np.array([(fit.trend, fit.seasonal, fit.resid) for fit in fits]).swapaxes(0, 1)


def series(n: int) -> Any:
    """Level, trend, annual signal and noise [mm] at dates of 12 days."""
    rng = np.random.default_rng(0)
    t = np.arange(N_DATES, dtype=np.float32) * np.float32(12 / 365)
    y = rng.normal(0, 2, (n, N_DATES)).astype(np.float32)
    y += rng.normal(0, 30, (n, 1)).astype(np.float32) + rng.normal(0, 8, (n, 1)).astype(np.float32) * t
    y += rng.normal(3, 1, (n, 1)).astype(np.float32) * np.sin(2 * np.pi * t)
    return y
