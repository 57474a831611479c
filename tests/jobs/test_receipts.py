"""What a receipt proves, and what must undo it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.jobs.status import damaged
from insar_dask.store import open_group

MOTION = Stage("site/motion", "site/raw", (Step("motion", "raw", "products"),), {"products": "site/products"})
SHARDS = 6


@pytest.fixture
def engine(tmp_path: Path, small_scene: xr.Dataset) -> Engine:
    """A cube of six shards and its motion parameters."""
    path = tmp_path / "site.zarr"
    insar.save(small_scene, path, "site/raw", shard_points=512, quiet=True)
    engine = Engine(path, quiet=True)
    assert engine.run(MOTION).computed == SHARDS
    return engine


def test_other_dates_of_the_same_values_make_other_velocities(engine: Engine, small_scene: xr.Dataset) -> None:
    velocity = open_group(engine.store, "site/products")["velocity"].values
    times = small_scene["time"].values
    slow = small_scene.assign_coords(time=times[0] + 2 * (times - times[0]))
    insar.save(slow, str(engine.path), "site/raw", shard_points=512, quiet=True)
    assert engine.run(MOTION).computed == SHARDS
    halved = open_group(engine.store, "site/products")["velocity"].values
    assert not np.allclose(halved, velocity, atol=1.0)


@pytest.mark.parametrize("lost", ["time/c/0", "velocity/zarr.json", "zarr.json", "."])
def test_damage_to_what_all_shards_share_is_found_and_mended(lost: str, engine: Engine) -> None:
    stage = Stage("site/even", "site/raw", (Step("regularise", "raw", "even"),), {"even": "site/even"})
    stage, target = (stage, "site/even") if lost.startswith("time") else (MOTION, "site/products")
    engine.run(stage)
    path = Path(str(engine.path)) / target / lost
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.write_bytes(path.read_bytes()[:-9])
    assert damaged(str(engine.path)) == {target: list(range(SHARDS))}
    assert engine.run(stage).computed == SHARDS
    assert damaged(str(engine.path)) == {}
