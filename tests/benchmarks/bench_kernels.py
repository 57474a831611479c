"""Kernels against the libraries a user would reach for: one thread, warm and from nothing, accuracy gated.

Run as ``python tests/benchmarks/run.py kernels``; about four minutes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.signal

from insar_kernels.harmonic import motion
from insar_kernels.resampling import regularise
from insar_kernels.scoring import ERROR_SUMS, error_sums
from insar_kernels.smoothing import moving_average, savgol
from tests.benchmarks import rivals
from tests.benchmarks.measure import Row, gate, limit, paired, row, size, whole_process, worst

SAMPLE = 20_000
"""Series on which accuracy is judged."""

DAYS = 12.0 * np.delete(np.arange(166), [5, 23, 24, 60, 88, 119, 120, 149])
NEW_DAYS = 12.0 * np.arange(166)
YEARS = np.arange(158) * 12 / 365


def rows() -> list[Row]:
    return [*savgol_rows(), *average_rows(), *regularise_rows(), *motion_rows(), *metrics_rows()]


def savgol_rows() -> list[Row]:
    y = series(size(588_600), 166)
    out, what, few = np.zeros_like(y), f"savgol {len(y):,} x 166, window 11", y[:SAMPLE]

    def rival() -> Any:
        return scipy.signal.savgol_filter(y, 11, 2)

    exact = scipy.signal.savgol_filter(few.astype(np.float64), 11, 2)
    gates = [gate("mm from float64 SciPy", worst(savgol(few, 11, 2), exact), 1e-4)]
    more = {"limit": limit("copy", 2 * y.nbytes), "gates": gates}
    more["note"] = f"SciPy's float32 is {worst(scipy.signal.savgol_filter(few, 11, 2), exact):.1e} mm off"
    more["process"] = whole_process(
        "from insar_kernels.smoothing import savgol; savgol(y, 11, 2)",
        "from scipy.signal import savgol_filter; savgol_filter(y, 11, 2)",
        y=y,
    )
    reused = row(what, *against(lambda: savgol(y, 11, 2, out), "SciPy float32", rival), bar=">= 12", **more)
    fresh = row(f"{what}, into fresh memory", *against(lambda: savgol(y, 11, 2), "SciPy float32", rival))
    return [reused, fresh | {"limit": limit("fresh", y.nbytes)}, savgol_gaps(y, out)]


def savgol_gaps(y: Any, out: Any) -> Row:
    holes = with_gaps(y, 0.05)
    few = holes[:200]
    gates = [gate("mm from polynomials", worst(savgol(few, 11, 2), rivals.polynomial_windows(few, 11, 2)), 1e-3)]
    return cost_of_gaps("savgol", lambda: savgol(holes, 11, 2, out), lambda: savgol(y, 11, 2, out), gates)


def average_rows() -> list[Row]:
    """Of what SciPy has, only the average of complete series compares."""
    y = series(size(200_000), 166)
    few = y[:SAMPLE]
    exact = scipy.ndimage.uniform_filter1d(few.astype(np.float64), 11, axis=1)[:, 5:-5]
    gates = [gate("mm from float64 SciPy", worst(moving_average(few, 11, True)[:, 5:-5], exact), 1e-4)]
    timed = against(
        lambda: moving_average(y, 11, True), "SciPy uniform_filter1d", lambda: scipy.ndimage.uniform_filter1d(y, 11)
    )
    return [row(f"moving average {len(y):,} x 166", *timed, gates=gates, limit=limit("copy", 2 * y.nbytes))]


def regularise_rows() -> list[Row]:
    y = with_gaps(series(size(100_000), 158), 0.05)
    out, few = np.zeros((len(y), 166), np.float32), y[: len(y) // 5]
    what, dates = f"regularise {len(y):,} x 158 -> 166, 5 % NaN", {"days": DAYS, "new_days": NEW_DAYS}

    def ours() -> Any:
        return regularise(y, DAYS, NEW_DAYS, out=out)

    def loop() -> Any:
        return rivals.interp_loop(y, DAYS, NEW_DAYS)

    more: Row = {"gates": [gate("mm from np.interp", worst(ours(), loop()), 1e-4)]}
    more["limit"] = limit("copy", y.nbytes + out.nbytes)
    more["process"] = whole_process(
        "from insar_kernels.resampling import regularise; regularise(y, days, new_days)",
        "from tests.benchmarks.rivals import interp_loop; interp_loop(y, days, new_days)",
        y=y,
        **dates,
    )
    first = row(what, *against(ours, "np.interp loop", loop), bar=">= 20", **more)
    mine, theirs = ours()[: len(few)], rivals.xarray_interp(few, DAYS, NEW_DAYS)
    less = np.isnan(theirs) & ~np.isnan(mine)  # a date beside a missing first or last one
    more = {"gates": [gate("mm from xarray where it has a value", worst(np.where(less, np.nan, mine), theirs), 1e-4)]}
    more["note"] = f"xarray was given {len(few):,} series, and lost {less.sum():,} of the values"
    timed = against(ours, "xarray interpolate_na, interp", lambda: rivals.xarray_interp(few, DAYS, NEW_DAYS))
    return [first, row(what, *timed, scale=len(y) / len(few), **more)]


def motion_rows() -> list[Row]:
    y = series(size(200_000), 158)
    more: Row = {"limit": limit("read", y.nbytes)}
    more["process"] = whole_process(
        "from insar_kernels.harmonic import motion; motion(y, years)",
        "from tests.benchmarks.rivals import batched_lstsq; batched_lstsq(y, years)",
        y=y,
        years=YEARS,
    )
    more["gates"] = motion_gates(y[:SAMPLE], rivals.batched_lstsq(y[:SAMPLE], YEARS))
    timed = against(lambda: motion(y, YEARS), "batched float64 lstsq", lambda: rivals.batched_lstsq(y, YEARS))
    dense = row(f"motion {len(y):,} x 158, three models", *timed, bar=">= 50", **more)
    holes = with_gaps(y, 0.05)
    gates = motion_gates(holes[:300], rivals.lstsq_one_by_one(holes[:300], YEARS))
    return [dense, cost_of_gaps("motion", lambda: motion(holes, YEARS), lambda: motion(y, YEARS), gates)]


def motion_gates(y: Any, exact: dict[str, Any]) -> list[Row]:
    fit = motion(y, YEARS)
    return [gate(name, worst(getattr(fit, name), exact[name]), 1e-4) for name in exact]


def metrics_rows() -> list[Row]:
    rng = np.random.default_rng(0)
    observed = rng.normal(0, 10, size(30_000_000)).astype(np.float32)
    predicted = observed + rng.normal(0, 3, observed.size).astype(np.float32)
    exact = rivals.four_scores_in_numpy(observed, predicted)
    relative = max(abs(a / b - 1) for a, b in zip(our_scores(observed, predicted), exact, strict=True))
    more: Row = {"limit": limit("read", 2 * observed.nbytes), "gates": [gate("relative, from NumPy", relative, 1e-7)]}
    more["process"] = whole_process(
        "from insar_kernels.scoring import error_sums; error_sums(p, o)",
        "from tests.benchmarks.rivals import four_scores; four_scores(o, p)",
        p=predicted,
        o=observed,
    )
    timed = against(
        lambda: error_sums(predicted, observed), "scikit-learn", lambda: rivals.four_scores(observed, predicted)
    )
    what = f"metrics, {observed.size / 1e6:g} M pairs"
    return [row(what, *timed, bar=">= 30", note="seven scores against four", **more)]


def our_scores(observed: Any, predicted: Any) -> list[float]:
    sums = dict(zip(ERROR_SUMS, error_sums(predicted, observed), strict=True))
    return [
        np.sqrt(sums["squared"] / sums["n"]),
        sums["absolute"] / sums["n"],
        sums["relative"] / (sums["n"] - sums["n_zero"]),
        1 - sums["squared"] / sums["spread_observed"],
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


def against(ours: Any, name: str, rival: Any) -> tuple[list[float], str, list[float]]:
    """What `row` wants: our seconds, the rival's name, its seconds."""
    mine, theirs = paired(ours, rival)
    return mine, name, theirs


def cost_of_gaps(kernel: str, gappy: Any, dense: Any, gates: list[Row]) -> Row:
    """Here the rival is the same kernel on complete series, and the ratio is ours over its: small is good."""
    few, full = paired(gappy, dense)
    cost = row(f"{kernel}, 5 % NaN: cost over complete", full, "the same, complete", few, gates=gates, bar="<= 3")
    return cost | {"ours_s": cost["rival_s"], "rival_s": cost["ours_s"]}
