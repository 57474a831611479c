"""Stacks of rasters to cubes and back: every value where it belongs, whatever the files' form."""

import warnings

import dask
import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio import Affine
from rasterio.errors import NotGeoreferencedWarning

import insar_dask as insar
from insar_dask.cube import CubeError, check_cube
from insar_dask.readers.declared import sorted_days
from insar_dask.readers.grid import to_grid
from insar_dask.readers.raster import read_raster

ROWS, COLUMNS = 40, 50
DATES = ["20200103", "20200115", "20200127", "20200220"]
PLACE = Affine(30, 0, 500_000, 0, -30, 4_200_000)
BLOCKS = {"tiled": True, "blockxsize": 16, "blockysize": 16}
SHIFTED = Affine(30, 0, 500_060, 0, -30, 4_200_000)
DECLARED = {
    "component": "los", "positive": "towards the satellite", "reference_date": "2020-01-03", "reference": "a rock",
    "track": "22", "orbit_direction": "ascending",
}  # fmt: skip


def tenths():
    """(time, rows, columns) int16 tenths of mm; the first three columns have no data."""
    date, row, column = np.ogrid[: len(DATES), :ROWS, :COLUMNS]
    values = (date * (row - 20 + 3 * (column - 25))).astype(np.int16)
    values[:, :, :3] = -32768
    return values


def millimetres():
    values = tenths().astype(np.float32) / np.float32(10)
    values[tenths() == -32768] = np.nan
    return values


def write_tiff(
    path, bands, *, nodata=-32768, unit="mm", scale=0.1, transform=PLACE, crs="EPSG:32633", tags=(), **profile
):
    bands = np.atleast_3d(np.moveaxis(bands, 0, -1)) if bands.ndim == 3 else bands[..., None]
    with rasterio.open(
        path, "w", driver="GTiff", height=bands.shape[0], width=bands.shape[1], count=bands.shape[2],
        dtype=bands.dtype, nodata=nodata, crs=crs, transform=transform, **profile,
    ) as file:  # fmt: skip
        file.write(np.moveaxis(bands, -1, 0))
        file.scales = [scale] * bands.shape[2]
        if unit:
            file.units = [unit] * bands.shape[2]
        file.update_tags(**dict(tags))
    return path


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "stack"
    path.mkdir()
    for date, plane in zip(DATES, tenths(), strict=True):
        write_tiff(path / f"disp_{date}.tif", plane)
    return path


def fails(message, files, **options):
    with pytest.raises(CubeError, match=message):
        read_raster(files, **{**DECLARED, **options})


def test_every_value_is_where_the_files_have_it(folder):
    cube = check_cube(read_raster(folder, **DECLARED))
    assert cube.sizes == {"point": ROWS * (COLUMNS - 3), "time": 4} and cube["displacement"].dtype == np.float32
    expected = millimetres()[:, cube["row"].values, cube["col"].values].T
    np.testing.assert_array_equal(cube["displacement"].values, expected)
    np.testing.assert_array_equal(cube["easting"], 500_015.0 + 30 * cube["col"])
    np.testing.assert_array_equal(cube["northing"], 4_199_985.0 - 30 * cube["row"])
    assert cube.attrs["pass"] == "ascending" and cube.attrs["track"] == "022" and cube.attrs["n_files"] == 4


def test_there_and_back_again_is_exact_and_a_geotiff(folder, tmp_path):
    grid = to_grid(read_raster(folder, **DECLARED))
    np.testing.assert_array_equal(grid["displacement"].values, np.moveaxis(millimetres(), 0, -1))
    x, y = grid["x"].values, grid["y"].values
    place = Affine(x[1] - x[0], 0, x[0] - 15, 0, y[1] - y[0], y[0] + 15)
    assert place == PLACE
    for date, plane in zip(DATES, grid["displacement"].transpose("time", "y", "x").values, strict=True):
        write_tiff(tmp_path / f"{date}.tif", plane, nodata=np.nan, scale=1, crs=grid["crs"].attrs["crs_wkt"])
    again = read_raster(tmp_path, **DECLARED)
    np.testing.assert_array_equal(again["displacement"].values, read_raster(folder, **DECLARED)["displacement"].values)


def test_tenths_stay_int16_in_the_store(folder, tmp_path):
    cube = read_raster(folder, **DECLARED)
    insar.save(cube, tmp_path / "s.zarr", "s/raw", quiet=True)
    stored = insar.open_cube(tmp_path / "s.zarr", "s/raw")
    assert stored["displacement"].encoding["dtype"] == "int16"
    np.testing.assert_array_equal(stored["displacement"].values, cube["displacement"].values)
    np.testing.assert_array_equal(to_grid(stored)["displacement"].values, np.moveaxis(millimetres(), 0, -1))


def test_values_are_read_when_they_are_asked_for(folder):
    with dask.config.set(scheduler=lambda *_, **__: pytest.fail("computed")):
        assert to_grid(read_raster(folder, **DECLARED))["displacement"].chunks is not None


@pytest.mark.parametrize("form", ["paths", "glob", "bands", "blocks", "turned around"])
def test_form_of_the_files_changes_nothing(folder, tmp_path, form, monkeypatch):
    monkeypatch.setattr("insar_dask.readers.pixels.TILE_BYTES", 3_000)
    files, options = {
        "paths": (sorted(folder.iterdir())[::-1], {}),
        "glob": (str(folder / "disp_*.tif"), {}),
        "bands": (write_tiff(tmp_path / "all.tif", tenths()), {"dates": ["2020-01-03", *DATES[1:]]}),
        "blocks": (write_tiff(tmp_path / "b.tif", tenths(), **BLOCKS), {"dates": DATES}),
        "turned around": (write_tiff(tmp_path / "r.tif", tenths()[::-1]), {"dates": DATES[::-1]}),
    }[form]  # fmt: skip
    if form in ("bands", "blocks", "turned around"):
        options["dates"] = [np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}") if len(d) == 8 else d for d in options["dates"]]
    cube = read_raster(files, **DECLARED, **options)
    xr.testing.assert_equal(cube["displacement"].compute(), read_raster(folder, **DECLARED)["displacement"].compute())


def test_bands_are_dated_by_their_descriptions(tmp_path):
    path = write_tiff(tmp_path / "all.tif", tenths())
    fails("no date in band 1 .without a description", path)
    with rasterio.open(path, "r+") as file:
        file.descriptions = [f"disp {date}" for date in DATES]
    assert read_raster(path, **DECLARED)["time"].dt.strftime("%Y%m%d").values.tolist() == DATES


def test_file_says_what_it_is_by_its_tags(tmp_path):
    for date, plane in zip(DATES, tenths(), strict=True):
        write_tiff(tmp_path / f"{date}.tif", plane, tags=DECLARED)
    assert read_raster(tmp_path).attrs["reference"] == "a rock"


def test_displacement_away_from_the_satellite_is_turned(folder):
    away = read_raster(folder, **{**DECLARED, "positive": "away from the satellite"})
    np.testing.assert_array_equal(away["displacement"], -read_raster(folder, **DECLARED)["displacement"])
    assert away.attrs["positive"] == "towards the satellite" and "turned" in away.attrs["sign_in_file"]


def test_up_needs_no_track(folder):
    attrs = read_raster(folder, component="up", reference_date="20200103", reference="GNSS").attrs
    assert attrs["positive"] == "up" and "track" not in attrs


@pytest.mark.parametrize(("component", "turned"), [("up", "down"), ("east", "west")])
def test_what_is_positive_the_other_way_is_turned(folder, component, turned):
    said = {"component": component, "reference_date": "20200103", "reference": "GNSS"}
    cube = check_cube(read_raster(folder, positive=turned, **said))
    np.testing.assert_array_equal(cube["displacement"], -read_raster(folder, **said)["displacement"])
    assert cube.attrs["positive"] == component and "turned" in cube.attrs["sign_in_file"]
    with pytest.raises(CubeError, match=f"positive is 'towards', for {component} wanted '{component}' or '{turned}'"):
        read_raster(folder, positive="towards", **said)


@pytest.mark.parametrize(("unit", "factor"), [("meters", 1e-3), ("cm", 0.1), ("millimetre", 1.0)])
def test_units_come_from_the_file_or_the_caller(tmp_path, unit, factor):
    for date, plane in zip(DATES, millimetres(), strict=True):
        values = (plane * factor).astype(np.float64)
        write_tiff(tmp_path / f"a_{date}.tif", values, nodata=np.nan, scale=1, unit=unit)
        write_tiff(tmp_path / f"b_{date}.tif", values, nodata=np.nan, scale=1, unit=None)
    said, declared = (
        read_raster(tmp_path / "a_*.tif", **DECLARED),
        read_raster(tmp_path / "b_*.tif", units=unit, **DECLARED),
    )
    np.testing.assert_array_equal(said["displacement"], declared["displacement"])
    np.testing.assert_allclose(
        to_grid(said)["displacement"].values, np.moveaxis(millimetres(), 0, -1), rtol=1e-5, atol=1e-6
    )
    fails("does not say its unit: pass units=", tmp_path / "b_*.tif")
    fails("is in 'radian'", tmp_path / "b_*.tif", units="radian")


def test_zeros_are_no_data_only_where_none_is_declared(tmp_path):
    values = np.nan_to_num(millimetres())
    for date, plane in zip(DATES, values, strict=True):
        write_tiff(tmp_path / f"a_{date}.tif", plane, nodata=None, scale=1)
        write_tiff(tmp_path / f"b_{date}.tif", plane, nodata=-9999, scale=1)
    zero = (values == 0).all(axis=0)
    assert read_raster(tmp_path / "a_*.tif", **DECLARED).sizes["point"] == (~zero).sum() < zero.size
    assert read_raster(tmp_path / "b_*.tif", **DECLARED).sizes["point"] == zero.size


def test_undeclared_fill_value_stops_and_a_declared_one_is_missing(tmp_path):
    values = np.nan_to_num(millimetres(), nan=-9999)
    for date, plane in zip(DATES, values, strict=True):
        write_tiff(tmp_path / f"{date}.tif", plane, nodata=None, scale=1)
    fails(r"120 of \d+ pixels rejected.*row 0, column 0: -9999 mm at every date.*nodata=", tmp_path)
    assert read_raster(tmp_path, nodata=-9999, **DECLARED)["col"].min() == 3


def test_degrees_go_to_utm_and_other_columns_come_along(tmp_path):
    place = Affine(0.001, 0, 13.0, 0, -0.001, 38.7)
    for date, plane in zip(DATES, tenths(), strict=True):
        write_tiff(tmp_path / f"{date}.tif", plane, transform=place, crs="EPSG:4326")
    height = write_tiff(
        tmp_path / "height.TIFF", np.arange(ROWS * COLUMNS, dtype="f4").reshape(ROWS, COLUMNS), nodata=None, scale=1,
        unit="m", transform=place, crs="EPSG:4326",
    )  # fmt: skip
    coherence = write_tiff(
        tmp_path / "c.bin", np.full((ROWS, COLUMNS), 0.5, "f4"), nodata=None, scale=1, transform=place, crs="EPSG:4326"
    )
    columns = {"height": height, "coherence": coherence}
    cube = read_raster(tmp_path / "2*.tif", columns=columns, min_coherence=0.4, **DECLARED)
    assert cube["crs"].attrs["epsg"] == 32633
    np.testing.assert_allclose(cube["longitude"], 13.0005 + 0.001 * cube["col"], atol=1e-12)
    np.testing.assert_array_equal(cube["height"], cube["row"] * COLUMNS + cube["col"])
    np.testing.assert_array_equal(to_grid(cube)["x"], 13.0005 + 0.001 * np.arange(COLUMNS))
    fails(
        "none of .* points is in the area and of the coherence", tmp_path / "2*.tif", columns=columns, min_coherence=0.6
    )
    fails(r"columns \['slope'\] are unknown", tmp_path / "2*.tif", columns={"slope": height})


# --- what is wrong with files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transform": SHIFTED}, "disp_20200127.tif lies 2 pixels off disp_20200103.tif in x"),
        ({"transform": Affine(30.1, 0, 500_000, 0, -30, 4_200_000)}, "disp_20200127.tif lies"),
        ({"crs": "EPSG:32634"}, "disp_20200127.tif is in WGS 84 / UTM zone 34N, disp_20200103.tif in .* 33N"),
        ({"crs": None}, "disp_20200127.tif has no CRS: pass source_crs="),
        ({"transform": Affine.identity()}, "disp_20200127.tif has no geotransform"),
        ({"unit": "cm"}, "disp_20200127.tif is in 'cm', disp_20200103.tif in 'mm'"),
        ({"transform": Affine(30, 5, 500_000, 5, -30, 4_200_000)}, "disp_20200127.tif is turned against its CRS"),
    ],
)  # fmt: skip
def test_file_that_differs_is_named(folder, change, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        write_tiff(folder / "disp_20200127.tif", tenths()[2], **change)
    fails(message, folder)


def test_file_of_another_size_is_named(folder):
    write_tiff(folder / "disp_20200127.tif", tenths()[2, :-1])
    fails("disp_20200127.tif has 39 x 50 pixels, disp_20200103.tif 40 x 50: bring all files to one grid", folder)


def test_file_of_several_bands_among_others(folder):
    write_tiff(folder / "disp_20200127.tif", tenths()[:2])
    fails("disp_20200127.tif has 2 bands", folder)


def test_dates_must_be_there_once(folder, tmp_path):
    (folder / "disp_20200103.tif").rename(folder / "first.tif")
    fails(r"no date in first.tif by the pattern", folder)
    (folder / "first.tif").rename(folder / "20200103_20200115.tif")
    fails(r"2 dates \['20200103', '20200115'\] in 20200103_20200115.tif", folder)
    (folder / "20200103_20200115.tif").rename(folder / "other_20200115.tif")
    fails("disp_20200115.tif and other_20200115.tif are both 2020-01-15: remove one", folder)
    (folder / "other_20200115.tif").rename(folder / "disp_20201315.tif")
    fails("'20201315' in disp_20201315.tif is no date by '%Y%m%d'", folder)
    fails("3 dates for 4 rasters", folder, dates=DATES[:3])


def test_dates_in_another_form(folder):
    for date in DATES:
        (folder / f"disp_{date}.tif").rename(folder / f"{date[6:]}-{date[4:6]}-{date[:4]}.tif")
    fails("dates, for .*: '2020' is no date", folder, dates=["2020"] * 4)
    files = [folder / f"{date[6:]}-{date[4:6]}-{date[:4]}.tif" for date in DATES]
    given = read_raster(files, dates=list(map(int, DATES)), **DECLARED)
    cube = read_raster(folder, pattern=r"(\d\d-\d\d-\d{4})", date_format="%d-%m-%Y", **DECLARED)
    np.testing.assert_array_equal(given["time"], cube["time"])
    np.testing.assert_array_equal(to_grid(cube)["displacement"].values, np.moveaxis(millimetres(), 0, -1))


@pytest.mark.parametrize("lacking", sorted(DECLARED))
def test_what_nobody_declares_is_asked_for(folder, lacking):
    with pytest.raises(CubeError, match=f"does not say its {lacking.replace('_', ' ')}: pass {lacking}="):
        read_raster(folder, **{key: value for key, value in DECLARED.items() if key != lacking})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"component": "north"}, "component is 'north'"),
        ({"positive": "downwards"}, "positive is 'downwards'"),
        ({"reference_date": "someday"}, "reference_date: 'someday' is no date"),
        ({"orbit_direction": "up"}, "orbit_direction is 'up'"),
    ],
)
def test_what_is_declared_wrongly_is_named(folder, wrong, message):
    fails(message, folder, **wrong)


def test_files_that_are_not_there_or_no_rasters(folder, tmp_path):
    for files in (tmp_path / "a.tif", [], tmp_path / "*.tif", [tmp_path / "a.tif", tmp_path / "b.tif"]):
        with pytest.raises(FileNotFoundError, match=r"no such file|no raster"):
            read_raster(files, **DECLARED)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no \.tif or \.tiff or .vrt in folder"):
        read_raster(tmp_path / "empty", **DECLARED)
    whole = (folder / "disp_20200127.tif").read_bytes()
    for damaged, message in (
        (b"", "disp_20200127.tif is empty"),
        (b"text", "disp_20200127.tif is no raster, or is damaged"),
        (whole[:2500], "disp_20200127.tif is no raster, or is damaged or cut off"),
    ):
        (folder / "disp_20200127.tif").write_bytes(damaged)
        fails(message, folder)


def test_infinite_values_are_counted_or_stop(tmp_path):
    values = millimetres()
    values[1, 5, 5:9] = np.inf
    for date, plane in zip(DATES, values, strict=True):
        write_tiff(tmp_path / f"{date}.tif", plane, nodata=np.nan, scale=1)
    assert read_raster(tmp_path, **DECLARED).attrs["n_rejected"] == 4
    fails("row 5, column 5: an infinite value", tmp_path, max_rejected=0)


# --- NetCDF -----------------------------------------------------------------------------------------------------------


def netcdf(path, *, engine="h5netcdf", dims=("time", "y", "x"), packed=True, **changes):
    values, times = millimetres(), np.array(["2020-01-03", "2020-01-15", "2020-01-27", "2020-02-20"], "datetime64[ns]")
    data = xr.Dataset(
        {"displacement": (("time", "y", "x"), values, {"units": "mm", "grid_mapping": "spatial_ref"})},
        coords={"time": times, "y": 4_199_985.0 - 30 * np.arange(ROWS), "x": 500_015.0 + 30 * np.arange(COLUMNS)},
        attrs=DECLARED,
    )
    data["spatial_ref"] = ((), 0, {"crs_wkt": rasterio.crs.CRS.from_epsg(32633).to_wkt()})
    data["quality"] = (("y", "x"), np.full((ROWS, COLUMNS), 0.5, np.float32))
    data = changes.pop("edit", lambda d: d)(data)
    how = {"dtype": "int16", "scale_factor": 0.1, "_FillValue": np.int16(-32768)} if packed else {}
    name = next(str(n) for n in data.data_vars if data[n].ndim == 3)
    data[name] = data[name].transpose(*dims)
    data.to_netcdf(
        path, engine=engine, encoding={name: how, "time": {"units": "days since 2000-01-01", "dtype": "int32"}}
    )
    return path


@pytest.mark.parametrize(
    "form",
    [{}, {"packed": False}, {"dims": ("y", "x", "time")}, {"dims": ("x", "time", "y")}, {"engine": "scipy"}],
)
def test_netcdf_is_read_whatever_its_form(tmp_path, form):
    cube = check_cube(read_raster(netcdf(tmp_path / "a.nc", **form), columns={"coherence": "quality"}))
    np.testing.assert_allclose(to_grid(cube)["displacement"].values, np.moveaxis(millimetres(), 0, -1), rtol=1e-6)
    assert (cube["coherence"] == 0.5).all() and cube["crs"].attrs["epsg"] == 32633 and cube.attrs["track"] == "022"


def test_packed_netcdf_stays_int16_in_the_store(tmp_path):
    insar.save(read_raster(netcdf(tmp_path / "a.nc")), tmp_path / "s.zarr", "s/raw", quiet=True)
    stored = insar.open_cube(tmp_path / "s.zarr", "s/raw")
    assert stored["displacement"].encoding["dtype"] == "int16"
    np.testing.assert_array_equal(to_grid(stored)["displacement"].values, np.moveaxis(millimetres(), 0, -1))


def test_no_data_of_netcdf_is_given_as_it_is_stored(tmp_path):
    path = netcdf(tmp_path / "a.nc")
    with xr.open_dataset(path, mask_and_scale=False) as stored:
        del stored["displacement"].attrs["_FillValue"]
        stored.to_netcdf(tmp_path / "b.nc", engine="h5netcdf", encoding={"displacement": {"_FillValue": None}})
    cube = read_raster(tmp_path / "b.nc", nodata=-32768)
    np.testing.assert_array_equal(cube["displacement"], read_raster(path)["displacement"])
    with pytest.raises(CubeError, match=r"stored as int16, which is never -3276.8: pass nodata= as it is stored"):
        read_raster(tmp_path / "b.nc", nodata=-3276.8)


def test_a_grid_mapping_that_tells_nothing_gives_way_to_the_caller(tmp_path):
    def spoil(data):
        return data.assign(spatial_ref=((), 0, {"epsg_code": "EPSG:32633"}))

    path = netcdf(tmp_path / "a.nc", edit=spoil)
    fails("grid mapping 'spatial_ref' tells no CRS .*: pass source_crs=", path)
    assert read_raster(path, source_crs=32633)["crs"].attrs["epsg"] == 32633


def test_netcdf_in_degrees_needs_no_grid_mapping(tmp_path):
    def degrees(data):
        data = data.drop_vars("spatial_ref").rename(y="latitude", x="longitude")
        data["displacement"].attrs.pop("grid_mapping")
        data["latitude"] = ("latitude", (38.7 + 0.001 * np.arange(ROWS)).astype(np.float32), {"units": "degrees_north"})
        data["longitude"] = ("longitude", 13 + 0.001 * np.arange(COLUMNS), {"units": "degrees_east"})
        return data

    cube = read_raster(netcdf(tmp_path / "a.nc", dims=("time", "latitude", "longitude"), edit=degrees))
    assert cube["crs"].attrs["epsg"] == 32633
    np.testing.assert_allclose(cube["latitude"], 38.7 + 0.001 * cube["row"], atol=1e-5)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d.drop_vars("spatial_ref"), "has no grid mapping: pass source_crs="),
        (lambda d: d.assign(other=d["displacement"] * 2), "has 2 variables of 3 dimensions.*pass variable="),
        (lambda d: d.assign_coords(x=d["x"] + (d["x"] - 500_015) ** 2 / 1e4), "'x' is not evenly spaced"),
        (lambda d: d.drop_vars("x"), "'x' has no coordinates"),
        (lambda d: d.assign_coords(time=d["time"].values[[0, 1, 1, 3]]), "date 1 and date 2 are both 2020-01-15"),
        (lambda d: d.assign(displacement=d["displacement"].assign_attrs(units="radian")), "is in 'radian'"),
        (lambda d: d.assign_attrs(component="north"), "component is 'north'"),
    ],
)
def test_what_is_wrong_with_netcdf_is_said(tmp_path, edit, message):
    with pytest.raises(CubeError, match=message):
        read_raster(netcdf(tmp_path / "a.nc", edit=edit, packed=False))


def test_a_missing_date_is_named():
    with pytest.raises(CubeError, match=r"a\.nc: date 1 is no date"):
        sorted_days(
            np.array(["2020-01-15", "NaT", "2020-01-03"], "datetime64[D]"), [f"date {k}" for k in range(3)], "a.nc"
        )


def test_damaged_netcdf(tmp_path):
    path = netcdf(tmp_path / "a.nc")
    path.write_bytes(path.read_bytes()[:3000])
    fails("a.nc is damaged or cut off", path)
    path.write_bytes(b"nonsense")
    fails("a.nc is no NetCDF file", path)
    with pytest.raises(FileNotFoundError):
        read_raster(tmp_path / "b.nc")


def test_units_and_signs_change_the_token(folder):
    tokens = {
        dask.base.tokenize(read_raster(folder, **{**DECLARED, **options}))
        for options in ({}, {"positive": "away from the satellite"}, {"nodata": 3})
    }
    assert len(tokens) == 3


def test_second_save_has_nothing_to_do(tmp_path, monkeypatch):
    for date, plane in zip(DATES, millimetres() / 3, strict=True):
        write_tiff(tmp_path / f"{date}.tif", plane, nodata=np.nan, scale=1)
    insar.save(read_raster(tmp_path, **DECLARED), tmp_path / "s.zarr", "s/raw", quiet=True, shard_points=256)
    monkeypatch.setattr("insar_dask.jobs.steps.saving.save_part", lambda *_: pytest.fail("wrote again"))
    insar.save(read_raster(tmp_path, **DECLARED), tmp_path / "s.zarr", "s/raw", quiet=True, shard_points=256)
