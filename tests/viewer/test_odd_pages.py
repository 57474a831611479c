"""The page with what is seldom seen: stores that lack things, links that name what is gone, a server that has ended."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import xarray as xr
from pyproj import Transformer

import insar_dask as insar
from insar_dask.detect.areas import Areas
from insar_dask.jobs.areas.stored import to_note
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.receipts import Ledger
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.objects import open_store
from insar_dask.viewer.export import export_page
from insar_dask.viewer.overview_jobs import prepare
from tests.viewer.serving import Ranged, explorer, kept, plain

ROW = 234


@pytest.fixture
def page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page that complains of nothing but what cannot be reached."""
    found = browser.new_page(viewport={"width": 1440, "height": 900})
    found.set_default_timeout(20_000)
    complaints: list[str] = []
    found.on("pageerror", lambda error: complaints.append(str(error)))
    found.on("console", lambda said: complaints.append(said.text) if "not defined" in said.text else None)
    yield found
    kept(found, request.node.name)
    found.close()
    assert complaints == []


@pytest.fixture(scope="module")
def odd(small_scene: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Stores with one point, with points that have no value at all, that do not move, and of a single date."""
    folder = tmp_path_factory.mktemp("odd")
    empty = small_scene.isel(point=slice(0, 40)).drop_vars("coherence")
    empty["displacement"] = empty["displacement"] * np.float32(np.nan)
    still = small_scene.isel(point=slice(0, 9)).copy(deep=True)
    still["displacement"] *= 0
    one_date = still.isel(time=[0])
    cubes = {"one point": small_scene.isel(point=[7]), "no values": empty, "no motion": still, "one date": one_date}
    for name, cube in cubes.items():
        insar.save(cube, folder / f"{name}.zarr", "site/raw", quiet=True)
        if name in ("no motion", "one date"):
            with Engine(folder / f"{name}.zarr", quiet=True) as engine:
                steps = (Step("motion", "raw", "products"),)
                engine.run(Stage("site/motion", "site/raw", steps, {"products": "site/products"}))
        assert prepare(folder / f"{name}.zarr", quiet=True) == ""
    return {name: folder / f"{name}.zarr" for name in cubes}


@pytest.fixture(scope="module")
def moving(site: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A store with one moving area, and its outline."""
    path = Path(shutil.copytree(site, tmp_path_factory.mktemp("moving") / "site.zarr"))
    raw = insar.open_cube(path, "site/raw")
    x, y = raw["easting"].values, raw["northing"].values
    outline = shapely.box(*(np.quantile(one, q) for q in (0.3, 0.7) for one in (x, y)))
    columns = {"area_id": np.array(["scene-1"], object), "velocity_mean": np.array([-12.5]), "area_m2": np.array([9e4])}
    note = to_note(Areas([outline], columns, str(raw["crs"].attrs["crs_wkt"]), {"component": "los"}))
    Ledger(open_store(path)).write_note("areas/scene/2024-01-01", note)
    assert prepare(path, quiet=True) == ""
    return path, outline


def test_stores_that_lack_nearly_all_are_shown_one_after_the_other(page: Any, odd: dict[str, Path]) -> None:
    with explorer(odd) as port:
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("body[data-settled]", state="attached")
        assert page.locator("#product option").all_inner_texts()[:2] == ["one point: site", "no values: site"]
        middle = page.locator("#overlay").bounding_box()
        page.mouse.click(middle["x"] + middle["width"] / 2, middle["y"] + middle["height"] / 2)
        page.wait_for_selector("#chosen .chip")
        assert page.evaluate("explorer.panel.points[0].row") == 0
        assert "not stored" in page.locator("#evidence").inner_text()
        page.select_option("#product", "no values: site")
        page.wait_for_selector("body[data-settled]", state="attached")
        assert "40 of 40 points shown" in page.locator("#count").inner_text()
        assert "insar-dask products STORE" in page.locator("#meaning").inner_text()
        page.locator("#overlay").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("body:not([data-picking]) #chosen .chip")
        assert page.locator("#cursor").inner_text() == "No date has a value here."
        assert "0 of " in page.locator("#evidence").inner_text()
        assert page.locator("#fault").is_hidden()


def test_what_stands_still_and_a_single_date_have_axes_and_say_what_they_lack(
    page: Any, odd: dict[str, Path], tmp_path: Path
) -> None:
    for name, low, high in (("no motion", -1, 1), ("one date", -1, 1)):
        share = export_page(odd[name], tmp_path / name).parent
        with plain(share, Ranged) as port:
            page.goto(f"http://127.0.0.1:{port}/")
            page.wait_for_selector("body[data-settled]", state="attached")
            page.locator("#overlay").focus()
            page.keyboard.press("Enter")
            page.wait_for_selector("body:not([data-picking]) #chosen .chip")
            x, y = page.evaluate(
                "['x', 'y'].map((name) => explorer.panel.chart.plot.scales[name]).map(({min, max}) => [min, max])"
            )
            assert y == [low, high] and x[0] < x[1]
        lacking = "none: too few dates have a value" in page.locator("#evidence").inner_text()
        assert lacking == (name == "one date") != ("Fit:" in page.locator("#notes").inner_text())
    assert "1 date" in page.locator("#facts span").all_inner_texts()
    assert x[1] - x[0] < 40 * 86400


def test_a_link_to_what_is_gone_says_so_and_shows_the_rest(page: Any, site: Path) -> None:
    with explorer(site) as port:
        all_else = "colour=exceedance&only.outlook=1~2&point=3~nobody&area=scene-9&near=-70~10"
        words_of_all = ("exceedance, outlook", "point nobody", "area scene-9", "outside of site")
        for link, words in (("product=gone&colour=rmse", ("product gone",)), (all_else, words_of_all)):
            page.goto("about:blank")
            page.goto(f"http://127.0.0.1:{port}/#{link}")
            page.wait_for_selector("body[data-settled][data-error=gone]", state="attached")
            assert all(word in page.locator("#fault").inner_text() for word in words)
            assert page.locator("#count").inner_text() == "1,000 of 1,000 points shown"
            assert page.evaluate("[explorer.page.variable, explorer.panel.points.length]") == ["velocity", 0]
        page.click("#fault button")
        assert page.locator("#fault").is_hidden()


def test_a_server_that_has_ended_is_said_and_the_map_stays(page: Any, site: Path, odd: dict[str, Path]) -> None:
    with explorer({"site": site, **odd}) as port:
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("body[data-settled]", state="attached")
    page.select_option("#product", "one point: site")
    page.wait_for_selector("body[data-error=network]", state="attached")
    assert page.locator("#product").input_value() == "site"
    page.click("#fault button")
    page.locator("#overlay").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-error=network]", state="attached")
    assert "start `insar-dask explore` again" in page.locator("#fault").inner_text()
    page.click("#fault button")
    page.select_option("#variable", "rmse")
    page.wait_for_selector("#fault:not([hidden])")
    assert page.locator("#variable").input_value() == "velocity"
    assert page.evaluate("[explorer.page.variable, explorer.page.shown]") == ["velocity", 1000]


def test_places_are_said_in_degrees_and_gone_to(page: Any, site: Path) -> None:
    raw = insar.open_cube(site, "site/raw")
    x, y = float(raw["easting"][ROW]), float(raw["northing"][ROW])
    longitude, latitude = Transformer.from_crs(raw["crs"].attrs["crs_wkt"], 4326, always_xy=True).transform(x, y)
    with explorer(site) as port:
        page.goto(f"http://127.0.0.1:{port}/#near={longitude:.6f}~{latitude:.6f}")
        page.wait_for_selector("body[data-settled]", state="attached")
        assert page.evaluate("explorer.panel.points[0].row") == ROW
        told = page.locator("#evidence").inner_text()
        assert f"{latitude:.5f}" in told
        assert f"{longitude:.5f}" in told
        page.evaluate("explorer.panel.clear()")
        page.fill("#gotext", f"{latitude:.6f}, {longitude:.6f}")
        page.keyboard.press("Enter")
        page.wait_for_selector("body:not([data-picking]) #chosen .chip")
        made = json.loads(page.evaluate("explorer.geojson()"))
        (point,) = made["features"]
        assert point["geometry"]["coordinates"] == pytest.approx([longitude, latitude], abs=2e-6)
        assert point["properties"]["point_id"] == str(raw["point_id"].values[ROW])
        page.fill("#gotext", "nowhere")
        page.keyboard.press("Enter")
        page.wait_for_selector("body[data-error=place]", state="attached")


def test_areas_are_drawn_listed_and_told(page: Any, moving: tuple[Path, Any]) -> None:
    path, outline = moving
    raw = insar.open_cube(path, "site/raw")
    inside = shapely.contains_xy(outline, raw["easting"].values, raw["northing"].values)
    with explorer(path) as port:
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("body[data-settled]", state="attached")
        page.select_option("#arealist", "0")
        page.wait_for_selector("body:not([data-picking]) #chosen .chip")
        assert abs(page.evaluate("explorer.panel.area.count") - inside.sum()) <= 2  # places are rounded to 0.1 m
        assert "−12.5" in page.locator("#evidence").inner_text()
        features = json.loads(page.evaluate("explorer.geojson()"))["features"]
        assert len(features) == page.evaluate("explorer.panel.area.count")
        velocity = insar.open_cube(path, "site/products")["velocity"].values
        for one in features[::50]:
            assert one["properties"]["velocity"] == pytest.approx(velocity[one["properties"]["row"]], abs=0.0051)
        page.wait_for_timeout(300)
        assert "area=scene-1" in page.url
        again = page.url
        page.goto("about:blank")
        page.goto(again)
        page.wait_for_selector("body[data-settled]", state="attached")
        assert page.evaluate("explorer.panel.area.found.card.area_id") == "scene-1"


def test_a_missing_background_is_said_once(page: Any, site: Path, tmp_path: Path) -> None:
    export_page(site, tmp_path / "share", tiles="http://127.0.0.1:9/{z}/{x}/{y}.png")
    key = tmp_path / "share/data.zarr/site/explore/zarr.json"
    with plain(tmp_path / "share", Ranged) as port:
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("body[data-settled][data-error=gone]", state="attached")
        assert "EPSG:3857" in page.locator("#fault").inner_text()
        key.write_text(key.read_text().replace('"epsg":3035', '"epsg":3857'))
        page.goto(f"http://127.0.0.1:{port}/?again")
        page.wait_for_selector("body[data-error=tiles]", state="attached")
        assert "whole without it" in page.locator("#fault").inner_text()
