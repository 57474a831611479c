"""Files must not change between the first look at them and the last value that is read."""

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.steps import cube_ingest
from insar_dask.jobs.steps.cube_ingest import ingest_cube
from insar_dask.readers.geotiff_stack import with_parts
from insar_dask.readers.source_files import SourceFiles, checksum_of
from tests.jobs.test_cube_ingest import DECLARED, mintpy, pairs_of, rasters, stack_of
from tests.readers.test_pair_cube import tif

READERS = {
    "mintpy": (mintpy, insar.read_mintpy), "raster": (rasters, insar.read_raster),
    "pairs": (pairs_of, insar.read_pairs), "ifgram_stack": (stack_of, insar.read_ifgram_stack),
}  # fmt: skip


def touch(path: Path) -> None:
    look = path.stat()
    os.utime(path, ns=(look.st_atime_ns, look.st_mtime_ns + 1_000))


def vrt(path: Path, part: str, side: int = 40, relative: int = 1) -> Path:
    """A file that is another one, as GDAL writes it."""
    path.write_text(
        f'<VRTDataset rasterXSize="{side}" rasterYSize="{side}"><SRS>EPSG:32633</SRS><GeoTransform>500000, 30, 0, '
        '4200000, 0, -30</GeoTransform><VRTRasterBand dataType="Float32" band="1"><NoDataValue>-9999</NoDataValue>'
        f'<SimpleSource><SourceFilename relativeToVRT="{relative}">{part}</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    return path


@pytest.mark.parametrize("reader", READERS)
def test_what_was_written_to_since_it_was_looked_at_is_named_and_not_read(tmp_path: Path, reader: str) -> None:
    write, read = READERS[reader]
    source, options = write(tmp_path)
    cube = read(source, **options)
    series = next(iter(cube.data_vars.values()))
    whole = series.values
    changed = sorted(tmp_path.glob(Path(source).name))[-1]
    touch(changed)
    with pytest.raises(CubeError, match=f"{changed.name} was written to while it was read"):
        series.compute()
    again = next(iter(read(source, **options).data_vars.values())).values
    np.testing.assert_array_equal(again, whole)


def test_what_changes_while_it_is_hashed_or_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"one")
    seen = SourceFiles.seen([path])
    assert seen.hashed().checksum == checksum_of([path]) and seen.size == 3
    with pytest.raises(CubeError, match=r"a\.tif"), seen.unchanged():
        path.write_bytes(b"three")
    with pytest.raises(CubeError, match=r"a\.tif"):
        seen.hashed()
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.tif: no such file"):
        seen.check()


def test_files_that_a_virtual_raster_is_made_of_count(tmp_path: Path) -> None:
    _, options = rasters(tmp_path)
    inner = vrt(tmp_path / "20200103_inner.vrt", "20200103.tif")
    outer = [vrt(tmp_path / "20200103.vrt", inner.name), vrt(tmp_path / "20200115.vrt", "20200115.tif")]
    behind = with_parts(outer)
    assert {path.name for path in behind[2:]} == {"20200103_inner.vrt", "20200103.tif", "20200115.tif"}
    plain = insar.read_raster([tmp_path / "20200103.tif", tmp_path / "20200115.tif"], **options)
    cube = insar.read_raster(outer, **options)
    np.testing.assert_array_equal(cube["displacement"].values, plain["displacement"].values)
    engine = Engine(tmp_path / "s.zarr", quiet=True)
    folder = tmp_path / "virtual"
    folder.mkdir()
    for path in outer:
        vrt(folder / path.name, f"../{path.stem}.tif")
    for height in (0.0, 3.0):
        tif(tmp_path, "20200115", np.arange(1600, dtype=np.float32).reshape(40, 40) + height, crs="EPSG:32633")
        assert ingest_cube(engine, folder, "site", "raster", DECLARED, 512).computed > 0
        assert ingest_cube(engine, folder, "site", "raster", DECLARED, 512).computed == 0


def test_a_virtual_raster_of_a_variable_is_made_of_its_file(tmp_path: Path) -> None:
    """As interferograms that are extracted from NetCDF products are handed on."""
    _, options = rasters(tmp_path)
    axes = {"y": 4_200_000 - 15 - 30 * np.arange(40.0), "x": 500_015 + 30 * np.arange(40.0)}
    phase = xr.Dataset({"phase": (("y", "x"), np.ones((40, 40), np.float32))}, axes)
    phase.to_netcdf(tmp_path / "20200108.nc", engine="h5netcdf")
    of_variable = vrt(tmp_path / "20200108.vrt", f'NETCDF:"{tmp_path}/20200108.nc":phase', relative=0)
    assert with_parts([of_variable]) == [of_variable, tmp_path / "20200108.nc"]
    cube = insar.read_raster([tmp_path / "20200115.tif", of_variable], **options)
    assert (cube["displacement"].values[:, 0] == 1).all()


def test_what_lies_beside_a_raster_counts_where_it_changes_what_is_read(tmp_path: Path) -> None:
    source, options = rasters(tmp_path)
    engine = Engine(tmp_path / "s.zarr", quiet=True)
    assert ingest_cube(engine, source, "site", "raster", options, 512).computed > 0
    scaled = '<PAMDataset><PAMRasterBand band="1"><Scale>2</Scale></PAMRasterBand></PAMDataset>'
    (tmp_path / "20200115.tif.aux.xml").write_text(scaled)
    assert ingest_cube(engine, source, "site", "raster", options, 512).computed > 0
    stored = insar.open_cube(tmp_path / "s.zarr")["displacement"].values
    np.testing.assert_array_equal(stored, insar.read_raster(source, **options)["displacement"].values)


def test_an_empty_virtual_raster_is_called_so(tmp_path: Path) -> None:
    _, options = rasters(tmp_path)
    (tmp_path / "20200115.vrt").write_bytes(b"")
    with pytest.raises(CubeError, match=r"20200115\.vrt is empty \(0 bytes\)"):
        insar.read_raster(tmp_path / "20200115.vrt", **options)


def test_a_cube_is_not_stored_under_what_its_files_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, options = mintpy(tmp_path)
    engine, read = Engine(tmp_path / "s.zarr", quiet=True), cube_ingest._read

    def overtaken(*given: object) -> object:
        touch(source)
        return read(*given)

    with monkeypatch.context() as patched, pytest.raises(CubeError, match=r"timeseries\.h5 was written to"):
        patched.setattr(cube_ingest, "_read", overtaken)
        ingest_cube(engine, source, "site", "mintpy", options, 512)
    assert not (tmp_path / "s.zarr" / "site").exists() and engine.ledger.read_note("ingest/site") is None
    assert ingest_cube(engine, source, "site", "mintpy", options, 512).computed > 0
