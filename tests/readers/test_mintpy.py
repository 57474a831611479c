"""MintPy's files to cubes: every value where it belongs, every convention as MintPy documents it."""

import pickle

import dask
import numpy as np
import pytest
import xarray as xr
from pyproj import Geod, Transformer

import insar_dask as insar
from insar_dask.cube import check_cube
from insar_dask.readers.grid import to_grid
from insar_dask.readers.mintpy import read_mintpy
from tests.readers.mintpy_layout import (
    COLUMNS,
    DATES,
    REFERENCE,
    REFERENCE_DATE,
    ROWS,
    metres,
    write_plane,
    write_series,
)

N_VALID = ROWS * (COLUMNS - 3)


@pytest.fixture
def series(tmp_path):
    return write_series(tmp_path / "timeseries.h5")


def test_every_value_is_where_the_file_has_it(series):
    cube = check_cube(read_mintpy(series))
    assert cube.sizes == {"point": N_VALID, "time": len(DATES)}
    expected = metres()[:, cube["row"].values, cube["col"].values].T * np.float32(1000)
    np.testing.assert_array_equal(cube["displacement"].values, expected)
    assert cube["displacement"].dtype == np.float32
    assert cube["time"].dt.strftime("%Y%m%d").values.tolist() == DATES


def test_there_and_back_again_is_exact(series):
    grid = to_grid(read_mintpy(series))
    expected = np.moveaxis(metres() * np.float32(1000), 0, -1)
    expected[:, :3] = np.nan
    assert grid["displacement"].dims == ("y", "x", "time") and grid["displacement"].dtype == np.float32
    np.testing.assert_array_equal(grid["displacement"].values, expected)


def test_reading_is_lazy_until_computed(series):
    with dask.config.set(scheduler=lambda *_, **__: pytest.fail("computed")):
        grid = to_grid(read_mintpy(series))
    assert grid["displacement"].chunks is not None


def test_pixel_of_zeros_is_no_data_but_the_reference_pixel_is_a_value(tmp_path):
    values = metres()
    values[:, 40, 50] = 0
    values[:, 41, 50] = np.nan
    cube = read_mintpy(write_series(tmp_path / "timeseries.h5", values))
    pixels = set(zip(cube["row"].values.tolist(), cube["col"].values.tolist(), strict=True))
    assert (40, 50) not in pixels and (41, 50) not in pixels
    assert REFERENCE in pixels
    assert cube.attrs["n_empty"] == 3 * ROWS + 2 and cube.attrs["n_pixels"] == ROWS * COLUMNS


def test_reference_date_is_zero_everywhere_and_a_value(series):
    cube = read_mintpy(series)
    assert (cube["displacement"].isel(time=REFERENCE_DATE) == 0).all()
    assert cube.attrs["reference_date"] == "2020-01-27"


def test_single_gaps_are_kept_as_nan(tmp_path):
    values = metres()
    values[3, 10:20, 10:20] = np.nan
    grid = to_grid(read_mintpy(write_series(tmp_path / "timeseries.h5", values)))["displacement"].values
    assert np.isnan(grid[10:20, 10:20, 3]).all() and np.isfinite(grid[10:20, 10:20, 4]).all()


def test_pixel_of_one_date_is_a_series_and_no_fill_value(tmp_path):
    values = metres()
    values[:4, 40, 50] = values[5:, 40, 50] = np.nan
    grid = to_grid(read_mintpy(write_series(tmp_path / "timeseries.h5", values)))["displacement"].values
    assert grid[40, 50, 4] == values[4, 40, 50] * np.float32(1000) and np.isfinite(grid[40, 50]).sum() == 1


def test_attributes_follow_from_the_file(series):
    attrs = read_mintpy(series).attrs
    assert attrs["component"] == "los" and attrs["positive"] == "towards the satellite"
    assert attrs["track"] == "023" and attrs["pass"] == "descending" and attrs["release"] == "2020-2020"
    assert attrs["reference"].startswith("pixel in row 20, column 30 (latitude 31.969750")
    assert attrs["wavelength"] == 0.2384035 and attrs["heading"] == -169.6
    assert attrs["source"] == "timeseries.h5" and len(attrs["source_blake3"]) == 64


def test_small_letters_do_for_capital_ones(tmp_path):
    lower = {"x_first": "130.82", "unit": "m", "ref_date": "200127", "orbitDirection": "ascending"}
    path = write_series(
        tmp_path / "timeseries.h5", attributes=lower, drop=("X_FIRST", "UNIT", "REF_DATE", "ORBIT_DIRECTION")
    )
    attrs = read_mintpy(path).attrs
    assert attrs["reference_date"] == "2020-01-27" and attrs["pass"] == "ascending"


def test_attributes_may_be_bytes_or_numbers(tmp_path):
    stored = {"X_STEP": 0.0005, "REF_Y": np.int64(20), "UNIT": b"m", "LENGTH": np.array([60])}
    assert read_mintpy(write_series(tmp_path / "timeseries.h5", attributes=stored)).sizes["point"] == N_VALID


def test_what_is_declared_goes_before_the_file(series):
    attrs = read_mintpy(
        series, track="7", orbit_direction="ascending", reference="GNSS", release="v2", reference_date="2020-01-03"
    ).attrs
    assert (attrs["track"], attrs["pass"], attrs["reference"]) == ("007", "ascending", "GNSS")
    assert (attrs["release"], attrs["reference_date"]) == ("v2", "2020-01-03")


@pytest.mark.parametrize(("unit", "factor"), [("m", 1000), ("cm", 10), ("mm", 1)])
def test_units_become_millimetres(tmp_path, unit, factor):
    cube = read_mintpy(write_series(tmp_path / "timeseries.h5", attributes={"UNIT": unit}))
    stored = metres()[:, cube["row"].values, cube["col"].values].T
    np.testing.assert_array_equal(cube["displacement"].values, stored * np.float32(factor))


def test_dates_out_of_order_are_sorted_with_their_values(tmp_path, series):
    turned = write_series(tmp_path / "turned.h5", metres()[::-1], dates=DATES[::-1])
    np.testing.assert_array_equal(read_mintpy(turned)["displacement"], read_mintpy(series)["displacement"])


# --- where points lie -------------------------------------------------------------------------------------------------


def test_degrees_are_centres_of_pixels_and_are_kept(series):
    cube = read_mintpy(series)
    np.testing.assert_allclose(cube["longitude"], 130.82 + 0.0005 * (cube["col"] + 0.5), rtol=0, atol=1e-12)
    np.testing.assert_allclose(cube["latitude"], 31.98 - 0.0005 * (cube["row"] + 0.5), rtol=0, atol=1e-12)


def test_points_lie_on_utm_of_the_zone_of_the_centre(series):
    cube = read_mintpy(series)
    assert cube["crs"].attrs["epsg"] == 32652
    back = Transformer.from_crs(32652, 4326, always_xy=True).transform(cube["easting"].values, cube["northing"].values)
    np.testing.assert_allclose(back[0], cube["longitude"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(back[1], cube["latitude"], rtol=0, atol=1e-9)


def test_distances_are_those_on_the_ellipsoid(series):
    cube = read_mintpy(series).isel(point=[0, -1])
    metres_apart = np.hypot(*np.diff([cube["easting"], cube["northing"]]).ravel())
    lon, lat = cube["longitude"].values, cube["latitude"].values
    truth = Geod(ellps="WGS84").inv(lon[0], lat[0], lon[1], lat[1])[2]
    assert abs(metres_apart / truth - 1) < 1e-3


@pytest.mark.parametrize(
    ("place", "epsg"),
    [
        ({"Y_FIRST": "-33.4", "X_FIRST": "-70"}, 32719),
        ({"X_FIRST": "359.9"}, 32630),
        ({"X_FIRST": "179.99"}, 32601),
    ],
)
def test_zone_follows_from_place(tmp_path, place, epsg):
    assert read_mintpy(write_series(tmp_path / "timeseries.h5", attributes=place))["crs"].attrs["epsg"] == epsg


def test_another_crs_may_be_asked_for(series):
    cube = read_mintpy(series, crs="EPSG:6676")
    assert cube["crs"].attrs["epsg"] == 6676 and "longitude" in cube.coords


UTM = {"X_FIRST": "500000", "X_STEP": "30", "Y_FIRST": "4000000", "Y_STEP": "-30", "X_UNIT": "meters"}


@pytest.mark.parametrize("named", [{"EPSG": "32611"}, {"UTM_ZONE": "11N"}])
def test_projected_grids_are_kept(tmp_path, named):
    cube = read_mintpy(write_series(tmp_path / "timeseries.h5", attributes={**UTM, **named}))
    assert cube["crs"].attrs["epsg"] == 32611 and "longitude" not in cube.coords
    np.testing.assert_array_equal(cube["easting"], 500_015.0 + 30 * cube["col"])
    np.testing.assert_array_equal(cube["northing"], 3_999_985.0 - 30 * cube["row"])


def test_a_crs_that_is_given_is_that_of_the_files_beside_too(tmp_path):
    write_plane(tmp_path / "velocity.h5", {**UTM, "UNIT": "m/year"}, velocity=np.ones((ROWS, COLUMNS), np.float32))
    path = write_series(tmp_path / "timeseries.h5", attributes=UTM)
    cube = read_mintpy(path, source_crs=32611)
    assert cube["crs"].attrs["epsg"] == 32611 and (cube["mintpy_velocity"] == 1000).all()


def test_points_come_in_hilbert_order(series, tmp_path):
    cube = read_mintpy(series)
    insar.save(cube.isel(point=np.random.default_rng(0).permutation(N_VALID)), tmp_path / "s.zarr", "s/raw", quiet=True)
    stored = insar.open_cube(tmp_path / "s.zarr", "s/raw")
    np.testing.assert_array_equal(stored["point_id"].values, cube["point_id"].values)


# --- radar geometry ---------------------------------------------------------------------------------------------------

PLACE = ("X_FIRST", "X_STEP", "Y_FIRST", "Y_STEP", "X_UNIT", "Y_UNIT")


def test_radar_geometry_is_placed_by_its_lookup_table(tmp_path):
    path = write_series(tmp_path / "timeseries.h5", drop=PLACE)
    row, column = np.mgrid[:ROWS, :COLUMNS]
    lon, lat = 130.9 + 0.001 * column + 1e-4 * row, 31.9 + 0.001 * row - 1e-4 * column
    lon[5, 10:14], lat[6, 10:14] = np.nan, np.nan
    lon[7, 10:14] = lat[7, 10:14] = 0
    table = write_plane(
        tmp_path / "geometryRadar.h5", drop=PLACE, latitude=lat, longitude=lon, height=np.full(lon.shape, 5.0)
    )
    cube = read_mintpy(path, lookup=table)
    assert cube.sizes["point"] == N_VALID - 12 and cube.attrs["n_left_out"] == 12
    at = cube["row"].values, cube["col"].values
    np.testing.assert_allclose(cube["longitude"], lon[at], atol=1e-5)
    np.testing.assert_allclose(cube["latitude"], lat[at], atol=1e-5)
    assert (cube["height"] == 5).all()
    grid = to_grid(cube)
    assert "crs" not in grid.coords and grid.sizes == {"y": ROWS, "x": COLUMNS, "time": len(DATES)}
    np.testing.assert_array_equal(grid["x"], np.arange(COLUMNS))


# --- what lies beside the series --------------------------------------------------------------------------------------


def test_coherence_velocity_and_geometry_beside_are_taken(tmp_path, series):
    row, column = np.mgrid[:ROWS, :COLUMNS].astype(np.float32)
    write_plane(tmp_path / "temporalCoherence.h5", {"UNIT": "1"}, temporalCoherence=row / ROWS)
    write_plane(tmp_path / "velocity.h5", {"UNIT": "m/year"}, velocity=column * 1e-3, velocityStd=row * 1e-4)
    (tmp_path / "inputs").mkdir()
    azimuth = np.full(row.shape, -102, np.float32)
    incidence = np.full(row.shape, 40, np.float32)
    incidence[10, 20] = 0
    write_plane(tmp_path / "inputs/geometryGeo.h5", height=row * 10, incidenceAngle=incidence, azimuthAngle=azimuth)
    cube = check_cube(read_mintpy(series))
    at = cube["row"].values, cube["col"].values
    np.testing.assert_array_equal(cube["coherence"], (row / ROWS)[at])
    np.testing.assert_allclose(cube["mintpy_velocity"], at[1], rtol=1e-6)
    assert cube["mintpy_velocity"].attrs["units"] == "mm yr-1"
    np.testing.assert_array_equal(cube["height"], 10.0 * at[0])
    outside = (at[0] == 10) & (at[1] == 20)
    assert np.isnan(cube["los_up"].values[outside]).all() and outside.sum() == 1
    vector = np.stack([cube[f"los_{axis}"].values[~outside] for axis in ("east", "north", "up")])
    # descending, looking right: the satellite stands east of what it sees, a little south of east
    np.testing.assert_allclose(vector.T, np.broadcast_to([0.62874, -0.13364, 0.76604], vector.T.shape), atol=1e-5)
    np.testing.assert_allclose((vector**2).sum(axis=0), 1, atol=1e-6)
    assert read_mintpy(series, coherence=None, velocity=None, geometry=None).attrs.get("coherence_source") is None


def test_points_of_small_coherence_may_be_left_out(tmp_path, series):
    row = np.mgrid[:ROWS, :COLUMNS][0].astype(np.float32)
    coherence = write_plane(tmp_path / "c.h5", {"UNIT": "1"}, temporalCoherence=row / ROWS)
    cube = read_mintpy(series, coherence=coherence, min_coherence=0.5)
    assert cube["row"].min() == 30 and cube.sizes["point"] == 30 * (COLUMNS - 3)
    assert cube.attrs["n_left_out"] == 30 * (COLUMNS - 3)


def test_mask_and_area_leave_points_out(tmp_path, series):
    wanted = np.mgrid[:ROWS, :COLUMNS][0] < 10
    mask = write_plane(tmp_path / "maskTempCoh.h5", mask=wanted)
    assert read_mintpy(series, mask=mask)["row"].max() == 9
    whole = read_mintpy(series)
    west, east = np.quantile(whole["easting"], [0.2, 0.6])
    box = (west, float(whole["northing"].min()), east, float(whole["northing"].max()))
    part = read_mintpy(series, area=box)
    assert part.sizes["point"] == int(((whole["easting"] >= west) & (whole["easting"] <= east)).sum())


# --- as any cube ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [None, (1, 7, 11), (4, 16, 16), (8, 60, 1)])
def test_layout_of_the_file_changes_nothing(tmp_path, series, chunks, monkeypatch):
    monkeypatch.setattr("insar_dask.readers.pixels.TILE_BYTES", 5_000)
    other = read_mintpy(write_series(tmp_path / "other.h5", chunks=chunks))
    np.testing.assert_array_equal(other["displacement"].values, read_mintpy(series)["displacement"].values)


def test_saved_cube_is_the_cube(tmp_path, series):
    cube = read_mintpy(series)
    insar.save(cube, tmp_path / "s.zarr", "s/raw", quiet=True)
    stored = insar.open_cube(tmp_path / "s.zarr", "s/raw")
    xr.testing.assert_equal(stored["displacement"].compute(), cube["displacement"].compute())
    for name in ("easting", "northing", "row", "col", "longitude", "point_id"):
        np.testing.assert_array_equal(stored[name].values, cube[name].values)
    np.testing.assert_array_equal(to_grid(stored)["displacement"].values, to_grid(cube)["displacement"].values)


def test_second_save_has_nothing_to_do(tmp_path, series, monkeypatch):
    insar.save(read_mintpy(series), tmp_path / "s.zarr", "s/raw", quiet=True, shard_points=512)
    monkeypatch.setattr("insar_dask.jobs.steps.saving.save_part", lambda *_: pytest.fail("wrote again"))
    insar.save(read_mintpy(series), tmp_path / "s.zarr", "s/raw", quiet=True, shard_points=512)


def test_changed_file_is_another_cube(tmp_path, series):
    before = dask.base.tokenize(read_mintpy(series))
    values = metres()
    values[4, 30, 30] += 0.001
    write_series(series, values)
    assert dask.base.tokenize(read_mintpy(series)) != before


def test_cube_survives_pickling(series):
    cube = read_mintpy(series)
    xr.testing.assert_identical(pickle.loads(pickle.dumps(cube)).compute(), cube.compute())


def test_motion_goes_back_to_the_raster(series):
    cube = read_mintpy(series)
    motion = insar.motion(cube)
    grid = to_grid(motion)
    at = cube["row"].values[17], cube["col"].values[17]
    assert float(grid["velocity"][at]) == float(motion["velocity"][17])
    assert np.isnan(grid["velocity"][:, :3]).all()
