import re
import tempfile
from pathlib import Path

import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.config import Config, load_config, parse_config
from insar_dask.cube import CubeError
from insar_dask.jobs.engine import JobError
from insar_dask.outcomes import publish
from insar_dask.pipeline import kept_config, opened
from insar_dask.synthetic import scene, write_egms

NAME = "EGMS_L2b_022_0845_IW2_VV_2020_2024_1"


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
            publish(bench, "site")
        bench.prepare("site")
        bench.engine.ledger.revoke("site/products", [1])
        with pytest.raises(JobError, match=r"site/products lacks shards \[1\] of 3"):
            publish(bench, "site")


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """Header and rows of a product of 400 points and 40 dates: a year and a half."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{NAME}.csv"
        write_egms(path, scene("l2b", n_points=400, n_dates=40, seed=2))
        return path.read_text().splitlines()


def finished(folder: Path, text: str, **sections: object) -> tuple[str, str]:
    """Summary and page of a run over a product file of that text."""
    (folder / f"{NAME}.csv").write_text(text)
    config = parse_config(
        {
            "source": {"files": [str(folder / f"{NAME}.csv")]},
            "store": {"path": str(folder / "site.zarr")},
            "areas": {"method": "hysteresis"},
            "cluster": {"workers": 0},
            **sections,
        }
    )
    outcome, areas = insar.run(config, quiet=True)
    assert areas.product.startswith("areas-scene-los-022-") and "<h2>Map</h2>" in areas.report.read_text()
    return "\n".join(outcome.summary), outcome.report.read_text()


def test_a_record_too_short_for_scores_has_motion_maps_and_the_reason(tmp_path: Path, lines: list[str]) -> None:
    summary, page = finished(tmp_path, "\n".join(lines) + "\n")
    assert "no forecast: the record has" in summary and "are needed for horizon" in summary
    assert "LOOK HERE" not in summary
    assert "are needed for horizon" in page and "id='velocity'" in page
    assert "Decomposition</h2><p>" in page
    with pytest.importorskip("rasterio").open(tmp_path / NAME / "motion.tif") as source:
        assert {"velocity", "cumulative", "cluster"} <= set(source.descriptions)


def test_patterns_of_features_are_told_by_what_they_are_ordered_by(tmp_path: Path, lines: list[str]) -> None:
    by = ["acceleration", "seasonality"]
    summary, page = finished(tmp_path, "\n".join(lines) + "\n", patterns={"n_clusters": 3, "features": by})
    told = next(line for line in summary.splitlines() if "patterns from" in line)
    assert re.fullmatch(r"3 patterns from acceleration [+-][\d.]+ mm/yr² \(\d+ points\) to [+-][\d.]+ \(\d+\)", told)
    assert "numbered by the acceleration [mm/yr²] of their centroids, the lowest acceleration first" in page


def test_a_file_that_was_cut_off_is_said_first(tmp_path: Path, lines: list[str]) -> None:
    summary, page = finished(tmp_path, ("\n".join(lines))[:-60])
    assert summary.startswith(f"LOOK HERE: {NAME}.csv ends in the middle of a line: it was cut off")
    assert "ends in the middle of a line" in page


def test_a_product_without_values_is_said_first(tmp_path: Path, lines: list[str]) -> None:
    n_leading = len(lines[0].split(",")) - 40
    empty = [lines[0], *(",".join(row.split(",")[:n_leading]) + "," * 40 for row in lines[1:])]
    summary, page = finished(tmp_path, "\n".join(empty) + "\n")
    assert summary.startswith("LOOK HERE: none of the 400 points has a velocity")
    assert "None of the 400 points has a velocity" in page


def test_a_configuration_of_a_user_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("# mine")
    config = configured(tmp_path)
    with opened(config):
        pass
    assert (tmp_path / "config.toml").read_text() == "# mine"
    assert load_config(kept_config(tmp_path / "site.zarr")) == config
