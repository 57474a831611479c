import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from insar_dask.cube import CubeError
from insar_dask.readers.grid import PixelGrid, grid_variable, to_grid
from insar_dask.report import own_cells as own
from insar_dask.report import write_geotiff
from insar_dask.report.colours import colour_limits
from tests.report.scenes import make_cube, make_products

rasterio = pytest.importorskip("rasterio", reason="needs insar-dask[geo]")


def test_a_regular_product_keeps_its_own_cells_and_corners(regular_cube, tmp_path):
    products = make_products(regular_cube)
    with rasterio.open(write_geotiff(products, tmp_path / "p.tif")) as raster:
        assert raster.crs.to_epsg() == 3035
        assert raster.nodata == -9999
        np.testing.assert_allclose(raster.bounds, (4_500_000, 1_700_000, 4_501_200, 1_700_900), atol=1e-6)
        places = list(zip(products["easting"].values, products["northing"].values, strict=True))
        sampled = np.array(list(raster.sample(places)))
        band = raster.descriptions.index("velocity")
    velocity = np.where(np.isfinite(products["velocity"]), products["velocity"], -9999)
    np.testing.assert_array_equal(sampled[:, band], velocity)
    np.testing.assert_array_equal(sampled[:, -1], 1)


def test_cells_without_points_are_nodata_and_counted_zero(regular_cube, tmp_path):
    with rasterio.open(write_geotiff(make_products(regular_cube), tmp_path / "p.tif")) as raster:
        values = next(raster.sample([(4_500_550.0, 1_700_050.0)]))
    assert values[-1] == 0
    assert (values[:-1] == -9999).all()


@pytest.mark.parametrize("epsg", [3035, 32633, 25832])
@pytest.mark.parametrize("resolution", [None, 50.0, 250.0])
def test_scattered_points_become_means_on_round_edges(tmp_path, epsg, resolution):
    rng = np.random.default_rng(3)
    products = make_products(make_cube(rng.uniform(4e5, 4.02e5, 500), rng.uniform(5e6, 5.001e6, 500), epsg=epsg))
    cell = resolution or 100.0
    with rasterio.open(write_geotiff(products, tmp_path / "p.tif", resolution=resolution)) as raster:
        assert raster.crs.to_epsg() == epsg
        assert raster.res == (cell, cell)
        np.testing.assert_allclose(np.mod(raster.bounds, cell), 0, atol=1e-6)
        count = raster.read(raster.count)
        rmse = raster.read(raster.descriptions.index("rmse") + 1)
        row = ((raster.bounds.top - products["northing"].values) // cell).astype(int)
        column = ((products["easting"].values - raster.bounds.left) // cell).astype(int)
    assert count.sum() == 500
    here = (row == row[0]) & (column == column[0])
    assert rmse[row[0], column[0]] == pytest.approx(np.nanmean(products["rmse"].values[here]), rel=1e-6)


def test_points_in_whole_metres_are_scattered_too(scattered_cube, tmp_path):
    products = make_products(scattered_cube)
    whole = {axis: products[axis].round() for axis in ("easting", "northing")}
    with rasterio.open(write_geotiff(products.assign_coords(whole), tmp_path / "p.tif")) as raster:
        assert raster.res == (100.0, 100.0)


def test_bands_carry_names_and_units(regular_cube, tmp_path):
    with rasterio.open(write_geotiff(make_products(regular_cube), tmp_path / "p.tif")) as raster:
        assert raster.descriptions[0] == "velocity"
        assert raster.descriptions[-1] == "count"
        assert raster.units[0] == "mm yr-1"
        assert raster.tags()["release"] == "2020-2024"


def test_the_file_is_cloud_optimised(tmp_path):
    x, y = np.meshgrid(4e6 + 100 * np.arange(1100.0), 2e6 + 100 * np.arange(600.0))
    products = make_products(make_cube(x.ravel(), y.ravel(), n_times=1))
    path = write_geotiff(products, tmp_path / "p.tif", variables=["velocity"])
    with rasterio.open(path) as raster:
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert raster.block_shapes[0] == (512, 512)
        assert raster.overviews(1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.qml", "p.tif"]


def test_the_qgis_style_spans_the_limits_of_the_map(regular_cube, tmp_path):
    products = make_products(regular_cube)
    write_geotiff(products, tmp_path / "p.tif")
    low, high = colour_limits(products["velocity"].values, signed=True)
    items = ElementTree.parse(tmp_path / "p.qml").getroot().findall(".//colorrampshader/item")
    assert float(items[0].get("value")) == pytest.approx(low, rel=1e-5)
    assert float(items[-1].get("value")) == pytest.approx(high, rel=1e-5)
    assert all(item.get("color").startswith("#") for item in items)


def test_a_band_without_a_map_gets_no_style(regular_cube, tmp_path):
    write_geotiff(make_products(regular_cube), tmp_path / "p.tif", variables=["velocity_std"])
    assert not (tmp_path / "p.qml").exists()


def test_what_cannot_be_a_band_is_named(regular_cube, tmp_path):
    with pytest.raises(CubeError, match="speed"):
        write_geotiff(make_products(regular_cube), tmp_path / "p.tif", variables=["speed"])
    with pytest.raises(CubeError, match="no CRS"):
        write_geotiff(make_products(regular_cube).drop_vars("crs"), tmp_path / "p.tif")
    with pytest.raises(CubeError, match="no points"):
        write_geotiff(make_products(regular_cube).isel(point=slice(0)), tmp_path / "p.tif")


def test_missing_rasterio_names_the_extra(regular_cube, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(ImportError, match=r"insar-dask\[geo\]"):
        write_geotiff(make_products(regular_cube), tmp_path / "p.tif")


def test_pyogrio_and_rasterio_agree_on_where_the_points_are(scattered_cube, tmp_path):
    pyogrio = pytest.importorskip("pyogrio")
    from insar_dask.report import write_csv

    path = write_csv(scattered_cube, tmp_path / "points.csv", comments=False)
    frame = pyogrio.read_dataframe(path, X_POSSIBLE_NAMES="easting_m", Y_POSSIBLE_NAMES="northing_m")
    with rasterio.open(write_geotiff(make_products(scattered_cube), tmp_path / "p.tif")) as raster:
        counts = [sample[-1] for sample in raster.sample(zip(frame.geometry.x, frame.geometry.y, strict=True))]
    assert min(counts) >= 1


def test_a_cell_of_labels_holds_the_most_frequent_one(scattered_cube, tmp_path):
    labels = np.random.default_rng(2).integers(-1, 3, scattered_cube.sizes["point"]).astype(np.int8)
    flags = {"flag_values": np.arange(-1, 3, dtype=np.int8), "flag_meanings": "none a b c"}
    products = make_products(scattered_cube).assign(cluster=("point", labels, flags))
    with rasterio.open(write_geotiff(products, tmp_path / "a.tif", resolution=500)) as source:
        band = source.read(source.descriptions.index("cluster") + 1)
        x = (products["easting"].values - source.bounds.left) // 500
        y = (source.bounds.top - products["northing"].values) // 500
        for row, column in np.ndindex(band.shape):
            mine = labels[(x == column) & (y == row) & (labels >= 0)]
            assert band[row, column] == (np.bincount(mine).argmax() if mine.size else source.nodata)


def test_overviews_make_up_no_labels(tmp_path):
    rng = np.random.default_rng(4)
    cube = make_cube(4.5e6 + rng.uniform(0, 1.2e5, 4000), 1.7e6 + rng.uniform(0, 1.2e5, 4000), n_times=3)
    labels = (rng.integers(0, 2, 4000) * 7).astype(np.int8)
    products = make_products(cube).assign(cluster=("point", labels, {"flag_values": np.arange(8, dtype=np.int8)}))
    path = write_geotiff(products, tmp_path / "a.tif", resolution=100)
    with rasterio.open(path, overview_level=0) as source:
        band = source.read(source.count - 1)  # overviews have no names; the last band counts the points
    assert set(np.unique(band)) == {source.nodata, 0, 7}


def pixels(x_step: float = 0.001, y_step: float = -0.0007, epsg: int = 4326, on_map: bool = True):
    """Motion of 300 of 20 x 30 pixels, in any order, whose labels begin at -1; none in the first two columns."""
    wkt = rasterio.crs.CRS.from_epsg(epsg).to_wkt()
    grid = PixelGrid(20, 30, 13.3, x_step, 38.1, y_step, wkt) if on_map else PixelGrid(20, 30)
    flat = np.random.default_rng(5).permutation(np.arange(600).reshape(20, 30)[:, 2:].ravel())[:300]
    row, column = np.divmod(flat, 30)
    cube = make_cube(5e5 + 87.0 * column, 4.2e6 - 77.0 * row + column / 9, epsg=32633)
    labels = (flat % 4 - 1).astype(np.int8)
    cluster = ("point", labels, {"flag_values": np.arange(-1, 3, dtype=np.int8), "flag_meanings": "none a b c"})
    return make_products(cube).assign_coords(
        row=("point", row.astype(np.int32)), col=("point", column.astype(np.int32)), grid=grid_variable(grid)
    ).assign(cluster=cluster)  # fmt: skip


@pytest.mark.parametrize("x_step", [0.001, -0.001])
@pytest.mark.parametrize("y_step", [-0.0007, 0.0007])
def test_pixels_go_back_to_the_cells_they_came_from(tmp_path, x_step, y_step):
    products = pixels(x_step, y_step)
    wanted = to_grid(products)
    with rasterio.open(write_geotiff(products, tmp_path / "p.tif")) as raster:
        assert (raster.crs.to_epsg(), raster.shape) == (4326, (20, 30))
        assert raster.res == pytest.approx((0.001, 0.0007), rel=1e-12)
        y, x = (wanted[name].values for name in ("y", "x"))
        row, column = rasterio.transform.rowcol(raster.transform, *(axis.ravel() for axis in np.meshgrid(x, y)))
        for name in ("velocity", "cluster"):
            band = raster.read(raster.descriptions.index(name) + 1)[row, column].reshape(20, 30)
            truth = wanted[name].values
            truth = np.where(np.isfinite(truth) & ~((name == "cluster") & (truth < 0)), truth, -9999)
            np.testing.assert_array_equal(band, truth.astype(np.float32))
        count = raster.read(raster.count)[row, column].reshape(20, 30)
    np.testing.assert_array_equal(count, np.isfinite(wanted["easting"].values))


def test_pixels_take_new_cells_only_where_these_are_asked_for(tmp_path):
    with rasterio.open(write_geotiff(pixels(), tmp_path / "p.tif", resolution=250)) as raster:
        assert (raster.crs.to_epsg(), raster.res) == (32633, (250, 250))
    with rasterio.open(write_geotiff(pixels(on_map=False), tmp_path / "p.tif")) as raster:
        assert (raster.crs.to_epsg(), raster.res) == (32633, (100, 100))


def test_of_a_huge_raster_the_part_with_points_is_written(tmp_path, monkeypatch):
    few = pixels().isel(point=slice(4))
    monkeypatch.setattr(own, "MOST_CELLS", 599)
    with rasterio.open(write_geotiff(few, tmp_path / "p.tif", variables=["velocity"])) as raster:
        assert raster.shape == tuple(int(np.ptp(few[name].values)) + 1 for name in ("row", "col"))
        x, y = 13.3 + 0.001 * few["col"].values, 38.1 - 0.0007 * few["row"].values
        sampled = [values[0] for values in raster.sample(zip(x, y, strict=True))]
    np.testing.assert_array_equal(sampled, few["velocity"].values.astype(np.float32))
    monkeypatch.setattr(own, "MOST_CELLS", 3)
    with pytest.raises(CubeError, match=r"pixels of their raster, more than 3: pass resolution="):
        write_geotiff(few, tmp_path / "p.tif")


def test_two_points_of_one_pixel_are_named(tmp_path):
    twice = pixels().isel(point=[3, 7, 3])
    where = f"row {int(twice['row'][0])}, column {int(twice['col'][0])}"
    with pytest.raises(CubeError, match=where):
        write_geotiff(twice, tmp_path / "p.tif")
