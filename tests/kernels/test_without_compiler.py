"""The kernels run uncompiled, as a debugger and a coverage tool see them.

With NumPy's own checks of every index, then. Numba's are a command (half a minute of compiling):
``NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(mktemp -d) pytest tests/kernels``.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import numpy as np
from insar_kernels.barycentric import add_weighted, locate, mark_cells
from insar_kernels.harmonic import motion
from insar_kernels.hilbert import hilbert_index
from insar_kernels.holt_winters_fit import holt_winters
from insar_kernels.holt_winters_states import holt_winters_update
from insar_kernels.look_solution import solve_looks
from insar_kernels.look_sums import Dates, add_looks
from insar_kernels.network import invert_network
from insar_kernels.network_closure import close_loops, triplets
from insar_kernels.network_model import fit_network_model
from insar_kernels.resampling import regularise
from insar_kernels.scoring import error_sums
from insar_kernels.seasonal_trend import stl
from insar_kernels.similarity import map_correlation, map_similarity
from insar_kernels.smoothing import moving_average, savgol

rng = np.random.default_rng(0)
days = np.cumsum(rng.choice([6.0, 12.0], 40))
y = rng.normal(0, 10, (35, 40)).astype(np.float32)
y[rng.random(y.shape) < 0.1] = np.nan
y[3], y[4, 1:] = np.nan, np.nan
maps = rng.normal(0, 10, (2, 3, 9, 10)).astype(np.float32)
corners, net = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]]), np.array([[0, 1, 2], [1, 3, 2]], np.int32)
across, sums, mask = np.array([[1, -1, -1], [-1, 0, -1]], np.int32), np.zeros((2, 40)), np.zeros((2, 40), bool)
add_weighted(sums, np.array([0, 2, 3]), np.array([1, 34, 7], np.int32), np.array([0.5, 0.25, 2]), y)
mark_cells(mask, np.arange(35, dtype=np.int32) % 3 - 1, y)
first, second = np.triu_indices(10, 1)
first, second = first[second - first < 4], second[second - first < 4]
pairs = y[:9, second] - y[:9, first]
nets = invert_network(pairs, first, second, days[:10], cycle=28.0)
fits = fit_network_model(pairs, first, second, np.stack([days[:10], days[:10] ** 2], axis=1) / days[10] ** 2)
wanted, looks = np.arange(0, days[-1], 6.0), np.zeros((5, int(np.ceil(days[-1] / 6)), 5), np.int64)
dates = Dates(days, wanted, np.searchsorted(days, wanted, "right") - 1, np.searchsorted(days, wanted))
east, ones, spots = np.where(np.arange(35) % 2, 0.6, -0.5), np.ones(35), np.arange(35) % 6 - 1
for how in range(3):
    add_looks(looks, y, spots, east, np.sqrt(1 - east**2), ones, 0.01 * ones, dates, how, 30.0, 12.0)
results = [
    looks * 1e-6, *(out for way in range(3) for out in solve_looks(looks, spots[:5] != 2, wanted / 365, 30.0, way)),
    *nets, *fits, *close_loops(pairs, triplets(first, second)),
    *locate(rng.uniform(-0.3, 1.3, (60, 2)), corners, net, across), sums, mask,
    *motion(y, days / 365), *stl(y[:6], 5),
    regularise(y, days, np.arange(0, days[-1], 12.0), 30.0), moving_average(y, 3, True),
    *(savgol(y, window, 2) for window in (3, 5, 11, 13, 23, 39)), hilbert_index(days, days),
    error_sums(y[:, 1:], y[:, :-1]), map_correlation(*maps), map_similarity(*maps, 50.0),
    map_similarity(*maps, 50.0, maps[0] > -9), holt_winters(y, 4).sse,
    *holt_winters_update(y[:, 0], y[:, 1] / 99, y[:, 2:7], *(np.full((3, 35), 0.3, np.float32)), y[:, 7:]),
]
print(*(f"{np.nansum(np.float64(result)):.6g}" for result in results))
"""


def sums(**environment):
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"PYTHONPATH": str(root / "kernels")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [float(word) for word in done.stdout.split()]


def test_results_stay_the_same_without_the_compiler():
    assert sums(NUMBA_DISABLE_JIT="1") == pytest.approx(sums(), rel=1e-4)
