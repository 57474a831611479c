"""The page in a browser: what it draws and says is what the store holds."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import colormaps

import insar_dask as insar
from insar_dask.viewer import documents, overview_jobs
from insar_dask.viewer.export import export_page
from insar_dask.viewer.overview_jobs import prepare
from tests.viewer.serving import Plain, Ranged, explorer, kept, plain

Opened = Callable[..., Any]
ROW = 234

GO = """row => { const {map} = explorer; const c = map.chunks[0]; const i = c.row.indexOf(row);
    map.show([c.east[i], c.north[i], 2]); }"""
"""The map moves so that a point lies in its middle."""

STATE = """JSON.stringify([explorer.page.variable, explorer.page.filters.coherence, [...explorer.page.filters.cluster],
    explorer.page.shown, explorer.panel.points.map(p => p.row), explorer.map.view.map(x => x.toPrecision(6))])"""

OUTLINE = """corners => { const {map} = explorer; const b = map.overlay.getBoundingClientRect();
    const p = corners.map(([x, y]) => map.toPlace(x * b.width, y * b.height));
    return [p[0][0], p[2][1], p[1][0], p[0][1]]; }"""

COLOUR = """row => { const {map} = explorer; const c = map.chunks[0]; const i = c.row.indexOf(row);
    map.view = [c.east[i], c.north[i], 0.02]; map.draw(); const gl = map.gl; const p = new Uint8Array(4);
    gl.readPixels(map.canvas.width / 2, map.canvas.height / 2, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, p); return [...p]; }"""

HIDDEN = """zooms => { const {map} = explorer, {gl, canvas} = map, [x, y, across] = map.view;
    const picture = many => { map.many = many; map.draw(); const p = new Uint8Array(canvas.width * canvas.height * 4);
      gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, p); return [p, map.drawn]; };
    return zooms.map(zoom => { map.view = [x + across, y, across * zoom];
      const [[some, few], [whole, all]] = [picture(0), picture(Infinity)];
      return [all - few, some.reduce((sum, part, i) => sum + (part !== whole[i]), 0)]; }); }"""
"""At each zoom: points that were left out as hidden, and what differs from the picture of all points."""

THERE_AND_BACK = """[1, 0, 1].forEach(k => { const menu = document.querySelector('#product');
    menu.selectedIndex = k; menu.onchange(); })"""

UNNAMED = """[...document.querySelectorAll('button, input, select')].filter(e => e.offsetParent &&
    !e.textContent.trim() && !e.labels?.length && !e.getAttribute('aria-label')).map(e => e.outerHTML)"""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with explorer(site) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def opened(browser: Any, request: pytest.FixtureRequest) -> Iterator[Opened]:
    """Open an address in a browser; what the page complains of, and whom it asks, is looked at in the end."""
    pages, complaints, asked, hosts = [], [], [], set()

    def open_page(url: str, width: int = 1440, scheme: str = "light", wait: str = "body[data-settled]") -> Any:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.set_default_timeout(30_000)
        # of software that stands in for a graphics card
        page.on("console", lambda said: None if said.text.startswith("[.WebGL-") else complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        page.wait_for_selector(wait, state="attached")
        pages.append(page)
        hosts.add(url.split("/")[2])
        return page

    open_page.complaints = complaints  # type: ignore[attr-defined]
    yield open_page
    for number, page in enumerate(pages):
        kept(page, f"{request.node.name}-{number}")
        page.close()
    assert complaints == []
    assert {url.split("/")[2] for url in asked if url.startswith("http")} <= hosts


def pixel(page: Any, row: int) -> dict[str, float]:
    """Where a point is on the map."""
    script = """row => { const {map} = explorer; for (const c of map.chunks) { const i = c.row.indexOf(row);
      if (i >= 0) { const [x, y] = map.toPixel(c.east[i], c.north[i]); return {x, y}; } } }"""
    found: dict[str, float] = page.evaluate(script, row)
    return found


def click(page: Any, row: int, *keys: str) -> None:
    before = page.evaluate("explorer.panel.points.length")
    page.evaluate("row => { explorer.page.clickMs = null; }", row)
    page.locator("#overlay").click(position=pixel(page, row), modifiers=list(keys))
    page.wait_for_selector("body:not([data-picking])", state="attached")
    wanted = before + 1 if keys else 1
    page.wait_for_selector(f"#chosen .chip:nth-child({wanted})")


def test_a_click_shows_the_numbers_of_its_point(opened: Opened, address: str, site: Path) -> None:
    page = opened(address)
    assert page.locator("#count").inner_text() == "1,000 of 1,000 points shown"
    page.evaluate(GO, ROW)
    click(page, ROW)
    raw, motion, parts = (insar.open_cube(site, f"site/{name}") for name in ("raw", "products", "parts"))
    assert page.evaluate("explorer.panel.points[0].row") == ROW
    assert page.evaluate("explorer.panel.points[0].id") == str(raw["point_id"].values[ROW])
    shown = page.evaluate("explorer.panel.points[0].series.displacement.map(x => Number.isNaN(x) ? null : x)")
    assert np.array_equal(np.array(shown, np.float32), raw["displacement"].values[ROW], equal_nan=True)
    for name in ("velocity", "velocity_std", "seasonality", "phase", "rmse"):
        assert np.float32(page.evaluate(f"explorer.panel.points[0].motion.{name}")) == motion[name].values[ROW]
    assert f"{abs(motion['velocity'].values[ROW]):.2f}" in page.locator("#evidence").inner_text()
    assert page.locator("#toggles label").all_inner_texts() == ["Fit", "Smoothed", "Hold y"]  # no forecast is stored
    fit = page.evaluate("explorer.panel.fit(explorer.panel.points[0])")
    assert np.nanmean(np.array(fit) - raw["displacement"].values[ROW]) == pytest.approx(0, abs=1e-6)
    page.click("#tab-components")
    page.wait_for_selector("#tab-components[aria-selected=true]")
    trend = page.evaluate("explorer.panel.points[0].series.trend.map(x => Number.isNaN(x) ? null : x)")
    assert np.array_equal(np.array(trend, np.float32), parts["trend"].values[ROW], equal_nan=True)
    page.click("#tab-table")
    page.wait_for_selector("#tablebox table")
    assert page.locator("#tablebox tbody tr").count() >= raw.sizes["time"]
    text = page.evaluate("explorer.panel.csv()")
    rows = [line.split(",") for line in text.splitlines() if not line.startswith("#")]
    assert f"# point 1: {raw['point_id'].values[ROW]} " in text
    column = {line[0]: line[rows[0].index("observed")] for line in rows[1:]}
    for day, value in zip(
        raw["time"].values.astype("datetime64[D]").astype(str), raw["displacement"].values[ROW], strict=True
    ):
        assert column[day] == ("" if np.isnan(value) else f"{value:.7g}")


def test_filters_compare_and_the_link_say_the_same_again(opened: Opened, address: str, site: Path) -> None:
    page = opened(address)
    coherence = insar.open_cube(site, "site/raw")["coherence"].values
    page.locator("#only-coherence").fill("0.7")
    limit = page.evaluate("explorer.page.filters.coherence[0]")
    wanted = int((np.rint(coherence / 1e-4) >= round(limit / 1e-4)).sum())
    page.wait_for_selector(f"#count:has-text('{wanted:,} of 1,000')")
    rows = [int(row) for row in np.flatnonzero(coherence > limit + 0.05)[[10, 100]]]
    for row, keys in zip(rows, ((), ("Shift",)), strict=True):
        page.evaluate(GO, row)
        click(page, row, *keys)
    page.select_option("#variable", "cluster")
    page.wait_for_selector("#classes label")
    page.locator("#classes input").nth(1).uncheck()
    page.wait_for_selector("body")
    page.wait_for_timeout(400)
    before, url = page.evaluate(STATE), page.url
    again = opened(url, 1440, "dark")
    assert again.evaluate(STATE) == before
    assert again.evaluate("explorer.panel.points.map(p => p.row)") == rows
    labels = insar.open_cube(site, "site/patterns")["cluster"].values
    kept = (np.rint(coherence / 1e-4) >= round(limit / 1e-4)) & (labels != 1)
    assert again.evaluate("explorer.page.shown") == kept.sum()


def test_the_legend_says_what_patterns_are_numbered_by(opened: Opened, address: str) -> None:
    page = opened(address)
    page.select_option("#variable", "cluster")
    page.wait_for_selector("#meaning:has-text('from what moves away from the satellite fastest to what moves toward')")
    page.evaluate("explorer.page.about.patterns = {by: 'acceleration', units: 'mm/yr²'}")
    page.select_option("#variable", "velocity")
    page.select_option("#variable", "cluster")
    page.wait_for_selector("#meaning:has-text('from the lowest acceleration [mm/yr²] to the highest; shapes')")


def test_a_lasso_has_the_mean_of_its_points(opened: Opened, address: str, site: Path) -> None:
    page = opened(address)
    box = page.locator("#overlay").bounding_box()
    page.click("#lasso")
    corners = [(0.3, 0.3), (0.7, 0.3), (0.7, 0.7), (0.3, 0.7)]
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*at[0])
    page.mouse.down()
    for place in at[1:]:
        page.mouse.move(*place, steps=3)
    page.mouse.up()
    page.wait_for_selector("#chosen .chip")
    west, south, east, north = page.evaluate(
        OUTLINE,
        corners,
    )
    about = json.loads((site / "site/explore/zarr.json").read_text())["attributes"]
    raw = insar.open_cube(site, "site/raw")
    x, y = (np.rint(10 * (raw[n].values - o)) for n, o in zip(("easting", "northing"), about["offset"], strict=True))
    inside = (x >= west) & (x <= east) & (y >= south) & (y <= north)
    assert abs(page.evaluate("explorer.page.enclosed") - inside.sum()) <= 0.02 * inside.sum()
    assert page.evaluate("explorer.panel.area.read") == min(200, page.evaluate("explorer.page.enclosed"))
    mean = np.array(page.evaluate("explorer.panel.area.mean"))
    sample = raw["displacement"].values[inside]
    spread = np.nanstd(sample, axis=0) / np.sqrt(200)
    assert (np.abs(mean - np.nanmean(sample, axis=0)) < 5 * spread).all()


def test_colours_are_where_they_belong(opened: Opened, address: str, site: Path) -> None:
    page = opened(address)
    velocity = insar.open_cube(site, "site/products")["velocity"].values
    low, high = page.evaluate("explorer.page.range")
    for row in (int(np.nanargmin(velocity)), int(np.nanargmax(velocity)), int(np.nanargmin(np.abs(velocity)))):
        seen = page.evaluate(
            COLOUR,
            row,
        )
        share = (np.clip(velocity[row], low, high) - low) / (high - low)
        wanted = 255 * np.array(colormaps["RdBu"](round(255 * share))[:3])
        assert np.abs(np.array(seen[:3]) - wanted).max() <= 6, (row, velocity[row])
    page.click("#home")
    for variable in ("velocity", "cluster"):
        page.select_option("#variable", variable)
        page.wait_for_selector("#classes", state="visible" if variable == "cluster" else "hidden")
        left_out, different = zip(*page.evaluate(HIDDEN, [12, 4, 1.5]), strict=True)
        assert different == (0, 0, 0) and min(left_out[:2]) > 0
    page.select_option("#variable", "velocity")
    with page.expect_download() as waited:
        page.click("#savepng")
    assert waited.value.suggested_filename == "site-velocity.png"
    assert Path(waited.value.path()).read_bytes().startswith(b"\x89PNG")


def test_a_large_cube_is_drawn_finer_where_somebody_looks(
    opened: Opened, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("insar_dask.viewer.overview.FIRST_POINTS", 20)
    monkeypatch.setattr(overview_jobs, "CHUNK_POINTS", 100)
    for name, value in (("CHUNK_POINTS", 100), ("AT_ONCE", 400)):
        monkeypatch.setattr(documents, name, value)
    shutil.copytree(site, tmp_path / "large.zarr")
    assert prepare(tmp_path / "large.zarr", quiet=True) == ""
    with explorer(tmp_path / "large.zarr") as port:
        page = opened(f"http://127.0.0.1:{port}/")
        coarse = page.evaluate("explorer.page.loaded")
        assert coarse == 250  # every fourth point
        x, y = json.loads((tmp_path / "large.zarr/site/explore/zarr.json").read_text())["attributes"]["offset"]
        raw = insar.open_cube(site, "site/raw")
        place = [10 * (raw["easting"].values[ROW + 1] - x), 10 * (raw["northing"].values[ROW + 1] - y), 0.3]
        page.evaluate("place => explorer.map.show(place)", place)
        wanted = "row => explorer.map.chunks.some(chunk => chunk.row.includes(row))"
        for _ in range(100):
            if page.evaluate(wanted, ROW + 1):
                break
            page.wait_for_timeout(100)
        assert coarse < page.evaluate("explorer.page.loaded") < 1000
        assert "of 1,000 points shown" in page.locator("#count").inner_text()
        corners = "(b => [[b[0], b[1]], [b[2], b[1]], [b[2], b[3]], [b[0], b[3]]])(explorer.map.bounds())"
        page.evaluate(f"explorer.map.events.lasso({corners})")
        page.wait_for_selector("#chosen .chip")
        assert "of the points on the map inside" in page.locator("#chosen").inner_text()
        assert "of the points that were on the map inside" in page.evaluate("explorer.panel.csv()")


@pytest.mark.parametrize(("width", "scheme"), [(1024, "dark"), (400, "light")])
def test_it_fits_the_window(opened: Opened, address: str, width: int, scheme: str) -> None:
    page = opened(address, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#overlay").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("body:not([data-picking]) #chosen .chip")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#live").inner_text().startswith("Point ")
    unnamed = page.evaluate(UNNAMED)
    assert unnamed == []
    page.set_viewport_size({"width": min(width, 720), "height": 450})  # as of 1440 x 900 where all is twice as large
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground, bar, zooms = (page.locator(name).bounding_box() for name in ("#mapbox", "#bar", "#zooms"))
    assert ground["y"] <= bar["y"] and bar["y"] + bar["height"] <= ground["y"] + ground["height"]
    assert zooms["y"] + zooms["height"] <= bar["y"] and ground["x"] <= bar["x"]


def test_an_export_works_on_a_plain_server_and_says_what_one_lacks(opened: Opened, site: Path, tmp_path: Path) -> None:
    export_page(site, tmp_path / "share")
    raw = insar.open_cube(site, "site/raw")
    with plain(tmp_path / "share", Ranged) as port:
        page = opened(f"http://127.0.0.1:{port}/")
        page.evaluate("explorer.panel.choose(7, false)")
        shown = page.evaluate("explorer.panel.points[0].series.displacement.map(x => Number.isNaN(x) ? null : x)")
        assert np.array_equal(np.array(shown, np.float32), raw["displacement"].values[7], equal_nan=True)
        opened.complaints[:] = [c for c in opened.complaints if "400" not in c]  # type: ignore[attr-defined]
    with plain(tmp_path / "share", Plain) as port:
        page = opened(f"http://127.0.0.1:{port}/")
        page.locator("#overlay").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("body[data-error=ranges]", state="attached")
        assert "byte ranges" in page.locator("#fault").inner_text()
        assert page.evaluate("explorer.panel.points.length") == 0


def test_nothing_of_a_product_stays_when_another_is_shown(opened: Opened, site: Path, tmp_path: Path) -> None:
    export_page(site, tmp_path / "share")
    index = tmp_path / "share/data.zarr/explore/zarr.json"
    document = json.loads(index.read_text())
    document["attributes"]["products"].append({"name": "again", "group": "site/explore"})
    index.write_text(json.dumps(document))
    with plain(tmp_path / "share", Ranged) as port:
        page = opened(f"http://127.0.0.1:{port}/")
        page.evaluate("explorer.panel.choose(7, false)")
        page.wait_for_selector("#chart .uplot")
        # there and back before the first chunk has come
        page.evaluate(THERE_AND_BACK)
        page.wait_for_selector("body[data-settled]", state="attached")
        page.wait_for_timeout(300)
        assert page.evaluate("[explorer.page.product.name, explorer.page.loaded, explorer.map.chunks.length]") == [
            "again", 1000, 1,
        ]  # fmt: skip
        # the same ground: the point at that place is chosen again
        assert page.evaluate("explorer.panel.points.map(point => [point.row, point.ready])") == [[7, True]]
        assert page.evaluate("document.querySelectorAll('#chart .uplot').length") == 1
        page.evaluate("explorer.panel.choose(8, false)")
        assert page.evaluate("document.querySelectorAll('#chart .uplot').length") == 1
        opened.complaints[:] = [c for c in opened.complaints if "400" not in c]  # type: ignore[attr-defined]


def test_what_cannot_be_shown_is_said(opened: Opened, site: Path, tmp_path: Path) -> None:
    export_page(site, tmp_path / "share")
    (tmp_path / "share/data.zarr/explore/zarr.json").unlink()
    with plain(tmp_path / "share", Ranged) as port:
        page = opened(f"http://127.0.0.1:{port}/", wait="body[data-error=explore]")
        assert "insar-dask explore STORE" in page.locator("#fault").inner_text()
        opened.complaints.clear()  # type: ignore[attr-defined]


def test_a_page_opened_as_a_file_says_why_it_does_not_start(browser: Any, site: Path, tmp_path: Path) -> None:
    page = browser.new_page()
    page.goto(export_page(site, tmp_path / "share").as_uri())
    page.wait_for_timeout(3000)
    assert page.locator("#fault").is_visible()
    assert "file://" in page.locator("#fault").inner_text()
    page.close()
