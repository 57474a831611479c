import runpy
import shutil
from pathlib import Path

import pytest
import torch

from insar_dask.config import load_config
from insar_dask.config.sections import Report
from insar_dask.outcomes import title_of
from insar_dask.pipeline import opened
from insar_dask.synthetic import egms_tile, write_egms
from tests.benchmarks.chumar_run import read

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_quickstart_leaves_cube_picture_and_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "quickstart.py"))["main"](None, str(tmp_path))
    assert "5,000 points; the fastest moves" in capsys.readouterr().out
    assert (tmp_path / "fastest-point.png").stat().st_size > 10_000
    assert (tmp_path / "fastest-point.csv").exists()


def test_the_best_forecaster_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "who_forecasts_best.py"))["main"](None, 100, 190)
    shown = capsys.readouterr().out
    assert "gaussian_process" in shown and "LEAKS" in shown


def test_patterns_are_found_kept_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "clusters.py"))["main"](None, str(tmp_path), 3000)
    shown = capsys.readouterr().out
    assert "silhouette" in shown and "pattern 0:" in shown
    assert len((tmp_path / "clusters.csv").read_text().splitlines()) == 3001


def test_parts_and_forecasts_of_the_most_seasonal_point_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "decompose.py"))["main"](None, 300)
    shown = capsys.readouterr().out
    assert "Holt-Winters: " in shown and "STL: " in shown and "90 % intervals" in shown
    assert "a later value sees 60 days ahead" in shown


def test_mintpy_series_becomes_a_cube_and_a_geotiff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "mintpy.py"))["main"](None, str(tmp_path))
    assert "17,200 of 18,000 pixels move -30.0 to +0.0 mm/yr" in capsys.readouterr().out
    assert (tmp_path / "velocity.tif").stat().st_size > 10_000


def test_a_forecaster_is_kept_and_compared_with_what_came(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(EXAMPLES / "forecaster.py"))["main"]
    main(None, str(tmp_path / "model"), "harmonic_ridge", 200)
    shown = capsys.readouterr().out
    assert "harmonic_ridge: RMSE" in shown and shown.splitlines()[-1].startswith("2023-")
    assert (tmp_path / "model" / "README.md").exists()


def test_a_network_is_trained_on_a_store_and_held_against_persistence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    main = runpy.run_path(str(EXAMPLES / "lstm.py"))["main"]
    main(str(tmp_path), "lstm", 2, 60)
    shown = capsys.readouterr().out
    assert "2 steps, validation loss" in shown and "28 origins: lstm" in shown and " mm, persistence " in shown
    assert list((tmp_path / "checkpoints").iterdir())
    main(str(tmp_path), "lstm", 2, 60)
    assert capsys.readouterr().out == shown, "it goes on where it was, and forecasts the same"


def test_interferograms_become_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "interferograms.py"))["main"](None, str(tmp_path), 12, 14, 60)
    shown = capsys.readouterr().out
    assert "of 270 interferograms inverted to 60 dates" in shown and "around row" in shown
    off = float(shown.splitlines()[-1].split()[2])
    assert off < 4, shown
    page = (tmp_path / "ifgramStack" / "index.html").read_text()
    assert "Interferograms</h2>" in page and "id='network'" in page and "id='pair-residuals'" in page
    assert "scores LEAK on top" in page  # later pairs changed what the origins are told


def test_two_tracks_become_east_and_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "east_up.py"))["main"](str(tmp_path))
    east, up, north = capsys.readouterr().out.splitlines()
    assert east.startswith("east  547 cells x 69 dates") and up.startswith("up    547 cells x 69 dates, -2")
    assert north.startswith("a millimetre to the north adds -0.14 mm to up")
    assert (tmp_path / "up.png").stat().st_size > 10_000


def test_slides_are_found_named_and_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "areas.py"))["main"](str(tmp_path))
    shown = capsys.readouterr().out
    assert "3 areas, " in shown and "+1 areas (1 new, 0 ended, 0 merged, 0 split off)" in shown
    assert shown.count("first seen 2020-04-03") == 2 and shown.count("rate changed on 2020-") == 1
    assert (tmp_path / "areas.geojson").exists()


def test_newer_dates_raise_alarms_where_the_ground_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "update.py"))["main"](None, None, str(tmp_path), 600)
    shown = capsys.readouterr().out
    assert "newer: the same series, 6 new dates: over 204 dates in common 600 points" in shown
    assert "of 600 points are alarms; the most certain ones:" in shown and " mm  q = " in shown
    assert (tmp_path / "newer" / "alarms.csv").exists()


@pytest.mark.slow
def test_maps_are_learned_on_one_tile_and_forecast_on_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tiles").mkdir()
    for name in ("E32N34", "E58N17"):
        tile = egms_tile(name, 400, 200, order="file")
        write_egms(tmp_path / "tiles" / f"EGMS_L3_{name}_100km_U_2020_2024_1.zip", tile)
    # maps of 16 x 16 cells, at which the network takes a fifteenth of the time
    config = (EXAMPLES / "mmstt.toml").read_text()
    (tmp_path / "mmstt.toml").write_text(config.replace("[maps]\n", "[maps]\npixels = 64\ncells = 16\n"))
    example = shutil.copy(EXAMPLES / "mmstt.py", tmp_path)
    main = runpy.run_path(example)["main"]
    main(str(tmp_path), 400, 1, 0)
    shown = capsys.readouterr().out
    assert "2 tiles forecast by mmstt from 2023-04-17" in shown and "E58N17: cells have moved" in shown
    assert "RMSE mm on E58N17, never learned from: mmstt" in shown
    assert (tmp_path / "tiles-mmstt" / "card.json").exists()
    assert "tiles-up/index.html" in (tmp_path / "index.html").read_text()
    assert "E58N17, never learned from" in (tmp_path / "tiles-up" / "index.html").read_text()


@pytest.mark.slow
def test_the_published_plateau_runs_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = runpy.run_path(str(EXAMPLES / "chumar.py"))
    example["main"](str(tmp_path), 400, 2, 0)
    shown = capsys.readouterr().out
    assert "8 patterns from" in shown and "spacetimeformer" in shown and "400 points forecast to 2023-" in shown
    took = read(tmp_path, "spacetimeformer")
    assert took["stages"].keys() >= {"raw", "prepare", "score", "train-fit", "train-score", "predicted"}, took["stages"]
    assert took["seconds"] >= took["stages"]["train-score"]["seconds"] > 0 and took["card"]["scores"]
    config = example["configured"](tmp_path, 400, 0)
    for title, shown in (("Chumar (synthetic)",) * 2, ("A slope", "A slope (synthetic)"), (None, "Synthetic scene")):
        with opened(config.model_copy(update={"report": Report(**{"title": title} if title else {})})) as bench:
            (product,) = bench.products
            assert title_of(bench, product) == f"{shown}: {product}"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_configurations_load(path: Path) -> None:
    config = load_config(path)
    assert config.source.files or config.synthetic.n_points == 588_600
