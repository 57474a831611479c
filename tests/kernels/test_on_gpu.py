"""What a GPU does is what the processor does: to 1e-5 of the values, whatever their number and their gaps.

Where there is a GPU it does it; elsewhere its bodies are run as they read, in an array library that refuses what CuPy
refuses (``conftest.py``).
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import Delaunay

import insar_kernels as kernels
from insar_kernels import history
from insar_kernels.barycentric import add_weighted, locate, mark_cells
from insar_kernels.conditioning import posterior
from insar_kernels.gaps import first_and_last, forward_fill
from insar_kernels.holt_winters_fit import HoltWinters
from insar_kernels.rolling import rolling_residuals

DAYS = np.cumsum(np.random.default_rng(1).choice([6.0, 12.0], 45))
CENTROIDS = np.random.default_rng(2).normal(0, 10, (7, 45)).astype(np.float32)
CENTROIDS[:, 3] = np.nan
DESIGN = np.stack([DAYS**0, DAYS / 400, np.sin(DAYS / 60)], axis=1)
PRECISION = np.linalg.inv(9.0 * np.exp(-abs(DAYS[:, None] - DAYS) / 50) + np.eye(45))
CALLS = {
    "regularise": lambda y: [kernels.regularise(y, DAYS, np.arange(0.0, 400.0, 10.0), 30.0)],
    "savgol": lambda y: [kernels.savgol(y, 11, 2)],
    "savgol of lines": lambda y: [kernels.savgol(y, 5, 1)],
    "trailing average": lambda y: [kernels.moving_average(y, 4, False)],
    "centred average": lambda y: [kernels.moving_average(y, 7, True)],
    "motion": lambda y: in_phase(kernels.motion(y, DAYS / 365)),
    "stl": lambda y: kernels.stl(y, 12),
    "variances": lambda y: [kernels.component_variances(y, y[..., ::-1], y**2)],
    "variances far from zero": lambda y: [kernels.component_variances(y + 4000, y - 900, y / 50 + 3000)],
    "errors": lambda y: [kernels.error_sums(y[..., 1:], y[..., :-1])],
    "nearest": lambda y: kernels.nearest(y, CENTROIDS),
    "k-means": lambda y: kernels.lloyd_sums(y, CENTROIDS),
    "alike": lambda y: [kernels.map_similarity(y[..., 1:], y[..., :-1], 90.0)],
    "correlated": lambda y: [kernels.map_correlation(y[..., 1:], y[..., :-1])],
    "least squares": lambda y: [history.least_squares(y, DESIGN, 8, 20)],
    "summary": lambda y: of_some_size(history.residual_summary(y, DESIGN, history.least_squares(y, DESIGN), 6)),
    "residuals": lambda y: [history.residuals(y, DESIGN, history.least_squares(y, DESIGN))],
    "rolling": lambda y: [rolling_residuals(y, DESIGN, [20, 31], 7, 4)],
    "filled": lambda y: [forward_fill(y), *first_and_last(y)],
    "posterior": lambda y: posterior(y, PRECISION, np.full((2, 45), 0.01), np.array([1.5, 2.0])),
    "places": lambda y: [kernels.hilbert_index(np.nan_to_num(y).astype(np.float64), np.nan_to_num(y) * 2.0)],
}
SHAPES = [(2, 9, 45), (1, 45), (3, 45), (45,), (0, 45)]


UNKNOWN = {"alike": SHAPES[3:], "correlated": SHAPES[3:], "posterior": SHAPES[4:]}
"""Shapes that a kernel does not take: what is no map, and nothing at all."""


def some(shape, share):
    rng = np.random.default_rng(7)
    y = rng.normal(0, 10, shape).cumsum(-1).astype(np.float32)
    y[rng.random(shape) < share] = np.nan
    if share and y.ndim > 2:
        y[0, 1], y[0, 2, 4:], y[1, 1] = np.nan, np.nan, 2.5
    return y


def in_phase(fit):
    """A phase says nothing where there is no season."""
    return [*fit._replace(phase=fit.seasonality * np.cos(np.float32(2 * np.pi) * fit.phase))]


def of_some_size(summary):
    """The correlation of rounding errors is anything."""
    return [*summary._replace(autocorrelation=summary.autocorrelation * summary.rmse)]


def back(part):
    return part.get() if hasattr(part, "get") else np.asarray(part)


def agree(there, here):
    for one, other in zip(map(back, there), map(np.asarray, here), strict=True):
        size = np.nanmax(abs(other), initial=1.0)
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * size)


@pytest.mark.filterwarnings("ignore:All-NaN")
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("call", CALLS)
def test_a_gpu_gives_what_the_processor_gives(call, share, on_gpu):
    for shape in SHAPES:
        if shape in UNKNOWN.get(call, []):
            continue
        y = some(shape, share)
        there = CALLS[call](on_gpu(y))
        assert all(type(part) is type(on_gpu(y)) for part in there if np.ndim(part))
        agree(there, CALLS[call](y))


def test_longest_windows_and_the_smallest_ones(on_gpu):
    y = some((4, 45), 0.3)
    for window, order in ((45, 3), (1, 0), (3, 2), (9, 8)):
        agree([kernels.savgol(on_gpu(y), window, order)], [kernels.savgol(y, window, order)])


@pytest.mark.parametrize(("n_dates", "max_gap"), [(1, np.inf), (2, np.inf), (45, 13.0)])
def test_dates_of_any_number_are_interpolated(n_dates, max_gap, on_gpu):
    y, days = some((5, n_dates), 0.3), DAYS[:n_dates]
    new = np.concatenate([[days[0] - 5], days, days + 3.3])
    new.sort()
    agree([kernels.regularise(on_gpu(y), days, new, max_gap)], [kernels.regularise(y, days, new, max_gap)])


def test_masked_maps_are_compared_over_the_cells_that_count(on_gpu):
    maps = some((2, 3, 11, 13), 0.1)
    for mask in (maps[0] > -5, maps[0, 0] > -5):
        for kernel, more in ((kernels.map_similarity, (50.0,)), (kernels.map_correlation, ())):
            agree([kernel(*map(on_gpu, maps), *more, on_gpu(mask))], [kernel(*maps, *more, mask)])
    assert np.isnan(kernels.map_similarity(*map(on_gpu, maps[..., :6]), 50.0).get()).all()


@pytest.mark.parametrize("scattered", [True, False])
def test_places_lie_in_the_triangles_and_rows_are_added(scattered, on_gpu):
    rng = np.random.default_rng(5)
    corners = np.stack(np.meshgrid(np.arange(6.0), np.arange(5.0)), -1).reshape(-1, 2) * 100
    net = Delaunay(rng.uniform(0, 500, (40, 2)) if scattered else corners)
    places = rng.uniform(-30, 530, (60, 2))
    arrays = places, net.points, net.simplices, net.neighbors
    agree(locate(*map(on_gpu, arrays)), locate(*arrays))
    values, cells = some((60, 9), 0.1), rng.integers(-1, 4, 60).astype(np.int32)
    starts, columns = np.array([0, 3, 3, 8, 11]), rng.integers(0, 60, 11).astype(np.int32)
    weights = rng.random(11)
    for add, before, given in (
        (add_weighted, np.ones((4, 9)), (starts, columns, weights, values)),
        (mark_cells, np.zeros((4, 9), bool), (cells, values)),
    ):
        there = on_gpu(before)
        add(there, *map(on_gpu, given))
        add(before, *given)
        agree([there], [before])


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_holt_winters_finds_the_same_minima(share, on_gpu):
    rng, t = np.random.default_rng(3), np.arange(32)
    y = rng.normal(0, 0.3, (6, 1)) * t + 3 * np.sin(t) + rng.normal(0, 0.5, (6, 32)).cumsum(1)
    y[rng.random(y.shape) < share] = np.nan
    y[3], y[4], y[5, 9:], y = 5.0, np.nan, np.nan, y.astype(np.float32)
    here, there = kernels.holt_winters(y, 3), kernels.holt_winters(on_gpu(y), 3)
    there = HoltWinters._make(map(back, there))
    np.testing.assert_array_equal(here.status, there.status)
    np.testing.assert_allclose(there.sse, here.sse, rtol=2e-4)
    same = abs(here.sse - there.sse) <= 1e-5 * here.sse
    assert same[:3].sum() >= 2
    for name in ("trend", "season", "residual", "level", "slope", "seasonal"):
        np.testing.assert_allclose(getattr(there, name)[same], getattr(here, name)[same], atol=0.05, err_msg=name)
    states = here.level, here.slope, here.seasonal, here.alpha, here.beta, here.gamma
    moved = kernels.holt_winters_update(*map(on_gpu, states), on_gpu(y[:, :7]))
    agree(moved, kernels.holt_winters_update(*states, y[:, :7]))


SIMULATED = """
import sys, types
import numpy as np
from insar_kernels import holt_winters_search as searching, holt_winters_table as table
from insar_kernels.gpu import centroids, compiling, filters, fits, running

def simulate(kind, body, blocks, block, height, width, given):
    before, twins = ([np.copy(part) if isinstance(part, np.ndarray) else part for part in given] for _ in range(2))
    compiling.compiled(kind, body)[blocks, block](height, width, given)
    with np.errstate(all="ignore"):
        for i in range(height):
            for j in range(width) if kind == "cells" else [i % width]:
                body(i, j, *([()] if kind == "series" else []), *twins)
    assert all(np.array_equal(one, other, equal_nan=True) for one, other in zip(given, twins)), body
    assert not all(np.array_equal(one, other) for one, other in zip(given, before)), body

device = types.SimpleNamespace(attributes={"MultiProcessorCount": 1})
sys.modules["cupy"] = types.SimpleNamespace(cuda=types.SimpleNamespace(Device=lambda: device))
one, two = running.ALONG, 2 * running.ALONG
running._launch = simulate
running.ACROSS, running.DOWN, running.TALLEST, running.ON_SERIES = 4, 2, 2, two

y = np.random.default_rng(0).normal(0, 9, (5, 14)).astype(np.float32)
gains = np.random.default_rng(4).uniform(0.1, 0.3, (one + 7, 3)).astype(np.float32)
states = np.random.default_rng(1).random((3, searching.STATE)).astype(np.float32)
work, factors = np.zeros((200, one + 2), np.float32), np.zeros((len(gains), 16), np.float32)
rows = np.random.default_rng(2).normal(0, 9, (two + 3, 35)).astype(np.float32)
rows[1::2, ::7], rows[3, 2:] = np.nan, np.nan
n = len(rows)
basis, inverse = np.linalg.qr(np.random.default_rng(3).normal(0, 1, (35, 6)))
label, square = np.full(n, -9, np.int32), np.zeros(n, np.float32)
found, n_dates, room = np.zeros((8, n), np.float32), np.zeros(n, np.int32), np.zeros((54, one))
running.over_cells(filters._average, 5, 14, y, 3, 1, np.zeros_like(y))
running.over_series(centroids._choose, n, rows, rows[:9:2], np.ones(35, bool), label, square)
running.over_series(fits._vary, n, rows, rows**2, rows[::-1].copy(), np.zeros((n, 4), np.float32))
running.ON_SERIES = one
running.over_series(fits._fit, two, rows, basis.T.copy(), inverse, room, found, n_dates)
running.over_rows(table._factorise_on_gpu, len(gains), one + 2, y[0], gains, 3, work, factors)
running.over_rows(searching._advance_on_gpu, 3, 2, states, np.arange(3), np.ones((3, 10), np.float32))
"""


def test_threads_of_a_simulated_gpu_share_the_places_among_them():
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": str(Path(__file__).parents[2] / "kernels")}
    done = subprocess.run(
        [sys.executable, "-c", SIMULATED], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
