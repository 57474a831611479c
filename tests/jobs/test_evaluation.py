from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.jobs.engine import Engine, JobError
from insar_dask.jobs.forecasting.evaluation import evaluate, forecast
from insar_dask.jobs.progress.status import status_table
from insar_dask.store import open_group

SETTINGS = {"every": "12D", "methods": ("persistence", "harmonic")}


def test_a_forecast_goes_with_the_settings_it_was_calibrated_for(tmp_path: Path, small_scene: xr.Dataset) -> None:
    insar.save(small_scene.drop_vars("observed"), tmp_path / "site.zarr", "site/raw", shard_points=1024, quiet=True)
    engine = Engine(tmp_path / "site.zarr", quiet=True)
    with pytest.raises(FileNotFoundError, match="evaluate it first"):
        forecast(engine, "site", 0.0, **SETTINGS)
    evaluate(engine, "site", **SETTINGS)
    with pytest.raises(CubeError, match="evaluated with other settings or dates; evaluate it again"):
        forecast(engine, "site", 0.0, level=0.5, **SETTINGS)
    forecast(engine, "site", 0.0, **SETTINGS)
    made = open_group(engine.store, "site/forecast")
    assert made.attrs["level"] == 0.9
    assert {made[name].attrs["grid_mapping"] for name in ("displacement", "lower", "upper")} == {"crs"}


def test_a_stored_value_that_is_no_displacement_is_named(tmp_path: Path, small_scene: xr.Dataset) -> None:
    """By its place, since what is fitted reads no names."""
    wild = small_scene["displacement"].copy()
    wild[70, 3] = np.inf
    insar.save(small_scene.assign(displacement=wild), tmp_path / "site.zarr", "site/raw", shard_points=1024, quiet=True)
    where = f"easting {small_scene['easting'].values[70]:.1f}, northing {small_scene['northing'].values[70]:.1f}"
    with pytest.raises(JobError, match=rf"fit, shard \d: CubeError.*displacement of point '{where}' is inf mm on 20"):
        evaluate(Engine(tmp_path / "site.zarr", quiet=True), "site", methods=("harmonic",))


def test_status_needs_no_raw_cube(tmp_path: Path, small_scene: xr.Dataset) -> None:
    insar.save(small_scene, tmp_path / "site.zarr", "site/other", shard_points=1024, quiet=True)
    assert "3 of 3" in status_table(tmp_path / "site.zarr")
