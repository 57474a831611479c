import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest

import insar_dask as insar
from insar_dask.config import Config, ConfigError, parse_config
from insar_dask.cube import CubeError
from insar_dask.dashboard.other_pages import other_pages
from insar_dask.detect.rules import Rule
from insar_dask.geometry.options import Options
from insar_dask.ground_steps import area_outcomes, draw_areas, meet
from insar_dask.jobs.areas.places import scenes_of
from insar_dask.jobs.areas.stored import stored_areas
from insar_dask.outcomes import summary, title_of
from insar_dask.pipeline import opened, products_of
from insar_dask.planning import plan_run
from insar_dask.synthetic import slope_tracks
from tests.conftest import stored_bytes

QUICK: dict[str, Any] = {
    "patterns": {"n_clusters": 0},
    "decompose": {"method": "none"},
    "forecast": {"methods": ["persistence"], "as_published": False},
    "report": {"exports": False},
    "cluster": {"workers": 0},
}
HONEST = {"every": "12D", "how": "previous", "anchor": "first"}


def configured(folder: Path, **sections: Any) -> Config:
    east_up = {"name": "site", "tracks": [str(folder / "tracks.zarr")], **HONEST}
    return parse_config({"store": {"path": str(folder / "site.zarr")}, "east_up": east_up, **QUICK, **sections})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slope")
    for cube in slope_tracks(2000, 90):
        insar.save(cube, path / "tracks.zarr", quiet=True)
    return path


@pytest.fixture(scope="module")
def ran(folder: Path) -> list[Any]:
    """As a run does, but for the pages of the products."""
    with opened(configured(folder, areas={"method": "hysteresis", "cards": 2}), quiet=True) as bench:
        for product in (products := list(products_of(bench))):
            bench.prepare(product)
            bench.foresee(product)
        return [*products, *area_outcomes(bench, products)]


def test_a_run_goes_from_tracks_to_areas_with_all_their_evidence(folder: Path, ran: list[Any]) -> None:
    assert ran[:2] == ["site_E", "site_U"]
    assert [one.product for one in ran[2:]] == ["areas-scene-east", "areas-scene-up"]
    assert ran[3].summary[0].startswith("3 areas, ")
    areas = stored_areas(folder / "site.zarr", "scene-up")
    told = {name: areas[name].astype(float) for name in areas.columns if areas[name].dtype.kind in "fi"}
    for name in (
        "area_m2", "n_points", "velocity_mean", "velocity_std", "seasonality_mm", "acceleration_mm_per_yr2", "rate",
        "rate_std", "cumulative_mm", "temporal", "spatial", "quality", "forecast_mm", "forecast_lower_mm", "nearest_m",
        "east_rate", "up_rate", "slope_rate", "slope_deg", "onset_p", "height_m",
    ):  # fmt: skip
        assert np.isfinite(told[name]).all(), name
    assert (areas["onset"] != "").sum() == 1 and set(areas["event"]) == {"new"}
    np.testing.assert_allclose(told["slope_deg"], 16.7, atol=2)
    np.testing.assert_allclose(told["east_rate"], -0.6 * told["up_rate"], atol=1.5)
    assert (told["slope_rate"] > 5).all()


def test_the_page_has_inventory_map_and_evidence(ran: list[Any]) -> None:
    page = ran[3].report
    html = page.read_text()
    for part in ("Inventory", "Map", "Evidence", "Data", "Run"):
        assert f"<h2>{part}</h2>" in html
    assert "id='area-2'" in html and "id='area-3'" not in html
    assert "<dt>seed</dt><dd>8 mm/yr on the map of medians, 80% of what the rule says</dd>" in html
    assert "rate changed" in html and "areas/scene-up/survey" not in html and "survey" in html
    assert len(geopandas.read_file(page.parent / "areas.geojson")) == 3


def test_the_page_of_its_jobs_leads_to_it(folder: Path, ran: list[Any]) -> None:
    leads = {one["label"]: one["href"] for one in other_pages(folder / "site.zarr", folder)}
    assert (folder / leads["Areas of scene-up"]) == ran[3].report
    assert set(leads) == {"Areas of scene-east", "Areas of scene-up"}


def test_pages_of_areas_are_drawn_anew(folder: Path, ran: list[Any]) -> None:
    before = ran[3].report.read_text()
    shutil.rmtree(ran[3].report.parent)
    with opened(configured(folder, areas={"method": "none", "seed": 90.0, "cards": 2}), quiet=True) as bench:
        assert scenes_of(bench.engine.store)[:1] == ["scene-east"]
        page = draw_areas(bench, "scene-up")
        assert not any(report.computed for report in bench.engine.reports)
        note = bench.engine.ledger.read_note("areas/scene-up/2021-03-29") or {}
        assert set(note["data"]) == {"site_E", "site_U"}  # cards of up tell of the east too
    assert page == ran[3].report and page.name == "index.html" and page.parent.name == "site-areas-scene-up"
    drawn = page.read_text()
    assert [part[:9] for part in drawn.split("<h2>")] == [part[:9] for part in before.split("<h2>")]
    assert "seed = 10.0" in drawn and "seed = 90.0" not in drawn  # the rule that they were found by
    assert drawn.count("<svg") == before.count("<svg") and len(geopandas.read_file(page.parent / "areas.geojson")) == 3


def test_east_and_up_are_no_made_up_scene(folder: Path, ran: list[Any]) -> None:
    for config in (configured(folder), parse_config({"store": {"path": str(folder / "site.zarr")}, **QUICK})):
        with opened(config, quiet=True) as bench:
            assert title_of(bench, "site_U") == "Ground motion: site_U"
            assert summary(bench, "site_U")[0].endswith("cells that both ways see")


def test_what_is_done_is_not_done_again(folder: Path, ran: list[Any]) -> None:
    before = kept(folder)
    with opened(configured(folder, areas={"method": "hysteresis", "cards": 0}), quiet=True) as bench:
        area_outcomes(bench, meet(bench, []))
        made = {report.stage: report.computed for report in bench.engine.reports}
    assert {"site", "areas/scene-up/2021-03-29/survey", "areas/scene-up/2021-03-29/cards"} <= made.keys()
    assert not any(made.values())
    assert kept(folder) == before


def kept(folder: Path) -> dict[str, bytes]:
    """What results are; states that nothing names any more are swept when a run ends."""
    stored = stored_bytes(folder / "site.zarr")
    return {name: content for name, content in stored.items() if not name.startswith("jobs/states/")}


def test_names_go_on_from_the_outlines_that_a_run_wrote(folder: Path, ran: list[Any]) -> None:
    before = shutil.copy(ran[3].report.parent / "areas.geojson", folder / "before.geojson")
    wanted = {"method": "hysteresis", "scene": "later", "vintage": "2022-01-01", "cards": 0}
    with opened(configured(folder, areas={**wanted, "before": str(before)}), quiet=True) as bench:
        page = area_outcomes(bench, ["site_U"])[0].report.read_text()
        assert "From 2021-03-29 to 2022-01-01: area: not distinguishable" in page
        later, old = stored_areas(bench.engine.store, "later-up"), stored_areas(bench.engine.store, "scene-up")
    assert later["area_id"].tolist() == old["area_id"].tolist() and set(later["first_seen"]) == {"2021-03-29"}
    bare = geopandas.read_file(before)[["geometry", "area_id", "first_seen"]]  # as another program keeps them
    bare.to_file(folder / "bare.gpkg", driver="GPKG")
    wanted |= {"scene": "bare", "before": str(folder / "bare.gpkg")}
    with opened(configured(folder, areas=wanted), quiet=True) as bench:
        page = area_outcomes(bench, ["site_U"])[0].report.read_text()
    assert "From bare to 2022-01-01, growth is not told: how far off these outlines may lie is not known" in page


def test_outlines_of_a_file_are_judged_and_keep_what_they_came_with(folder: Path, ran: list[Any]) -> None:
    file = ran[3].report.parent / "areas.geojson"
    drawn = geopandas.read_file(file)[["geometry"]].assign(name=["a", "b", "c"])
    drawn.to_file(folder / "mine.geojson", driver="GeoJSON")
    areas = {"method": "hysteresis", "inventory": str(folder / "mine.geojson"), "scene": "mine", "cards": 0}
    with opened(configured(folder, areas=areas), quiet=True) as bench:
        area_outcomes(bench, ["site_U"])
    judged = stored_areas(folder / "site.zarr", "mine-up")
    assert judged["name"].tolist() == ["a", "b", "c"] and judged.attrs["inventory"] == "mine.geojson"
    found = stored_areas(folder / "site.zarr", "scene-up")
    np.testing.assert_allclose(np.sort(judged["velocity_mean"]), np.sort(found["velocity_mean"]), rtol=1e-6)


def test_values_that_saw_the_future_are_not_forecast_and_it_is_said_why(folder: Path, tmp_path: Path) -> None:
    wanted = {"name": "official", "tracks": [str(folder / "tracks.zarr")], "every": "12D"}
    config = configured(folder, east_up=wanted, store={"path": str(tmp_path / "site.zarr")})
    with opened(config, quiet=True) as bench:
        for product in meet(bench, bench.sources()):
            bench.foresee(product)
            assert 'how = "previous" and anchor = "first"' in bench.scores(product)[1]


def test_the_plan_knows_the_tracks_that_stores_have(folder: Path) -> None:
    told = plan_run(configured(folder, areas={"method": "hysteresis"}))
    assert "site_E: at most 2,000 points x 69 dates from 2 tracks" in told and "site_U: at most 2,000 points" in told
    stages = [line.split()[0] for line in told.splitlines() if line.startswith("  ")]
    assert stages.count("east-up") == 1 and stages.count("prepare") == 2 and "ingest" not in stages
    assert stages[-5:] == ["errors", "survey", "find", "cards", "report"]
    tables, end = told.split("\n\n")[:-1], told.split("\n\n")[-1]
    known = [line.split()[-1] != "known" for table in tables for line in table.splitlines()[2:]]
    assert all(known) and "price: " in end and "without the seconds" not in end
    official = {"name": "site", "tracks": [str(folder / "tracks.zarr")]}
    mapped = plan_run(configured(folder, maps={"method": "kriging"}, east_up=official))
    assert "without the seconds of tiles, train, foresee, hindcast, which are not known" in mapped
    assert "score" not in mapped  # of values that have seen the future


def test_one_track_is_refused_before_it_is_read(folder: Path, tmp_path: Path) -> None:
    one = f"{folder / 'tracks.zarr'}/{insar.products(folder / 'tracks.zarr')[0]}"
    config = configured(folder, store={"path": str(tmp_path / "one.zarr")}, east_up={"name": "site", "tracks": [one]})
    with pytest.raises(CubeError, match="ascending and a descending track, and there is 1: name the other one"):
        plan_run(config)
    with opened(config, quiet=True) as bench, pytest.raises(CubeError, match="and there is 1"):
        next(products_of(bench))


def test_defaults_are_those_of_the_functions() -> None:
    config = configured(Path("/x"))
    assert parse_config({}).east_up.options == {
        name: value for name, value in Options().to_dict().items() if name != "one_track"
    }
    assert parse_config({}).areas.rule == {**insar_rule(), "method": "none", "body": None, "seed": None, "season": None}
    assert config.east_up.name == "site"


def insar_rule() -> dict[str, Any]:
    from dataclasses import asdict

    from insar_dask.detect.rules import Rule

    return asdict(Rule())


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"east_up": {"name": "site"}}, "name their files in"),
        ({"east_up": {"tracks": ["x.zarr"]}}, "no name of what is made of them"),
        ({"east_up": {"name": "a/b", "tracks": ["x"]}}, "wanted letters"),
        ({"areas": {"method": "hysteresis", "body": 20.0}}, "body 20 is above seed 10"),
        ({"areas": {"scene": "../x"}}, "wanted letters"),
        ({"areas": {"method": "paper", "season": 1.0}}, "season goes with hysteresis"),
        (
            {"areas": {"method": "paper", "body": 5.0, "peak": 200, "sigmas": 9}},
            "body, sigmas, peak go with hysteresis",
        ),
        ({"areas": {"method": "paper", "peak_within": 30}}, "peak_within goes with hysteresis"),
        (
            {"source": {"files": ["a"]}, "store": {"path": "{product}.zarr"}, "east_up": {"name": "site"}},
            "tracks in one store",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(sections: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_config(sections)


def test_the_published_method_has_its_own_seed() -> None:
    areas = parse_config({"areas": {"method": "paper", "seed": 10.0}}).areas
    rule = Rule(**areas.rule)
    assert (rule.body, rule.seed, rule.season) == (10.0, 10.0, None)
    assert rule == Rule(**asdict(rule))
