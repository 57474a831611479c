import numpy as np
import pytest
import xarray as xr

from insar_dask.synthetic import scene


@pytest.fixture(scope="session")
def burst() -> xr.Dataset:
    """600 points x 210 uneven dates; every seventh point with gaps of its own, two without any value."""
    cube = scene("l2b", n_points=600, n_dates=210, seed=5).compute()
    values = cube["displacement"].values.copy()
    gappy = np.arange(600) % 7 == 0
    values[gappy] = np.where(np.random.default_rng(0).random((gappy.sum(), 210)) < 0.2, np.nan, values[gappy])
    values[[13, 400]] = np.nan
    return cube.assign(displacement=cube["displacement"].copy(data=values))
