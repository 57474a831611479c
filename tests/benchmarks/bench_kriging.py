"""Kriging of groups at the size of Chumar, 588,600 points x 158 dates and 6 leads, against dense solves of each group.

Run as ``python tests/benchmarks/run.py kriging``. CPU seconds on one thread; the rival solves two groups of 8 points,
1,264 unknowns each, scaled up: groups of 32, as ours, would take it 16 times as long.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from insar_dask.forecast import joint_covariance as temporal
from insar_dask.forecast.group_likelihood import SIZES
from insar_dask.forecast.kriging import Kriging
from insar_dask.forecast.neighbourhood import Seats, modes, roughness
from insar_dask.forecast.windows import Context
from tests.benchmarks.measure import QUICK, Row, gate, limit, paired, row, seconds, size, worst

N_POINTS, N_DATES, HORIZON, SEATS = size(588_600), 158, 6, 8
SHARD = 65_536
RUNS = 1 if QUICK else 3
SHARED = np.array([6.0, 2.0, 1.0, 0.3, 8.0, 0.3, 0.1, 0.8, 0.3, 0.4, 6.0])
OWN = np.array([0.5, 0.4, 0.6, 0.2, 8.0, 1.5, 0.1, 0.8, 0.04, 1.6, 1.0, 0.15, 0.5, 0.05, 2.0])
SPACE = np.array([300.0, 0.4, 40.0])
YEARS = np.delete(np.arange(166), [5, 23, 24, 60, 88, 119, 120, 149]) * 12 / 365
TARGETS = YEARS[-1] + np.arange(1, HORIZON + 1) * 12 / 365
MODEL, SMALL = (
    Kriging.from_state(
        {"shared": SHARED, "own": OWN, "space": SPACE, "scalars": np.array([YEARS[-1] - 2.0, 2.2, seats])}
    )
    for seats in (32, SEATS)
)


def rows() -> list[Row]:
    values, places = draw()
    shards = [slice(at, at + SHARD) for at in range(0, N_POINTS, SHARD)]

    def ours() -> None:
        for shard in shards:
            MODEL.predict(context(values[shard], places[shard]))

    few = slice(0, 2 * SEATS)
    timed = paired(ours, lambda: dense(values[few], places[few]), RUNS)
    expected, found = dense(values[few], places[few]), SMALL.predict(context(values[few], places[few]))
    sample = MODEL.partial(context(values[:SHARD], places[:SHARD]))
    whole = seconds(lambda: Kriging().fit([sample], context(values[:0], places[:0])))
    more: Row = {
        "bar": "<= 60 s",
        "gates": [gate("mm, mean and standard error", max(map(worst, found, expected)), 1e-3)],
        "limit": limit("read", values.nbytes),
        "note": f"learning takes {whole:.1f} s",
    }
    return [
        row(
            "forecast of groups of 32",
            timed[0],
            "dense solve, groups of 8",
            timed[1],
            scale=N_POINTS / (2 * SEATS),
            **more,
        )
    ]


def draw() -> tuple[Any, Any]:
    """Wandering series whose neighbours, 20 to 100 m apart, share half of their motion."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((SHARD // 32, N_DATES), dtype=np.float32).cumsum(axis=1).repeat(32, axis=0)
    drawn = shared + 2 * rng.standard_normal((SHARD, N_DATES), dtype=np.float32)
    places = np.stack([np.arange(N_POINTS) * 40.0, rng.uniform(0, 80, N_POINTS)], axis=1)
    return np.concatenate([drawn + shift for shift in range(9)])[:N_POINTS], places


def context(values: Any, places: Any) -> Context:
    return Context(values, YEARS, values[:, :0], YEARS[:0], TARGETS, places=places)


def dense(values: Any, places: Any) -> tuple[Any, Any]:
    """The same posterior from the covariance of all points at all dates, for the likeliest size of shared motion."""
    noise = np.clip(roughness(values, YEARS) / MODEL.reference_, 0.2, 5.0)
    dates = np.concatenate([YEARS, TARGETS])
    of_shared, of_own = (
        temporal.shared_with_gradient(SHARED, dates)[0],
        temporal.own_with_gradient(OWN, MODEL.split_, dates)[0],
    )
    means, stds = [], []
    for at in range(0, len(values), SEATS):
        some = slice(at, at + SEATS)
        seats = Seats(places[some][None], noise[some][None], np.ones((1, SEATS), bool))
        back = modes(seats, SPACE).back[0]
        motion, own = back @ np.diag(modes(seats, SPACE).strength[0]) @ back.T, back @ back.T
        mean, std = solved(values[some].ravel().astype(np.float64), motion, own, of_shared, of_own)
        means.append(mean.reshape(SEATS, -1))
        stds.append(std.reshape(SEATS, -1))
    return np.concatenate(means), np.concatenate(stds)


def solved(history: Any, motion: Any, own: Any, of_shared: Any, of_own: Any) -> tuple[Any, Any]:
    """Posterior at the targets, weighed over the sizes that a group's history does not rule out."""
    seen, results = slice(0, N_DATES), []
    for factor in SIZES:
        time = [(factor * motion, of_shared), (own, of_own)]
        whole = sum(np.kron(space, by_date[seen, seen]) for space, by_date in time)
        cross = sum(np.kron(space, by_date[N_DATES:, seen]) for space, by_date in time)
        ahead = sum(np.diag(np.kron(space, by_date[N_DATES:, N_DATES:])) for space, by_date in time)
        root = scipy.linalg.cholesky(whole, lower=True)
        turned = scipy.linalg.solve_triangular(root, np.column_stack([history, cross.T]), lower=True)
        log = -0.5 * (turned[:, 0] @ turned[:, 0]) - np.log(np.diag(root)).sum()
        results.append((log, turned[:, 1:].T @ turned[:, 0], ahead - (turned[:, 1:] ** 2).sum(axis=0)))
    logs, means, variances = (np.array(column) for column in zip(*results, strict=True))
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    return weights @ means, np.sqrt(weights @ variances)
