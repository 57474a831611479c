import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from insar_dask.report.colours import QUANTITIES, colour_limits


def test_signed_limits_are_symmetric_about_zero():
    values = np.linspace(-1, 9, 1001)
    low, high = colour_limits(values, signed=True)
    assert low == -high
    assert high == pytest.approx(8.8)


def test_limits_are_the_2nd_and_98th_percentile():
    values = np.arange(101.0)
    assert colour_limits(values, signed=False) == (2.0, 98.0)


def test_one_wild_point_in_a_thousand_does_not_stretch_the_scale():
    values = np.append(np.linspace(-3, 3, 1000), 1e6)
    assert colour_limits(values, signed=True)[1] < 3.1


@given(hnp.arrays(np.float64, st.integers(0, 30), elements=st.floats(-1e6, 1e6) | st.just(np.nan)), st.booleans())
def test_limits_are_finite_and_increasing_for_any_values(values, signed):
    low, high = colour_limits(values, signed=signed)
    assert np.isfinite([low, high]).all()
    assert low < high


def test_signed_quantities_have_diverging_colours_and_the_others_do_not():
    diverging = {"RdYlBu", "PuOr"}
    signed = {name for name, quantity in QUANTITIES.items() if quantity.signed}
    assert signed == {"velocity", "cumulative", "acceleration"}
    assert all((quantity.colours in diverging) == quantity.signed for quantity in QUANTITIES.values())
