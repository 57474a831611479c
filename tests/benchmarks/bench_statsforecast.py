"""Holt-Winters against statsforecast, whose exponential smoothing is compiled and whose search is not ours.

Run as ``python tests/benchmarks/run.py statsforecast``; about one minute. Where it is not installed, the row says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from insar_kernels import holt_winters
from tests.benchmarks.measure import Row, absent, gate, paired, row, size, whole_process

PERIOD, N_DATES = 30, 166
ONE_BY_ONE = 60
"""Series that statsforecast is given, its time being scaled up."""

RIVALS = ("HoltWinters", "AutoETS")


def rows() -> list[Row]:
    reason = absent("statsforecast.models")
    if reason:
        return [{"what": "Holt-Winters", "rival": f"statsforecast {name}", "missing": reason} for name in RIVALS]
    y = series(size(20_000))
    return [rival_row(y, name) for name in RIVALS]


def rival_row(y: Any, name: str) -> Row:
    few, scale = y[:ONE_BY_ONE], len(y) / ONE_BY_ONE
    reached = errors_of(few, name) / holt_winters(few, PERIOD).sse
    note = (
        f"its sum of squares is {np.median(reached):.3g} times ours in the median, {reached.min():.3g} at best; it was "
        f"given {len(few)} series, and its time is scaled up; so many to the whole process of either"
    )
    more: Row = {"note": note}
    if name == "HoltWinters":  # the same model; AutoETS may choose another
        more["gates"] = [gate("share of series fitted as well", (reached > 0.999).mean(), at_least=0.95)]
        more["process"] = whole_process(
            f"from insar_kernels import holt_winters; holt_winters(y, {PERIOD})",
            f"from tests.benchmarks.bench_statsforecast import errors_of; errors_of(y, {name!r})",
            y=few,
        )
    timed = paired(lambda: holt_winters(y, PERIOD), lambda: errors_of(few, name), runs=3)
    what = f"Holt-Winters {len(y):,} x {N_DATES}, period {PERIOD}"
    return row(what, timed[0], f"statsforecast {name}", timed[1], scale=scale, **more)


def errors_of(y: Any, name: str) -> Any:
    """Sum of squares of the errors one date ahead [mm^2] of each series, fitted one after the other."""
    from statsforecast import models

    options = {"error_type": "A"} if name == "HoltWinters" else {}
    fits = (getattr(models, name)(season_length=PERIOD, **options).fit(one) for one in y.astype(np.float64))
    return np.array([np.sum((one - fit.model_["fitted"]) ** 2) for one, fit in zip(y, fits, strict=True)])


def series(n: int) -> Any:
    """Trend, annual signal and noise that remembers [mm]: what a monitored point does."""
    rng = np.random.default_rng(0)
    t = np.arange(N_DATES) * 12 / 365
    noise = rng.normal(0, 2, (n, N_DATES))
    for k in range(1, N_DATES):
        noise[:, k] += 0.5 * noise[:, k - 1]
    season = rng.normal(4, 1, (n, 1)) * np.sin(2 * np.pi * (t + rng.random((n, 1))))
    return (rng.normal(0, 8, (n, 1)) * t + season + noise).astype(np.float32)
