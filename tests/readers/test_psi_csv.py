"""Tables of persistent scatterers to cubes: declared columns where they belong; what is wrong is said or counted."""

import csv
import zipfile

import dask
import numpy as np
import pandas as pd
import pytest
from pyproj import CRS

import insar_dask as insar
from insar_dask.cube import CubeError, check_cube
from insar_dask.jobs.steps import saving
from insar_dask.readers.psi_csv import read_psi_csv

DATES = ["20160327", "20160407", "20160418", "20160429"]
COLUMNS = {
    "point_id": "pnt_id", "latitude": "pnt_lat", "longitude": "pnt_lon", "height": "pnt_height",
    "coherence": "pnt_enscoh",
}  # fmt: skip
DECLARED = {
    "units": "m", "component": "los", "positive": "towards the satellite", "reference_date": "2016-03-27",
    "reference": "mean of the scene", "track": "88", "orbit_direction": "ascending",
}  # fmt: skip
N = 300


def frame(n=N):
    k = np.arange(n)
    table = pd.DataFrame({"pnt_id": [f"L{i:06d}" for i in k], "pnt_flags": 11})
    table["pnt_lat"] = 52.3 + 1e-5 * (k % 17)
    table["pnt_lon"] = 4.9 + 1e-5 * (k // 17)
    table["pnt_height"] = np.round(40 + np.sin(k), 5)
    table["pnt_enscoh"] = np.round(k / n, 5)
    for number, date in enumerate(DATES):
        table[f"d_{date}"] = np.round(number * (k - 100) * 1e-5, 5)
        table[f"a_{date}"] = 1.5
    return table


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "points.csv"
    frame().to_csv(path)
    return path


def read(path, **options):
    return read_psi_csv(path, **{"columns": COLUMNS, "dates": "d_%Y%m%d", **DECLARED, **options})


def fails(path, message, **options):
    with pytest.raises(CubeError, match=message) as caught:
        read(path, **options)
    assert path.name in str(caught.value)


def lines(path):
    return path.read_text().splitlines()


def test_every_value_is_that_of_its_row(path):
    cube, table = check_cube(read(path)), frame().set_index("pnt_id")
    rows = table.loc[cube["point_id"].values]
    assert cube.sizes == {"point": N, "time": len(DATES)} and cube["displacement"].dtype == np.float32
    expected = rows[[f"d_{date}" for date in DATES]].to_numpy() * 1000
    np.testing.assert_array_equal(cube["displacement"].values, expected.astype(np.float32))
    np.testing.assert_array_equal(cube["longitude"], rows["pnt_lon"])
    np.testing.assert_array_equal(cube["coherence"], rows["pnt_enscoh"].astype(np.float32))
    assert cube["crs"].attrs["epsg"] == 32631 and cube.attrs["pass"] == "ascending"
    assert cube.attrs["ignored_columns"].split(",") == ["", "pnt_flags", *(f"a_{date}" for date in DATES)]


def test_order_of_columns_dates_and_rows_changes_nothing(path, tmp_path):
    other = tmp_path / "other.csv"
    frame().sample(frac=1, random_state=0)[frame().columns[::-1]].to_csv(other, index=False)
    for name in ("displacement", "point_id", "height"):
        np.testing.assert_array_equal(read(other)[name].values, read(path)[name].values)


@pytest.mark.parametrize("last", ["pnt_flags", "pnt_height", "pnt_id", "d_20160429"])
def test_any_column_may_be_the_last(path, tmp_path, last):
    other, table = tmp_path / "other.csv", frame()
    table[[*table.columns.drop(last), last]].to_csv(other, index=False)
    np.testing.assert_array_equal(read(other)["displacement"].values, read(path)["displacement"].values)
    assert (read(other)["height"].values == read(path)["height"].values).all()


def test_quotes_exponents_and_missing_cells_are_understood(path, tmp_path):
    table = frame()
    table.loc[3, "d_20160418"] = np.nan
    table.loc[4, "d_20160418"] = 7e-5
    table["note"] = 'a "b", c'
    table.to_csv(tmp_path / "q.csv", quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    cube = read(tmp_path / "q.csv").set_index(point="point_id").compute()
    values = cube["displacement"]
    assert np.isnan(values.sel(point="L000003", time="2016-04-18")) and cube.attrs["n_rejected"] == 0
    assert values.sel(point="L000004", time="2016-04-18") == np.float32(0.07)
    assert int(np.isnan(values).sum()) == 1


def test_zip_is_read_in_place(path, tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "points.csv")
    np.testing.assert_array_equal(read(tmp_path / "p.zip")["displacement"], read(path)["displacement"])


def test_eastings_need_their_crs_and_are_kept(path, tmp_path):
    table = frame().rename(columns={"pnt_lon": "X", "pnt_lat": "Y"})
    table["X"], table["Y"] = 120_000 + 10.0 * np.arange(N), 480_000.0
    table.to_csv(tmp_path / "rd.csv")
    columns = {"point_id": "pnt_id", "easting": "X", "northing": "Y"}
    cube = read(tmp_path / "rd.csv", columns=columns, source_crs="EPSG:28992")
    assert cube["crs"].attrs["epsg"] == 28992 and "longitude" not in cube.coords
    np.testing.assert_array_equal(np.sort(cube["easting"]), table["X"])
    fails(tmp_path / "rd.csv", "need their CRS: pass source_crs=", columns=columns)
    fails(tmp_path / "rd.csv", "is in degrees", columns=columns, source_crs="EPSG:4326")


@pytest.mark.parametrize(
    ("west", "east", "zone"),
    [(179.95, -179.95, 32701), (359.95, 0.05, 32631), (-0.05, 0.05, 32631), (-70.05, -69.95, 32719)],
)
def test_north_is_up_on_both_sides_of_a_meridian(tmp_path, west, east, zone):
    latitude = 51.5 if zone < 32700 else -16.8
    table = frame(3).assign(pnt_lon=[west, east, west], pnt_lat=[latitude, latitude, latitude + 0.1])
    table.to_csv(tmp_path / "points.csv")
    cube = read(tmp_path / "points.csv").sortby("point_id")
    assert CRS.from_wkt(cube["crs"].attrs["crs_wkt"]).to_epsg() == zone
    easting, northing = cube["easting"].values, cube["northing"].values
    assert 6_000 < easting[1] - easting[0] < 11_000 and 10_900 < northing[2] - northing[0] < 11_300


def test_sign_units_coherence_and_area(path):
    cube = read(path)
    away = read(path, positive="away from the satellite", units="cm")
    np.testing.assert_allclose(away["displacement"], -cube["displacement"] / 100, rtol=1e-6)
    assert read(path, min_coherence=0.5).sizes["point"] == N // 2
    box = (float(cube["easting"].min()), float(cube["northing"].min()), float(cube["easting"].median()), 1e7)
    assert 0.4 * N < read(path, area=box).sizes["point"] < 0.6 * N
    fails(path, "none of 300 points is in the area", area=(0, 0, 1, 1))


def test_tenths_of_a_millimetre_stay_int16_in_the_store(path, tmp_path):
    table = frame()
    table[[f"d_{date}" for date in DATES]] = table[[f"d_{date}" for date in DATES]].round(4)
    table.to_csv(path)
    cube = read(path)
    insar.save(cube, tmp_path / "s.zarr", "s/raw", quiet=True)
    stored = insar.open_cube(tmp_path / "s.zarr", "s/raw")
    assert stored["displacement"].encoding["dtype"] == "int16"
    np.testing.assert_array_equal(stored["displacement"].values, cube["displacement"].values)


def test_second_save_has_nothing_to_do(path, tmp_path, monkeypatch):
    insar.save(read(path), tmp_path / "s.zarr", "s/raw", quiet=True, shard_points=128)
    monkeypatch.setattr(saving, "save_part", lambda *_: pytest.fail("wrote again"))
    insar.save(read(path), tmp_path / "s.zarr", "s/raw", quiet=True, shard_points=128)
    assert dask.base.tokenize(read(path)) == dask.base.tokenize(read(path))


# --- rows in quarantine -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda cells: cells[:-1], "14 columns, wanted 15"),
        (lambda cells: [*cells, "1"], "16 columns, wanted 15"),
        (lambda cells: [*cells[:7], "text", *cells[8:]], "column d_20160327: 'text' is not a number"),
        (lambda cells: [*cells[:9], "inf", *cells[10:]], "column d_20160407: 'inf' is infinite"),
        (lambda cells: [*cells[:9], "1e999", *cells[10:]], "column d_20160407: '1e999' is infinite"),
        (lambda cells: [*cells[:3], "95", *cells[4:]], "column pnt_lat: 95, latitude reaches from -90 to 90"),
        (lambda cells: [*cells[:4], "", *cells[5:]], "column pnt_lon: empty, longitude reaches from -180 to 360"),
        (lambda cells: [cells[0], "", *cells[2:]], "column pnt_id: '' is no identifier"),
        (lambda cells: [cells[0], "L000007", *cells[2:]], "column pnt_id: 'L000007' is also in line 9"),
        (lambda cells: [*cells[:3], "1_0", *cells[4:]], "column pnt_lat: '1_0' is not a number"),
    ],
)
def test_bad_row_is_counted_and_written_down(path, tmp_path, broken, reason):
    rows = lines(path)
    rows[50] = ",".join(broken(rows[50].split(",")))
    path.write_text("\n".join(rows) + "\n")
    cube = read(path, rejected=tmp_path / "rejected.csv")
    assert cube.sizes["point"] == N - 1 and cube.attrs["n_rejected"] == 1
    written = (tmp_path / "rejected.csv").read_text().splitlines()
    assert list(csv.reader(written)) == [["line", "reason"], ["51", reason]]
    fails(path, f"1 of 300 rows rejected, more than 0.00%: line 51: {reason}", max_rejected=0)


def test_all_rows_rejected(path):
    rows = lines(path)
    path.write_text("\n".join([rows[0], *(row + ",1" for row in rows[1:])]))
    fails(path, "300 of 300 rows rejected")
    fails(path, "all 300 rows were rejected", max_rejected=1)


def test_last_line_cut_off(path):
    path.write_bytes(path.read_bytes()[:-3])
    assert read(path).attrs["n_rejected"] == 1
    fails(path, "line 301: the file is cut off", max_rejected=0)


@pytest.mark.parametrize(("end", "rejected"), [("", 0), ("\n", 0), ("0.01", 1)])
def test_a_last_line_without_a_break_is_judged_by_those_above(path, end, rejected):
    table = frame().map(lambda x: f"{x:.5f}" if isinstance(x, float) else x)
    table = table.drop(columns=[name for name in table if name.startswith("a_")])
    text = table.to_csv().rstrip("\n")
    path.write_text((text.rpartition(",")[0] + "," if end.strip() else text) + end)
    assert read(path).attrs["n_rejected"] == rejected


def test_where_decimals_vary_a_last_line_without_a_break_is_told_of(path):
    table = frame().drop(columns=[name for name in frame() if name.startswith("a_")])
    path.write_text(table.to_csv().rstrip("\n"))
    with pytest.warns(UserWarning, match=r"points.csv: no line break ends it, so that its last number may be cut off"):
        assert read(path).attrs["n_rejected"] == 0
    path.write_bytes(path.read_bytes().rpartition(b".")[0] + b".")
    assert read(path).attrs["n_rejected"] == 1


@pytest.mark.parametrize("end", [b"\n" + b" " * 100_000, b" " * 100_000, b"\n" + b"\0" * 100_000])
def test_a_table_that_is_padded_to_whole_blocks_is_read(path, end):
    """NULs after the last line break are a line that is none; nothing else is lost."""
    path.write_bytes(path.read_bytes().rstrip(b"\n") + end)
    cube = read(path)
    assert cube.sizes["point"] == 300 and cube.attrs["n_rejected"] == end.count(b"\0" * 9, 0, 12)


def test_a_last_number_of_more_decimals_than_those_above_is_told_of(path):
    table = frame().drop(columns=[name for name in frame() if name.startswith("a_")])
    table.iloc[:, -1] = [4.3] * 299 + [4.25]
    path.write_text(table.to_csv().rstrip("\n"))
    with pytest.warns(UserWarning, match="no line break ends it"):
        cube = read(path)
    assert cube.attrs["n_rejected"] == 0


# --- the file as a whole ----------------------------------------------------------------------------------------------


def test_files_that_hold_nothing(path):
    header = lines(path)[0]
    for text, message in (("", "is empty"), (header, "a header and no row"), (header + "\n\n", "a header and no row")):
        path.write_text(text)
        fails(path, message)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read(path.with_name("other.csv"))


def test_other_separators_are_named(path):
    path.write_text(path.read_text().replace(",", ";"))
    fails(path, "line 1: one column, .*must be separated by commas")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({**COLUMNS, "height": "elevation"}, "line 1: no column 'elevation' .declared as height"),
        ({**COLUMNS, "height": "pnt_lat"}, "'pnt_lat' is declared as two things"),
        ({**COLUMNS, "slope": "pnt_flags"}, r"columns \['slope'\] are unknown"),
        ({"latitude": "pnt_lat", "longitude": "pnt_lon"}, "which one is the point_id"),
        ({"point_id": "pnt_id", "latitude": "pnt_lat"}, "either longitude and latitude, or easting and northing"),
    ],
)
def test_columns_that_are_not_there(path, columns, message):
    fails(path, message, columns=columns)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (("d_20160407", "d_20160327"), "line 1: column 8 and column 10 are both 2016-03-27: remove one"),
        (("d_20160407", "d_20161307"), "line 1, column 10: 'd_20161307' is no date in the format 'd_%Y%m%d'"),
        (("pnt_flags", "pnt_lat"), "line 1: 2 columns 'pnt_lat'"),
    ],
)
def test_headers_that_are_wrong(path, header, message):
    path.write_text(path.read_text().replace(*header, 1))
    fails(path, message)


def test_dates_must_be_found(path):
    fails(path, "no column is a date in the format 'D%Y%m%d'", dates="D%Y%m%d")


@pytest.mark.parametrize(
    "lacking", ["component", "positive", "reference_date", "reference", "track", "orbit_direction"]
)
def test_what_nobody_declares_is_asked_for(path, lacking):
    fails(path, f"does not say its {lacking.replace('_', ' ')}: pass {lacking}=", **{lacking: None})


def test_units_of_length_are_needed(path):
    fails(path, "is in 'rad', wanted m, cm or mm", units="rad")


def test_coherence_must_be_declared_to_be_asked_for(path):
    columns = {key: name for key, name in COLUMNS.items() if key != "coherence"}
    fails(path, "min_coherence needs a column", columns=columns, min_coherence=0.5)
