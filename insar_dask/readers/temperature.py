"""Daily air temperature from a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.days import read_day
from insar_dask.readers.named_columns import read_rows, to_number

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
    degrees: dict[np.datetime64, float] = {}
    for where, (date, temperature) in read_rows(Path(path), ("date", "temperature")):
        day = read_day(date, where)
        if day in degrees:
            raise CubeError(f"{where}: {day} stands there twice: remove one of them")
        degrees[day] = to_number(temperature, f"{where}: temperature [degrees Celsius]")
    if not degrees:
        raise CubeError(f"{Path(path).name} has no line below its header date,temperature: is it cut off?")
    days = np.array(sorted(degrees), "datetime64[ns]")
    values = [degrees[day] for day in sorted(degrees)]
    return xr.DataArray(values, {"day": days}, ("day",), attrs={"units": "degree_Celsius"})
