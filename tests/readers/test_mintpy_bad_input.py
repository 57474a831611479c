"""What is wrong with a MintPy file: an error that says what, where and the cure; never a wrong cube."""

import h5py
import numpy as np
import pytest

from insar_dask.cube import CubeError
from insar_dask.readers.mintpy import read_mintpy
from tests.readers.mintpy_layout import DATES, metres, write_plane, write_series


@pytest.fixture
def path(tmp_path):
    return tmp_path / "timeseries.h5"


def fails(path, message, **options):
    with pytest.raises(CubeError, match=message) as caught:
        read_mintpy(path, **options)
    assert path.name in str(caught.value)


# --- the file as a whole ----------------------------------------------------------------------------------------------


def test_no_such_file(path):
    with pytest.raises(FileNotFoundError, match=r"timeseries\.h5: no such file"):
        read_mintpy(path)


def test_empty_file(path):
    path.write_bytes(b"")
    fails(path, "is empty")


def test_other_kind_of_file(path):
    path.write_bytes(b"\x28\xb5\x2f\xfd compressed")
    fails(path, "is not an HDF5 file.*compressed")


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_cut_off_file(path, share):
    write_series(path, chunks=(1, 30, 40))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    fails(path, "is damaged or cut off.*copy it again")


def test_flipped_bits_are_said_or_seen(path):
    raw = write_series(path, chunks=(2, 20, 40)).read_bytes()
    rng, failed = np.random.default_rng(0), 0
    for place in rng.integers(0, 12_000, 60).tolist():  # where the tables are
        flipped = bytearray(raw)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        try:
            read_mintpy(path).compute(scheduler="synchronous")
        except CubeError:
            failed += 1
    assert failed > 1


def test_velocity_is_no_series(path):
    write_plane(path, {"FILE_TYPE": "velocity"}, velocity=metres()[0])
    fails(path, r"is no time series but velocity \(datasets \['velocity'\].*pass timeseries.h5")


def test_series_without_dates(path):
    write_series(path)
    with h5py.File(path, "a") as file:
        del file["date"]
    fails(path, "has no dataset 'date'")


def test_series_that_is_a_group(path):
    write_series(path)
    with h5py.File(path, "a") as file:
        del file["timeseries"]
        file.create_group("timeseries")
    fails(path, "has no dataset 'timeseries'")


def test_series_of_wrong_shape(path):
    write_series(path)
    with h5py.File(path, "a") as file:
        del file["timeseries"]
        file["timeseries"] = metres()[0]
    fails(path, r"shape \(60, 80\), wanted 3 dimensions")


def test_fewer_rasters_than_dates(path):
    write_series(path, metres(n_dates=5))
    fails(path, r"shape \(5, 60, 80\) for 8 dates")


def test_whole_numbers_are_no_metres(path):
    write_series(path, metres().astype(np.int16))
    fails(path, "is int16, wanted floating point")


# --- dates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["2020-1-3", "20201303", "20200230", "nan", ""])
def test_date_that_is_none(path, text):
    write_series(path, dates=[*DATES[:3], text, *DATES[4:]])
    fails(path, r"\(date 3, counted from 0\) is no date, wanted YYYYMMDD")


def test_date_twice(path):
    write_series(path, dates=[*DATES[:-1], DATES[2]])
    fails(path, r"date 2 and date 7 are both 2020-01-27: remove one")


# --- attributes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lacking", "message"),
    [
        (("UNIT",), "does not say its unit: pass units='m'"),
        (("REF_DATE",), "no attribute REF_DATE: pass reference_date="),
        (("REF_Y",), "no attributes REF_Y and REF_X: pass reference="),
        (("trackNumber",), "no attribute TRACK: pass track="),
        (("ORBIT_DIRECTION", "HEADING"), "pass orbit_direction="),
        (("trackNumber", "ORBIT_DIRECTION", "HEADING"), "(?s)pass track=.*pass orbit_direction="),
        (("X_UNIT",), "no EPSG and no UTM_ZONE: pass source_crs="),
        (("Y_STEP",), r"attributes \['Y_STEP'\] are missing or 0"),
    ],
)
def test_missing_attribute_names_its_cure(path, lacking, message):
    fails(write_series(path, drop=lacking), message)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"UNIT": "radian"}, "is in 'radian', wanted m, cm or mm"),
        ({"X_STEP": "fine"}, "X_STEP is 'fine', wanted a number"),
        ({"X_STEP": "inf"}, "X_STEP is 'inf', wanted a number"),
        ({"X_STEP": "0"}, "missing or 0"),
        ({"LENGTH": "61"}, "LENGTH is 61 but the dataset has 60"),
        ({"Y_FIRST": "95"}, "is no place on Earth"),
        ({"Y_FIRST": "85"}, "outside UTM.*pass crs="),
        ({"REF_DATE": "someday"}, "'someday'.*is no date"),
        ({"ORBIT_DIRECTION": "sideways"}, "ORBIT_DIRECTION is 'sideways'"),
        ({"EPSG": "1"}, "is no CRS"),
        ({"EPSG": "32652"}, "X_UNIT is 'degrees' but EPSG 32652 is WGS 84 / UTM zone 52N: pass source_crs="),
        ({"X_UNIT": "meters"}, "geocoded in meters but has no EPSG and no UTM_ZONE"),
    ],
)
def test_wrong_attribute_is_named(path, wrong, message):
    fails(write_series(path, attributes=wrong), message)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:2263", "nonsense"])
def test_points_need_a_plane_in_metres(path, crs):
    write_series(path)
    with pytest.raises(CubeError, match=r"is no plane in metres|is no CRS"):
        read_mintpy(path, crs=crs)


def test_radar_geometry_is_refused_without_a_lookup_table(path):
    write_series(path, drop=("X_FIRST", "X_STEP", "Y_FIRST", "Y_STEP"))
    fails(path, "is in radar geometry.*pass lookup='inputs/geometryRadar.h5'")


def test_lookup_table_of_another_frame(tmp_path, path):
    place = ("X_FIRST", "X_STEP", "Y_FIRST", "Y_STEP")
    write_series(path, drop=place)
    other = write_plane(tmp_path / "g.h5", drop=place, latitude=np.ones((9, 9)), longitude=np.ones((9, 9)))
    with pytest.raises(CubeError, match=r"g\.h5 has 9 x 9 pixels, the series 60 x 80"):
        read_mintpy(path, lookup=other)
    none = write_plane(tmp_path / "z.h5", drop=place, latitude=np.zeros((60, 80)), longitude=np.zeros((60, 80)))
    with pytest.raises(CubeError, match=r"z\.h5 places no pixel"):
        read_mintpy(path, lookup=none)


# --- values -----------------------------------------------------------------------------------------------------------


def test_nothing_but_zeros(path):
    write_series(path, metres() * 0, drop=("REF_Y", "REF_X"))
    fails(path, "none of 4800 pixels has a value", reference="none")


def test_infinite_values_are_counted_or_stop(path):
    values = metres()
    values[3, 10, 10:15] = np.inf
    write_series(path, values)
    cube = read_mintpy(path)
    assert cube.attrs["n_rejected"] == 5 and np.isfinite(cube["displacement"].values).all()
    fails(path, r"5 of \d+ pixels rejected.*row 10, column 10: an infinite value", max_rejected=0.001)


def test_undeclared_fill_values_stop_and_declared_ones_are_missing(path):
    values = metres()
    values[:, 30:] = -9999
    write_series(path, values)
    fails(path, r"2400 of .* rejected.*row 30, column 0: -9.999e.06 mm at every date.*nodata=")
    write_series(path, values, attributes={"NO_DATA_VALUE": "-9999"})
    assert read_mintpy(path)["row"].max() == 29
    write_series(path, values)
    assert read_mintpy(path, nodata=-9999)["row"].max() == 29


# --- what lies beside -------------------------------------------------------------------------------------------------


def test_coherence_of_another_grid_is_refused(tmp_path, path):
    write_series(path)
    write_plane(tmp_path / "temporalCoherence.h5", {"UNIT": "1"}, temporalCoherence=np.ones((60, 79), "f4"))
    with pytest.raises(CubeError, match=r"temporalCoherence.h5 has 60 x 79 pixels, the series 60 x 80.*None for none"):
        read_mintpy(path)
    write_plane(
        tmp_path / "temporalCoherence.h5", {"UNIT": "1", "X_FIRST": "130.8215"}, temporalCoherence=np.ones((60, 80))
    )
    with pytest.raises(CubeError, match=r"lies 3 pixels off the series in x"):
        read_mintpy(path)
    assert read_mintpy(path, coherence=None).sizes["point"] == 60 * 77


def test_angles_in_radians_are_refused(tmp_path, path):
    write_series(path)
    geometry = write_plane(tmp_path / "geometryGeo.h5", incidenceAngle=np.full((60, 80), 0.6, "f4"))
    with pytest.raises(CubeError, match=rf"{geometry.name}: incidenceAngle reaches 0.6, wanted degrees"):
        read_mintpy(path)


def test_coherence_must_be_known_to_be_asked_for(path):
    write_series(path)
    fails(path, "comes without coherence", min_coherence=0.5)


def test_area_without_a_point_says_where_they_are(path):
    write_series(path)
    fails(path, r"none of \d+ points is in the area.*between \(", area=(0, 0, 1, 1))
