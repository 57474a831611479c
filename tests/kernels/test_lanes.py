import numpy as np
from numba import njit

from insar_kernels.lanes import WIDTH, aligned, choose, load, root, spread, store


def formula(array, n):
    """Uses everything that a row can do."""
    for i in range(n):
        x, y = load(array, i), spread(1.5)
        z = choose(x, y, -x, x * y - x / (y + x * x))
        store(array, i, choose(spread(0.0), z, root(z), z))


@njit(error_model="numpy")
def compiled(array, n):
    for i in range(n):
        x, y = load(array, i), spread(1.5)
        z = choose(x, y, -x, x * y - x / (y + x * x))
        store(array, i, choose(spread(0.0), z, root(z), z))


def test_compiled_rows_are_those_of_numpy():
    rows = aligned(7)
    rows[:] = np.random.default_rng(0).normal(0, 2, rows.shape)
    rows[3, 5], rows[4, 1] = np.nan, np.inf
    plain, wide = rows.copy(), np.tile(rows, (1, 3))
    compiled(rows, 7)
    with np.errstate(invalid="ignore"):
        formula(plain, 7)
        formula(wide, 7)
    np.testing.assert_allclose(rows, plain, rtol=1e-6)
    np.testing.assert_array_equal(wide, np.tile(plain, (1, 3)))


def test_rows_start_on_cache_lines():
    for n_rows in (1, 2, 33):
        rows = aligned(n_rows)
        assert rows.shape == (n_rows, WIDTH)
        assert rows.ctypes.data % 64 == 0
        assert not rows.any()


def test_a_lane_of_nan_is_not_chosen_for_and_spoils_no_other():
    a = np.array([np.nan, 1.0, 2.0], np.float32)
    np.testing.assert_array_equal(choose(a, spread(1.5), a, spread(7.0)), np.array([7, 1, 7], np.float32))


def test_rows_of_float64_have_eight_lanes():
    rows = aligned(5, np.float64)
    assert (rows.shape, rows.ctypes.data % 64) == ((5, 8), 0)
    rows[:] = np.random.default_rng(1).normal(0, 2, rows.shape)
    plain = rows.copy()
    compiled_wide(rows, 4)
    for i in range(4):
        x, y = plain[i], plain[i + 1]
        plain[i] = np.where(x < y, np.sqrt(x * x), x / y - (-y))
    np.testing.assert_allclose(rows, plain, rtol=1e-15)


@njit(error_model="numpy")
def compiled_wide(array, n):
    for i in range(n):
        x, y = load(array, i), load(array, i + 1)
        store(array, i, choose(x, y, root(x * x), x / y - (-y)))
