"""Cubes of CuPy blocks stay on the GPU: Dask knows so beforehand, and no step brings them back."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.synthetic import scene

STEPS = {
    "regularise": lambda cube: insar.regularise(cube, every="6D"),
    "savgol": lambda cube: insar.savgol(cube, 5, 2),
    "moving_average": insar.moving_average,
    "motion": insar.motion,
    "stl": lambda cube: insar.stl(cube, 12),
    "cumulative_displacement": insar.cumulative_displacement,
    "component_variances": lambda cube: insar.component_variances(insar.stl(cube, 12)),
    "holt_winters": lambda cube: insar.holt_winters(cube.isel(point=slice(2), time=slice(16)), 3),
}


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    return scene("l2b", n_points=4, n_dates=26, seed=1).pipe(insar.regularise, every="6D").compute()


@pytest.mark.parametrize("step", [*STEPS, "centred clusters", "clusters of features"])
def test_cubes_of_a_gpu_stay_there(step, cube, on_gpu):
    if step in STEPS:
        do = STEPS[step]
    else:
        how = {"centre": True} if step == "centred clusters" else {"features": ("velocity", "seasonality")}
        cube = cube if "centre" in how else insar.motion(cube).compute()
        do = insar.Clusters(n_clusters=2, random_state=0, **how).fit(cube).predict
    here = do(cube)
    names = [name for name in ("displacement", "velocity", "seasonality") if name in cube]
    blocks = {name: on_gpu(cube[name].values) for name in names}
    lazy = {name: da.from_array(block, chunks=(3, *block.shape[1:]), asarray=False) for name, block in blocks.items()}
    there = do(cube.assign({name: cube[name].copy(data=data) for name, data in lazy.items()}))
    found = [name for name in here.data_vars if isinstance(there[name].data, da.Array)]
    assert found
    for name in found:
        data = there[name].data
        assert type(data._meta) is type(blocks[names[0]])
        assert data._meta.dtype == here[name].dtype
        computed = data.compute(scheduler="sync")
        assert type(computed) is type(blocks[names[0]])
        np.testing.assert_allclose(computed.get(), here[name].values, rtol=1e-4, atol=1e-2)
