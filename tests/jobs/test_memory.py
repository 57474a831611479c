import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.memory import check_memory
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.layout import create_group
from insar_dask.objects import open_store
from insar_dask.shard_store import write_block
from insar_dask.shards import ShardPlan
from insar_dask.synthetic import scene
from tests.jobs.site_run import PREPARE


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One full shard: 65,536 points x 240 dates, 63 MB of float32."""
    path = tmp_path_factory.mktemp("large") / "site.zarr"
    cube = scene("l2b", n_points=65_536, n_dates=240)
    cube = cube.drop_vars([name for name in cube.data_vars if str(name).startswith("true_")])
    store, plan = open_store(path), ShardPlan(65_536, 65_536)
    create_group(store, "site/raw", cube, plan)
    checksum, size = write_block(store, "site/raw", plan, 0, cube.compute())
    Ledger(store).write("site/raw", Receipt(0, "key", checksum, size, 65_536))
    return path


@pytest.mark.parametrize("stage", ["prepare", "fit"])
def test_a_task_takes_no_more_memory_than_predicted(stage: str, large: Path, tmp_path: Path) -> None:
    for name in ("warm", "measured"):  # compiling the kernels, once a machine, takes another 400 MB
        shutil.copytree(large, tmp_path / name)
        memory = measure(tmp_path / name, stage)
    assert memory["measured"] <= 1.2 * memory["predicted"], memory
    assert memory["predicted"] <= 1.5 * memory["measured"], f"{memory}: refuses workers that are large enough"


def measure(store: Path, stage: str) -> dict[str, int]:
    command = [sys.executable, "-m", "tests.jobs.one_task", str(store), stage]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    memory: dict[str, int] = json.loads(done.stdout)
    return memory


def test_a_worker_that_is_too_small_is_refused_before_any_work(large: Path) -> None:
    Engine(large, quiet=True).run(PREPARE)
    with (
        insar.session(workers=1, memory_limit="400MB") as client,
        pytest.raises(
            CubeError, match=r"stage site/prepare needs [\d,]+ MB on worker .* which has 400 MB: give workers"
        ),
    ):
        Engine(large, client, quiet=True).run(PREPARE)


def test_without_a_limit_nothing_is_refused() -> None:
    check_memory("anything", 10**15, None)
