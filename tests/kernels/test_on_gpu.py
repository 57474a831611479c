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
from insar_kernels.gpu import centroids as members
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
DATELESS = {
    "savgol": lambda y: [kernels.savgol(y, 1, 0)],
    "average": lambda y: [kernels.moving_average(y, 7, True)],
    "motion": lambda y: kernels.motion(y, DAYS[:0]),
    "variances": lambda y: [kernels.component_variances(y, y, y)],
    "errors": lambda y: [kernels.error_sums(y, y)],
    "nearest": lambda y: kernels.nearest(y, CENTROIDS[:, :0]),
    "k-means": lambda y: kernels.lloyd_sums(y, CENTROIDS[:, :0]),
    "holt-winters": lambda y: kernels.holt_winters(y, 3),
    "least squares": lambda y: [history.least_squares(y, DESIGN[:0])],
    "filled": lambda y: [forward_fill(y), *first_and_last(y)],
}

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


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_an_array_in_use_is_filled_on_a_gpu_too(share, on_gpu):
    y = some((2, 4, 45), share)
    for call in (
        lambda values, out: kernels.savgol(values, 5, 2, out=out),
        lambda values, out: kernels.regularise(values, DAYS, DAYS + 2.0, out=out),
    ):
        out = on_gpu(np.zeros_like(y))
        assert call(on_gpu(y), out) is out
        agree([out], [call(y, None)])
        for wrong in (on_gpu(np.zeros((8, 45), np.float32)), on_gpu(np.zeros(y.shape)), np.zeros_like(y)):
            with pytest.raises(ValueError, match="wanted one of cupy, C-contiguous float32"):
                call(on_gpu(y), wrong)
        with pytest.raises(ValueError, match="wanted one of numpy"):
            call(y, out)


@pytest.mark.parametrize(("n_dates", "max_gap"), [(1, np.inf), (2, np.inf), (45, 13.0), (45, 12.0)])
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


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
@pytest.mark.parametrize("call", DATELESS)
def test_series_without_a_date_get_the_processors_answer(call, on_gpu):
    for shape in ((3, 0), (2, 2, 0), (0, 0), (0,)):
        y = np.zeros(shape, np.float32)
        for there, here in zip(DATELESS[call](on_gpu(y)), DATELESS[call](y), strict=True):
            np.testing.assert_array_equal(back(there), np.asarray(here), strict=True)


def test_one_mask_is_for_all_maps_and_a_mask_of_other_maps_is_refused(on_gpu):
    maps = some((2, 3, 11, 13), 0.1)
    for kernel, more in ((kernels.map_similarity, (50.0,)), (kernels.map_correlation, ())):
        plain = kernel(maps, maps[::-1], *more, maps[0, 0] > -5)
        for mask in (maps[0, :1] > -5, maps[:1, :1] > -5):
            np.testing.assert_array_equal(kernel(maps, maps[::-1], *more, mask), plain)
            agree([kernel(on_gpu(maps), on_gpu(maps[::-1]), *more, on_gpu(mask))], [plain])
        for wrong in (np.ones((2, 11, 13), bool), np.ones((13, 11), bool), np.ones((0, 11, 13), bool)):
            for to in (np.asarray, on_gpu):
                with pytest.raises(ValueError, match="wanted a mask for each map, or one for all"):
                    kernel(to(maps), to(maps), *more, to(wrong))


def test_series_in_float64_are_answered_in_float32(on_gpu):
    y = some((3, 45), 0.2).astype(np.float64)
    agree([forward_fill(on_gpu(y))], [forward_fill(y)])


def test_masks_of_their_own_and_single_cells_are_told_apart(on_gpu):
    maps = some((2, 3, 13, 15), 0.0)
    mask = np.zeros(maps.shape, bool)
    mask[0, 0], mask[0, 1, :9], mask[1, 0, ::2], mask[1, 1, :, 8:] = True, True, True, True
    mask[0, 2, 6, 7] = mask[1, 1, 6, 3] = mask[1, 2, 4, 3] = mask[1, 2, 4, 4] = True  # windows of one cell, and of two
    for kernel, more in ((kernels.map_similarity, (50.0,)), (kernels.map_correlation, ())):
        here = kernel(maps, maps[::-1, ::-1], *more, mask)
        there = kernel(on_gpu(maps), on_gpu(maps[::-1, ::-1]), *more, on_gpu(mask))
        agree([there], [here])
        assert np.isnan(here[0, 2])
        assert np.isfinite(here[1, 2])
        assert np.ptp(here[np.isfinite(here)]) > 0.1


def test_flat_maps_have_no_correlation(on_gpu):
    maps = some((3, 11, 13), 0.1)
    maps[1] = 3.3
    maps[1:, :, 0] = np.nan
    assert np.isnan(kernels.map_correlation(*map(on_gpu, (maps, maps[::-1]))).get()[1])
    agree([kernels.map_correlation(*map(on_gpu, (maps, maps[::-1])))], [kernels.map_correlation(maps, maps[::-1])])


def test_each_sum_of_errors_is_the_processors_with_zeros_and_gaps(on_gpu):
    rng = np.random.default_rng(6)
    observed = rng.integers(-1, 2, 3000).astype(np.float32)
    predicted = observed + rng.integers(-1, 2, 3000).astype(np.float32)
    predicted[::7], observed[::11] = np.nan, np.nan
    here = kernels.error_sums(predicted, observed)
    assert ((predicted == 0) & (observed == 0)).any()
    np.testing.assert_allclose(back(kernels.error_sums(on_gpu(predicted), on_gpu(observed))), here, rtol=1e-5)


@pytest.mark.parametrize("scattered", [True, False])
def test_few_dates_say_on_a_gpu_what_they_say_on_the_processor(scattered, on_gpu):
    rng = np.random.default_rng(4)
    y = np.full((50, 45), np.nan, np.float32)
    for i in range(len(y)):
        n = 5 + i % 5
        y[i, rng.choice(45, n, replace=False) if scattered else np.arange(n) + i % 30] = rng.normal(0, 9, n)
    y[3], y[13], y[13, 5] = 2.0, 2.0, np.inf
    here, there = kernels.motion(y, DAYS / 365), kernels.motion(on_gpu(y), DAYS / 365)
    for name, one, other in zip(here._fields, map(back, there), here, strict=True):
        np.testing.assert_array_equal(np.isnan(one), np.isnan(other), err_msg=name)
    known = np.isfinite(here.rmse)
    np.testing.assert_array_equal(back(there.n_dates), here.n_dates)
    np.testing.assert_allclose(back(there.rmse)[known], here.rmse[known], atol=1e-4)
    assert known.sum() >= (20 if scattered else 1)
    assert not known[::5].any()
    assert known[3]
    assert not known[13]


def test_one_date_has_no_variance(on_gpu):
    y = np.full((3, 45), np.nan, np.float32)
    y[0, 3], y[1, [3, 9]], y[2, 5] = 2.0, (1.0, 4.0), -3.0
    found = kernels.component_variances(*map(on_gpu, (y, y, y)))
    agree([found], [kernels.component_variances(y, y, y)])
    assert np.isnan(back(found)).all(1).tolist() == [True, False, True]


@pytest.mark.parametrize("k", [1, 5, 8, 13])
def test_of_patterns_equally_near_the_first_is_taken(k, on_gpu, monkeypatch):
    monkeypatch.setattr(members, "IN_A_RUN", 7)
    monkeypatch.setattr(members, "FOR_EACH", 2)
    rng = np.random.default_rng(k)
    y = rng.integers(-2, 3, (90, 6)).astype(np.float32)
    y[rng.random(y.shape) < 0.4] = np.nan
    y[:5] = [0.5 / 65536, 1.5 / 65536, -0.5 / 65536, -2.5 / 65536, 3.0, 4.0]  # halves of the unit of sums
    centroids = np.concatenate([rng.integers(-1, 2, (k, 6))] * 2).astype(np.float32)
    centroids[:, [1, 4]] = np.nan
    y[5:9, [0, 2, 3, 5]] = np.nan  # no date of the centroids'
    y[5:9, 1] = 2.0
    here, there = kernels.nearest(y, centroids), kernels.nearest(on_gpu(y), centroids)
    np.testing.assert_array_equal(back(there[0]), here[0])
    assert here[0][5:9].tolist() == [-1] * 4
    there, here = kernels.lloyd_sums(on_gpu(y), centroids), kernels.lloyd_sums(y, centroids)
    for name in ("sums", "counts", "sizes"):
        np.testing.assert_array_equal(back(getattr(there, name)), getattr(here, name), err_msg=name)


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


def test_places_on_edges_and_in_triangles_of_either_turn_are_found(on_gpu):
    rng = np.random.default_rng(8)
    net = Delaunay(rng.uniform(0, 500, (40, 2)))
    ends = net.points[net.convex_hull]
    corners = net.points[net.simplices]
    shares = rng.uniform(0, 1, (20, 1, 1))
    places = np.concatenate(
        [(ends[:, 0] + shares * (ends[:, 1] - ends[:, 0])).reshape(-1, 2), corners.mean(1), net.points]
    )
    triangles, neighbours = net.simplices.copy(), net.neighbors.copy()
    triangles[::2], neighbours[::2] = triangles[::2, [0, 2, 1]], neighbours[::2, [0, 2, 1]]
    arrays = places, net.points, triangles, neighbours
    here = locate(*arrays)
    there = [back(part) for part in locate(*map(on_gpu, arrays))]
    np.testing.assert_array_equal(there[0] < 0, here.triangle < 0)
    assert (here.triangle[len(ends) * 20 :] >= 0).all()
    assert (here.weights[: len(ends) * 20] < 0).any()  # by a rounding beyond the hull
    inside = there[0] >= 0
    found = (net.points[triangles[there[0][inside]]] * there[1][inside, :, None]).sum(1)
    np.testing.assert_allclose(found, places[inside], atol=1e-9)


def test_a_walk_that_turns_back_looks_at_all_triangles(on_gpu):
    points = np.array([[0.0, 0], [1, 0], [3, 0], [0, 5], [1, 5], [0, 6], [0.1, -0.2], [0.7, 0.9], [0.2, 0.8]])
    triangles = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8]], np.int32)  # flat, away, where the places are
    astray = np.array([[1, 1, 1], [0, 0, 0], [-1, -1, -1]], np.int32)
    on_its_edge = points[6] + np.linspace(0.01, 0.99, 30)[:, None] * (points[7] - points[6])
    places = np.concatenate([[[0.3, 0.5], [0.2, 0.0]], on_its_edge, [[9.0, 9.0]]])
    here, there = locate(places, points, triangles, astray), locate(*map(on_gpu, (places, points, triangles, astray)))
    assert here.triangle.tolist() == [2] * 32 + [-1]
    assert (here.weights < 0).any()  # by a rounding
    agree(there, here)


def test_a_walk_that_meets_the_hull_has_left_it(on_gpu):
    points = np.array([[0.0, 0], [1, 0], [0, 1], [5, 5], [6, 5], [5, 6]])
    islands = points, np.array([[0, 1, 2], [3, 4, 5]], np.int32), np.full((2, 3), -1, np.int32)
    place = np.array([[5.2, 5.2]])
    here, there = locate(place, *islands), locate(*map(on_gpu, (place, *islands)))
    assert here.triangle.tolist() == [-1]
    agree(there, here)


def test_rows_in_no_cell_mark_none(on_gpu):
    values, cells = some((4, 9), 0.3), np.array([-1, 0, -1, 2], np.int32)
    here, there = np.zeros((4, 9), bool), on_gpu(np.zeros((4, 9), bool))
    mark_cells(here, cells, values)
    mark_cells(there, on_gpu(cells), on_gpu(values))
    np.testing.assert_array_equal(back(there), here)
    assert not here[[1, 3]].any()


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
