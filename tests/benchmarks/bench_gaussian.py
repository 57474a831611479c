"""The pooled Gaussian process at the size of Chumar, 588,600 points x 158 dates and 6 leads, against textbook solves.

Run as ``python tests/benchmarks/run.py gaussian``. Paired CPU seconds on one thread; the bars are for wall seconds on
two, which the note has. A rival that goes point by point runs on 300 points, scaled up.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import scipy.linalg

from insar_dask.forecast.covariance import covariance, covariance_with_gradient
from insar_dask.forecast.gaussian import PooledGaussianProcess
from insar_dask.forecast.windows import Context
from insar_kernels.conditioning import invert
from insar_kernels.likelihood import pooled_likelihood
from tests.benchmarks.measure import QUICK, Row, gate, limit, paired, row, seconds, size, worst

N_POINTS, N_DATES, HORIZON = size(588_600), 158, 6
SHARD = 65_536
ONE_BY_ONE = 300
RUNS = 1 if QUICK else 3
THETA = np.array([4.0, 1.0, 2.0, 0.6, 8.0, 1.8, 0.12, 1.0, 0.04, 1.5])
YEARS = np.delete(np.arange(166), [5, 23, 24, 60, 88, 119, 120, 149]) * 12 / 365


def rows() -> list[Row]:
    complete = draw()
    gappy = complete.copy()
    gappy[np.random.default_rng(1).random(gappy.shape, dtype=np.float32) < 0.05] = np.nan
    return [
        forecast_row("forecast, dates shared by all points", complete, shared_solve, N_POINTS, 10),
        forecast_row("forecast, 5 % of dates missing, each its own", gappy, solve_one_by_one, ONE_BY_ONE, 60),
        fit_row(gappy[:SHARD]),
    ]


def draw() -> Any:
    """Series of the covariance itself; after the first shard they repeat, with another level."""
    factor = np.linalg.cholesky(covariance_with_gradient(THETA, YEARS)[0]).astype(np.float32)
    drawn = np.random.default_rng(0).standard_normal((SHARD, N_DATES), dtype=np.float32) @ factor.T
    return np.concatenate([drawn + shift for shift in range(9)])[:N_POINTS]


def context(values: Any) -> Context:
    targets = YEARS[-1] + np.arange(1, HORIZON + 1) * 12 / 365
    return Context(values, YEARS, values[:, :0], YEARS[:0], targets)


def forecast_row(what: str, values: Any, rival: Callable[[Any], Any], n_rival: int, bar: float) -> Row:
    model = PooledGaussianProcess.from_state({"theta": THETA})
    shards = [values[start : start + SHARD] for start in range(0, len(values), SHARD)]

    def ours(threads: int) -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda shard: model.predict(context(shard)), shards))

    timed = paired(lambda: ours(1), lambda: rival(values[:n_rival]), RUNS)
    two = statistics.median(seconds(lambda: ours(2), time.perf_counter) for _ in range(RUNS))
    few, name = values[:ONE_BY_ONE], rival.__name__.replace("_", " ")
    mine, exact = model.predict(context(few)), rival(few)
    more: Row = {"gates": [gate("mm, mean and standard error", max(map(worst, mine, exact)), 1e-3)]}
    more |= {"limit": limit("read", values.nbytes), "note": f"{two:.1f} s on 2 threads, wanted <= {bar} s"}
    return row(what, timed[0], name, timed[1], scale=len(values) / n_rival, **more)


def shared_solve(values: Any) -> tuple[Any, Any]:
    """All points at once in float64 BLAS: only for points that miss no date."""
    observed, cross, variance = matrices(slice(None))
    inverse = np.linalg.inv(observed)
    means, stds = [], []
    for start in range(0, len(values), SHARD):
        alpha = values[start : start + SHARD].astype(np.float64) @ inverse
        means.append(alpha @ cross.T)
        spread = variance - np.einsum("ht,ts,hs->h", cross, inverse, cross)
        stds.append(np.sqrt(spread * scale(alpha, np.diag(inverse))[:, None]))
    return np.concatenate(means), np.concatenate(stds)


def solve_one_by_one(values: Any) -> tuple[Any, Any]:
    """A Cholesky factorisation in float64 LAPACK for every point."""
    results = []
    for series in values:
        seen = ~np.isnan(series)
        observed, cross, variance = matrices(seen)
        inverse = scipy.linalg.cho_solve(scipy.linalg.cho_factor(observed), np.eye(len(observed)))
        alpha = inverse @ series[seen].astype(np.float64)
        spread = variance - np.einsum("ht,ht->h", cross @ inverse, cross)
        results.append((cross @ alpha, np.sqrt(spread * scale(alpha[None], np.diag(inverse)))))
    means, stds = zip(*results, strict=True)
    return np.array(means), np.array(stds)


ALL_YEARS = np.concatenate([YEARS, YEARS[-1] + np.arange(1, HORIZON + 1) * 12 / 365])
FULL = covariance_with_gradient(THETA, ALL_YEARS)[0]
CROSS = covariance(THETA, ALL_YEARS[N_DATES:], YEARS)


def matrices(seen: Any) -> tuple[Any, Any, Any]:
    """Covariance of the dates seen, of targets with them, and the targets' variance."""
    return FULL[:N_DATES, :N_DATES][seen][:, seen], CROSS[:, seen], np.diag(FULL)[N_DATES:]


def scale(alpha: Any, diagonal: Any) -> Any:
    n = len(diagonal)
    return (n * (alpha**2 / diagonal).sum(axis=1) + 100) / (n**2 + 100)


def fit_row(values: Any) -> Row:
    """One step of the search for theta; the rival factorises the covariance of each series' own dates."""
    history = context(values)
    model = PooledGaussianProcess()
    sample = model.partial(history)
    whole = seconds(lambda: model.fit([sample], history))

    def step() -> None:
        pooled_likelihood(sample["values"], invert(FULL[:N_DATES, :N_DATES])[0])

    def rival() -> None:
        for series in sample["values"]:
            observed, _, _ = matrices(~np.isnan(series))
            scipy.linalg.cho_solve(scipy.linalg.cho_factor(observed), np.eye(len(observed)))

    ours, theirs = paired(step, rival, RUNS)
    note = f"the whole search for theta takes {whole:.1f} s"
    return row("likelihood of 300 series, 5 % missing", ours, "LAPACK, point by point", theirs, note=note)
