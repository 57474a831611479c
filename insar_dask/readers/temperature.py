"""Daily air temperature from a table."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.readers.declared import read_day

__all__ = ["read_temperature"]


def read_temperature(path: str | Path) -> xr.DataArray:
    """Read a CSV table ``date,temperature``, a line a day, for `insar_dask.inversion.composite_index`.

    Parameters
    ----------
    path : str or Path
        Dates as YYYYMMDD or YYYY-MM-DD, daily means at 2 m in degrees Celsius.

    Returns
    -------
    xr.DataArray
        (day,) float64, in the order of the days.

    Raises
    ------
    CubeError
        Naming the line that is no date or no number, or a day that stands twice.
    """
    path = Path(path)
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    if not lines or not {"date", "temperature"} <= set(lines[0]):
        raise CubeError(f"{path.name} has the columns {list(lines[0]) if lines else []}, wanted date,temperature")
    degrees: dict[np.datetime64, float] = {}
    for number, line in enumerate(lines, start=2):
        day = read_day(str(line["date"]), f"{path.name}, line {number}")
        if day in degrees:
            raise CubeError(f"{path.name}, line {number}: {day} stands there twice: remove one of them")
        try:
            degrees[day] = float(line["temperature"])
        except (TypeError, ValueError):
            raise CubeError(f"{path.name}, line {number}: {line['temperature']!r} is no number") from None
    days = np.array(sorted(degrees), "datetime64[ns]")
    values = [degrees[day] for day in sorted(degrees)]
    return xr.DataArray(values, {"day": days}, ("day",), attrs={"units": "degree_Celsius"})
