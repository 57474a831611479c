"""Holt-Winters against statsmodels, which estimates 34 numbers a series, one series after the other.

Run as ``python tests/benchmarks/run.py decompose``; about four minutes. Accuracy is that of the optimum: our sum of
squared one-step errors over statsmodels', on realistic series, on hard ones (level and slope walk, the season evolves),
on both as `savgol` hands them on, and on a synthetic scene.
"""

from __future__ import annotations

import statistics
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from statsmodels.tsa.holtwinters import ExponentialSmoothing

from insar_dask import synthetic
from insar_kernels import holt_winters, savgol
from tests.benchmarks.bench_kernels import cost_of_gaps, with_gaps
from tests.benchmarks.measure import Row, gate, row, seconds, size, whole_process

PERIOD, N_DATES = 30, 166
REPEATS = 40
"""Times that our kernel is given what statsmodels is given once: else it is done before the clock has ticked."""


def rows() -> list[Row]:
    realistic_ones, hard_ones = realistic(size(200), 0), hard(size(200), 1)
    sets = {
        "realistic": realistic_ones,
        "hard": hard_ones,
        "hard, other seeds": hard(size(200), 77),
        "realistic, smoothed": savgol(realistic_ones, 11, 2),
        "hard, smoothed": savgol(hard_ones, 11, 2),
        "synthetic scene": scene(size(200)),
    }
    return [
        *(against_statsmodels(name, y) for name, y in sets.items()),
        from_nothing(realistic_ones),
        of_everything(),
        of_gaps(),
    ]


def against_statsmodels(name: str, y: Any) -> Row:
    """Interleaved in four parts, so that the load of the machine is the same for both."""
    holt_winters(y, PERIOD)
    mine, theirs, oracle = [], [], []
    for part in np.array_split(y, 4):
        many = np.tile(part, (REPEATS, 1))
        mine.append(seconds(lambda many=many: holt_winters(many, PERIOD)))
        began = time.process_time()
        oracle.append(sums_of_squares(part))
        theirs.append(time.process_time() - began)
    share = holt_winters(y, PERIOD).sse / np.concatenate(oracle)
    each = 1e6 * statistics.median(mine) / (REPEATS * len(y) / 4)
    note = f"{each:.0f} us a series; worst ratio {share.max():.4f}; lower by over 0.1 % in {np.mean(share < 0.999):.1%}"
    return row(
        f"Holt-Winters {len(y)} x {N_DATES}, {name}",
        [used / REPEATS for used in mine],
        "statsmodels",
        theirs,
        bar=">= 1000",
        gates=[gate("share with SSE <= 1.001 of statsmodels'", np.mean(share <= 1.001), at_least=0.99)],
        note=note,
    )


def sums_of_squares(y: Any) -> Any:
    squares = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it stops early now and then, and says so
        for one in y.astype(np.float64):
            model = ExponentialSmoothing(
                one, trend="add", seasonal="add", seasonal_periods=PERIOD, initialization_method="estimated"
            )
            squares.append(model.fit().sse)
    return np.array(squares)


def from_nothing(y: Any) -> Row:
    few = y[:100]
    process = whole_process(
        f"from insar_kernels import holt_winters; holt_winters(np.tile(y, (200, 1)), {PERIOD})",
        "from tests.benchmarks.bench_decompose import sums_of_squares; sums_of_squares(y)",
        scale=200.0,
        y=few,
    )
    mine = [seconds(lambda: holt_winters(np.tile(few, (200, 1)), PERIOD)) for _ in range(3)]
    note = f"statsmodels was given {len(few)} series, its time scaled up"
    return row(f"Holt-Winters {200 * len(few):,} x {N_DATES}", mine, process=process, note=note)


def of_everything() -> Row:
    """All series of the paper on two threads, each part's results dropped: the memory is the kernel's own."""
    y = np.tile(realistic(1000, 3), (-(-size(588_600) // 1000), 1))[: size(588_600)]
    y += np.random.default_rng(4).normal(0, 0.5, y.shape).astype(np.float32)
    parts = np.array_split(y, 18)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = memory("VmRSS")
    with ThreadPoolExecutor(2) as pool:
        began, used = time.perf_counter(), time.process_time()
        doubtful = sum(pool.map(lambda part: int((holt_winters(part, PERIOD).status != 0).sum()), parts))
        wall, cpu = time.perf_counter() - began, time.process_time() - used
    room, results = memory("VmHWM") - before, 2 * 3 * parts[0].nbytes / 1e6
    note = f"{cpu:.1f} CPU s; {room:.0f} MB beside the input, {results:.0f} of them results; {doubtful} series not OK"
    what = f"Holt-Winters {len(y):,} x {N_DATES}, 2 threads"
    return {"what": what, "ours_s": wall, "clock": "wall", "bar": "<= 60 s", "note": note}


def memory(field: str) -> float:
    """Megabytes of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":")) * 1024 / 1e6


def of_gaps() -> Row:
    y = realistic(size(4000), 5)
    holes = with_gaps(y, 0.05)
    filled = holt_winters(holes, PERIOD)
    gates = [gate("share of gappy series fitted", np.mean(filled.status == 0), at_least=0.999)]
    return cost_of_gaps("Holt-Winters", lambda: holt_winters(holes, PERIOD), lambda: holt_winters(y, PERIOD), gates)


def realistic(n: int, seed: int) -> Any:
    """Eight regimes of trend, acceleration, annual and semi-annual signal; AR(1) noise of 0.5 [mm]."""
    rng, years = np.random.default_rng(seed), np.arange(N_DATES) * 12 / 365.25
    regime = np.arange(n) % 8
    velocity = np.array([0, -3, 5, -15, 10, -30, 2, 20])[regime] + rng.normal(0, 2, n)
    acceleration = np.array([0, 0, 1, 2, -2, 4, 0, -5])[regime] * rng.random(n)
    annual = np.array([0.5, 2, 5, 3, 8, 4, 10, 1])[regime] * rng.uniform(0.5, 1.5, n)
    turn = 2 * np.pi * (years + rng.random((n, 1)))
    y = velocity[:, None] * years + acceleration[:, None] * years**2 / 2
    y += annual[:, None] * (np.sin(turn) + rng.uniform(0, 0.4, (n, 1)) * np.sin(2 * turn + rng.random((n, 1))))
    spread = np.array([1, 1.5, 2, 2.5, 3, 2, 1.5, 4])[regime] * np.sqrt(0.75)
    noise = rng.normal(0, spread[:, None], (n, N_DATES + 50))
    for t in range(1, noise.shape[1]):
        noise[:, t] += 0.5 * noise[:, t - 1]
    return (y + noise[:, 50:]).astype(np.float32)


def hard(n: int, seed: int) -> Any:
    """Level, slope and season walk at once, by steps that differ by a factor of 30 to 300 between series [mm]."""
    rng = np.random.default_rng(seed)
    walk, bend, turn, noise = (
        10 ** rng.uniform(low, high, n) for low, high in ((-1.5, 0.5), (-3, -0.5), (-1.5, 0.3), (-1, 0.5))
    )
    season = rng.uniform(1, 6, (n, 1)) * np.sin(2 * np.pi * (np.arange(PERIOD) / PERIOD + rng.random((n, 1))))
    level, slope, y = np.zeros(n), rng.normal(0, 0.3, n), np.empty((n, N_DATES), np.float32)
    for t in range(N_DATES):
        slope += rng.normal(0, bend)
        level += slope + rng.normal(0, walk)
        season[:, t % PERIOD] += rng.normal(0, turn)
        y[:, t] = level + season[:, t % PERIOD] + rng.normal(0, noise)
    return y


def scene(n: int) -> Any:
    """Points of a synthetic scene, their dates taken as even."""
    return synthetic.scene("l2b", n, N_DATES).displacement.values
