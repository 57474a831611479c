from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from insar_kernels.decimal_text import format_rows


def printed(value, decimals):
    """The same text by Python's decimal arithmetic."""
    if np.isnan(value):
        return ""
    scaled = Decimal(float(value) * 10.0**decimals).to_integral_value(ROUND_HALF_EVEN)
    text = f"{abs(scaled).scaleb(-decimals):.{decimals}f}"
    if decimals > 1:
        whole, fraction = text.split(".")
        text = f"{whole}.{fraction.rstrip('0') or '0'}"
    minus = np.signbit(value) and (decimals > 0 or scaled != 0)
    return f"-{text}" if minus else text


def one_field(value, decimals):
    text = format_rows(np.array([b"p"]), np.array([[value]]), np.array([decimals]), np.zeros((1, 0), np.float32))
    return text.tobytes().decode()


@settings(max_examples=300, deadline=None)
@given(st.floats(-1e7, 1e7) | st.sampled_from([0.0, -0.0, np.nan, 0.5, 2.5, -0.04, 99.995]), st.integers(0, 6))
def test_fields_print_as_python_rounds(value, decimals):
    assert one_field(value, decimals) == f"p,{printed(value, decimals)}\n"


@settings(max_examples=50, deadline=None)
@given(arrays(np.int16, (3, 7), elements=st.integers(-32767, 32767)))
def test_every_tenth_an_int16_holds_prints_exactly(tenths):
    series = tenths.astype(np.float32) / np.float32(10)
    text = format_rows(np.array([b"a", b"bb", b"ccc"]), np.zeros((3, 0)), np.zeros(0, np.int64), series)
    wanted = [
        ",".join([name, *(f"{v:.1f}" for v in row.tolist())])
        for name, row in zip(["a", "bb", "ccc"], series, strict=True)
    ]
    assert text.tobytes().decode().splitlines() == wanted


@pytest.mark.parametrize(
    ("value", "text"), [(-0.0, "-0.0"), (-0.04, "-0.0"), (0.04, "0.0"), (-3276.7, "-3276.7"), (1e6, "1000000.0")]
)
def test_series_print_one_decimal(value, text):
    row = format_rows(np.array([b"p"]), np.zeros((1, 0)), np.zeros(0, np.int64), np.array([[value]], np.float32))
    assert row.tobytes().decode() == f"p,{text}\n"


def test_missing_is_an_empty_cell_and_all_missing_is_fine():
    series = np.full((1, 3), np.nan, np.float32)
    row = format_rows(np.array([b"p"]), np.full((1, 2), np.nan), np.array([1, 0]), series)
    assert row.tobytes() == b"p,,,,,\n"


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(0.5, 2, "0.5"), (2.0, 2, "2.0"), (38.69067, 6, "38.69067"), (4598603.43, 2, "4598603.43"), (-0.2, 0, "0")],
)  # fmt: skip
def test_zeros_at_the_end_are_cut_but_for_the_first_decimal(value, decimals, text):
    assert one_field(value, decimals) == f"p,{text}\n"


def test_no_rows_are_no_text():
    assert (
        format_rows(np.empty(0, "S4"), np.empty((0, 2)), np.zeros(2, np.int64), np.empty((0, 3), np.float32)).size == 0
    )
