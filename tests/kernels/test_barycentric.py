import numpy as np
import pytest
from scipy.interpolate import LinearNDInterpolator
from scipy.sparse import random_array
from scipy.spatial import Delaunay

from insar_kernels.barycentric import add_weighted, locate, mark_cells

TURN = np.array([[np.cos(0.3), np.sin(0.3)], [-np.sin(0.3), np.cos(0.3)]])
CORNERS = np.stack(np.meshgrid(np.arange(14.0), np.arange(9.0)), -1).reshape(-1, 2) * 100
CASES = {
    "scattered": np.random.default_rng(1).uniform(0, 1000, (300, 2)),
    "grid": CORNERS,
    "turned grid, whose hull is of slivers": CORNERS @ TURN,
    "three points": np.array([[0.0, 0.0], [900.0, 100.0], [200.0, 800.0]]),
}


@pytest.fixture(params=list(CASES))
def net(request):
    return Delaunay(CASES[request.param])


@pytest.fixture
def places(net):
    low, high = net.points.min(axis=0) - 80, net.points.max(axis=0) + 80
    return np.random.default_rng(2).uniform(low, high, (2000, 2))


def test_weights_interpolate_as_scipy_does(net, places):
    values = np.random.default_rng(3).normal(0, 10, len(net.points))
    found, weights = locate(places, net.points, net.simplices, net.neighbors)
    ours = (weights * values[net.simplices[found]]).sum(axis=1)
    exact = LinearNDInterpolator(net.points, values)(places)
    np.testing.assert_array_equal(found < 0, np.isnan(exact))
    # on a grid either diagonal of a square is Delaunay, so the interpolator must be asked for its own
    same = LinearNDInterpolator(net, values)(places)
    np.testing.assert_allclose(ours[found >= 0], same[found >= 0], atol=1e-9)


def test_a_gpu_walks_to_the_same_triangles(net, places, on_gpu):
    given = places[:150], net.points, net.simplices, net.neighbors
    found, weights = locate(*given)
    there, others = (part.get() for part in locate(*map(on_gpu, given)))
    np.testing.assert_array_equal(found, there)
    np.testing.assert_array_equal(np.isnan(weights), np.isnan(others))
    np.testing.assert_allclose(weights, others, atol=1e-9)


def test_a_point_is_itself(net):
    found, weights = locate(net.points, net.points, net.simplices, net.neighbors)
    assert (found >= 0).all()
    at = net.simplices[found, weights.argmax(axis=1)]
    np.testing.assert_array_equal(at, np.arange(len(net.points)))
    np.testing.assert_allclose(weights.max(axis=1), 1, atol=1e-9)


@pytest.fixture
def product():
    chance = np.random.default_rng(4)
    matrix = random_array((40, 90), density=0.1, format="csr", rng=chance)
    values = chance.normal(0, 10, (90, 17)).astype(np.float32)
    return matrix, (matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data), values


@pytest.mark.parametrize("missing", [0.0, 0.02])
def test_sums_are_the_sparse_product(missing, product, on_gpu):
    matrix, parts, values = product
    values[np.random.default_rng(5).random(values.shape) < missing] = np.nan
    sums = np.zeros((40, 17))
    add_weighted(sums, *parts, values)
    np.testing.assert_allclose(sums, matrix @ values.astype(np.float64), atol=1e-11)
    twin = on_gpu(np.zeros((40, 17)))
    add_weighted(twin, *map(on_gpu, parts), on_gpu(values))
    np.testing.assert_allclose(twin.get(), sums, atol=1e-11)


def test_blocks_of_rows_add_to_the_same_bits(product):
    matrix, parts, values = product
    whole, blocks = np.zeros((40, 17)), np.zeros((40, 17))
    add_weighted(whole, *parts, values)
    for where in (slice(0, 31), slice(31, 32), slice(32, 90)):
        part = matrix[:, where]
        add_weighted(blocks, part.indptr.astype(np.int64), part.indices.astype(np.int32), part.data, values[where])
    np.testing.assert_array_equal(whole, blocks)


def test_a_cell_is_marked_where_any_of_its_rows_has_a_value(product, on_gpu):
    values = product[2]
    chance = np.random.default_rng(6)
    values[chance.random(values.shape) < 0.9] = np.nan
    cells = chance.integers(-1, 40, 90).astype(np.int32)
    exact = np.zeros((40, 17), bool)
    for row, cell in zip(values, cells, strict=True):
        if cell >= 0:
            exact[cell] |= ~np.isnan(row)
    mask, twin = np.zeros((40, 17), bool), on_gpu(np.zeros((40, 17), bool))
    mark_cells(mask, cells, values)
    mark_cells(twin, on_gpu(cells), on_gpu(values))
    np.testing.assert_array_equal(mask, exact)
    np.testing.assert_array_equal(twin.get(), exact)
    assert mask.any()
    assert not mask.all()
