import numpy as np
import pytest
import xarray as xr

from insar_dask.forecast import protocol
from insar_dask.forecast.outlook import outlook_block
from insar_dask.synthetic import scene


@pytest.fixture(scope="module")
def fitted() -> tuple[xr.Dataset, protocol.Plan, dict[str, np.ndarray]]:
    cube = scene("l2b", n_points=600, n_dates=200, seed=4).compute()
    plan = protocol.plan(cube["time"].values, every="12D", methods=("persistence", "gaussian_process"))
    return cube, plan, protocol.fit([protocol.fit_partial(cube, plan)], plan)


def test_velocity_errors_hold_the_truth_where_white_noise_errors_do_not(fitted: tuple) -> None:  # type: ignore[type-arg]
    cube, plan, state = fitted
    steady = cube.isel(point=np.flatnonzero(cube.true_regime == 0))
    outlook = outlook_block(steady, plan, state, -20.0)
    miss = np.abs(outlook.velocity - steady.true_velocity) / outlook.velocity_std
    assert 0.85 <= float((miss < 1.645).mean()) <= 1.0
    assert outlook.velocity.attrs["units"] == "mm yr-1"


def test_exceedance_is_a_probability_that_follows_the_threshold(fitted: tuple) -> None:  # type: ignore[type-arg]
    cube, plan, state = fitted
    low, high = (outlook_block(cube, plan, state, threshold).exceedance for threshold in (5.0, 30.0))
    assert low.dims == ("point", "lead") and low.attrs["threshold"] == 5.0
    assert float(low.min()) >= 0 and float(low.max()) <= 1
    assert (low >= high).all() and (low > high).any()
    below = outlook_block(cube, plan, state, -30.0).exceedance
    sinking = cube.displacement[:, -6:].mean("time") < -60
    assert sinking.any() and (below[sinking.values] > 0.9).all()


def test_a_point_without_dates_has_no_outlook(fitted: tuple) -> None:  # type: ignore[type-arg]
    cube, plan, state = fitted
    cube = cube.copy(deep=True)
    cube.displacement[7] = np.nan
    outlook = outlook_block(cube, plan, state, -20.0)
    for name in ("velocity", "velocity_std", "exceedance"):
        assert np.isnan(outlook[name][7]).all() and np.isfinite(outlook[name][8]).all()
