"""Days as callers give them."""

import datetime

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.days import given_day

TIMES = xr.DataArray(np.array(["2020-02-20", "2020-02-29"], "datetime64[ns]"), dims="time")


@pytest.mark.parametrize(
    "day",
    [
        *("2020-02-29", "20200229", "2020-02-29T23:59:59.5Z", 20200229, datetime.date(2020, 2, 29)),
        *(datetime.datetime(2020, 2, 29, 6), pd.Timestamp("2020-02-29", tz="UTC"), np.datetime64("2020-02-29T12")),
        *(TIMES[-1], TIMES[-1].values, np.array("2020-02-29"), np.str_("2020-02-29")),
    ],
)
def test_a_day_of_any_kind_is_known(day: object) -> None:
    found = given_day(day, "until")
    assert found == np.datetime64("2020-02-29", "D") and found.dtype == "datetime64[D]"


@pytest.mark.parametrize("day", ["2020-02", 2020, "2020-02-30", TIMES, np.datetime64("NaT"), None, "", "20200229 ?"])
def test_what_is_none_is_named(day: object) -> None:
    with pytest.raises(CubeError, match=r"until: .* is no date, wanted YYYYMMDD or YYYY-MM-DD"):
        given_day(day, "until")
