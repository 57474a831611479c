"""Real MintPy files: Kirishima (ALOS-2, descending) and a Sentinel-1 pair in California; velocity and coherence.

No real series is to be had, so one is written from the real velocity, on its grid and with its attributes: displacement
= velocity x years since REF_DATE. What `motion` finds in it must be what the real file publishes.
"""

import h5py
import numpy as np
import pytest
from numcodecs import Zstd

import insar_dask as insar
from insar_dask.cube import CubeError, check_cube, years_since
from insar_dask.readers.grid import to_grid

KIRISHIMA = "kirishima_alos2_dt23_velocity.h5"


@pytest.fixture(scope="module")
def unpacked(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mintpy")
    for packed in sorted((real_data / "mintpy").glob("*.zst")):
        (folder / packed.stem).write_bytes(Zstd().decode(packed.read_bytes()))
    return folder


def series_of(velocity, path, first, last, every):
    """A series in MintPy's layout, every so many days, whose velocity is that of a real file."""
    with h5py.File(velocity) as file:
        attributes, rate = dict(file.attrs), file["velocity"][()]
    days = np.arange(np.datetime64(first), np.datetime64(last) + 1, every)
    reference = np.datetime64(
        "-".join((attributes["REF_DATE"][:4], attributes["REF_DATE"][4:6], attributes["REF_DATE"][6:]))
    )
    assert reference in days
    years = years_since(days, reference.astype("datetime64[ns]"))
    with h5py.File(path, "w") as file:
        file.create_dataset("timeseries", data=(rate[None] * years[:, None, None]).astype(np.float32), chunks=True)
        file["date"] = np.char.replace(days.astype(str), "-", "").astype("S8")
        file["bperp"] = np.zeros(days.size, np.float32)
        file.attrs.update({**attributes, "FILE_TYPE": "timeseries", "UNIT": "m"})
    return path


@pytest.fixture(scope="module")
def kirishima(unpacked):
    path = series_of(unpacked / KIRISHIMA, unpacked / "timeseries.h5", "2015-02-09", "2017-09-18", 14)
    beside = {"velocity": unpacked / KIRISHIMA, "coherence": unpacked / "kirishima_alos2_dt23_temporalCoherence.h5"}
    return check_cube(insar.read_mintpy(path, **beside))


def test_kirishima_has_a_point_wherever_it_has_a_value(unpacked, kirishima):
    with h5py.File(unpacked / KIRISHIMA) as file:
        rate = file["velocity"][()]
    assert rate[346, 162] == 0  # the reference pixel, named by REF_Y and REF_X
    assert kirishima.sizes == {"point": np.count_nonzero(rate) + 1, "time": 69}
    np.testing.assert_array_equal(
        to_grid(kirishima)["mintpy_velocity"].values[rate != 0], rate[rate != 0] * np.float32(1000)
    )


def test_kirishima_is_described_by_its_own_attributes(kirishima):
    attrs = kirishima.attrs
    assert (attrs["track"], attrs["pass"], attrs["reference_date"]) == ("023", "descending", "2015-02-23")
    assert attrs["reference"].startswith("pixel in row 346, column 162 (latitude 31.915926")
    assert kirishima["crs"].attrs["epsg"] == 32652
    # the reference pixel lies where REF_LAT and REF_LON say
    at = (kirishima["row"] == 346) & (kirishima["col"] == 162)
    np.testing.assert_allclose(kirishima["latitude"].values[at], 31.91592599, atol=1e-6)
    np.testing.assert_allclose(kirishima["longitude"].values[at], 130.85, atol=1e-4)


def test_motion_of_kirishima_is_the_published_velocity(kirishima):
    found = insar.motion(kirishima)["velocity"].compute()
    np.testing.assert_allclose(found, kirishima["mintpy_velocity"], rtol=0, atol=2e-4)


def test_kirishima_goes_to_a_store_and_back_to_its_raster(kirishima, tmp_path):
    insar.save(kirishima, tmp_path / "k.zarr", "kirishima/raw", quiet=True)
    stored = insar.open_cube(tmp_path / "k.zarr", "kirishima/raw")
    np.testing.assert_array_equal(to_grid(stored)["displacement"].values, to_grid(kirishima)["displacement"].values)


def test_coherent_points_of_kirishima(kirishima, unpacked):
    coherence = unpacked / "kirishima_alos2_dt23_temporalCoherence.h5"
    kept = insar.read_mintpy(unpacked / "timeseries.h5", coherence=coherence, min_coherence=0.7)
    assert kept.sizes["point"] == int((kirishima["coherence"] >= 0.7).sum())


def test_heights_of_kirishima_lie_on_the_same_grid(kirishima, unpacked):
    rasterio = pytest.importorskip("rasterio")
    with rasterio.open(unpacked / "kirishima_height.tif") as file:
        west, step, north = file.transform.c, file.transform.a, file.transform.f
    np.testing.assert_allclose(kirishima["longitude"], west + step * (kirishima["col"] + 0.5), rtol=0, atol=1e-9)
    np.testing.assert_allclose(kirishima["latitude"], north - step * (kirishima["row"] + 0.5), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("name", "track", "orbit"), [("a064", "064", "ascending"), ("d071", "071", "descending")])
def test_california_needs_its_track_and_then_reads(unpacked, name, track, orbit):
    velocity = unpacked / f"isceplus_{name}_velocity.h5"
    with h5py.File(velocity) as file:
        first, last = file.attrs["REF_DATE"], file.attrs["END_DATE"]
    day = "-".join((first[:4], first[4:6], first[6:]))
    path = series_of(velocity, unpacked / f"{name}.h5", day, f"{last[:4]}-{last[4:6]}-{last[6:]}", 60)
    with pytest.raises(CubeError, match="no attribute TRACK: pass track="):
        insar.read_mintpy(path)
    cube = insar.read_mintpy(path, track=track, velocity=velocity)
    assert (cube.attrs["track"], cube.attrs["pass"]) == (track, orbit) and cube["crs"].attrs["epsg"] == 32611
    assert 0.97 * 541 * 841 < cube.sizes["point"] < 541 * 841
    found = insar.motion(cube)["velocity"].compute()
    np.testing.assert_allclose(found, cube["mintpy_velocity"], rtol=0, atol=2e-4)


def test_velocity_alone_is_no_series(unpacked):
    with pytest.raises(CubeError, match="is no time series but velocity"):
        insar.read_mintpy(unpacked / KIRISHIMA)


def test_velocity_of_kirishima_is_read_as_it_lies(unpacked):
    coherence = unpacked / "kirishima_alos2_dt23_temporalCoherence.h5"
    motion = insar.read_mintpy_velocity(unpacked / KIRISHIMA, coherence=coherence)
    with h5py.File(unpacked / KIRISHIMA) as file, h5py.File(coherence) as other:
        rate, std, stable = file["velocity"][()], file["velocityStd"][()], other["temporalCoherence"][()]
    grid, there = to_grid(motion), rate != 0
    assert motion.sizes["point"] == np.count_nonzero(there) + 1 == 291_656
    for name, stored in (("velocity", rate * np.float32(1000)), ("velocity_std", std * np.float32(1000))):
        np.testing.assert_array_equal(grid[name].values[there], stored[there])
    np.testing.assert_array_equal(grid["coherence"].values[there], stable[there])
    assert grid["velocity"].values[346, 162] == 0 and np.isnan(grid["velocity"].values).sum() == 541 * 541 - 291_656
    assert motion.attrs["release"] == "2015-2017" and motion.attrs["sees_future"] == -1


def test_ascending_and_descending_meet_on_one_grid(unpacked):
    up, sides = {}, []
    for name, track in (("a064", "064"), ("d071", "071")):
        motion = insar.read_mintpy_velocity(unpacked / f"isceplus_{name}_velocity.h5", track=track)
        up[motion.attrs["pass"]] = to_grid(motion)["velocity"].values
        incidence, heading = np.radians([motion.attrs["incidence_angle"], motion.attrs["heading"]])
        sides.append((-np.sin(incidence) * np.cos(heading), np.cos(incidence)))  # looking right
    np.testing.assert_allclose(sides, [(-0.618, 0.775), (0.603, 0.787)], atol=1e-3)
    both = np.isfinite(up["ascending"]) & np.isfinite(up["descending"])
    assert 0.96 < both.mean() < 1
    east, vertical = np.linalg.solve(sides, np.stack([up["ascending"][both], up["descending"][both]]))
    assert np.abs(np.median(vertical)) < 5 and np.abs(np.median(east)) < 5
