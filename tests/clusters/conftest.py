import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from insar_dask.synthetic import scene, write_egms
from tests.conftest import stored_bytes
from tests.sessions.conftest import certify

__all__ = ["certify"]

SETTINGS = """
[source]
files = ["{source}"]
[store]
path = "{store}"
shard_points = 128
[forecast]
methods = ["persistence", "harmonic_ridge"]
[report]
exports = false
[cluster]
workers = 0
"""
SHARDS = 12

Command = Callable[..., list[str]]


@pytest.fixture(scope="session", autouse=True)
def clusters_wanted() -> None:
    """Daemons, network namespaces and minutes are for who asks for them."""
    if not os.environ.get("INSAR_DASK_CLUSTERS"):
        pytest.skip("clusters of daemons and namespaces: `make clusters` runs them")


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A product file of 1,500 points x 120 dates: 12 shards of 128 points."""
    path = tmp_path_factory.mktemp("product") / "EGMS_L2b_022_0845_IW2_VV_2020_2024_1.csv"
    write_egms(path, scene("l2b", n_points=1500, n_dates=120, seed=5))
    return path


@pytest.fixture(scope="session")
def command(product: Path) -> Command:
    """The command line of a whole run into a folder, with settings of the cluster."""

    def made(folder: Path, *settings: str) -> list[str]:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.toml").write_text(SETTINGS.format(source=product, store=folder / "site.zarr"))
        options = [part for setting in settings for part in ("--cluster", setting)]
        return [sys.executable, "-W", "error", "-m", "insar_dask", *options, "run", "--quiet", str(folder / "run.toml")]

    return made


@pytest.fixture(scope="session")
def here(command: Command, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run in one process leaves."""
    folder = tmp_path_factory.mktemp("here")
    subprocess.run(command(folder), check=True, capture_output=True)
    return stored_bytes(folder / "site.zarr")
