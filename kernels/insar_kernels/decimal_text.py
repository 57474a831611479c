"""Numbers to the text of a CSV with fixed decimals, a block of rows at a time."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["format_rows"]

Bytes = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

COMMA, MINUS, POINT, ZERO, NEWLINE = 44, 45, 46, 48, 10
FIELD_WIDTH = 22
"""Comma, sign, point and the 19 digits of an int64."""


def format_rows(names: npt.NDArray[np.bytes_], fields: Float64, decimals: Int64, series: Float32) -> Bytes:
    r"""Text of some rows: a name, fields of given decimals, a series of one decimal; comma between, LF after.

    Zeros at the end of a field's decimals are cut off but for the first decimal (``0.50`` is ``0.5``, ``2.00`` is
    ``2.0``), as EGMS prints them. What rounds to zero from below is ``-0.0``; NaN is an empty cell. Halves go to the
    even digit, after multiplication by the power of ten in float64.

    Parameters
    ----------
    names : array of bytes, shape (N,)
        First column, ASCII.
    fields : array of float64, shape (N, M)
        Columns before the series; ``|value| * 10**decimals`` below 2^53.
    decimals : array of int64, shape (M,)
        Decimals of each field; with 0 there is no point.
    series : array of float32, shape (N, T)
        Values printed with one decimal.

    Returns
    -------
    array of uint8
        The text.

    >>> fields, series = np.array([[0.25, 7.0]]), np.array([[-0.04, np.nan, 12]], np.float32)
    >>> format_rows(np.array([b"a1"]), fields, np.array([3, 0]), series).tobytes()
    b'a1,0.25,7,-0.0,,12.0\n'
    """
    codes = np.ascontiguousarray(names).view(np.uint8).reshape(names.size, names.itemsize)
    largest = np.nanmax(np.abs(series), initial=0.0)
    width = len(str(int(largest) + 1)) + 4  # comma, sign, point, decimal
    room = codes.shape[1] + FIELD_WIDTH * fields.shape[1] + width * series.shape[1] + 1
    out = np.empty(names.size * room, np.uint8)
    powers = np.power(10.0, decimals.astype(np.float64))
    return out[: _write_rows(codes, fields, powers, decimals, series, out)]


@njit(nogil=True, cache=True)
def _write_rows(codes: Bytes, fields: Float64, powers: Float64, decimals: Int64, series: Float32, out: Bytes) -> int:
    at = np.uint64(0)
    one = np.uint64(1)
    for i in range(codes.shape[0]):
        for k in range(codes.shape[1]):
            if codes[i, k] == 0:
                break
            out[at] = codes[i, k]
            at += one
        for j in range(fields.shape[1]):
            out[at] = COMMA
            at = _write_number(out, at + one, fields[i, j], powers[j], decimals[j])
        for t in range(series.shape[1]):
            out[at] = COMMA
            at = _write_number(out, at + one, series[i, t], 10.0, 1)
        out[at] = NEWLINE
        at += one
    return int(at)


@njit(nogil=True, cache=True, inline="always")
def _write_number(out: Bytes, at: np.uint64, value: float, power: float, decimals: int) -> np.uint64:
    if math.isnan(value):
        return at
    scaled = np.uint64(np.rint(abs(np.float64(value)) * power))
    if math.copysign(1.0, value) < 0 and (decimals > 0 or scaled > 0):
        out[at] = MINUS
        at += np.uint64(1)
    fraction = scaled % np.uint64(power)
    at = _write_digits(out, at, scaled // np.uint64(power))
    if decimals > 0:
        out[at] = POINT
        at = _write_fraction(out, at + np.uint64(1), fraction, decimals)
    return at


@njit(nogil=True, cache=True, inline="always")
def _write_digits(out: Bytes, at: np.uint64, whole: np.uint64) -> np.uint64:
    ten = np.uint64(10)
    end = at + np.uint64(1)
    rest = whole // ten
    while rest > 0:
        end += np.uint64(1)
        rest //= ten
    place = end
    while place > at:
        place -= np.uint64(1)
        out[place] = ZERO + whole % ten
        whole //= ten
    return end


@njit(nogil=True, cache=True, inline="always")
def _write_fraction(out: Bytes, at: np.uint64, fraction: np.uint64, decimals: int) -> np.uint64:
    ten = np.uint64(10)
    digits = decimals
    while digits > 1 and fraction % ten == 0:
        fraction //= ten
        digits -= 1
    end = at + np.uint64(digits)
    place = end
    while place > at:
        place -= np.uint64(1)
        out[place] = ZERO + fraction % ten
        fraction //= ten
    return end
