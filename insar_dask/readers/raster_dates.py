"""Dates of rasters: of files by their names, of bands by their descriptions, or as they are given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.days import given_day
from insar_dask.readers.declared import sorted_days
from insar_dask.readers.geotiff_stack import RasterFile

__all__ = ["DATE", "DATE_FORMAT", "dated_bands"]

Days = npt.NDArray[np.datetime64]
Bands = tuple[tuple[Path, int], ...]

DATE = r"(?<!\d)(\d{8})(?!\d)"
DATE_FORMAT = "%Y%m%d"


def dated_bands(
    files: Sequence[RasterFile], dates: Sequence[Any] | None, pattern: str, date_format: str
) -> tuple[Bands, Days]:
    """File and band (from 1) of each date, and the dates, in order.

    Raises
    ------
    CubeError
        When a file of several has several bands; a raster has no date, two, or another's; ``dates`` are too few.
    """
    first = files[0]
    if len(files) == 1:
        bands = [(first.path, band + 1) for band in range(first.n_bands)]
        names = [f"band {band + 1} ({text or 'without a description'})" for band, text in enumerate(first.descriptions)]
        texts = [text or "" for text in first.descriptions]
    else:
        if many := [file for file in files if file.n_bands != 1]:
            raise CubeError(f"{many[0].path.name} has {many[0].n_bands} bands, among files of one date each: split it")
        bands = [(file.path, 1) for file in files]
        names = texts = [file.path.name for file in files]
    source = first.path.name
    days = _given_days(dates, names) if dates is not None else _named_days(texts, names, source, pattern, date_format)
    times, order = sorted_days(days, names, source)
    return tuple(bands[place] for place in order.tolist()), times


def _given_days(dates: Sequence[Any], names: list[str]) -> Days:
    if len(dates) != len(names):
        raise CubeError(f"{len(dates)} dates for {len(names)} rasters: dates= needs one for each, in their order")
    days = [given_day(day, f"dates, for {name}") for day, name in zip(dates, names, strict=True)]
    return np.array(days, "datetime64[D]")


def _named_days(texts: list[str], names: list[str], source: str, pattern: str, date_format: str) -> Days:
    days = []
    for text, name in zip(texts, names, strict=True):
        found = re.findall(pattern, text)
        if len(found) != 1:
            how_many = "no date" if not found else f"{len(found)} dates {found[:3]}"
            raise CubeError(f"{source}: {how_many} in {name} by the pattern {pattern!r}: pass pattern= or dates=")
        try:
            days.append(np.datetime64(datetime.strptime(found[0], date_format), "D"))
        except ValueError:
            raise CubeError(
                f"{source}: {found[0]!r} in {name} is no date by {date_format!r}: pass date_format="
            ) from None
    return np.array(days, "datetime64[D]")
