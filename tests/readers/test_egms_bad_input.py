"""What is wrong with a file: a clear error, or a row in quarantine; never a wrong cube."""

import csv
import re
import struct
import zipfile

import numpy as np
import pytest

from insar_dask.cube import CubeError
from insar_dask.readers.egms import read_egms, read_table

NAME = "EGMS_L3_E45N17_100km_U_2020_2024_1"
HEADER = ["pid", "easting", "northing", "height", "rmse", "mean_velocity"]
DATES = ["20200103", "20200109", "20200115"]
N = 400


def lines(n=N):
    rows = [
        f"{k:010d},{4_500_050 + 100 * k},1700050,{k / 10:.1f},1.2,-0.5,{k / 10:.1f},-0.0,{-k / 10:.1f}"
        for k in range(n)
    ]
    return [",".join(HEADER + DATES), *rows]


def text(rows, newline="\n"):
    return (newline.join(rows) + newline).encode()


@pytest.fixture
def path(tmp_path):
    return tmp_path / f"{NAME}.csv"


@pytest.fixture
def archive(tmp_path):
    return tmp_path / f"{NAME}.zip"


@pytest.fixture
def good(path):
    path.write_bytes(text(lines()))
    return read_egms(path).compute()


def zipped(archive, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(archive, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return archive


def fails(path, message, **options):
    with pytest.raises(CubeError, match=message) as caught:
        read_egms(path, **options)
    assert path.name in str(caught.value)


# --- the file as a whole ----------------------------------------------------------------------------------------------


def test_no_such_file(path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_egms(path)


def test_empty_file(path, archive):
    path.write_bytes(b"")
    fails(path, "is empty")
    fails(zipped(archive, {"a.csv": b""}), "is empty")


def test_not_a_zip(archive):
    archive.write_bytes(text(lines()))
    fails(archive, "is not a zip")


def test_half_a_zip(archive):
    zipped(archive, {"a.csv": text(lines())})
    archive.write_bytes(archive.read_bytes()[:-40])
    fails(archive, "is not a zip")


def test_zip_without_csv(archive):
    fails(zipped(archive, {"a.xml": b"<xml/>"}), r"holds no \.csv, only \['a.xml'\]")


def test_zip_with_several_csv(archive):
    fails(zipped(archive, {"a.csv": text(lines()), "b.CSV": b"x"}), r"holds 2 \.csv.*split it")


def test_csv_in_a_folder_of_the_zip_is_found_and_resource_forks_are_not(archive, good):
    zipped(archive, {f"x/{NAME}.csv": text(lines()), f"__MACOSX/x/._{NAME}.csv": b"\0"})
    np.testing.assert_array_equal(read_egms(archive).displacement.values, good.displacement.values)


@pytest.mark.parametrize("name", ["../evil.csv", "a/../../evil.csv", "/etc/evil.csv", "..\\evil.csv", "C:\\evil.csv"])
def test_path_that_climbs_out_of_the_zip(tmp_path, archive, name):
    before = set(tmp_path.parent.iterdir())
    fails(zipped(archive, {name: text(lines())}), "climbs out")
    assert set(tmp_path.parent.iterdir()) == before


def test_nothing_is_unzipped_to_disk(tmp_path, archive):
    read_egms(zipped(archive, {"a.csv": text(lines())})).compute()
    assert list(tmp_path.iterdir()) == [archive]


def test_zip_bomb(archive):
    rows = lines(1)
    bomb = text([*rows, *([rows[1]] * 200_000)])
    fails(zipped(archive, {"a.csv": bomb}), "zip bomb")
    fails(archive, "rejected", max_ratio=1000)


def test_zip_that_lies_about_its_size(archive):
    data = text(lines())
    zipped(archive, {"a.csv": data})
    raw = archive.read_bytes()
    for claim in (len(data) // 2, len(data) * 2):
        archive.write_bytes(raw.replace(struct.pack("<I", len(data)), struct.pack("<I", claim)))
        fails(archive, "is damaged|is cut off")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_flipped_bits_in_a_zip_are_noticed(archive, method):
    zipped(archive, {"a.csv": text(lines())}, method)
    raw = bytearray(archive.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(200, len(raw) // 2, 20).tolist():
        flipped = raw.copy()
        flipped[place] ^= 1 << int(rng.integers(8))
        archive.write_bytes(flipped)
        with pytest.raises(CubeError):
            read_egms(archive, max_rejected=1)


def test_stored_members_are_read(archive, good):
    zipped(archive, {"a.csv": text(lines())}, zipfile.ZIP_STORED)
    np.testing.assert_array_equal(read_egms(archive).displacement.values, good.displacement.values)


def test_unsupported_compression(archive):
    fails(zipped(archive, {"a.csv": text(lines())}, zipfile.ZIP_LZMA), "compressed by method 14, wanted deflate")


def test_encrypted_member(archive):
    zipped(archive, {"a.csv": text(lines())})
    raw = bytearray(archive.read_bytes())
    raw[raw.rindex(b"PK\1\2") + 8] |= 1
    archive.write_bytes(raw)
    fails(archive, "is encrypted")


@pytest.mark.parametrize(
    ("data", "message"), [(b"\x1f\x8b\x08\xff\xfe", "not text"), ("pid,x\n".encode("utf-16"), "UTF-16")]
)
def test_not_text(path, data, message):
    path.write_bytes(data)
    fails(path, message)


def test_no_line_break_within_a_band(path, monkeypatch):
    from insar_dask.readers import csv_bands

    monkeypatch.setattr(csv_bands.BandReader.__init__, "__defaults__", (200,))
    path.write_bytes(text([lines()[0], "1" * 1000]))
    fails(path, "no line break within 200 bytes")


def test_lines_ended_by_cr_alone(path):
    path.write_bytes(b"\r".join(line.encode() for line in lines()))
    fails(path, "CR alone")


# --- the header -------------------------------------------------------------------------------------------------------


def test_header_only(path):
    path.write_bytes(text(lines()[:1]))
    fails(path, "has a header and no row")
    path.write_bytes(text(lines()[:1])[:-1])
    fails(path, "has a header and no row")


@pytest.mark.parametrize("header", ["x,y,z,20200103", "pid;easting;northing;20200103", "<html>", "1,2,3"])
def test_unknown_header(path, header):
    path.write_bytes(text([header, "1,2,3,4"]))
    fails(path, "line 1")


@pytest.mark.parametrize("name", ["pid", "easting", "northing"])
def test_missing_column(path, name):
    rows = [line.split(",") for line in lines()]
    at = rows[0].index(name)
    path.write_bytes(text([",".join(cells[:at] + cells[at + 1 :]) for cells in rows]))
    fails(path, f"line 1: no column {name}")


def test_no_date_column(path):
    path.write_bytes(text([",".join(line.split(",")[:6]) for line in lines()]))
    fails(path, "no date column")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ([*HEADER, "20200103", "20200109", "20200103"], r"columns \[7, 9\] are all 2020-01-03"),
        ([*HEADER, "20200103", "20201309", "20200115"], "column 8: 20201309 is no date"),
        ([*HEADER, "20200103", "2020010", "20200115"], "column 8: '2020010'"),
        ([*HEADER[:5], "rmse_ts", *DATES], "columns 5 and 6 are both egms_rmse"),
        ([*HEADER[:5], *DATES, "mean_velocity"], "'mean_velocity' stands after a date"),
    ],
)
def test_header_that_cannot_be_right(path, header, message):
    path.write_bytes(text([",".join(header), *lines()[1:]]))
    fails(path, message)


# --- rows: quarantine -------------------------------------------------------------------------------------------------


def spoil(path, row, place, cell):
    rows = [line.split(",") for line in lines()]
    rows[row][place] = cell
    path.write_bytes(text([",".join(cells) for cells in rows]))


def quarantined(path, good, row, reason):
    """The cube lacks exactly that row (0 is the header), the quarantine says line and reason."""
    rejected = path.with_name("rejected.csv")
    table = read_table(path, rejected=rejected)
    assert table.n_rejected == table.attrs["n_rejected"] == 1
    cube, lost = table.cube(), f"{row - 1:010d}"
    expected = good.isel(point=good.point_id.values != lost)
    assert cube.point_id.values.tolist() == expected.point_id.values.tolist()
    np.testing.assert_array_equal(cube.displacement.values, expected.displacement.values)
    with rejected.open(newline="") as file:
        ((line, why),) = list(csv.reader(file))[1:]
    assert int(line) == row + 1
    assert reason in why


@pytest.mark.parametrize("place", [1, 2, 3, 6, 8])
@pytest.mark.parametrize(
    ("cell", "reason"), [("text", "'text' is not a number"), ("inf", "'inf' is infinite"), ("1e999", "infinite")]
)
def test_text_or_infinity_in_a_number(path, good, place, cell, reason):
    spoil(path, 7, place, cell)
    quarantined(path, good, 7, f"column {(HEADER + DATES)[place]}: {reason}" if cell != "1e999" else reason)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0000000006,4500650,1700050,0.6", "4 columns, wanted 9"),
        ("0000000006,4500650,1700050,0.6,1.2,-0.5,0.6,-0.0", "8 columns, wanted 9"),
        ("0000000006,4500650,1700050,0.6,1.2,-0.5,0.6,-0.0,-0.6,1.0", "10 columns, wanted 9"),
        (",4500650,1700050,0.6,1.2,-0.5,0.6,-0.0,-0.6", "column pid: ''"),
        ("0000000006,,1700050,0.6,1.2,-0.5,0.6,-0.0,-0.6", "column easting: empty"),
        ("0000000006,13.17,38.70,0.6,1.2,-0.5,0.6,-0.0,-0.6", "column northing: 38.7 m, EPSG:3035 reaches"),
        ("0000000006,45006500,1700050,0.6,1.2,-0.5,0.6,-0.0,-0.6", "column easting: 45006500 m"),
        ("0000000006,4500650,1700050,0.6,1.2,-0.5,0.6,0x1,-0.6", "'0x1' is not a number"),
        ("0000000006,4500650,1700050,0.6,1.2,-0.5,0.6,1_0,-0.6", "'1_0' is not a number"),
        ("0000000000,4500650,1700050,0.6,1.2,-0.5,0.6,-0.0,-0.6", "column pid: '0000000000' is also in line 2"),
    ],
)
def test_rows_that_cannot_be_right(path, good, line, reason):
    rows = lines()
    rows[7] = line
    path.write_bytes(text(rows))
    quarantined(path, good, 7, reason)


def test_bytes_that_are_no_text(path, good):
    path.write_bytes(text(lines()).replace(b"\n0000000006,", b"\n00000\xff0006,"))
    quarantined(path, good, 7, "not UTF-8")


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5, 8, 20])
def test_truncated_last_line(path, good, cut):
    whole = text(lines())[:-1]
    path.write_bytes(whole[:-cut])  # ... 39.9,-0.0,-39.9
    quarantined(path, good, N, "cut off" if cut < 5 or cut == 8 else "")


def test_last_line_without_line_break_is_whole(path, good):
    path.write_bytes(text(lines())[:-1])
    np.testing.assert_array_equal(read_egms(path).displacement.values, good.displacement.values)


def test_more_than_one_percent_rejected_stops_unless_allowed(path):
    rows = lines()
    for k in range(1, 6):
        rows[k] = rows[k].replace("-0.0", "x")
    path.write_bytes(text(rows))
    rejected = path.with_name("rejected.csv")
    fails(
        path,
        r"5 of 400 rows rejected, more than 1.00%: line 2: column 20200109: 'x'.*max_rejected=0.01",
        rejected=rejected,
    )
    assert len(rejected.read_text().splitlines()) == 6
    assert read_egms(path, max_rejected=0.0127).sizes["point"] == 395


def test_a_file_of_bad_rows_stops_early(path, monkeypatch):
    from insar_dask.readers import csv_bands

    monkeypatch.setattr(csv_bands.BandReader.__init__, "__defaults__", (2000,))
    path.write_bytes(text([lines()[0], *[row + ",1" for row in lines()[1:]]]))
    with pytest.raises(CubeError, match="rows rejected") as caught:
        read_egms(path, threads=1)
    assert int(str(caught.value).split(": ")[1].split()[0]) < 200


def test_all_rows_rejected_though_allowed(path):
    path.write_bytes(text([lines()[0], *[row + ",1" for row in lines()[1:]]]))
    fails(path, "all 400 rows were rejected", max_rejected=1)


def test_no_quarantine_file_without_rejected_rows(path, good):
    rejected = path.with_name("rejected.csv")
    assert read_table(path, rejected=rejected).n_rejected == 0
    assert not rejected.exists()


# --- rows: odd, but right ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "twist",
    [
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.replace(b"\n", b"\n\n"),
        lambda data: data + b"\r\n  \n",
        lambda data: data.replace(b",", b" , "),
        lambda data: b"".join(b'"' + line.replace(b",", b'","') + b'"\n' for line in data.splitlines()),
        lambda data: re.sub(rb"(?m)^(\d+)", rb'"\1"', data),
        lambda data: data.replace(b",-0.0,", b",-0.0e+0,"),
        lambda data: data.replace(b",-0.0,", b",-0.000,"),
        lambda data: data.replace(b",-0.0,", b",+0,"),
    ],
    ids=["bom", "crlf", "blank-lines", "blank-end", "blanks", "quotes", "quoted-pid", "exponent", "zeros", "plus"],
)
def test_the_same_numbers_in_other_print(path, good, twist):
    path.write_bytes(twist(text(lines())))
    cube = read_egms(path, max_rejected=0)
    for name in ("displacement", "point_id", "easting", "height", "egms_mean_velocity"):
        np.testing.assert_array_equal(cube[name].values, good[name].values)
    assert cube.attrs["n_rows"] == N


def test_odd_rows_are_counted(path, good):
    spoil(path, 7, 7, "1.5e1")
    cube = read_egms(path)
    assert cube.attrs["n_read_with_care"] == 1
    assert good.attrs["n_read_with_care"] == 0
    assert cube.displacement.values[cube.point_id.values == "0000000006", 1] == 15


@pytest.mark.parametrize("cell", ["", " ", "NaN", "nan", '""', "NA", "null"])
def test_empty_cells_are_missing(path, good, cell):
    spoil(path, 7, 7, cell)
    cube = read_egms(path, max_rejected=0)
    expected = good.displacement.values.copy()
    expected[good.point_id.values == "0000000006", 1] = np.nan
    np.testing.assert_array_equal(cube.displacement.values, expected)
    assert cube.displacement.encoding["dtype"] == "int16"


def test_empty_cells_of_other_columns_are_missing_too(path, good):
    spoil(path, 7, 3, "")
    height = read_egms(path, max_rejected=0).height.values
    assert np.isnan(height).sum() == 1


def test_a_point_may_be_missing_on_every_date(path, good):
    rows = lines()
    rows[7] = ",".join(rows[7].split(",")[:6]) + ",,,"
    path.write_bytes(text(rows))
    cube = read_egms(path, max_rejected=0)
    assert np.isnan(cube.displacement.values[cube.point_id.values == "0000000006"]).all()


def test_identifiers_keep_their_case_and_zeros_and_any_length(path):
    rows = lines()
    rows[3] = rows[3].replace("0000000002", "aB")
    rows[4] = rows[4].replace("0000000003", "Ab")
    rows[5] = rows[5].replace("0000000004", "1e5")
    rows[6] = rows[6].replace("0000000005", "x" * 33)
    path.write_bytes(text(rows))
    found = set(read_egms(path, max_rejected=0).point_id.values.tolist())
    assert {"aB", "Ab", "1e5", "x" * 33, "0000000000"} <= found
    assert len(found) == N


# --- the disk ---------------------------------------------------------------------------------------------------------


def test_full_disk_leaves_no_half_quarantine(path, small_disk):
    path.write_bytes(text([lines(3000)[0], *[row + ",1" for row in lines(3000)[1:]]]))
    (small_disk / "other").write_bytes(bytes(40_000))
    with pytest.raises(OSError, match=r"cannot write 3000 rejected lines: No space left.*free space") as caught:
        read_egms(path, max_rejected=1, rejected=small_disk / "rejected.csv")
    assert str(small_disk / "rejected.csv") in str(caught.value)
    assert [file.name for file in small_disk.iterdir()] == ["other"]
