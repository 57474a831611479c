"""The parser of printed decimals against Python's own Decimal and float."""

from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insar_kernels.decimal_tenths import MISSING, WIDE, parse_tenths
from insar_kernels.decimals import LABEL, ODD, PADDING, PLAIN, SKIP, parse_floats, parse_leading
from insar_kernels.text_lines import line_starts


def as_text(data: bytes, spare: int = 500) -> np.ndarray:
    # what follows a text in its buffer is left over from an earlier band, so it must not matter
    return np.frombuffer(data + b"9,9.9,9\n" * (spare // 8) + bytes(PADDING), np.uint8)


def parse(data: bytes, n_cells: int, parser=parse_tenths, spare: int = 500):
    """Cells of all lines. Four rows are cut at once only where the buffer is long enough for rows that are none."""
    text = as_text(data, spare)
    starts = line_starts(text, len(data))
    return parser(text, starts, starts[:-1].copy(), np.arange(starts.size - 1), n_cells)


def tenths_of(cell: str) -> int | None:
    """Exact tenths of a printed cell, None where int16 tenths cannot hold it."""
    tenths = Decimal(cell) * 10
    return int(tenths) if tenths == int(tenths) and abs(int(tenths)) <= 32767 else None


plain_cells = st.builds(
    lambda sign, whole, decimals: sign + whole + ("." + decimals if decimals else ""),
    st.sampled_from(["", "-", "+"]),
    st.text("0123456789", min_size=1, max_size=6),
    st.text("0123456789", max_size=4),
)
egms_cells = st.integers(-99999, 99999).map(lambda k: f"{k / 10:.1f}")
short_cells = st.integers(-32767, 32767).map(lambda k: f"{k / 10:.1f}")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(egms_cells | plain_cells, min_size=7, max_size=7), min_size=1, max_size=9),
    st.booleans(),
    st.sampled_from([0, 500]),
)
def test_tenths_equal_exact_decimals_and_others_are_called_wide(rows, crlf, spare):
    end = "\r\n" if crlf else "\n"
    tenths, verdicts = parse("".join(",".join(row) + end for row in rows).encode(), 7, spare=spare)
    for row, found, verdict in zip(rows, tenths, verdicts, strict=True):
        exact = [tenths_of(cell) for cell in row]
        assert verdict == (WIDE if None in exact else PLAIN)
        if verdict == PLAIN:
            assert found.tolist() == exact


@settings(max_examples=300, deadline=None)
@given(st.lists(plain_cells | egms_cells | st.just(""), min_size=1, max_size=9))
def test_floats_equal_python_rounded_once(cells):
    values, verdicts = parse((",".join(cells) + "\n").encode(), len(cells), parse_floats)
    expected = np.array([float(cell) if cell else np.nan for cell in cells]).astype(np.float32)
    if len(cells) == 1 and not cells[0]:
        return  # an empty line has no cell
    assert verdicts.tolist() == [PLAIN]
    np.testing.assert_array_equal(values[0], expected)


@settings(max_examples=300, deadline=None)
@given(st.text('0123456789.-+eE "x,inf\t', max_size=24), st.integers(1, 4))
def test_any_text_is_understood_as_float_does_or_marked(text, n_cells):
    tenths, verdicts = parse(text.encode() + b"\n", n_cells)
    if verdicts[0] != PLAIN:
        return
    cells = text.split(",")
    assert len(cells) == n_cells
    for cell, found in zip(cells, tenths[0].tolist(), strict=True):
        assert found == (MISSING if not cell.strip(" ") else tenths_of(cell.strip()))


@pytest.mark.parametrize(
    "cell",
    ["1e3", '"1.2"', "abc", "--1.2", "-", "+", ".", "1.2.3", "1-2.3", "1 2.3", "inf", "nan", "1.2x", "-x.1", "/.1"],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_is_no_plain_decimal_marks_its_row_alone(cell, place):
    rows = [["1.1", "2.2", "3.3"] for _ in range(3)]
    rows[1][place] = cell
    tenths, verdicts = parse("".join(",".join(row) + "\n" for row in rows).encode(), 3)
    assert verdicts.tolist() == [PLAIN, ODD, PLAIN]
    assert tenths[[0, 2]].tolist() == [[11, 22, 33]] * 2


@pytest.mark.parametrize("row", ["1.1,2.2", "1.1,2.2,3.3,4.4", "1.1,2.2,3.3,", "1.1", ""])
def test_a_wrong_number_of_cells_marks_the_row(row):
    _, verdicts = parse(f"1.1,2.2,3.3\n{row}\n4.4,5.5,6.6\n".encode(), 3)
    assert verdicts.tolist() == [PLAIN, ODD, PLAIN]


def test_empty_and_blank_cells_are_missing_and_signed_zero_is_zero():
    tenths, verdicts = parse(b",  ,-0.0\n 1.5 ,-.5,5.\n", 3)
    assert verdicts.tolist() == [PLAIN, PLAIN]
    assert tenths.tolist() == [[MISSING, MISSING, 0], [15, -5, 50]]


def test_limits_of_int16_tenths():
    tenths, verdicts = parse(b"3276.7,1.0\n-3276.7,1.0\n3276.8,1.0\n-3276.8,1.0\n1.0,3276.8\n1.05,1.0\n1.50,1.00\n", 2)
    assert verdicts.tolist() == [PLAIN, PLAIN, WIDE, WIDE, WIDE, WIDE, PLAIN]
    assert tenths[[0, 1, 6]].tolist() == [[32767, 10], [-32767, 10], [15, 10]]


def test_last_line_needs_no_line_break():
    tenths, verdicts = parse(b"1.1,2.2\n3.3,-4.4", 2)
    assert verdicts.tolist() == [PLAIN, PLAIN]
    assert tenths.tolist() == [[11, 22], [33, -44]]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("ab,1\r", max_size=150), max_size=8), st.booleans())
def test_line_starts_are_those_of_split(lines, ends_with_break):
    data = "\n".join(lines).encode() + (b"\n" if ends_with_break else b"")
    starts = line_starts(as_text(data), len(data)).tolist()
    pieces = [data[a:b] for a, b in pairwise(starts)]
    assert pieces == data.splitlines(keepends=True) if b"\r" not in data else b"".join(pieces) == data
    assert all(piece.count(b"\n") == 1 for piece in pieces[:-1])


def test_leading_columns_become_numbers_labels_and_the_place_of_the_dates():
    data = b'aB3,4597550,7,-47.8,1.1\n"c,",1,7,2.0,1.1\n"q r", 0.25 ,7,,1.1\n,1,7,2,1.1\nd,1e3,7,2,1.1\n'
    text = as_text(data)
    numbers, labels, after, verdicts = parse_leading(
        text, line_starts(text, len(data)), np.array([LABEL, 0, SKIP, 1]), 2
    )
    assert verdicts.tolist() == [PLAIN, ODD, PLAIN, ODD, ODD]
    np.testing.assert_array_equal(numbers[[0, 2]], [[4597550.0, -47.8], [0.25, np.nan]])
    assert [data[a : a + n] for a, n in labels[[0, 2]]] == [b"aB3", b"q r"]
    assert [data[a : a + 4] for a in after[[0, 2]]] == [b"1.1\n"] * 2


@settings(max_examples=200, deadline=None)
@given(st.floats(-1e9, 1e9).map(lambda x: f"{x:.6f}") | plain_cells)
def test_numbers_equal_float_to_the_last_bit(cell):
    data = f"p,{cell},1.0\n".encode()
    text = as_text(data)
    numbers, _, _, verdicts = parse_leading(text, line_starts(text, len(data)), np.array([LABEL, 0]), 1)
    if sum(c.isdigit() for c in cell) <= 15:
        assert verdicts.tolist() == [PLAIN]
        assert numbers[0, 0] == float(cell)
    else:
        assert verdicts.tolist() == [ODD]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(short_cells, min_size=5, max_size=5), min_size=1, max_size=13), st.data())
def test_a_bad_byte_anywhere_spoils_at_most_its_row(rows, data):
    text = bytearray("".join(",".join(row) + "\n" for row in rows).encode())
    expected, _ = parse(bytes(text), 5)
    at = data.draw(st.integers(0, len(text) - 1).filter(lambda k: text[k] != 10))
    row = bytes(text[:at]).count(b"\n")
    text[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != 10))
    tenths, verdicts = parse(bytes(text), 5)
    others = [k for k in range(len(rows)) if k != row]
    assert (verdicts[others] == PLAIN).all()
    np.testing.assert_array_equal(tenths[others], expected[others])
    cells = bytes(text).split(b"\n")[row].split(b",")
    if verdicts[row] == PLAIN:
        assert [MISSING if not cell.strip(b" \r") else tenths_of(cell.decode()) for cell in cells] == tenths[
            row
        ].tolist()


def test_rows_can_be_chosen():
    data = b"1.1,2.2\nbad\n3.3,4.4\n"
    text = as_text(data)
    starts = line_starts(text, len(data))
    tenths, verdicts = parse_tenths(text, starts, starts[:-1].copy(), np.array([2, 0]), 2)
    assert tenths.tolist() == [[33, 44], [11, 22]]
    assert verdicts.tolist() == [PLAIN, PLAIN]
