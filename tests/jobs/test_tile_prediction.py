"""Forecasts of stored tiles as chunk jobs."""

from pathlib import Path

import numpy as np
import pytest
import torch

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.forecast import Forecaster
from insar_dask.synthetic import egms_tile

SMALL = {"patch": 4, "width": 16, "hidden": 32, "heads": 2, "layers": 1, "query_layers": 1, "dropout": 0.0}
TRAINING = {"max_steps": 4, "check_every": 2, "bf16": False}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    torch.set_num_threads(1)
    store = tmp_path_factory.mktemp("tiles") / "cube.zarr"
    for name in ("E32N34", "E39N30"):
        insar.save(egms_tile(name, 600, 240), store, f"{name}/raw", quiet=True)
    insar.save_tiles(store, store, pixels=32, cells=8, quiet=True)
    return store


@pytest.fixture(scope="module")
def fitted(stored):
    tiles = insar.open_tiles(stored)
    return Forecaster("mmstt", sizes=SMALL, training=TRAINING, stride=4).fit(tiles, progress=lambda _: None)


def test_stored_tiles_are_forecast_as_in_memory(stored, fitted):
    forecast = insar.predict_tiles(stored, fitted, quiet=True)
    expected = fitted.predict(insar.open_tiles(stored))
    assert forecast["displacement"].chunks
    for name in ("displacement", "lower", "upper"):
        np.testing.assert_array_equal(forecast[name].values, expected[name].transpose(*forecast[name].dims).values)
    assert list(forecast["tile"].values) == ["E32N34", "E39N30"]


def test_a_tile_that_is_done_is_not_forecast_again(stored: Path, fitted):
    insar.predict_tiles(stored, fitted, quiet=True)
    shards = [path for path in (stored / "predicted" / "up" / "displacement" / "c").rglob("*") if path.is_file()]
    written = {path: path.stat().st_mtime_ns for path in shards}
    assert len(shards) == 2
    insar.predict_tiles(stored, fitted, quiet=True)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    torn = next(path for path in sorted(written) if "displacement" in str(path))
    torn.write_bytes(torn.read_bytes()[:-7])
    again = insar.predict_tiles(stored, fitted, quiet=True)
    np.testing.assert_array_equal(
        again["displacement"].values, fitted.predict(insar.open_tiles(stored))["displacement"]
    )


def test_a_store_without_tiles_is_refused(tmp_path, fitted):
    insar.save(egms_tile("E32N34", 600, 240), tmp_path / "cube.zarr", quiet=True)
    with pytest.raises(CubeError, match="holds 0 tile cubes"):
        insar.predict_tiles(tmp_path / "cube.zarr", fitted, quiet=True)
