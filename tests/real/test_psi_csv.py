"""A real table of TerraSAR-X scatterers over Amsterdam: three variables a date in one table, exponents, metres."""

import gzip

import numpy as np
import pandas as pd
import pytest

import insar_dask as insar
from insar_dask.cube import check_cube

COLUMNS = {
    "point_id": "pnt_id", "longitude": "pnt_lon", "latitude": "pnt_lat", "height": "pnt_height",
    "coherence": "pnt_enscoh", "line": "pnt_line", "pixel": "pnt_pixel",
}  # fmt: skip


@pytest.fixture(scope="module")
def table(real_data, tmp_path_factory):
    path = tmp_path_factory.mktemp("psi") / "amsterdam.csv"
    packed = real_data / "psi_csv" / "stmtools_example_amsterdam_tsx.csv.gz"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    return path


def test_amsterdam_is_read_to_the_digit(table):
    declared = {
        "units": "m", "component": "los", "positive": "towards the satellite", "track": "88",
        "reference_date": "2016-03-27", "reference": "as published", "orbit_direction": "ascending",
    }  # fmt: skip
    cube = check_cube(insar.read_psi_csv(table, COLUMNS, dates="d_%Y%m%d", **declared))
    assert cube.sizes == {"point": 2500, "time": 11} and cube["crs"].attrs["epsg"] == 32631
    printed = pd.read_csv(table).set_index("pnt_id").loc[cube["point_id"].values]
    expected = printed.filter(regex=r"^d_\d{8}$").to_numpy() * 1000
    np.testing.assert_array_equal(cube["displacement"].values, expected.astype(np.float32))
    np.testing.assert_array_equal(cube["line"], printed["pnt_line"])
    np.testing.assert_array_equal(cube["latitude"], printed["pnt_lat"])
    assert (cube["displacement"].isel(time=0) == 0).all()
    assert cube.attrs["n_rejected"] == 0 and len(cube.attrs["ignored_columns"].split(",")) == 28
