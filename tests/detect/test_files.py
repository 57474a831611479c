import json
from pathlib import Path
from xml.etree import ElementTree

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from pyproj import CRS

from insar_dask.cube import CubeError
from insar_dask.detect.areas import Areas
from insar_dask.detect.counting import growth, inventory
from insar_dask.detect.finding import find_areas
from insar_dask.detect.given import judge_areas, read_areas
from insar_dask.detect.vintages import carry_ids, first_ids
from insar_dask.detect.writing import write_areas
from insar_dask.report import area_sections


@pytest.fixture(scope="module")
def areas(scenes: list[xr.Dataset]) -> Areas:
    return find_areas(scenes[1])


@pytest.mark.parametrize("ending", ["parquet", "geojson", "gpkg"])
def test_what_is_written_is_read(ending: str, areas: Areas, tmp_path: Path) -> None:
    path = write_areas(areas, tmp_path / f"areas.{ending}")
    back = read_areas(path)
    assert len(back) == len(areas) and CRS(back.crs_wkt) == CRS(4326 if ending == "geojson" else 3035)
    np.testing.assert_allclose(back["velocity_mean"].astype(float), areas["velocity_mean"], rtol=1e-6)
    assert back["votes"].tolist() == areas["votes"].tolist()
    same = geopandas.GeoSeries(list(back.geometry), crs=back.crs_wkt).to_crs(3035).area
    np.testing.assert_allclose(same, areas["area_m2"], rtol=2e-3)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"areas.{ending}", "areas.qml"]


@pytest.mark.parametrize("ending", ["parquet", "geojson"])
def test_a_vintage_comes_back_with_its_recipe_and_days_as_text(ending: str, areas: Areas, tmp_path: Path) -> None:
    old = first_ids(areas, "plateau", "2019-12-31")
    back = read_areas(write_areas(old, tmp_path / f"areas.{ending}"), areas.crs_wkt)
    assert back["first_seen"].tolist() == old["first_seen"].tolist()
    shared = ("scene", "vintage", "cell", "rule", "component", "recipe")
    assert {name: back.attrs.get(name) for name in shared} == {name: old.attrs.get(name) for name in shared}
    later = carry_ids(back, areas, "2023-12-31")
    assert later["area_id"].tolist() == old["area_id"].tolist() and set(later["first_seen"]) == {"2019-12-31"}
    with pytest.raises(CubeError, match="the vintages differ in rule"):
        carry_ids(back, find_like(areas, seed=12.0), "2023-12-31")


def find_like(areas: Areas, **rule: float) -> Areas:
    return areas.with_columns({}, rule={**areas.attrs["rule"], **rule})


def test_days_and_hours_of_a_file_are_text(areas: Areas, tmp_path: Path) -> None:
    days = ["2020-01-31", None, *["2021-02-01"] * (len(areas) - 2)]
    frame = geopandas.GeoDataFrame({"day": days}, geometry=list(areas.geometry), crs=areas.crs_wkt)
    frame["hour"] = pd.to_datetime(["2020-01-31T10:20:30"] * len(areas))
    frame["day"] = pd.to_datetime(frame["day"])
    frame.to_file(tmp_path / "mine.gpkg", driver="GPKG", engine="pyogrio")
    back = read_areas(tmp_path / "mine.gpkg")
    assert back["day"].tolist()[:3] == ["2020-01-31", "", "2021-02-01"] and back["hour"][0] == "2020-01-31T10:20:30"


def test_equal_areas_give_equal_bytes_for_any_tiles(scenes: list[xr.Dataset], areas: Areas, tmp_path: Path) -> None:
    tiled = find_areas(scenes[1], tile=100)
    for ending in ("parquet", "geojson"):
        one, other = (write_areas(a, tmp_path / f"{k}.{ending}") for k, a in enumerate((areas, tiled)))
        assert one.read_bytes() == other.read_bytes()


def test_geojson_is_in_degrees_and_has_no_nan(areas: Areas, tmp_path: Path) -> None:
    told = areas.with_columns({"nearest_m": np.full(len(areas), np.nan)})
    text = write_areas(told, tmp_path / "a.geojson", style=False).read_text()
    document = json.loads(text, parse_constant=pytest.fail)
    assert document["features"][0]["properties"]["nearest_m"] is None
    x, y = np.array(document["features"][0]["geometry"]["coordinates"][0]).T[:2]
    assert (np.abs(x) <= 180).all() and (np.abs(y) <= 90).all()
    assert document["recipe"]["recipe"] == areas.attrs["recipe"]


def test_the_style_has_three_classes_of_rate(areas: Areas, tmp_path: Path) -> None:
    write_areas(areas, tmp_path / "a.parquet")
    root = ElementTree.fromstring((tmp_path / "a.qml").read_text().split("\n", 1)[1])
    assert [r.get("lower") for r in root.iter("range")] == ["0", "10", "20"]
    assert root.find("renderer-v2").get("attr") == 'abs("velocity_mean")'


def test_none_at_all_can_be_written(areas: Areas, tmp_path: Path) -> None:
    for ending in ("parquet", "geojson"):
        path = write_areas(areas.part([]), tmp_path / f"none.{ending}")
        with pytest.raises(CubeError, match="holds no polygon"):
            read_areas(path)


def test_files_that_cannot_be_are_refused(areas: Areas, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"wanted \.parquet, \.geojson or \.gpkg"):
        write_areas(areas, tmp_path / "a.shp")
    with pytest.raises(CubeError, match="have no CRS"):
        write_areas(Areas(areas.geometry, {}, ""), tmp_path / "a.parquet")
    with pytest.raises(FileNotFoundError, match="there is no"):
        read_areas(tmp_path / "none.gpkg")


def test_outlines_in_degrees_are_not_taken_for_metres(areas: Areas, tmp_path: Path) -> None:
    path = write_areas(areas, tmp_path / "a.geojson", style=False)
    degrees, metres = read_areas(path), read_areas(path, crs=3035)
    for told in (lambda: inventory(degrees), lambda: growth(degrees, degrees, outline_error=1.0)):
        with pytest.raises(CubeError, match=r"counts in degrees, and areas take metres: read them with read_areas"):
            told()
    assert inventory(metres).area_km2 == pytest.approx(areas["area_m2"].sum() / 1e6, rel=1e-3)


def test_given_outlines_are_judged_as_found_ones(scenes: list[xr.Dataset], areas: Areas) -> None:
    judged = judge_areas(list(areas.geometry), scenes[1])
    for name in ("n_cells", "velocity_mean", "seasonality_mm", "votes"):
        np.testing.assert_array_equal(judged[name], areas[name])
    degrees = geopandas.GeoSeries(list(areas.geometry), crs=areas.crs_wkt).to_crs(4326)
    elsewhere = judge_areas(Areas(list(degrees), {"name": np.arange(len(areas))}, CRS(4326).to_wkt()), scenes[1])
    np.testing.assert_allclose(elsewhere["n_cells"], areas["n_cells"], rtol=0.1)
    assert elsewhere["name"].tolist() == list(range(len(areas)))


def test_an_outline_that_was_not_measured_is_said_to_be(scenes: list[xr.Dataset], areas: Areas, tmp_path: Path) -> None:
    far = np.hypot(scenes[1].x - areas["easting_m"][0], scenes[1].y - areas["northing_m"][0]) > 500
    maps = scenes[1].map(lambda values: values.where(far) if values.dtype.kind == "f" else values)
    maps.attrs = scenes[1].attrs
    middle = shapely.Point(areas["easting_m"][0], areas["northing_m"][0]).buffer(100)
    judged = judge_areas([middle, areas.geometry[-1]], maps)
    assert judged["n_valid"].tolist()[0] == 0 < judged["n_valid"][1]
    assert np.isnan(judged["share_over_10"][0]) and judged["share_over_10"][1] > 0
    assert judged["votes"][0] == "" and judged["votes"][1].startswith("moving ")
    properties = json.loads(write_areas(judged, tmp_path / "a.geojson").read_text())["features"][0]["properties"]
    assert properties["share_over_10"] is None
    assert area_sections._headline(judged, 0) == "0.031 km², not measured"
    card = area_sections._card(judged, 0, None)
    assert card["velocity"] == "not measured" and not {"votes", "cells beyond 10, 15, 20"} & set(card)
    assert "on average" in area_sections._card(judged, 1, None)["velocity"]


def test_outlines_that_cannot_be_judged_are_named(scenes: list[xr.Dataset], areas: Areas) -> None:
    maps, good = scenes[1], areas.geometry[0]
    with pytest.raises(CubeError, match="outline 1 is empty"):
        judge_areas([good, shapely.Polygon()], maps)
    with pytest.raises(CubeError, match="outline 0 is a Point, wanted a polygon"):
        judge_areas([shapely.Point(0, 0)], maps)
    with pytest.raises(CubeError, match="holds no polygon"):
        judge_areas([], maps)
    with pytest.raises(CubeError, match="none of 1 outlines"):
        judge_areas([shapely.box(0, 0, 10, 10)], maps)
    with pytest.raises(CubeError, match=r"outlines \[1\] hold no middle of a cell"):
        judge_areas([good, shapely.box(0, 0, 10, 10)], maps)
