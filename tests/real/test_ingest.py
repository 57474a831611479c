"""The four real EGMS products of Ustica: every value as another reader sees it, nothing lost in int16."""

import zipfile

import numpy as np
import pandas as pd
import pytest

from insar_dask.cube import check_cube
from insar_dask.readers.egms import peek, read_egms, read_table
from insar_dask.readers.egms_names import KNOWN

PRODUCTS = {
    "EGMS_L3_E45N17_100km_U_2020_2024_1": (522, 304),
    "EGMS_L3_E45N17_100km_E_2020_2024_1": (522, 304),
    "EGMS_L2b_022_0845_IW2_VV_2020_2024_1": (11_590, 210),
    "EGMS_L2b_117_0227_IW2_VV_2020_2024_1": (11_759, 207),
}
EXACT = ("easting", "northing", "latitude", "longitude", "mp_type", "line", "pixel")


@pytest.fixture(params=PRODUCTS)
def product(request, real_data):
    path = real_data / "egms" / f"{request.param}.zip"
    with zipfile.ZipFile(path) as archive:
        frame = pd.read_csv(archive.open(f"{request.param}.csv"), dtype=str)
    return path, frame.set_index("pid"), PRODUCTS[request.param]


def test_every_value_equals_pandas_and_fits_int16(product):
    path, frame, (n_points, n_dates) = product
    table = read_table(path, max_rejected=0)
    assert table.values.dtype == np.int16
    assert table.encoding["dtype"] == "int16"
    cube = check_cube(table.cube()).compute()
    assert dict(cube.sizes) == {"point": n_points, "time": n_dates}
    dates = [name for name in frame if name.isdigit()]
    assert [str(day)[:10].replace("-", "") for day in cube.time.values] == dates
    expected = frame.loc[cube.point_id.values]
    np.testing.assert_array_equal(cube.displacement.values, expected[dates].to_numpy(np.float64).astype(np.float32))
    for name in frame.columns.difference(dates):
        ours, theirs = cube[KNOWN[name]], expected[name].to_numpy(np.float64)
        np.testing.assert_array_equal(ours.values, theirs if name in EXACT else theirs.astype(np.float32), err_msg=name)


def test_no_point_is_lost_rejected_or_odd(product):
    path, frame, _ = product
    cube = read_egms(path)
    assert sorted(cube.point_id.values) == sorted(frame.index)
    assert (cube.attrs["n_rejected"], cube.attrs["n_read_with_care"]) == (0, 0)


def test_what_the_product_is(product):
    path, _, _ = product
    attrs = read_egms(path).attrs
    passes = {"022": "descending", "117": "ascending", None: None}
    assert attrs.get("pass") == passes[attrs.get("track")]
    assert attrs["release"] == "2020-2024"
    assert (attrs["component"] == "up") == ("_U_" in path.name)


def test_peek_foretells_size(product):
    path, _, (n_points, n_dates) = product
    found = peek(path)
    assert found.times.size == n_dates
    assert abs(found.n_points / n_points - 1) < 0.05
