import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from insar_dask.map_metrics import MapScores
from insar_dask.report import map_sections, write_index, write_map_report
from insar_dask.report.hindcasts import Hindcasts
from insar_dask.tiling.checking import extents
from tests.forecast.maps.toy_tiles import toy_tiles

METHODS = ("mmstt", "kriging", "persistence")
TILES = toy_tiles(side=12)
DATES = TILES["time"].values[-10:].astype("datetime64[D]")


def forecast() -> xr.Dataset:
    """Two tiles ten steps on from the last map, as the engine has them."""
    known = TILES["displacement"].where(TILES["mask"]).values[:, -1]
    middle = known[:, None, None] + np.linspace(0.5, 5, 10, dtype=np.float32)[None, None, :, None, None]
    time = DATES[-1] + 6 * np.arange(1, 11)
    return xr.Dataset(
        {
            name: (("tile", "origin", "lead", "y", "x"), middle + np.float32(off))
            for name, off in {"displacement": 0, "lower": -2, "upper": 2}.items()
        },
        {"tile": TILES["tile"], "time": (("origin", "lead"), time[None].astype("datetime64[ns]"))},
        {"level": 0.9, "method": "mmstt"},
    )


def hindcasts(spread: float = 50.0) -> Hindcasts:
    """Three methods that erred by 1, 2 and 3 mm in every cell."""
    tiles = {}
    for at, name in enumerate(TILES["tile"].values):
        came = TILES["displacement"].where(TILES["mask"]).values[at, -10:]
        said = np.stack([came + np.float32(error) for error in (1, 2, 3)])
        scores = [MapScores.of(one, came, np.isfinite(came), spread) for one in said]
        tiles[str(name)] = {
            "said": said,
            "measured": came,
            "errors": np.stack([[sums.values for sums in of.errors] for of in scores]),
            "alike": np.stack([of.alike for of in scores]),
            "data_range": spread,
            "inside": np.stack([np.full((10, 2), (share, 100.0)) for share in (91, 92, 93)]),
            "share": np.array([0.75, np.nan, np.nan]),
        }
    origins = TILES["time"].values[[-40, -10]].astype("datetime64[D]")
    return Hindcasts(METHODS, origins, DATES, 6, tiles)


def written(folder: Path, **more) -> str:
    told = {
        "tiles": TILES,
        "learned": {"E32N34": extents(TILES)["E32N34"]},
        "timings": [],
        "config_text": "[maps]",
        "title": "Two tiles: maps",
    }
    page = write_map_report(folder, forecast=forecast(), **told | {"hindcasts": hindcasts()} | more)
    return page.read_text()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("maps") / "tiles-up"
    return folder, written(folder)


def test_the_page_has_every_figure_beside_it(page: tuple[Path, str]) -> None:
    folder, text = page
    names = {"outlook", "maps", "regions", "nodes", "leads", "scatter", "residuals", "binned"}
    assert {path.stem for path in (folder / "figures").iterdir()} == names
    assert all(f"<figure id='{name}'>" in text for name in names)


def test_scores_are_those_of_the_errors_that_were_made(page: tuple[Path, str]) -> None:
    _, text = page
    rows = re.findall(r"<tr[^>]*><th scope=row>([^<]+)[^/]*</th>(.*?)</tr>", text)
    by_tile = {name: re.findall(r"[\d.]+", cells)[:3] for name, cells in rows if name.startswith("E")}
    assert by_tile == {
        "E32N34, learned from": ["1.00", "2.00", "3.00"],
        "E39N30, never learned from": ["1.00", "2.00", "3.00"],
    }
    assert "<b>1.00</b>" in text and "91.0%" in text and "errs less than" not in text
    assert "change from the last map" not in text and "+5.0" in text


def test_how_far_a_tile_believes_a_network_is_told_where_one_forecasts(page: tuple[Path, str], tmp_path: Path) -> None:
    _, text = page
    assert "believed<small>mmstt</small>" in text and text.count("75.0%") == 2 and "At 0 % it says what" in text
    past = hindcasts()
    none = {name: found | {"share": np.full(3, np.nan)} for name, found in past.tiles.items()}
    text = written(tmp_path, hindcasts=replace(past, tiles=none))
    assert "believed" not in text and "At 0 % it says what" not in text


def test_methods_and_cells_are_drawn_on_dates_that_came(page: tuple[Path, str]) -> None:
    _, text = page
    assert f"{DATES[0]}" in text and f"{DATES[-1]}" in text
    assert "SSIM is relative to the range" in text


def test_dates_that_no_map_is_of_move_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, past, missing = [], hindcasts(), [3, 9]
    plot = map_sections.plot_nodes
    monkeypatch.setattr(map_sections, "plot_nodes", lambda nodes, title: drawn.extend(nodes) or plot(nodes, title))
    for found in past.tiles.values():
        found["measured"][missing] = np.nan
    there = TILES.isel(time=~np.isin(TILES["time"].values.astype("datetime64[D]"), DATES[missing]))
    text = written(tmp_path, tiles=there, hindcasts=past)
    assert f"on {DATES[8]}</b> t+9 of the origin" in text and f"{DATES[8]}</b> t+9; each tile" in text
    for node in drawn:
        np.testing.assert_array_equal(node.dates[node.origin :], DATES)
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(node.measured[node.origin :])), missing)


def test_a_simpler_method_that_errs_less_is_named(tmp_path: Path) -> None:
    past = hindcasts()
    better = {name: found | {"errors": found["errors"][::-1]} for name, found in past.tiles.items()}
    text = written(tmp_path, hindcasts=replace(past, tiles=better))
    assert "Persistence errs less than mmstt on 2 of 2 tiles" in text


def test_without_a_past_the_page_says_why(tmp_path: Path) -> None:
    text = written(tmp_path / "maps", hindcasts=None, reason="the record is <short>")
    assert "The record is &lt;short&gt;." in text and "<figure id='outlook'>" in text
    assert "<figure id='maps'>" not in text


def test_the_index_leads_to_it(page: tuple[Path, str]) -> None:
    folder, _ = page
    index = write_index(folder.parent, [{"title": "tiles/up", "path": folder / "index.html", "results": ["two tiles"]}])
    text = index.read_text()
    assert "tiles-up/index.html" in text and "tiles-up/figures/outlook.png" in text
