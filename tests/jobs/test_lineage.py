"""Stages of a product are known by what they were made of: a page never shows those of two displacements."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from typer.testing import CliRunner

import insar_dask as insar
from insar_dask.cli import app
from insar_dask.config import parse_config
from insar_dask.cube import CubeError
from insar_dask.jobs.lineage import require_current
from insar_dask.jobs.progress.job_errors import LackingError
from insar_dask.pipeline import opened
from insar_dask.synthetic import scene
from insar_dask.viewer.overview_jobs import prepare
from insar_dask.workbench import Workbench

SETTINGS = {
    "patterns": {"n_clusters": 2},
    "forecast": {"methods": ["persistence"], "as_published": False},
    "report": {"exports": False},
    "cluster": {"workers": 0},
}
STAGES = ("regular", "smooth", "cumulative", "products", "patterns", "parts", "variances", "forecast")


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    return scene("l2b", n_points=300, n_dates=200, seed=4).compute()


@contextmanager
def bench_on(path: Path) -> Iterator[Workbench]:
    with opened(parse_config({"store": {"path": str(path)}, **SETTINGS}), quiet=True) as bench:
        yield bench


def test_what_was_made_of_an_earlier_cube_is_named_with_its_maker(cube: xr.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "site.zarr"
    insar.save(cube, path, "site/raw", quiet=True)
    with bench_on(path) as bench:
        bench.prepare("site")
        bench.find_patterns("site")
        bench.decompose("site")
        bench.foresee("site")
        assert all(bench.group("site", stage) is not None for stage in STAGES)
        assert bench.scores("site")[0] is not None
    assert prepare(path, quiet=True) == "" and shown(path) == (True, True, True)
    other = cube.assign(displacement=2 * cube["displacement"])
    other["displacement"].attrs = cube["displacement"].attrs
    insar.save(other, path, "site/raw", quiet=True)
    report = CliRunner().invoke(app, ["report", str(path), "--quiet"])
    assert report.exit_code == 1 and not (tmp_path / "site").joinpath("index.html").exists()
    assert "site is left: site/products was made of other data than site/raw holds now" in report.stderr
    left = prepare(path, quiet=True)
    assert shown(path) == (False, False, False) and set(document(path)["series"]) == {"displacement"}
    assert "left out: site/products was made of other data than site/raw holds now: `insar-dask products " in left
    assert prepare(path, quiet=True) == left  # told as long as it is so
    with bench_on(path) as bench:
        told, why = bench.scores("site")
        assert told is None and why.startswith("it was evaluated on other data than it holds now")
        with pytest.raises(CubeError, match="site was evaluated on other data than it holds now; evaluate it again"):
            bench.forecast("site")
        for stage in STAGES:
            with pytest.raises(LackingError, match="made of other data than"):
                bench.group("site", stage)
        with pytest.raises(LackingError, match="`insar-dask products "):
            bench.find_patterns("site")
        bench.prepare("site")
        assert all(bench.group("site", stage) is not None for stage in STAGES[:4])
        with pytest.raises(LackingError, match=r"holds now: `insar-dask cluster .*` makes it again"):
            bench.group("site", "patterns")
        with pytest.raises(LackingError, match=r"`insar-dask evaluate`, then `insar-dask forecast "):
            bench.group("site", "forecast")
        bench.decompose("site")
        assert bench.group("site", "variances") is not None
        bench.find_patterns("site")
        bench.foresee("site")
        assert bench.scores("site")[0] is not None
    assert prepare(path, quiet=True) == "" and shown(path) == (True, True, True)


def test_why_a_record_has_no_scores_is_of_that_record(cube: xr.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "site.zarr"
    insar.save(cube.isel(time=slice(40)), path, "site/raw", quiet=True)
    with bench_on(path) as bench:
        bench.foresee("site")
        why = bench.scores("site")[1]
    insar.save(cube, path, "site/raw", quiet=True)
    with bench_on(path) as bench:
        assert bench.scores("site")[1] != why and "other data" in bench.scores("site")[1]


def document(path: Path) -> Any:
    return json.loads((path / "site/explore/zarr.json").read_text())["attributes"]


def shown(path: Path) -> tuple[bool, bool, bool]:
    """Whether velocities, forecast and scores are on the map's page."""
    about = document(path)
    return "velocity" in about["variables"], about["forecast"] is not None, about["scores"] is not None


def test_what_somebody_saved_under_the_name_of_a_stage_is_taken_as_it_is(cube: xr.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "site.zarr"
    insar.save(cube, path, "site/raw", quiet=True)
    insar.save(insar.motion(insar.open_cube(path)), path, "site/products", quiet=True)
    with bench_on(path) as bench:
        assert len(require_current(bench.engine, "site/products")) > 0
