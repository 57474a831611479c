"""Sources are recognised by what is in them; where that leaves doubt, the error says what to write."""

import re
import tomllib
import zipfile

import numpy as np
import pytest
import rasterio
import xarray as xr

from insar_dask.config import parse_config
from insar_dask.cube import CubeError
from insar_dask.readers.recognise import reader_of
from insar_dask.synthetic import scene, write_egms
from tests.readers.ifgram_layout import write_stack
from tests.readers.mintpy_layout import write_plane, write_series

EGMS = "EGMS_L2b_022_0845_IW2_VV_2020_2024_1"


def tif(path, bands=1):
    place = rasterio.Affine(30, 0, 5e5, 0, -30, 4.2e6)
    with rasterio.open(
        path, "w", driver="GTiff", height=4, width=4, count=bands, dtype="float32", crs="EPSG:32633", transform=place
    ) as file:
        file.write(np.ones((bands, 4, 4), np.float32))
    return path


def egms(path):
    write_egms(path, scene("l2b", n_points=20, n_dates=25, seed=2))
    return path


def unwrapped(path):
    path.write_bytes(bytes(64))
    return path


def netcdf(path, **how):
    xr.Dataset({"z": (("time", "y", "x"), np.zeros((2, 3, 3)))}).to_netcdf(path, **how)
    return path


@pytest.mark.parametrize(
    ("write", "reader"),
    [
        (lambda folder: egms(folder / f"{EGMS}.zip"), "egms"),
        (lambda folder: egms(folder / f"{EGMS}.zip").rename(folder / "renamed.zip"), "egms"),
        (lambda folder: write_series(folder / "timeseries_demErr.h5"), "mintpy"),
        (lambda folder: write_series(folder / "whatever.nc"), "mintpy"),
        (lambda folder: write_plane(folder / "velocity.h5", velocity=np.zeros((3, 4))), "mintpy"),
        (lambda folder: netcdf(folder / "stack.nc", engine="h5netcdf"), "raster"),
        (lambda folder: netcdf(folder / "stack.dat", engine="scipy"), "raster"),
        (lambda folder: tif(folder / "20200103.TIF"), "raster"),
        (lambda folder: tif(folder / "20200103.tif").parent, "raster"),
        (lambda folder: tif(folder / "20200103.tif").parent / "*.tif", "raster"),
        (lambda folder: egms(folder / f"{EGMS}.zip").parent, "egms"),
        (lambda folder: egms(folder / f"{EGMS}.zip").parent / "*.zip", "egms"),
        (lambda folder: write_series(folder / "geo_timeseries.h5").parent, "mintpy"),
        (lambda folder: write_stack(folder / "ifgramStack.h5"), "ifgram_stack"),
        (lambda folder: tif(folder / "geo_20200103-20200115_unw.tif").parent, "pairs"),
        (lambda folder: unwrapped(folder / "20200103_20200115.unw").parent / "*.unw", "pairs"),
        (lambda folder: folder / "not there.h5", "egms"),
        (lambda folder: folder, "egms"),
    ],
)  # fmt: skip
def test_sources_are_recognised(tmp_path, write, reader):
    assert reader_of(write(tmp_path)) == reader


def test_companions_of_a_series_are_no_sources(tmp_path):
    write_series(tmp_path / "timeseries.h5")
    write_plane(tmp_path / "temporalCoherence.h5", temporalCoherence=np.zeros((60, 80)))
    (tmp_path / "notes.txt").write_text("mine")
    assert reader_of(tmp_path) == "mintpy"


def test_a_mixture_is_not_guessed(tmp_path):
    tif(tmp_path / "a.tif")
    write_series(tmp_path / "timeseries.h5")
    with pytest.raises(CubeError, match=r"a\.tif \(raster\) and timeseries\.h5 \(mintpy\)"):
        reader_of(tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_of_scatterers_gets_the_configuration_to_write(tmp_path, packed):
    path = tmp_path / "points.csv"
    path.write_text('code,"LON, east",lat,d_20200103\na,13,38,1.5\n')
    if packed:
        with zipfile.ZipFile(tmp_path / "points.zip", "w") as archive:
            archive.write(path, "points.csv")
        path = tmp_path / "points.zip"
    with pytest.raises(CubeError, match="no EGMS table") as caught:
        reader_of(path)
    source = parse_config(tomllib.loads(re.split(r"\n\n", str(caught.value), maxsplit=1)[1])).source
    assert (source.files, source.reader) == ([str(path)], "psi_csv")
    columns = {"point_id": "code", "longitude": "LON, east", "latitude": "lat", "height": "?", "coherence": "?"}
    assert source.options["columns"] == columns


def test_damaged_files_are_said_to_be_so(tmp_path):
    whole = write_series(tmp_path / "timeseries.h5").read_bytes()
    (tmp_path / "timeseries.h5").write_bytes(whole[:500])
    with pytest.raises(CubeError, match=r"timeseries\.h5 is damaged or cut off"):
        reader_of(tmp_path / "timeseries.h5")
    (tmp_path / "points.zip").write_bytes(b"PK and no more")
    with pytest.raises(CubeError, match=r"points\.zip is not a zip"):
        reader_of(tmp_path / "points.zip")
