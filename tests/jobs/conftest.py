import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from insar_dask.synthetic import scene, write_egms

SCRIPT = Path(__file__).with_name("site_run.py")


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A product file of 2,650 points x 60 dates: 21 shards of 128 points."""
    path = tmp_path_factory.mktemp("product") / "EGMS_L2b_022_0845_IW2_VV_2020_2024_1.csv"
    write_egms(path, scene("l2b", n_points=2650, n_dates=60, seed=3))
    return path


@pytest.fixture(scope="session")
def launch(product: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start the run of `site_run.py` in a process group of its own."""

    def start(store: Path, *how: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(SCRIPT), str(store), str(product), *how]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)

    return start


@pytest.fixture(scope="session")
def finish(launch: Callable[..., subprocess.Popen[str]]) -> Callable[..., dict[str, Any]]:
    """Run to the end; returns shards and computed shards by stage."""

    def run(store: Path, *how: str) -> dict[str, Any]:
        with launch(store, *how) as process:
            output, _ = process.communicate(timeout=180)
        assert process.returncode == 0
        report: dict[str, Any] = json.loads(output.splitlines()[-1])
        return report

    return run
