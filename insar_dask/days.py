"""Days as people write them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from insar_dask.cube import CubeError

__all__ = ["given_day", "read_day"]

DAY = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)")
TIME = re.compile(r"[T ]\d\d(:?\d\d){0,2}(\.\d+)?(Z|[+-]\d\d:?\d\d)?")


def read_day(text: str, where: str) -> np.datetime64:
    """A day from ``YYYYMMDD`` or ``YYYY-MM-DD``; raises CubeError naming ``where`` it stood.

    >>> read_day("20200229", "a.tif")
    np.datetime64('2020-02-29')
    """
    if found := DAY.fullmatch(text):
        try:
            return np.datetime64("-".join(found.groups()), "D")
        except ValueError:
            pass
    raise CubeError(f"{where}: {text[:20]!r} is no date, wanted YYYYMMDD or YYYY-MM-DD")


def given_day(day: Any, name: str) -> np.datetime64:
    """The day that a caller gives as ``name``: as text, with or without a time, or as any kind of date.

    NumPy by itself takes ``20200229`` for the year 20,200,229.

    Raises
    ------
    CubeError
        When it is none.

    >>> given_day("2020-02-29T06:00", "as_of"), given_day(20200229, "until"), given_day(np.datetime64("2020-02"), "end")
    (np.datetime64('2020-02-29'), np.datetime64('2020-02-29'), np.datetime64('2020-02-01'))
    """
    value = np.asarray(getattr(day, "values", day))  # such as cube["time"][-40]
    if value.dtype.kind == "M":
        value = value.astype("datetime64[D]")
    text = str(value[()])
    return read_day(text[:10] if TIME.fullmatch(text[10:]) else text, name)
