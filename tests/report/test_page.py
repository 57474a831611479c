import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from insar_dask.cube import CubeError
from insar_dask.report import write_index, write_report
from insar_dask.report.provenance import data_section, version_of
from insar_dask.totals import component_variances, cumulative_displacement
from tests.report.scenes import make_cube, make_forecast, make_parts, make_patterns, make_products, make_scores

INGEST = {"n_points": 105, "n_rejected": 3, "source": "a<b>.zip", "sha256": "00ff"}
PATTERNS_AND_PARTS = ("cumulative", "patterns", "parts", "variances")
TIMINGS = [{"stage": "ingest", "seconds": 1.5, "points_per_second": 70, "megabytes": 9}]


def report(folder: Path, cube, **changes):
    arguments = {
        "raw": cube,
        "products": make_products(cube),
        "regular": cube.assign(observed=("time", np.ones(cube.sizes["time"], bool))),
        "smooth": cube.assign_attrs(sees_future=60),
        "cumulative": cumulative_displacement(cube.isel(time=slice(1, -1))),
        "patterns": make_patterns(cube),
        "parts": make_parts(cube),
        "variances": component_variances(make_parts(cube)),
        "forecast": make_forecast(cube),
        "scores": make_scores(),
        "ingest": {**INGEST, "rejected": folder / "rejected.csv"},
        "timings": TIMINGS,
        "config_text": "[a]\nb = '<c>'\n",
        "title": "Test & site",
    }
    return write_report(folder, **{**arguments, **changes})


@pytest.fixture(scope="module")
def page_file(tmp_path_factory) -> Path:
    """One report for all that only look at it."""
    x, y = np.meshgrid(4_500_050.0 + 100 * np.arange(12), 1_700_050.0 + 100 * np.arange(9))
    return report(tmp_path_factory.mktemp("report"), make_cube(x.ravel(), y.ravel()))


def test_the_page_needs_nothing_from_elsewhere(page_file):
    html = page_file.read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", html)
    assert "<script" not in html
    assert "default-src 'none'" in html


def test_figures_are_also_png_files(page_file):
    names = {path.stem for path in (page_file.parent / "figures").glob("*.png")}
    assert {"velocity", "seasonality", "acceleration", "rmse", "leads", "velocity-histogram"} <= names
    assert {f"point-{number}" for number in range(1, 9)} <= names


def test_ids_are_unique(page_file):
    ids = re.findall(r"\bid=[\"']?([^\s\"'>]+)", page_file.read_text(encoding="utf-8"))
    assert len(ids) == len(set(ids))


def test_rejections_provenance_default_and_reason_are_told(page_file):
    html = page_file.read_text(encoding="utf-8")
    for text in (
        "<b>3</b> of 108 rows (2.78%)",
        "href='rejected.csv'",
        "00ff",
        "a&lt;b&gt;.zip",
        "Test &amp; site",
        "Lowest RMSE in the validation &lt;by far&gt;.",
        "LEAKS: leaking sentence.",
        "b = &#x27;&lt;c&gt;&#x27;",
    ):
        assert text in html


def test_a_run_without_forecast_or_scores_is_reported(regular_cube, tmp_path):
    bare = dict.fromkeys(("forecast", "scores", "smooth", "regular", *PATTERNS_AND_PARTS))
    html = report(tmp_path, regular_cube, timings=[], **bare).read_text(encoding="utf-8")
    assert "Forecast scores" not in html
    assert "Patterns</h2>" not in html
    assert "Decomposition</h2>" not in html
    assert html.count("<figure ") == 16


def test_a_part_that_could_not_be_made_says_why(regular_cube, tmp_path):
    reasons = {"parts": "40 dates are fewer than two seasons of <30>", "patterns": "too few points"}
    html = report(tmp_path, regular_cube, **dict.fromkeys(PATTERNS_AND_PARTS), reasons=reasons).read_text("utf-8")
    assert "Decomposition</h2><p>40 dates are fewer than two seasons of &lt;30&gt;.</p>" in html
    assert "Patterns</h2><p>Too few points.</p>" in html


def test_points_that_are_not_coherent_are_nowhere_on_the_page(regular_cube, tmp_path):
    coherence = np.where(np.arange(regular_cube.sizes["point"]) < 50, 0.2, 0.8).astype(np.float32)
    products = make_products(regular_cube).assign_coords(coherence=("point", coherence))
    html = report(tmp_path, regular_cube, products=products, scores=None).read_text(encoding="utf-8")
    assert "0.3 or less are left out: 50 of 105 (47.6%)" in html
    assert "Moving ground: 54 points" in html
    assert "<th scope=row>all points</th><td>54</td>" in html
    assert "0.9 or less are left out: 105 of 105" in report(
        tmp_path, regular_cube, products=products, min_coherence=0.9, **dict.fromkeys(("scores", *PATTERNS_AND_PARTS))
    ).read_text(encoding="utf-8")


@pytest.mark.parametrize("n_points", [1, 2, 3])
def test_a_handful_of_points_is_reported_whole(n_points, tmp_path):
    cube = make_cube(4.5e6 + 130.0 * np.arange(n_points), np.full(n_points, 1.7e6))
    html = report(tmp_path, cube, patterns=make_patterns(cube, 1)).read_text(encoding="utf-8")
    for name in ("Maps", "Patterns", "Decomposition", "Data"):
        assert f"{name}</h2>" in html


def test_displacement_in_all_of_other_points_is_refused(regular_cube, tmp_path):
    few = cumulative_displacement(regular_cube.isel(point=slice(9)))
    with pytest.raises(CubeError, match="cumulative has 9 points, the products 105"):
        report(tmp_path, regular_cube, cumulative=few)


def test_the_first_rejected_rows_are_shown_with_their_reasons(regular_cube, tmp_path):
    quarantine = tmp_path / "rejected.csv"
    quarantine.write_text("line,reason\n" + "".join(f'{n},"text <x{n}>, not a number"\n' for n in range(2, 14)))
    ingest = {**INGEST, "n_rejected": 12, "rejected": str(quarantine)}
    html = data_section(tmp_path, regular_cube, None, ingest, {})
    assert "Rejected rows, the first 8" in html
    assert "line 2</th>" in html
    assert "text &lt;x9&gt;, not a number" in html
    assert "x10" not in html


def test_the_attribution_that_a_licence_asks_for_is_shown(regular_cube, tmp_path):
    cube = regular_cube.assign_attrs(attribution="Generated from somebody's data")
    assert "Generated from somebody&#x27;s data" in data_section(tmp_path, cube, None, INGEST, {})


def test_a_package_that_is_not_installed_has_no_version():
    assert version_of("no-such-package-at-all") == "(not installed)"
    assert version_of("numpy") == np.__version__


def test_writing_again_replaces_the_page_and_leaves_no_draft(regular_cube, tmp_path):
    less = dict.fromkeys(("forecast", "scores", "smooth", *PATTERNS_AND_PARTS))
    (tmp_path / "index.html").write_text("First")
    report(tmp_path, regular_cube, title="Second", **less)
    assert "Second" in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert not list(tmp_path.glob("*.part"))


def test_an_index_leads_to_each_product(tmp_path):
    entries = [
        {"title": "A", "path": tmp_path / "a" / "index.html", "points": 12},
        {"title": "B", "path": tmp_path / "b" / "index.html"},
    ]
    html = write_index(tmp_path, entries).read_text(encoding="utf-8")
    assert "href='a/index.html'" in html
    assert "href='b/index.html'" in html


def test_importing_the_report_loads_nothing_heavy():
    heavy = "{'torch', 'sklearn', 'matplotlib', 'rasterio', 'pyarrow'}"
    code = f"import sys, insar_dask.report; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_the_page_works_in_a_browser_without_a_network(browser, page_file, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page_file.as_uri())
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert page.locator("figure > svg[role=img][aria-label]").count() == 25
    assert page.locator("table").count() == 14
    assert page.locator("table caption").count() == 14
    assert page.locator("section > h2").all_inner_texts() == [
        "Maps",
        "Distributions",
        "Points",
        "Patterns",
        "Decomposition",
        "Forecast scores",
        "Data",
        "Run",
    ]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_index_shows_a_map_of_each_product(browser, page_file):
    entries = [{"title": "EGMS_L2b_022_0845_IW2_VV_2020_2024_1", "path": page_file, "results": ["fine", "so far"]}]
    index = write_index(page_file.parent.parent, entries)
    page = browser.new_page(viewport={"width": 400, "height": 800})
    page.goto(index.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.evaluate("document.querySelector('img.thumbnail').naturalWidth") > 300
    page.get_by_text("Open the report").click()
    assert page.title() == "Test & site"
    page.close()


def test_text_stands_out_from_the_paper_in_light_and_dark(browser, page_file):
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(page_file.as_uri())
        names = ["--ink", "--muted", "--leak", "--paper"]
        colour = page.evaluate(
            "names => names.map(n => getComputedStyle(document.documentElement).getPropertyValue(n).trim())", names
        )
        *words, paper = [luminance(value) for value in colour]
        for word in words:
            light, dark = max(word, paper), min(word, paper)
            assert (light + 0.05) / (dark + 0.05) >= 4.5
        page.close()


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    channels = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
