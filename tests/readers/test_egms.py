"""EGMS products of every vintage to cubes."""

import json
import zipfile
from pathlib import Path

import dask
import numpy as np
import pytest
import shapely
import xarray as xr
from pyproj import Transformer

from insar_dask.cube import CubeError, check_cube
from insar_dask.readers.egms import find_egms, peek, read_egms, read_table
from insar_dask.synthetic import scene, write_egms
from insar_kernels.hilbert import hilbert_index

GEOMETRY = (
    "line,pixel,{rmse},temporal_coherence,amplitude_dispersion,incidence_angle,track_angle,los_east,los_north,los_up"
)
MOTION = "mean_velocity,mean_velocity_std,acceleration,acceleration_std,seasonality,seasonality_std"
L2_NEW = f"mp_type,latitude,longitude,easting,northing,height_ortho,height_ellipse,{GEOMETRY},{MOTION},gnss_velocity"
L2_OLD = f"mp_type,latitude,longitude,easting,northing,height,height_wgs84,{GEOMETRY},{MOTION}"
L3_NEW = f"easting,northing,height_ortho,rmse_ts,{MOTION},gnss_velocity_n,gnss_velocity_e,gnss_velocity_u"
L3_OLD = f"easting,northing,height,rmse,{MOTION}"
VINTAGES = {
    "EGMS_L2b_022_0845_IW2_VV_2020_2024_1": "pid," + L2_NEW.format(rmse="rmse_ts"),
    "EGMS_L2a_022_0845_IW2_VV_2020_2024_1": "pid,cluster_label," + L2_NEW.format(rmse="rmse_ts"),
    "EGMS_L2b_022_0845_IW2_VV_2018_2022_1": "pid," + L2_OLD.format(rmse="rmse"),
    "EGMS_L2a_022_0845_IW2_VV_2019_2023_1": "pid,cluster_label," + L2_OLD.format(rmse="rmse"),
    "EGMS_L2a_022_0845_IW2_VV": "pid," + L2_OLD.format(rmse="rmse"),
    "EGMS_L3_E45N17_100km_U_2020_2024_1": "pid," + L3_NEW,
    "EGMS_L3_E45N17_100km_E_2018_2022_1": "pid," + L3_OLD,
    "EGMS_L3_E45N17_100km_E": "pid," + L3_OLD,
}
DATES = ["20200103", "20200109", "20200115", "20200127"]
SPECIAL = {"track_angle": -8.94, "los_east": -0.594, "temporal_coherence": 0.8}


def table(header: str, n: int = 20, seed: int = 1) -> list[dict[str, str]]:
    """Rows of printed cells by column name."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(n):
        row = {name: f"{SPECIAL.get(name, rng.normal()):.2f}" for name in header.split(",")}
        row |= {"pid": f"{k:05d}abcDE", "mp_type": "0", "cluster_label": str(k + 20_000_000), "line": str(k)}
        row |= {"easting": str(4_500_050 + 100 * int(rng.integers(1000))), "northing": str(1_700_050 + 100 * k)}
        row |= {"latitude": "38.690708", "longitude": "13.171103", "pixel": "4670"}
        rows.append({name: row[name] for name in header.split(",")} | dict.fromkeys(DATES))
        rows[-1] |= {date: f"{value / 10:.1f}" for date, value in zip(DATES, rng.integers(-300, 300, 4), strict=True)}
    return rows


def write(path, rows, newline="\n"):
    text = newline.join([",".join(rows[0])] + [",".join(row.values()) for row in rows]) + newline
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(path.stem + ".xml", "<xml/>")
            archive.writestr(path.stem + ".csv", text)
    else:
        path.write_bytes(text.encode())
    return path


@pytest.fixture
def l3(tmp_path):
    return write(tmp_path / "EGMS_L3_E45N17_100km_U_2020_2024_1.csv", table("pid," + L3_NEW))


@pytest.fixture
def l2(tmp_path):
    return write(
        tmp_path / "EGMS_L2b_022_0845_IW2_VV_2020_2024_1.zip", table(VINTAGES["EGMS_L2b_022_0845_IW2_VV_2020_2024_1"])
    )


@pytest.mark.parametrize("suffix", [".csv", ".zip"])
@pytest.mark.parametrize("name", VINTAGES)
def test_every_vintage_becomes_a_cube(tmp_path, name, suffix):
    rows = table(VINTAGES[name])
    cube = check_cube(read_egms(write(tmp_path / (name + suffix), rows)))
    assert dict(cube.sizes) == {"point": 20, "time": 4}
    by_id = {row["pid"]: row for row in rows}
    for k, pid in enumerate(cube.point_id.values.tolist()):
        row = by_id[pid]
        assert cube.displacement.values[k].tolist() == [float(np.float32(row[date])) for date in DATES]
        assert cube.easting.values[k] == float(row["easting"])
        rmse = "rmse_ts" if "rmse_ts" in row else "rmse"
        assert cube.egms_rmse.values[k] == np.float32(row[rmse])
        height = "height_ortho" if "height_ortho" in row else "height"
        assert cube.height.values[k] == np.float32(row[height])
    assert [str(day)[:10].replace("-", "") for day in cube.time.values] == DATES
    assert cube.attrs["product"] == name[5:8].rstrip("_")
    assert ("cluster_label" in cube.coords) == ("cluster_label" in rows[0])
    if "cluster_label" in cube.coords:
        assert cube.cluster_label.dtype == np.int32
        assert set(cube.cluster_label.values.tolist()) == {k + 20_000_000 for k in range(20)}


@pytest.mark.parametrize(
    ("name", "release", "component"),
    [
        ("EGMS_L3_E45N17_100km_U_2020_2024_1", "2020-2024", "up"),
        ("EGMS_L3_E45N17_100km_E_2019_2023_1", "2019-2023", "east"),
        ("EGMS_L3_E45N17_100km_E", "2015-2020", "east"),
    ],
)
def test_the_name_says_release_and_component(tmp_path, name, release, component):
    cube = read_egms(write(tmp_path / f"{name}.csv", table("pid," + L3_OLD)))
    assert (cube.attrs["release"], cube.attrs["component"], cube.attrs["tile"]) == (release, component, "E45N17")


@pytest.mark.parametrize(
    ("angle", "expected"), [("191.42", "descending"), ("-8.94", "ascending"), ("351.06", "ascending")]
)
def test_the_heading_says_the_pass(tmp_path, angle, expected):
    rows = [row | {"track_angle": angle} for row in table("pid," + L2_NEW.format(rmse="rmse_ts"))]
    cube = read_egms(write(tmp_path / "EGMS_L2b_022_0845_IW2_VV_2020_2024_1.csv", rows))
    assert (cube.attrs["pass"], cube.attrs["track"], cube.attrs["component"]) == (expected, "022", "los")


def test_points_come_in_hilbert_order_whatever_the_order_of_the_file(tmp_path, l3):
    rows = table("pid," + L3_NEW)
    folder = tmp_path / "shuffled"
    folder.mkdir()
    shuffled = write(folder / l3.name, [rows[k] for k in np.random.default_rng(2).permutation(20)])
    one, other = read_egms(l3), read_egms(shuffled)
    index = hilbert_index(one.easting.values, one.northing.values)
    assert (index[1:] >= index[:-1]).all()
    assert one.point_id.values.tolist() == other.point_id.values.tolist()
    np.testing.assert_array_equal(one.displacement.values, other.displacement.values)


def test_points_of_one_cell_are_ordered_by_identifier(tmp_path):
    rows = [row | {"easting": "4500050.2", "northing": "1700050"} for row in table("pid," + L3_NEW)][::-1]
    cube = read_egms(write(tmp_path / "EGMS_L3_E45N17_100km_U_2020_2024_1.csv", rows))
    assert cube.point_id.values.tolist() == sorted(row["pid"] for row in rows)


def test_displacement_is_lazy_and_int16_underneath(l3):
    with dask.config.set(scheduler=lambda *_args, **_kwargs: pytest.fail("computed")):
        cube = read_egms(l3)
    assert cube.displacement.chunks is not None
    assert cube.displacement.encoding == {"dtype": "int16", "scale_factor": 0.1, "_FillValue": -32768}
    assert read_table(l3).values.dtype == np.int16


def test_blocks_are_the_slices_of_the_cube(l3):
    table_, cube = read_table(l3), read_egms(l3).compute()
    xr.testing.assert_identical(table_.block(3, 11), cube.isel(point=slice(3, 11)))
    assert table_.n_points == 20


@pytest.mark.parametrize("value", ["1.25", "3276.8", "-4000.0"])
def test_the_first_value_beyond_int16_tenths_widens_the_cube(tmp_path, value):
    rows = table("pid," + L3_NEW)
    rows[7]["20200115"] = value
    rows[9]["20200103"] = ""
    path = write(tmp_path / "EGMS_L3_E45N17_100km_U_2020_2024_1.zip", rows)
    wide = read_egms(path)
    assert wide.displacement.encoding == {"dtype": "float32"}
    at = wide.point_id.values.tolist().index(rows[7]["pid"])
    assert wide.displacement.values[at, 2] == np.float32(value)
    rows[7]["20200115"] = "0.0"
    narrow = read_egms(write(path, rows)).displacement.values
    differs = narrow != wide.displacement.values
    assert np.argwhere(differs & ~np.isnan(narrow)).tolist() == [[at, 2]]
    assert np.isnan(narrow).sum() == 1


def test_unsorted_dates_are_sorted_with_their_columns(tmp_path, l3):
    rows = [
        {k: row[k] for k in [*list(row)[:14], "20200115", "20200103", "20200127", "20200109"]}
        for row in table("pid," + L3_NEW)
    ]
    folder = tmp_path / "unsorted"
    folder.mkdir()
    cube, plain = read_egms(write(folder / l3.name, rows)), read_egms(l3)
    np.testing.assert_array_equal(cube.displacement.values, plain.displacement.values)
    np.testing.assert_array_equal(cube.time.values, plain.time.values)
    assert "unsorted" in cube.attrs["dates_in_file"]
    assert "dates_in_file" not in plain.attrs


def test_header_may_have_case_quotes_and_d_before_dates(tmp_path, l3):
    path = tmp_path / "x" / l3.name
    path.parent.mkdir()
    header, body = l3.read_text().split("\n", 1)
    names = header.split(",")
    path.write_text(",".join(f'"{n.upper()}"' if not n.isdigit() else f"D_{n}" for n in names) + "\n" + body)
    np.testing.assert_array_equal(read_egms(path).displacement.values, read_egms(l3).displacement.values)


def test_every_column_says_its_units(l2, l3):
    for path in (l2, l3):
        cube = read_egms(path)
        for name in set(cube.variables) - {"time", "crs"}:
            assert {"long_name", "units"} <= cube[name].attrs.keys(), name
    assert cube["egms_mean_velocity"].attrs["units"] == "mm yr-1"


def test_columns_of_vintages_to_come_are_named_as_ignored(tmp_path):
    rows = [{"pid": row["pid"], "novelty": "x y", **row} for row in table("pid," + L3_NEW)]
    cube = read_egms(write(tmp_path / "EGMS_L3_E45N17_100km_U_2025_2029_1.csv", rows))
    assert cube.attrs["ignored_columns"] == "novelty"
    assert "novelty" not in cube.variables


def test_a_renamed_file_is_read_under_its_own_name(tmp_path):
    path = write(tmp_path / "site.csv", table("pid," + L3_NEW))
    with pytest.raises(CubeError, match="rename the file as it was delivered"):
        read_egms(path)
    assert read_egms(path, name="EGMS_L3_E45N17_100km_U_2020_2024_1.zip").attrs["component"] == "up"


def test_provenance_is_the_file_as_it_lies_there(l3):
    from blake3 import blake3

    attrs = read_egms(l3).attrs
    assert attrs["source"] == l3.name
    assert attrs["source_blake3"] == blake3(l3.read_bytes()).hexdigest()
    assert attrs["source_size"] == l3.stat().st_size
    assert attrs["n_rows"] == 20
    assert attrs["sees_future"] == 0


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_bands_and_threads_do_not_matter(tmp_path, monkeypatch, threads):
    from insar_dask.readers import csv_bands

    path = write(tmp_path / "EGMS_L3_E45N17_100km_U_2020_2024_1.zip", table("pid," + L3_NEW, n=300))
    whole = read_egms(path).compute()
    monkeypatch.setattr(csv_bands.BandReader.__init__, "__defaults__", (1000,))
    xr.testing.assert_identical(read_egms(path, threads=threads).compute(), whole)


def test_peek_reads_no_row(l2, l3):
    found = peek(l2)
    assert (found.name.product, found.name.component, found.n_columns) == ("L2b", "los", 29)
    assert found.times.size == 4
    with zipfile.ZipFile(l2) as archive:
        entry = archive.getinfo(l2.stem + ".csv")
    assert (found.size, found.crc) == (entry.file_size, entry.CRC)
    assert found.n_points == 20
    assert found.cube_bytes == 20 * 4 * 2
    assert peek(l3).crc is None


def test_find_lists_files_folders_and_globs_once(tmp_path, l2, l3):
    (tmp_path / "notes.csv").write_text("x")
    assert find_egms(tmp_path) == sorted([l2, l3])
    assert find_egms([tmp_path / "*.zip", l2, l3]) == sorted([l2, l3])
    assert find_egms(str(tmp_path / "EGMS_L3*")) == [l3]
    with pytest.raises(FileNotFoundError, match="no EGMS product at"):
        find_egms(tmp_path / "*.tif")
    with pytest.raises(
        FileNotFoundError, match=rf"at products/\*.zip, where nothing is, seen from {Path.cwd()}: wanted"
    ):
        find_egms("products/*.zip")


def test_minimum_coherence_keeps_points_at_or_above_it(tmp_path, l3):
    rows = [
        row | {"temporal_coherence": f"{k / 20:.2f}"}
        for k, row in enumerate(table("pid," + L2_NEW.format(rmse="rmse_ts")))
    ]
    path = write(tmp_path / "EGMS_L2b_022_0845_IW2_VV_2020_2024_1.csv", rows)
    assert sorted(read_egms(path, min_coherence=0.5).point_id.values) == [row["pid"] for row in rows[10:]]
    with pytest.raises(CubeError, match="none of 20 points is of coherence >= 2"):
        read_egms(path, min_coherence=2)
    with pytest.raises(CubeError, match="L3 has none"):
        read_egms(l3, min_coherence=0.5)


def corners(west, south, east, north, crs):
    forward = Transformer.from_crs(3035, crs, always_xy=True)
    ring = shapely.segmentize(shapely.box(west, south, east, north), 50)
    return shapely.transform(ring, lambda xy: np.column_stack(forward.transform(xy[:, 0], xy[:, 1])))


BOX = (4_510_000.0, 1_700_000.0, 4_580_000.0, 1_701_000.0)


@pytest.fixture
def inside(l3):
    cube = read_egms(l3)
    chosen = (cube.easting > BOX[0]) & (cube.easting < BOX[2]) & (cube.northing > BOX[1]) & (cube.northing < BOX[3])
    names = cube.point_id.values[chosen.values].tolist()
    assert 2 < len(names) < 18
    return names


def as_box(tmp_path):
    return {"area": BOX}


def as_shapely_in_degrees(tmp_path):
    return {"area": corners(*BOX, 4326), "area_crs": 4326}


def as_geojson_mapping(tmp_path):
    return {"area": shapely.geometry.mapping(corners(*BOX, 4326))}


def as_feature_collection_with_crs(tmp_path):
    geometry = shapely.geometry.mapping(shapely.box(*BOX))
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3035"}}
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    return {"area": path}


def as_geopackage_in_utm(tmp_path):
    import geopandas

    path = tmp_path / "area.gpkg"
    geopandas.GeoDataFrame(geometry=[corners(*BOX, 32633)], crs=32633).to_file(path)
    return {"area": str(path)}


def as_geoseries(tmp_path):
    import geopandas

    return {"area": geopandas.GeoSeries([corners(*BOX, 32632)], crs=32632)}


@pytest.mark.parametrize(
    "kind",
    [
        as_box,
        as_shapely_in_degrees,
        as_geojson_mapping,
        as_feature_collection_with_crs,
        as_geopackage_in_utm,
        as_geoseries,
    ],
)
def test_areas_of_any_kind_and_crs_choose_the_same_points(tmp_path, l3, inside, kind):
    assert read_egms(l3, **kind(tmp_path)).point_id.values.tolist() == inside


def test_a_box_in_degrees_is_one_in_degrees(l3):
    cube = read_egms(l3)
    lon, lat = Transformer.from_crs(3035, 4326, always_xy=True).transform(cube.easting.values, cube.northing.values)
    box = (np.quantile(lon, 0.2), np.quantile(lat, 0.2), np.quantile(lon, 0.9), np.quantile(lat, 0.9))
    expected = (lon >= box[0]) & (lon <= box[2]) & (lat >= box[1]) & (lat <= box[3])
    found = read_egms(l3, area=box, area_crs="EPSG:4326")
    assert found.point_id.values.tolist() == cube.point_id.values[expected].tolist()


def test_holes_parts_and_collections_are_as_shapely_has_them():
    from insar_dask.readers.area import points_inside

    rng = np.random.default_rng(5)
    x, y = rng.uniform(-1, 5, (2, 4000))
    ring = shapely.Point(1, 1).buffer(1.5).difference(shapely.Point(1.2, 1).buffer(0.6))
    shapes = [
        ring,
        shapely.MultiPolygon([ring, shapely.box(3, 3, 4, 4.5)]),
        shapely.GeometryCollection([ring, shapely.box(0, 0, 2, 2)]),
    ]
    for shape in shapes:
        expected = shapely.contains_xy(shapely.union_all(shape.geoms) if hasattr(shape, "geoms") else shape, x, y)
        assert 100 < expected.sum() < 3900
        np.testing.assert_array_equal(points_inside(shape, x, y, 3035), expected)


@pytest.mark.parametrize(
    ("area", "error", "message"),
    [
        ((1, 2, 3), CubeError, "no box"),
        ((5, 0, 1, 1), CubeError, "no box"),
        ({"type": "Point", "coordinates": [1, 2]}, CubeError, "wanted polygons"),
        ({"type": "FeatureCollection", "features": []}, CubeError, "has no polygon"),
        (42, CubeError, "area is a int"),
        ("nowhere.gpkg", FileNotFoundError, "no such file"),
        ((0, 0, 10, 10), CubeError, "none of 20 points is in the area"),
    ],
)
def test_areas_without_an_inside_say_so(l3, area, error, message):
    with pytest.raises(error, match=message):
        read_egms(l3, area=area)


def test_rows_outside_the_area_are_not_parsed(tmp_path, l3):
    rows = table("pid," + L3_NEW)
    for row in rows[1:]:
        row["20200109"] = "text"
    path = tmp_path / "y" / l3.name
    path.parent.mkdir()
    easting, northing = float(rows[0]["easting"]), float(rows[0]["northing"])
    cube = read_egms(write(path, rows), area=(easting - 1, northing - 1, easting + 1, northing + 1))
    assert cube.point_id.values.tolist() == [rows[0]["pid"]]


@pytest.mark.parametrize("n_points", [55, 90, 100])
def test_a_zip_is_read_whole_that_the_inflator_swallows_before_it_gave_all(tmp_path, n_points):
    cube = scene("l3u", n_points=n_points)
    path = write_egms(tmp_path / "EGMS_L3_E44N23_100km_U_2020_2024_1.zip", cube)
    assert np.array_equal(read_egms(path)["displacement"].values, cube["displacement"].values)
