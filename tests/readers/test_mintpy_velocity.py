"""A velocity without its series: as motion parameters, back on its raster, and what it does not say is asked for."""

import numpy as np
import pytest

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.readers.grid import to_grid
from tests.readers.mintpy_layout import COLUMNS, REFERENCE, ROWS, write_plane

TOLD = {"UNIT": "m/year", "FILE_TYPE": "velocity", "START_DATE": "20200103", "END_DATE": "20220420"}


def rate():
    row, column = np.mgrid[:ROWS, :COLUMNS]
    values = ((row - REFERENCE[0]) * 1e-3 + (column - REFERENCE[1]) * 1e-4).astype(np.float32)
    values[:, :3] = 0
    return values


@pytest.fixture
def path(tmp_path):
    return write_plane(tmp_path / "velocity.h5", TOLD, velocity=rate(), velocityStd=np.abs(rate()) / 10)


def test_velocity_is_where_the_file_has_it(path):
    motion = insar.read_mintpy_velocity(path)
    grid, there = to_grid(motion), rate() != 0
    there[REFERENCE] = True
    np.testing.assert_array_equal(grid["velocity"].values[there], rate()[there] * np.float32(1000))
    assert np.isnan(grid["velocity"].values[~there]).all()
    np.testing.assert_allclose(grid["velocity_std"], np.abs(grid["velocity"]) / 10, rtol=1e-6)
    assert motion["velocity"].attrs["units"] == "mm yr-1" and motion.attrs["release"] == "2020-2022"
    assert motion.attrs["sees_future"] == -1 and motion.attrs["track"] == "023"


def test_velocity_without_errors_or_with_coherence_beside(tmp_path):
    path = write_plane(tmp_path / "geo_velocity.h5", TOLD, velocity=rate())
    stable = np.linspace(0, 1, rate().size, dtype=np.float32).reshape(rate().shape)
    write_plane(tmp_path / "geo_temporalCoherence.h5", {"UNIT": "1"}, temporalCoherence=stable)
    motion = insar.read_mintpy_velocity(path, min_coherence=0.5)
    assert "velocity_std" not in motion and float(motion["coherence"].min()) >= 0.5
    assert int(motion["row"].min()) == ROWS // 2


@pytest.mark.parametrize(
    ("told", "drop", "message"),
    [
        ({"UNIT": "radian/year"}, (), "is in 'radian/year'"),
        ({}, ("START_DATE",), "no attribute START_DATE"),
        ({}, ("X_FIRST", "Y_FIRST"), "is in radar geometry"),
        ({}, ("trackNumber",), "no attribute TRACK: pass track="),
    ],
)
def test_what_a_velocity_does_not_say_is_asked_for(tmp_path, told, drop, message):
    path = write_plane(tmp_path / "velocity.h5", {**TOLD, **told}, drop=drop, velocity=rate())
    with pytest.raises(CubeError, match=message):
        insar.read_mintpy_velocity(path)


def test_series_or_nothing_is_no_velocity(tmp_path):
    with pytest.raises(CubeError, match="has no dataset 'velocity'"):
        insar.read_mintpy_velocity(write_plane(tmp_path / "c.h5", TOLD, temporalCoherence=rate()))
    empty = write_plane(tmp_path / "v.h5", TOLD, drop=("REF_Y", "REF_X"), velocity=rate() * 0)
    with pytest.raises(CubeError, match="none of 4800 pixels has a velocity"):
        insar.read_mintpy_velocity(empty, reference="none")
