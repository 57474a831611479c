import re

import pytest
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.forecast import Forecaster
from insar_dask.forecast.memory import check_free, check_training, fitting_bytes, free_bytes, predicting_bytes
from insar_dask.synthetic import scene


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    """40,000 points x 158 dates, lazy."""
    return scene("chumar", n_points=40_000, seed=1)


def test_a_cube_that_does_not_fit_is_refused_before_any_work_with_a_block_that_would(cube: xr.Dataset) -> None:
    with pytest.raises(CubeError, match=r"fitting 40,000 points in blocks of 16,384 points takes") as refused:
        Forecaster("harmonic").fit(cube.chunk(point=16_384), memory=40_000_000)
    fits = int(re.search(r"cube\.chunk\(point=(\d+)\) would take", str(refused.value))[1])  # type: ignore[index]
    assert fitting_bytes(cube, fits) <= 40_000_000 < fitting_bytes(cube, 2 * fits)


def test_a_forecast_that_does_not_fit_is_refused(cube: xr.Dataset) -> None:
    few = cube.isel(point=slice(0, 3000)).compute()
    model = Forecaster("persistence").fit(few)
    with pytest.raises(
        CubeError, match=r"forecasting 3,000 points .* no block is small enough, the least takes [\d,]+"
    ):
        model.predict(few, memory=1_000_000)
    model.predict(few, memory=predicting_bytes(few, 3000, 6))


def test_the_cure_for_a_cube_in_memory_is_a_smaller_block() -> None:
    with pytest.raises(CubeError, match=r"work in blocks of 5,000 points takes 5 MB, 2 MB are free: shard_points=2048"):
        check_free("work", lambda points: 1000 * points, 5000, lazy=False, memory=2_100_000)
    check_free("work", lambda points: 1000 * points, 2048, lazy=False, memory=2_100_000)


def test_what_is_free_is_asked_of_the_machine_where_nobody_says(cube: xr.Dataset) -> None:
    assert 0 < free_bytes() < 2**50
    with pytest.raises(CubeError, match="are free"):
        check_free("work", lambda points: 2**60, 5000, lazy=False)


def test_a_batch_is_proposed_that_fits_and_none_where_none_does() -> None:
    def needed(groups: int) -> int:
        return 500_000_000 + 10_000_000 * groups

    check_training(needed, 40, 900_000_000)
    with pytest.raises(
        CubeError, match=r"takes 900 MB, 600 MB are free: training=\{'batch': 10\} would take 600 MB; s"
    ):
        check_training(needed, 40, 600_000_000)
    for batch in (40, 4):
        with pytest.raises(
            CubeError, match="no batch is small enough, one of one group takes 510 MB; free memory, "
        ) as e:
            check_training(needed, batch, 509_000_000)
        assert "'batch'" not in str(e.value)


def test_a_network_takes_more_than_a_linear_forecaster(cube: xr.Dataset) -> None:
    training = Forecaster("spacetimeformer").coach().bytes(cube)
    assert fitting_bytes(cube, 4096, training=training) > fitting_bytes(cube, 4096) + 32 * 16 * 100_000
    network = Forecaster("spacetimeformer").forecasting_bytes()
    assert predicting_bytes(cube, 4096, 6, network=network) > predicting_bytes(cube, 4096, 6) + 1e8
