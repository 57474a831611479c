import math
from dataclasses import replace

import pytest
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.forecast import Forecaster, coaching
from insar_dask.forecast.rank_memory import check_seats, process_bytes
from insar_dask.forecast.training.roll_call import Seat
from insar_dask.synthetic import scene


def seats(*room: float) -> list[Seat]:
    return [Seat(f"tcp://10.0.0.{n}:1", f"{n}", f"10.0.0.{n}", 0.0, 0, False, of) for n, of in enumerate(room)]


def needed(groups: int) -> int:
    return 500_000_000 + 10_000_000 * groups


def test_ranks_that_do_not_fit_are_refused_with_a_batch_that_would() -> None:
    check_seats(seats(math.inf, 700e6), 40, needed)
    which = r"each of 2 ranks takes 700 MB, and the worker tcp://10\.0\.0\.1:1 may take 620 MB beside what it holds: "
    with pytest.raises(CubeError, match=which + r"training=\{'batch': 20\} would take 600 MB, or start workers"):
        check_seats(seats(math.inf, 620e6), 40, needed)
    with pytest.raises(CubeError, match=r"may take 0 MB .* no batch is small enough, a rank of one group takes 510 MB"):
        check_seats(seats(-1e6), 40, needed)
    with pytest.raises(CubeError, match="the cluster has no workers"):
        check_seats([], 40, needed)


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    return scene("chumar", n_points=2000, seed=6)


def test_what_a_batch_takes_is_the_gpus_where_there_is_one(cube: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Forecaster("spacetimeformer", training={"batch": 4096}).coach()
    assert here is not None
    there = replace(here, device="cuda")
    assert there.rank_bytes(cube, 4096) < 600e6 < 20e9 < here.rank_bytes(cube, 4096)
    monkeypatch.setattr(coaching, "gpu_free_bytes", lambda: 80 * 10**9)
    assert there.check_memory(cube, memory=10**9) < 10**9
    monkeypatch.setattr(coaching, "gpu_free_bytes", lambda: 10**9)
    with pytest.raises(
        CubeError, match=r"takes 2\d,\d{3} MB, 1,000 MB of the GPU are free: training=\{'batch': 128\} "
    ):
        there.check_memory(cube)


@pytest.mark.parametrize(
    ("method", "groups", "peak"),
    [("spacetimeformer", 32, 600e6), ("spacetimeformer", 16, 558e6), ("spacetimeformer_components", 16, 903e6)],
)
def test_a_rank_is_predicted_as_it_was_measured(method: str, groups: int, peak: float, cube: xr.Dataset) -> None:
    coach = Forecaster(method).coach()
    assert coach is not None
    assert peak <= coach.rank_bytes(cube, groups) <= 1.2 * peak
    assert process_bytes(coach.bytes(cube)) >= coach.rank_bytes(cube, coach.settings.training.batch)
