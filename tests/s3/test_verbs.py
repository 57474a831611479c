"""Verbs of the command line, and what they leave, where the store is a bucket."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import insar_dask as insar
from insar_dask.cli import app
from insar_dask.forecast.series.stored_points import StoredPoints
from insar_dask.jobs.steps.rejected import fetch_rejected, keep_rejected, rejected_path
from insar_dask.jobs.steps.tile_jobs import is_stored, tile_sources
from insar_dask.objects import get_bytes, open_store, put_bytes
from tests.s3.faulty import Proxy
from tests.s3.runs import RAW


@pytest.fixture
def stored(address: str, cube: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    insar.save(cube, address, RAW, shard_points=128, quiet=True)
    return address


def test_verbs_take_an_address(stored: str, proxy: Proxy, tmp_path: Path) -> None:
    def said(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == code, result.output
        return result.output + str(result.exception)

    assert "4 of 4" in said("status", stored)
    assert "every shard holds" in said("verify", stored)
    missing = stored.replace("site.zarr", "other.zarr")
    assert f"there is no store at {missing}" in said("status", missing, code=1)
    assert list(tmp_path.iterdir()) == []
    assert is_stored(stored) and is_stored(f"{stored}/site") and not is_stored(missing)
    assert tile_sources(f"{stored}/site") == tile_sources(stored)


def test_what_verify_finds_in_a_bucket_is_made_again(stored: str, cube: xr.Dataset) -> None:
    key = f"{RAW}/displacement/c/1/0"
    whole = get_bytes(open_store(stored), key)
    assert whole is not None
    put_bytes(open_store(stored), key, bytes([whole[0] ^ 1]) + whole[1:])
    assert CliRunner().invoke(app, ["verify", stored]).exit_code == 1
    insar.save(cube, stored, RAW, shard_points=128, quiet=True)
    assert get_bytes(open_store(stored), key) == whole
    assert CliRunner().invoke(app, ["verify", stored]).exit_code == 0


def test_rows_that_were_rejected_elsewhere_are_fetched(stored: str, tmp_path: Path) -> None:
    path = rejected_path(stored, "site")
    assert path is not None and path.parent == tmp_path and path.name.endswith("-site-site-rejected.csv")
    assert path != rejected_path(stored.replace("/site.zarr", "/other/site.zarr"), "site")
    path.write_text("line,reason\n7,sea\n")
    keep_rejected(stored, "site")
    path.unlink()
    fetch_rejected(stored, "site")
    assert path.read_text() == "line,reason\n7,sea\n"
    fetch_rejected(stored, "none")


def test_series_are_read_by_ranges(stored: str, proxy: Proxy, cube: xr.Dataset) -> None:
    points = StoredPoints(stored, RAW)
    before = len(proxy.log)
    found = points.read(130, 132)
    asked = [key for _, key in proxy.log[before:] if "displacement/c/" in key]
    assert asked and all(key.endswith("/c/1/0") for key in asked)
    np.testing.assert_array_equal(found.values, insar.open_cube(stored)["displacement"].values[130:132])


def test_a_group_leads_nowhere_else(stored: str, cube: xr.Dataset) -> None:
    for group in ("../other/raw", "site/../../raw", "/raw", "site//raw"):
        with pytest.raises(ValueError, match="leads out of the store"):
            insar.save(cube, stored, group, quiet=True)
