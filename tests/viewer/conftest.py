from pathlib import Path

import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.jobs.steps.patterns import fit_patterns, label_patterns
from insar_dask.viewer.overview_jobs import prepare


def stored_site(path: Path, cube: xr.Dataset) -> Path:
    """A store with motion, patterns and components of a cube, and its overview."""
    insar.save(cube, path, "site/raw", shard_points=256, quiet=True)
    with Engine(path, quiet=True) as engine:
        first = (
            Step("regularise", "raw", "regular", {"every": "12D", "max_gap": "60D"}),
            Step("savgol", "regular", "smooth", {"window": 11, "order": 2}),
            Step("motion", "raw", "products"),
        )
        engine.run(Stage("site/prepare", "site/raw", first, {s.result: f"site/{s.result}" for s in first}))
        fit_patterns(engine, "site", n_clusters=4, sample_size=500, n_init=1, batch_size=250)
        label_patterns(engine, "site")
        part = Step("stl", "regular", "parts", {"period": 30})
        engine.run(Stage("site/decompose", "site/regular", (part,), {"parts": "site/parts"}))
    assert prepare(path, quiet=True) == ""
    return path


@pytest.fixture(scope="session")
def site(small_scene: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored_site(tmp_path_factory.mktemp("explored") / "site.zarr", small_scene.isel(point=slice(None, None, 3)))
