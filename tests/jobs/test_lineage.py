"""Stages of a product are known by what they were made of: a page never shows those of two displacements."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import xarray as xr
from typer.testing import CliRunner

import insar_dask as insar
from insar_dask.cli import app
from insar_dask.config import parse_config
from insar_dask.cube import CubeError
from insar_dask.detect.areas import Areas
from insar_dask.forecast import Forecaster
from insar_dask.ground_steps import draw_areas
from insar_dask.jobs.areas.area_jobs import save_areas
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


@pytest.fixture(scope="module")
def other(cube: xr.Dataset) -> xr.Dataset:
    """The same points and dates, which move otherwise."""
    series = cube["displacement"]
    return cube.assign(displacement=(series.dims, -2 * series.values, series.attrs))


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


@pytest.mark.parametrize("stages", [("raw", "smooth", "products"), ("smooth", "products")])
def test_what_somebody_cut_from_stages_and_saved_is_taken_as_it_is(
    stages: tuple[str, ...], cube: xr.Dataset, tmp_path: Path
) -> None:
    path, cut = tmp_path / "site.zarr", tmp_path / "cut.zarr"
    insar.save(cube, path, "site/raw", quiet=True)
    with bench_on(path) as bench:
        bench.prepare("site")
    for stage in stages:
        part = insar.open_cube(path, f"site/{stage}").isel(point=slice(0, 120))
        insar.save(part, cut, f"site/{stage}", quiet=True)
    with bench_on(cut) as bench:
        bench.find_patterns("site")
        assert all(bench.group("site", stage).sizes["point"] == 120 for stage in (*stages, "patterns"))
    if "raw" in stages:
        assert prepare(cut, quiet=True) == "" and {"velocity", "cluster"} <= set(document(cut)["variables"])


def test_what_a_model_forecast_of_an_earlier_cube_is_not_shown(
    cube: xr.Dataset, other: xr.Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "site.zarr"
    insar.save(cube, path, "site/raw", quiet=True)
    model = Forecaster("persistence").fit(cube)
    insar.predict_stored(path, model, quiet=True)
    assert prepare(path, quiet=True) == "" and document(path)["forecast"]["method"] == "persistence"
    insar.save(other, path, "site/raw", quiet=True)
    told = "site/predicted was made of other data than site/raw holds now: `insar-dask forecast .* --model FOLDER`"
    with bench_on(path) as bench, pytest.raises(LackingError, match=told):
        bench.group("site", "predicted")
    assert "left out: site/predicted was made" in prepare(path, quiet=True) and document(path)["forecast"] is None
    insar.predict_stored(path, model, quiet=True)
    assert prepare(path, quiet=True) == "" and document(path)["forecast"] is not None


def test_areas_are_told_and_shown_of_what_is_stored_now(cube: xr.Dataset, other: xr.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "site.zarr"
    insar.save(cube, path, "site/raw", quiet=True)
    with bench_on(path) as bench:
        bench.prepare("site")
        bench.foresee("site")
    middle = shapely.Point(np.median(cube["easting"]), np.median(cube["northing"]))
    inventory = Areas([middle.buffer(0.2 * np.ptp(cube["easting"].values))], {}, cube["crs"].attrs["crs_wkt"])
    first = save_areas(path, inventory=inventory, quiet=True)
    assert np.isfinite(first["forecast_mm"]).all()
    assert prepare(path, quiet=True) == "" and len(document(path)["areas"]) == 1
    insar.save(other, path, "site/raw", quiet=True)
    stale = "areas of scene were found on other data than site/raw holds now: `insar-dask areas .*` finds them anew"
    with bench_on(path) as bench:
        bench.prepare("site")
        with pytest.raises(LackingError, match=stale):
            draw_areas(bench, "scene")
    assert "left out: areas of scene were found" in prepare(path, quiet=True) and document(path)["areas"] == []
    with bench_on(path) as bench:
        name = "areas/scene/" + first.attrs["vintage"]
        note = bench.engine.ledger.read_note(name)
        assert note is not None
        bench.engine.ledger.write_note(name, {key: item for key, item in note.items() if key != "data"})
    assert "areas of" not in prepare(path, quiet=True) and len(document(path)["areas"]) == 1  # a note of before
    with pytest.warns(UserWarning, match="not on the cards of areas: site/forecast was made of other data"):
        again = save_areas(path, inventory=inventory, quiet=True)
    np.testing.assert_allclose(again["velocity_mean"], -2 * first["velocity_mean"], rtol=0.01)
    assert "forecast_mm" not in again.columns
    assert "areas of" not in prepare(path, quiet=True) and len(document(path)["areas"]) == 1
    with bench_on(path) as bench:
        bench.foresee("site")
        assert draw_areas(bench, "scene").exists()
    assert np.isfinite(save_areas(path, inventory=inventory, quiet=True)["forecast_mm"]).all()


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
