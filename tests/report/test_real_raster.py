"""The raster of a real product lies exactly where the provider's own raster lies."""

import numpy as np
import pytest
from numcodecs import Zstd

from insar_dask.kinematics import motion
from insar_dask.readers.egms import read_egms
from insar_dask.report import write_geotiff

rasterio = pytest.importorskip("rasterio", reason="needs insar-dask[geo]")


@pytest.mark.parametrize("component", ["U", "E"])
def test_our_raster_is_a_window_of_the_official_one(real_data, tmp_path, component):
    stem = f"EGMS_L3_E45N17_100km_{component}_2020_2024_1"
    products = motion(read_egms(real_data / "egms" / f"{stem}.zip").compute()).compute()
    official = Zstd().decode((real_data / "egms" / f"{stem}.tiff.zst").read_bytes())
    path = write_geotiff(products, tmp_path / "ours.tif", variables=["velocity"])
    with rasterio.MemoryFile(official) as memory, memory.open() as theirs, rasterio.open(path) as ours:
        assert ours.crs == theirs.crs
        assert ours.res == theirs.res
        column, row = (ours.bounds.left - theirs.bounds.left) / 100, (theirs.bounds.top - ours.bounds.top) / 100
        assert abs(column - round(column)) < 1e-8  # corners on the official corners, to 1e-6 m
        assert abs(row - round(row)) < 1e-8
        window = rasterio.windows.Window(round(column), round(row), ours.width, ours.height)
        published, recomputed = theirs.read(1, window=window), ours.read(1)
        np.testing.assert_array_equal(published == theirs.nodata, recomputed == ours.nodata)
        valid = recomputed != ours.nodata
        assert valid.sum() == 522
        assert np.abs(published - recomputed)[valid].max() <= 0.06
