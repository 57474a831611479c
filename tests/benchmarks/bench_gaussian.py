"""The pooled Gaussian process at the size of Chumar, 588,600 points x 158 dates and 6 leads, against textbook solves.

Run as ``OMP_NUM_THREADS=1 python tests/benchmarks/bench_gaussian.py``. Paired CPU seconds on one thread; the bars are
for wall seconds on two, which the note has. A rival that goes point by point runs on 300 points, scaled up.
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

N_POINTS, N_DATES, HORIZON = 588_600, 158, 6
SHARD = 65_536
ONE_BY_ONE = 300
RUNS = 3
THETA = np.array([4.0, 1.0, 2.0, 0.6, 8.0, 1.8, 0.12, 1.0, 0.04, 1.5])
YEARS = np.delete(np.arange(166), [5, 23, 24, 60, 88, 119, 120, 149]) * 12 / 365


def rows() -> list[dict[str, Any]]:
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


def forecast_row(what: str, values: Any, rival: Callable[[Any], Any], n_rival: int, bar: float) -> dict[str, Any]:
    model = PooledGaussianProcess.from_state({"theta": THETA})
    shards = [values[start : start + SHARD] for start in range(0, len(values), SHARD)]

    def ours(threads: int) -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda shard: model.predict(context(shard)), shards))

    one, theirs = paired(lambda: ours(1), lambda: rival(values[:n_rival]))
    scaled = [seconds * N_POINTS / n_rival for seconds in theirs]
    two = statistics.median(seconds(time.perf_counter, lambda: ours(2)) for _ in range(RUNS))
    few = values[:ONE_BY_ONE]
    errors = [np.abs(a - b).max() for a, b in zip(model.predict(context(few)), rival(few), strict=True)]
    return {
        "what": what,
        "ours_s": statistics.median(one),
        "rival": rival.__name__.replace("_", " "),
        "rival_s": statistics.median(scaled),
        "ratio": statistics.median(b / a for a, b in zip(one, scaled, strict=True)),
        "bar": f"<= {bar} s",
        "note": f"{two:.1f} s on 2 threads; largest difference {max(errors):.0e} mm",
    }


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


def fit_row(values: Any) -> dict[str, Any]:
    """One step of the search for theta; the rival factorises the covariance of each series' own dates."""
    history = context(values)
    model = PooledGaussianProcess()
    sample = model.partial(history)
    whole = seconds(time.process_time, lambda: model.fit([sample], history))

    def step() -> None:
        pooled_likelihood(sample["values"], invert(FULL[:N_DATES, :N_DATES])[0])

    def rival() -> None:
        for series in sample["values"]:
            observed, _, _ = matrices(~np.isnan(series))
            scipy.linalg.cho_solve(scipy.linalg.cho_factor(observed), np.eye(len(observed)))

    ours, theirs = paired(step, rival)
    return {
        "what": "likelihood of 300 series, 5 % missing",
        "ours_s": statistics.median(ours),
        "rival": "LAPACK, point by point",
        "rival_s": statistics.median(theirs),
        "ratio": statistics.median(b / a for a, b in zip(ours, theirs, strict=True)),
        "bar": "none",
        "note": f"the whole search for theta takes {whole:.1f} s",
    }


def paired(ours: Callable[[], Any], rival: Callable[[], Any]) -> tuple[list[float], list[float]]:
    """CPU seconds of interleaved runs of both, after one warm run of each."""
    ours(), rival()
    times = [(seconds(time.process_time, ours), seconds(time.process_time, rival)) for _ in range(RUNS)]
    return [a for a, _ in times], [b for _, b in times]


def seconds(clock: Callable[[], float], call: Callable[[], Any]) -> float:
    start = clock()
    call()
    return clock() - start


if __name__ == "__main__":
    for line in rows():
        print("{what:44} {ours_s:8.3f} s  {rival:22} {rival_s:8.3f} s  {ratio:7.1f}  bar {bar:8} {note}".format(**line))
