import io

import numpy as np
import pandas as pd
import pytest

from insar_dask.cube import CubeError
from insar_dask.report import vectors, write_csv, write_geoparquet
from tests.report.scenes import make_cube, make_products

geopandas = pytest.importorskip("geopandas", reason="needs insar-dask[geo]")


def test_wide_csv_round_trips(regular_cube, tmp_path):
    path = write_csv(regular_cube, tmp_path / "area.csv")
    table = pd.read_csv(path, comment="#", dtype={"point_id": str})
    dates = [name for name in table if name[1:].isdigit()]
    assert [pd.Timestamp(name[1:]).to_datetime64() for name in dates] == list(regular_cube["time"].values)
    np.testing.assert_array_equal(table[dates].to_numpy(np.float32), regular_cube["displacement"].values)
    np.testing.assert_array_equal(table["easting_m"], regular_cube["easting"].values)
    assert list(table["point_id"]) == list(regular_cube["point_id"].values)


def test_long_csv_has_the_valid_values_of_one_point(regular_cube, tmp_path):
    path = write_csv(regular_cube.isel(point=[4]), tmp_path / "point.csv", layout="long")
    table = pd.read_csv(path, comment="#", parse_dates=["date"])
    series = regular_cube["displacement"].isel(point=4).dropna("time")
    np.testing.assert_array_equal(table["displacement_mm"].to_numpy(np.float32), series.values)
    np.testing.assert_array_equal(table["date"].to_numpy("datetime64[ns]"), series["time"].values)


def test_comments_state_unit_and_crs_and_can_be_left_out(regular_cube, tmp_path):
    text = write_csv(regular_cube, tmp_path / "a.csv").read_text(encoding="utf-8")
    assert text.startswith("# displacement in mm since 2020-01-03, up")
    assert "EPSG:3035" in text
    bare = write_csv(regular_cube, tmp_path / "b.csv", comments=False).read_text(encoding="utf-8")
    assert bare.startswith("point_id,easting_m,northing_m")


def test_blocks_make_the_same_file_as_one_piece(regular_cube, tmp_path, monkeypatch):
    whole = write_csv(regular_cube, tmp_path / "whole.csv").read_bytes()
    monkeypatch.setattr(vectors, "CSV_POINTS", 10)
    assert write_csv(regular_cube.chunk(point=16), tmp_path / "blocks.csv").read_bytes() == whole


def test_a_failed_write_leaves_no_file(regular_cube, tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "_wide", lambda block: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_csv(regular_cube, tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists()


def test_unknown_layout_and_wrong_data_are_refused(regular_cube, tmp_path):
    with pytest.raises(ValueError, match="'wide' or 'long'"):
        write_csv(regular_cube, tmp_path / "a.csv", layout="tall")
    with pytest.raises(CubeError):
        write_csv(make_products(regular_cube), tmp_path / "a.csv")


@pytest.mark.parametrize("epsg", [3035, 32633, 25832])
def test_geoparquet_opens_in_geopandas_with_crs_and_exact_coordinates(tmp_path, epsg):
    rng = np.random.default_rng(2)
    cube = make_cube(rng.uniform(4e5, 6e5, 300), rng.uniform(4e6, 5e6, 300), epsg=epsg)
    products = make_products(cube)
    frame = geopandas.read_parquet(write_geoparquet(products, tmp_path / "p.parquet"))
    assert frame.crs.to_epsg() == epsg
    np.testing.assert_array_equal(frame.geometry.x, products["easting"].values)
    np.testing.assert_array_equal(frame.geometry.y, products["northing"].values)
    for name in ("velocity", "acceleration", "seasonality", "rmse", "velocity_std"):
        np.testing.assert_array_equal(frame[name], products[name].values)
    assert list(frame["point_id"]) == list(products["point_id"].values)


def test_geoparquet_is_filtered_by_its_bounding_box_column(regular_cube, tmp_path):
    path = write_geoparquet(make_products(regular_cube), tmp_path / "p.parquet")
    box = (4_500_000, 1_700_000, 4_500_300, 1_700_200)
    assert len(geopandas.read_parquet(path, bbox=box)) == 6


def test_geoparquet_keeps_units_and_blocks_do_not_show(regular_cube, tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    monkeypatch.setattr(vectors, "BLOCK_POINTS", 25)
    file = pq.ParquetFile(write_geoparquet(make_products(regular_cube), tmp_path / "p.parquet"))
    assert file.num_row_groups == 5
    assert file.metadata.num_rows == regular_cube.sizes["point"]
    assert file.schema_arrow.field("velocity").metadata[b"units"] == b"mm yr-1"


def test_geoparquet_without_crs_is_refused(regular_cube, tmp_path):
    with pytest.raises(CubeError, match="no CRS"):
        write_geoparquet(make_products(regular_cube).drop_vars("crs"), tmp_path / "p.parquet")


def test_missing_pyarrow_names_the_extra(regular_cube, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"insar-dask\[geo\]"):
        write_geoparquet(make_products(regular_cube), tmp_path / "p.parquet")


def test_csv_of_bytes_is_utf8(regular_cube, tmp_path):
    text = write_csv(regular_cube.isel(point=[0]), tmp_path / "a.csv").read_bytes().decode("utf-8")
    assert "P00000é" in io.StringIO(text).read()
