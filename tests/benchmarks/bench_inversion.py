"""Inversion of networks against least squares of each point: one thread, warm, every point with its own gaps.

Run as ``python tests/benchmarks/run.py inversion``; about a minute.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import scipy.linalg

from insar_kernels.network import invert_network
from tests.benchmarks.measure import QUICK, RUNS, Row, gate, row, seconds, size

N_DATES = 158
LONGEST = 50.0
DAYS = 12.0 * np.delete(np.arange(166), [5, 23, 24, 60, 88, 119, 120, 149])
FEW = 4 if QUICK else 60
"""Points that the rival is given: 3 ms each."""


def rows() -> list[Row]:
    first, second = network()
    values, weights = pairs(size(16_384), first, second)
    whole = np.nan_to_num(values)
    what = f"{len(values):,} points x {first.size} pairs, {N_DATES} dates"

    def plain() -> Any:
        return invert_network(values, first, second, DAYS, cofactors=False)

    def full() -> Any:
        return invert_network(values, first, second, DAYS, weights, cycle=27.733)

    def dense() -> Any:
        return invert_network(whole, first, second, DAYS, cofactors=False)

    plain(), full(), dense()
    timed = {name: [1e6 * seconds(work) / len(values) for _ in range(RUNS)] for name, work in
             (("plain", plain), ("full", full), ("dense", dense))}  # fmt: skip
    whole_networks = np.flatnonzero(plain().rank == N_DATES - 1)[:FEW]  # of others lstsq gives another answer
    rival = least_squares(values[whole_networks], first, second)
    ones = [1e6 * s for s in rival["seconds"]]
    gates = [
        gate("mm from lstsq", np.nanmax(np.abs(plain().displacement[whole_networks] - rival["displacement"])), 1e-5)
    ]
    found = weighted(values[whole_networks], weights[whole_networks], first, second)
    variance = np.nanmax(np.abs(full().cofactor[whole_networks] - found))
    median = {name: float(np.median(times)) for name, times in timed.items()}
    return [
        row(f"least squares, {what}", [s * 1e-6 for s in timed["plain"]], "lstsq per point",
            [float(np.median(ones)) * 1e-6] * RUNS, bar="<= 1.2e-05 s", gates=gates,
            note=f"seconds a point; {median['plain'] / median['dense']:.2f} x those of complete rows"),
        row(f"with weights, variances, residuals and coherence, {what}", [s * 1e-6 for s in timed["full"]],
            "lstsq per point", [float(np.median(ones)) * 1e-6] * RUNS, bar="<= 2.5e-05 s",
            gates=[gate("variance from inv", variance, 1e-5)], note="seconds a point"),
    ]  # fmt: skip


def network() -> tuple[Any, Any]:
    """498 pairs of at most 50 days, as the published network has."""
    first, second = np.triu_indices(N_DATES, 1)
    near = DAYS[second] - DAYS[first] <= LONGEST
    first, second = first[near], second[near]
    rng = np.random.default_rng(0)
    surplus = first.size - 498
    spare = np.flatnonzero(second - first > 1)
    kept = np.setdiff1d(np.arange(first.size), rng.choice(spare, max(surplus, 0), replace=False))
    return first[kept], second[kept]


def pairs(n: int, first: Any, second: Any) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    truth = np.cumsum(rng.normal(0, 2, (n, N_DATES)), axis=1)
    values = (truth[:, second] - truth[:, first] + rng.normal(0, 2, (n, first.size))).astype(np.float32)
    values[rng.random(values.shape) < 0.05] = np.nan
    return values, rng.uniform(0.05, 1, values.shape).astype(np.float32)


def least_squares(values: Any, first: Any, second: Any) -> dict[str, Any]:
    """What others do for points with gaps: a dense least-squares solution each."""
    displacement, times = np.full((len(values), N_DATES), np.nan), []
    for i, d in enumerate(values.astype(np.float64)):
        began = time.process_time()
        valid = ~np.isnan(d)
        matrix = design(first[valid], second[valid])
        displacement[i, 0] = 0.0
        displacement[i, 1:] = scipy.linalg.lstsq(matrix[:, 1:], d[valid])[0]
        times.append(time.process_time() - began)
    return {"displacement": displacement, "seconds": times}


def weighted(values: Any, weights: Any, first: Any, second: Any) -> Any:
    found = np.zeros((len(values), N_DATES))
    for i, (d, w) in enumerate(zip(values, weights.astype(np.float64), strict=True)):
        valid = ~np.isnan(d)
        matrix = design(first[valid], second[valid])[:, 1:]
        found[i, 1:] = np.diag(np.linalg.inv(matrix.T @ (w[valid, None] * matrix)))
    return found


def design(first: Any, second: Any) -> Any:
    matrix = np.zeros((len(first), N_DATES))
    matrix[np.arange(len(first)), first] = -1.0
    matrix[np.arange(len(first)), second] = 1.0
    return matrix
