import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from insar_kernels.hilbert import HILBERT_BITS, HILBERT_LIMIT, _on_array, hilbert_index


def centre(n):
    """Coordinates of an aligned square of n x n cells in the lower left corner of the curve's own."""
    cells = np.arange(n) - HILBERT_LIMIT + 0.5
    easting, northing = np.meshgrid(cells, cells)
    return easting.ravel(), northing.ravel()


def test_steps_of_one_go_to_a_neighbouring_cell():
    easting, northing = centre(64)
    index = hilbert_index(easting, northing)
    assert sorted(index.tolist()) == list(range(64 * 64))
    walk = np.argsort(index)
    steps = np.abs(np.diff(easting[walk])) + np.abs(np.diff(northing[walk]))
    assert (steps == 1).all()


def test_curve_covers_all_cells_from_first_to_last():
    corner = HILBERT_LIMIT - 1
    index = hilbert_index(np.array([-HILBERT_LIMIT, corner]), np.array([-HILBERT_LIMIT, -HILBERT_LIMIT]))
    assert index.tolist() == [0, 4**HILBERT_BITS - 1]
    assert index.dtype == np.uint64


def test_a_cell_is_one_metre_and_half_open():
    easting = np.array([10.0, 10.999, 11.0, -0.001, 0.0])
    index = hilbert_index(easting, np.zeros(5))
    assert index[0] == index[1] != index[2]
    assert index[3] != index[4]


def recursive_index(x, y, bits):
    """Hilbert's construction: enter the quadrant, then walk it turned."""
    if bits == 0:
        return 0
    half = 1 << (bits - 1)
    quadrant = {(0, 0): 0, (0, 1): 1, (1, 1): 2, (1, 0): 3}[(x >= half, y >= half)]
    x, y = x % half, y % half
    if quadrant == 0:
        x, y = y, x
    elif quadrant == 3:
        x, y = half - 1 - y, half - 1 - x
    return quadrant * half * half + recursive_index(x, y, bits - 1)


cell = st.integers(-(2**24), 2**24 - 1)


@settings(max_examples=200, deadline=None)
@given(cell, cell)
def test_index_is_that_of_the_recursive_construction(x, y):
    expected = recursive_index(x + 2**24, y + 2**24, HILBERT_BITS)
    easting, northing = np.array([x + 0.5]), np.array([y + 0.25])
    assert hilbert_index(easting, northing).tolist() == [expected]
    assert _on_array(np, easting, northing).tolist() == [expected]


def test_both_bodies_agree():
    rng = np.random.default_rng(0)
    easting, northing = rng.uniform(-HILBERT_LIMIT, HILBERT_LIMIT, (2, 30, 40))
    index = hilbert_index(easting, northing)
    assert index.shape == (30, 40)
    np.testing.assert_array_equal(index, _on_array(np, easting, northing))
