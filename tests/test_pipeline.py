from pathlib import Path

import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.config import Config, load_config, parse_config
from insar_dask.cube import CubeError
from insar_dask.jobs.engine import JobError
from insar_dask.pipeline import kept_config, opened


def configured(folder: Path, **source: object) -> Config:
    return parse_config({"source": source, "store": {"path": str(folder / "site.zarr")}, "cluster": {"workers": 0}})


def test_two_files_of_one_name_are_not_written_over_each_other(tmp_path: Path) -> None:
    name = "EGMS_L2b_022_0845_IW2_VV_2020_2024_1"
    for suffix in ("csv", "zip"):
        (tmp_path / f"{name}.{suffix}").touch()
    with opened(configured(tmp_path, files=[str(tmp_path)])) as bench, pytest.raises(CubeError, match="one product"):
        bench.sources()


def test_a_report_of_what_is_not_done_is_refused(tmp_path: Path, small_scene: xr.Dataset) -> None:
    insar.save(small_scene, tmp_path / "site.zarr", "site/raw", shard_points=1024, quiet=True)
    with opened(configured(tmp_path), quiet=True) as bench:
        with pytest.raises(JobError, match="there is no site/products yet"):
            bench.report("site")
        bench.prepare("site")
        bench.engine.ledger.revoke("site/products", [1])
        with pytest.raises(JobError, match=r"site/products lacks shards \[1\] of 3"):
            bench.report("site")


def test_a_configuration_of_a_user_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("# mine")
    config = configured(tmp_path)
    with opened(config):
        pass
    assert (tmp_path / "config.toml").read_text() == "# mine"
    assert load_config(kept_config(tmp_path / "site.zarr")) == config
