import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.forecast.published.protocols import Material, honest_material, learn_patterns, paper_material
from insar_dask.forecast.series.stored_points import StoredPoints
from insar_dask.store import products
from insar_dask.synthetic import scene
from tests.gaps import with_gaps


@pytest.fixture(scope="session")
def burst() -> xr.Dataset:
    """600 points x 210 uneven dates; every seventh point with gaps of its own, two without any value."""
    gaps = np.zeros((600, 210), bool)
    gaps[::7] = np.random.default_rng(0).random((86, 210)) < 0.2
    return with_gaps(scene("l2b", n_points=600, n_dates=210, seed=5), gaps, [13, 400])


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> StoredPoints:
    """2,600 stored points on 100 uneven dates, two of them no acquisitions, in 4 patterns."""
    cube = scene("l2b", n_points=2600, n_dates=100, seed=2).compute()
    patterns = (np.arange(2600) // 100 % 4).astype(np.int8)
    observed = ~np.isin(np.arange(100), [40, 90])
    path = tmp_path_factory.mktemp("site") / "site.zarr"
    insar.save(cube.assign(cluster=("point", patterns), observed=("time", observed)), path)
    group = f"{products(path)[0]}/raw"
    return StoredPoints(str(path), group, labels=group)


@pytest.fixture(scope="session")
def plateau() -> xr.Dataset:
    """64 points x 158 of 166 dates of 12 days, of all eight patterns."""
    cube = scene("chumar", n_points=64, n_dates=158, seed=3).compute()
    return cube.drop_vars([name for name in cube.variables if str(name).startswith("true_")])


@pytest.fixture(scope="session")
def paper(plateau: xr.Dataset) -> Material:
    """The plateau as published."""
    return paper_material(plateau, learn_patterns(plateau, (11, 2)), (11, 2))


@pytest.fixture(scope="session")
def honest(plateau: xr.Dataset) -> Material:
    """The plateau without leaks."""
    return honest_material(plateau, learn_patterns(plateau, None))
