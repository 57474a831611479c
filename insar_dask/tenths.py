"""Displacement as int16 tenths of a millimetre, EGMS's own resolution: half the bytes of float32, nothing lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["NODATA", "PACKING", "NotTenthsError", "decode_tenths", "decode_tenths_on", "encode_tenths"]

NODATA = -32768
"""The int16 that stands for a missing value."""

PER_MM = 10
PACKING: dict[Any, Any] = {"scale_factor": 1 / PER_MM, "_FillValue": NODATA}
"""CF attributes by which other programs decode the integers."""


class NotTenthsError(ValueError):
    """A displacement is not a multiple of 0.1 mm within +-3276.7: the array must be float32."""


def encode_tenths(values: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Displacement [mm] to int16 tenths, NaN to -32768; raises NotTenthsError where that would lose anything."""
    missing = np.isnan(values)
    tenths = np.rint(values.astype(np.float64) * PER_MM)
    tenths[missing] = 0
    if (np.abs(tenths) > -NODATA - 1).any():
        raise NotTenthsError("displacement beyond +-3276.7 mm")
    encoded = tenths.astype(np.int16)
    if not np.array_equal(decode_tenths(encoded)[~missing], values[~missing]):
        raise NotTenthsError("displacement that is no multiple of 0.1 mm")
    encoded[missing] = NODATA
    return encoded


def decode_tenths(tenths: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Int16 tenths to float32 millimetres as float32(k) / 10, so that reader and store agree to the bit."""
    values = tenths.astype(np.float32)
    values /= np.float32(PER_MM)
    values[tenths == NODATA] = np.nan
    return values


def decode_tenths_on(xp: Any, tenths: Any) -> Any:
    """`decode_tenths` to the bit, in whole-array steps of another library, such as CuPy.

    A division of float32 is rounded the same everywhere, and NaN is copied, not made: a GPU makes another one.
    """
    missing = xp.asarray(np.float32(np.nan))
    return xp.where(tenths == NODATA, missing, tenths.astype(np.float32) / np.float32(PER_MM))
