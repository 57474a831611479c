"""Kernels against the libraries a user would reach for: one thread, warm, paired runs, medians of CPU seconds.

Run as ``python tests/benchmarks/bench_kernels.py``; about three minutes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
import scipy.signal
import sklearn.metrics
from threadpoolctl import threadpool_limits

from insar_kernels.harmonic import motion
from insar_kernels.resampling import regularise
from insar_kernels.scoring import ERROR_SUMS, error_sums
from insar_kernels.smoothing import savgol

N_POINTS = 588_600
RUNS = 7


def rows() -> list[dict[str, Any]]:
    with threadpool_limits(1):  # after SciPy has loaded its BLAS: earlier it has no effect
        return [*savgol_rows(), *regularise_rows(), *motion_rows(), *metrics_rows()]


def savgol_rows() -> list[dict[str, Any]]:
    y = series(N_POINTS, 166)
    out = np.zeros_like(y)
    ours, rival = paired(lambda: savgol(y, 11, 2, out), lambda: scipy.signal.savgol_filter(y, 11, 2))
    fresh, again = paired(lambda: savgol(y, 11, 2), lambda: scipy.signal.savgol_filter(y, 11, 2))
    exact = scipy.signal.savgol_filter(y[:20_000].astype(np.float64), 11, 2)
    error, theirs = worst(savgol(y[:20_000], 11, 2), exact), worst(scipy.signal.savgol_filter(y[:20_000], 11, 2), exact)
    note = (
        f"largest error against float64 SciPy {error:.1e} mm (float32 SciPy {theirs:.1e}); into an array in use; "
        f"into 390 MB of fresh memory {statistics.median(b / a for a, b in zip(fresh, again, strict=True)):.1f}"
    )
    dense = row("savgol 588,600 x 166, window 11", ours, "scipy float32", rival, 12, note)
    holes = with_gaps(y, 0.05)
    gappy, ours = paired(lambda: savgol(holes, 11, 2, out), lambda: savgol(y, 11, 2, out))
    return [dense, cost_row("savgol, 5 % NaN", gappy, ours)]


def regularise_rows() -> list[dict[str, Any]]:
    days = 12.0 * np.delete(np.arange(166), [5, 23, 24, 60, 88, 119, 120, 149])
    new_days = 12.0 * np.arange(166)
    y = with_gaps(series(100_000, 158), 0.05)

    out, theirs = np.zeros((len(y), 166), np.float32), np.zeros((len(y), 166), np.float32)

    def loop() -> Any:
        for i, one in enumerate(y):
            valid = ~np.isnan(one)
            theirs[i] = np.interp(new_days, days[valid], one[valid], left=np.nan, right=np.nan)
        return theirs

    ours, rival = paired(lambda: regularise(y, days, new_days, out=out), loop)
    note = f"largest difference {worst(regularise(y, days, new_days), loop()):.1e} mm"
    return [row("regularise 100,000 x 158 -> 166, 5 % NaN", ours, "np.interp loop", rival, 20, note)]


def motion_rows() -> list[dict[str, Any]]:
    years = np.arange(158) * 12 / 365
    y = series(200_000, 158)
    ours, rival = paired(lambda: motion(y, years), lambda: batched_lstsq(y, years))
    fit, oracle = motion(y, years), batched_lstsq(y, years)
    error = {name: worst(getattr(fit, name), oracle[name]) for name in oracle}
    note = "largest errors: " + ", ".join(f"{name} {value:.0e}" for name, value in error.items())
    dense = row("motion 200,000 x 158, three models", ours, "batched float64 lstsq", rival, 50, note)
    holes = with_gaps(y, 0.05)
    gappy, ours = paired(lambda: motion(holes, years), lambda: motion(y, years))
    return [dense, cost_row("motion, 5 % NaN", gappy, ours)]


def batched_lstsq(y: Any, years: Any) -> dict[str, Any]:
    """Table 14 as one writes it with SciPy: a batched float64 least squares and its residuals for each model."""
    columns = [np.ones_like(years), np.cos(2 * np.pi * years), np.sin(2 * np.pi * years), years, years**2 / 2, years**3]
    observed, n = y.T.astype(np.float64), len(years)
    fits = []
    for terms in (4, 5, 6):
        design = np.stack(columns[:terms], axis=1)
        beta, squares, _, _ = scipy.linalg.lstsq(design, observed, check_finite=False)
        fits.append((beta, squares, np.diag(np.linalg.inv(design.T @ design))))
    (linear, first, q1), (square, second, q2), (cubic, third, q3) = fits
    rmse = np.sqrt(third / n)
    return {
        "velocity": linear[3],
        "velocity_std": np.sqrt(q1[3] * first / (n - 1)),
        "acceleration": square[4],
        "acceleration_std": np.sqrt(q2[4] * second / (n - 1)),
        "seasonality": np.hypot(cubic[1], cubic[2]),
        "seasonality_std": np.sqrt((4 - np.pi) / 2 * (q3[1] + q3[2]) / 2) * rmse,
        "rmse": rmse,
    }


def metrics_rows() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    observed = rng.normal(0, 10, 30_000_000).astype(np.float32)
    predicted = observed + rng.normal(0, 3, observed.size).astype(np.float32)

    def four() -> list[float]:
        scores = sklearn.metrics
        return [
            scores.root_mean_squared_error(observed, predicted),
            scores.mean_absolute_error(observed, predicted),
            scores.mean_absolute_percentage_error(observed, predicted),
            scores.r2_score(observed, predicted),
        ]

    ours, rival = paired(lambda: error_sums(predicted, observed), four)
    sums = dict(zip(ERROR_SUMS, error_sums(predicted, observed), strict=True))
    mine = [
        np.sqrt(sums["squared"] / sums["n"]),
        sums["absolute"] / sums["n"],
        sums["relative"] / (sums["n"] - sums["n_zero"]),
        1 - sums["squared"] / sums["spread_observed"],
    ]
    exact = [float(score) for score in oracle_scores(predicted.astype(np.float64), observed.astype(np.float64))]
    relative = max(abs(a / b - 1) for a, b in zip(mine, exact, strict=True))
    note = f"7 scores against 4; largest relative error {relative:.0e} of float64 NumPy"
    return [row("metrics, 30 M pairs", ours, "scikit-learn", rival, 30, note)]


def oracle_scores(p: Any, o: Any) -> list[Any]:
    error = p - o
    nonzero = o != 0
    squares = (error**2).sum()
    return [
        np.sqrt(squares / o.size),
        np.abs(error).mean(),
        np.abs(error[nonzero] / o[nonzero]).mean(),
        1 - squares / ((o - o.mean()) ** 2).sum(),
    ]


def series(n: int, n_dates: int) -> Any:
    """Trend, annual signal and noise [mm], rounded to the 0.1 mm of the products."""
    rng = np.random.default_rng(n_dates)
    t = np.arange(n_dates, dtype=np.float32) * np.float32(12 / 365)
    y = rng.normal(0, 2, (n, n_dates)).astype(np.float32)
    y += rng.normal(0, 8, (n, 1)).astype(np.float32) * t
    y += rng.normal(3, 1, (n, 1)).astype(np.float32) * np.sin(2 * np.pi * t)
    return np.round(y, 1)


def with_gaps(y: Any, share: float) -> Any:
    holes = y.copy()
    holes[np.random.default_rng(1).random(y.shape, dtype=np.float32) < share] = np.nan
    return holes


def paired(ours: Callable[[], Any], rival: Callable[[], Any]) -> tuple[list[float], list[float]]:
    """CPU seconds of interleaved runs of both, after one warm run of each."""
    times: tuple[list[float], list[float]] = ([], [])
    for run in range(RUNS + 1):
        for call, kept in zip((ours, rival), times, strict=True):
            start = time.process_time()
            call()
            if run:
                kept.append(time.process_time() - start)
    return times


def row(what: str, ours: list[float], rival: str, theirs: list[float], bar: float, note: str) -> dict[str, Any]:
    ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    return {
        "what": what,
        "ours_s": statistics.median(ours),
        "rival": rival,
        "rival_s": statistics.median(theirs),
        "ratio": ratio,
        "bar": f">= {bar}",
        "note": note,
    }


def cost_row(what: str, gappy: list[float], dense: list[float]) -> dict[str, Any]:
    """Cost of gaps: here the rival is the same kernel on complete series, and small is good."""
    cost = row(what, gappy, "the same, complete", dense, 0, "cost of gaps = ours / complete")
    return cost | {"ratio": statistics.median(a / b for a, b in zip(gappy, dense, strict=True)), "bar": "<= 3"}


def worst(ours: Any, exact: Any) -> float:
    return float(np.nanmax(np.abs(ours - exact)))


if __name__ == "__main__":
    for line in rows():
        print("{what:42} {ours_s:9.4f} s  {rival:22} {rival_s:9.4f} s  {ratio:7.1f}  bar {bar:6} {note}".format(**line))
