from pathlib import Path

import numpy as np
import pytest
import rasterio

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.inversion.pairs import check_pairs
from insar_dask.readers.grid import to_grid
from insar_dask.readers.pair_cube import files_of_pairs

DECLARED = {"track": "63", "orbit_direction": "descending"}
SAID = {"wavelength": 0.0555, "phase_sign": 1}
NAMES = ["20200103_20200115", "20200103_20200127", "20200115_20200127"]
ROWS, COLUMNS = 12, 15


def radians(name):
    first, second = (int(day[-4:]) for day in name.split("_"))
    return ((second - first) * (1 + np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)) / 50).astype(np.float32)


def tif(folder, name, values=None, nodata=-9999, tags=None, crs="EPSG:32644", size=(ROWS, COLUMNS)):
    path = folder / f"{name}.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=size[0], width=size[1], count=1, dtype="float32", nodata=nodata, crs=crs,
        transform=rasterio.Affine(30, 0, 5e5, 0, -30, 3.7e6),
    ) as file:  # fmt: skip
        file.write(radians(name)[: size[0], : size[1]] if values is None else values, 1)
        file.update_tags(**(tags or {}))
    return path


@pytest.fixture
def folder(tmp_path):
    for name in NAMES:
        tif(tmp_path, name)
    return tmp_path


def test_geotiffs_become_a_pair_cube(folder):
    pairs = check_pairs(insar.read_pairs(folder, **DECLARED, **SAID))
    assert pairs["phase"].chunks is not None and pairs.attrs["n_turned"] == 0
    grid = to_grid(pairs)["phase"].values
    for place, name in enumerate(NAMES):
        np.testing.assert_array_equal(grid[..., place], radians(name))
    assert np.datetime_as_string(pairs["second"].values, "D").tolist() == ["2020-01-15", "2020-01-27", "2020-01-27"]
    assert np.isnan(pairs["bperp"].values).all()


def test_zero_is_phase_unless_somebody_says_that_it_is_none(folder):
    values = radians(NAMES[0])
    values[3, 4] = 0
    tif(folder, NAMES[0], values)
    at = {"y": 3, "x": 4}
    assert to_grid(insar.read_pairs(folder, **DECLARED, **SAID))["phase"][at].values[0] == 0
    assert np.isnan(to_grid(insar.read_pairs(folder, nodata=0, **DECLARED, **SAID))["phase"][at].values[0])


def test_table_of_baselines_serves_pairs_either_way_round(folder):
    table = folder / "baselines.csv"
    table.write_text("first,second,bperp\n2020-01-03,20200115,30.5\n20200127,20200103,-12\n20200115,20200127,7\n")
    pairs = insar.read_pairs(folder, baselines=table, **DECLARED, **SAID)
    assert pairs["bperp"].values.tolist() == [30.5, 12, 7]
    table.write_text("first,second,bperp\n20200103,20200115,30.5\n")
    with pytest.raises(CubeError, match=r"no line for the pair .*20200103_20200127\.tif"):
        insar.read_pairs(folder, baselines=table, **DECLARED, **SAID)
    table.write_text("first,second,bperp\n20200103,20200115,30.5\n20200103,20200127,1\n20200115,20200103,-30.5\n")
    with pytest.raises(CubeError, match="2020-01-15/2020-01-03 stands in line 2 and in line 4"):
        insar.read_pairs(folder, baselines=table, **DECLARED, **SAID)
    table.write_text("first,second,bperp\n20200103,20200115,nan\n")
    with pytest.raises(CubeError, match=r"line 2: bperp \[m\] is 'nan', wanted a number"):
        insar.read_pairs(folder, baselines=table, **DECLARED, **SAID)
    table.write_text("a,b\n1,2\n")
    with pytest.raises(CubeError, match="wanted first,second,bperp"):
        insar.read_pairs(folder, baselines=table, **DECLARED, **SAID)


def test_all_files_are_told_that_pairs_follow_from(folder):
    beside = folder / "coherence"
    beside.mkdir()
    for name in NAMES:
        tif(beside, name)
    printed, table = folder / "20200103_20200115_bperp.par", folder / "baselines.csv"
    for file in (printed, table):
        file.write_text("")
    options = {"coherence": str(beside), "baselines": str(table), "track": "63", "columns": {"height": "dem.tif"}}
    found = files_of_pairs(folder, options)
    pairs = [where / f"{name}.tif" for where in (folder, beside) for name in NAMES]
    assert sorted(found) == sorted([*pairs, printed, table, Path("dem.tif")])


def test_file_with_the_later_date_first_is_turned(folder):
    (folder / f"{NAMES[0]}.tif").unlink()
    tif(folder, "20200115_20200103", -radians(NAMES[0]))
    pairs = insar.read_pairs(folder, **DECLARED, **SAID)
    assert pairs.attrs["n_turned"] == 1
    np.testing.assert_array_equal(to_grid(pairs)["phase"].values[..., 0], radians(NAMES[0]))
    tif(folder, NAMES[0])
    with pytest.raises(CubeError, match="2020-01-03/2020-01-15 is there twice"):
        insar.read_pairs(folder, **DECLARED, **SAID)


def test_coherence_goes_along_in_the_order_of_the_pairs(folder):
    beside = folder / "coherence"
    beside.mkdir()
    for k, name in enumerate(NAMES):
        tif(beside, name, np.full((ROWS, COLUMNS), 0.2 + 0.1 * k, np.float32))
    pairs = insar.read_pairs(folder, coherence=beside, **DECLARED, **SAID)
    np.testing.assert_allclose(pairs["coherence"].values, [[0.2, 0.3, 0.4]] * pairs.sizes["point"])
    with pytest.raises(CubeError, match="2 files of coherence for 3"):
        insar.read_pairs(folder, coherence=[beside / f"{name}.tif" for name in NAMES[:2]], **DECLARED, **SAID)
    with pytest.raises(CubeError, match="of other dates: give both in one order"):
        insar.read_pairs(folder, coherence=[beside / f"{name}.tif" for name in NAMES[::-1]], **DECLARED, **SAID)
    tif(beside, NAMES[1], np.full((ROWS - 1, COLUMNS), 0.2, np.float32), size=(ROWS - 1, COLUMNS))
    with pytest.raises(CubeError, match=r"20200103_20200127\.tif has 11 x 15"):
        insar.read_pairs(folder, coherence=beside, **DECLARED, **SAID)


def test_what_files_and_caller_do_not_say_is_asked_for(folder):
    with pytest.raises(CubeError, match=r"does not say its wavelength: pass wavelength="):
        insar.read_pairs(folder, phase_sign=1, **DECLARED)
    with pytest.raises(ValueError, match="phase_sign is 0, wanted 1 or -1"):
        insar.read_pairs(folder, wavelength=0.0555, phase_sign=0, **DECLARED)
    with pytest.raises(CubeError, match="phase_sign=1 where"):
        insar.read_pairs(folder, wavelength=0.0555, **DECLARED)
    with pytest.raises(CubeError, match=r"(?s)wavelength and phase sign: pass wave.*; phase_sign=1 .*baselines="):
        insar.read_pairs(folder, **DECLARED)
    with pytest.raises(CubeError, match="track="):
        insar.read_pairs(folder, orbit_direction="ascending", **SAID)
    for name in NAMES:
        tif(folder, name, tags={"INSAR_PROCESSOR": "LiCSAR", "WAVELENGTH": "0.0555"})
    assert insar.read_pairs(folder, **DECLARED).attrs["phase_sign"] == 1


def test_files_that_do_not_go_together_are_named(folder):
    with pytest.raises(FileNotFoundError, match="nothing matches"):
        insar.read_pairs(folder / "*.none", **DECLARED, **SAID)
    tif(folder, NAMES[2], size=(ROWS - 1, COLUMNS))
    with pytest.raises(CubeError, match=r"20200115_20200127\.tif has 11 x 15"):
        insar.read_pairs(folder, **DECLARED, **SAID)
    tif(folder, NAMES[2], tags={"DATA_UNITS": "MILLIMETRES"})
    with pytest.raises(CubeError, match="MILLIMETRES"):
        insar.read_pairs(folder, **DECLARED, **SAID)
    (folder / f"{NAMES[2]}.tif").rename(folder / "20200115.tif")
    with pytest.raises(CubeError, match="wanted two dates"):
        insar.read_pairs(folder, **DECLARED, **SAID)


def test_binary_files_need_their_headers_and_all_their_bytes(tmp_path):
    path = tmp_path / "20200103_20200115.unw"
    path.write_bytes(radians(NAMES[0]).astype(">f4").tobytes())
    with pytest.raises(CubeError, match="gamma_dem="):
        insar.read_pairs(path, **DECLARED, **SAID)
    header = tmp_path / "dem.par"
    header.write_text(
        f"DEM_projection: EQA\nwidth: {COLUMNS}\nnlines: {ROWS}\ncorner_lat: 34.0 decimal degrees\n"
        "corner_lon: 78.5 decimal degrees\npost_lat: -8e-4 decimal degrees\npost_lon: 8e-4 decimal degrees\n"
    )
    pairs = insar.read_pairs(path, gamma_dem=header, **DECLARED, wavelength=0.0555)
    np.testing.assert_array_equal(to_grid(pairs)["phase"].values[..., 0], radians(NAMES[0]))
    assert float(to_grid(pairs)["y"][0]) == 34.0  # GAMMA's corner is the centre of the first pixel
    printed = tmp_path / "20200103_20200115_bperp.par"
    printed.write_text(
        "*** Calculate baseline components ***\n\n line  range  look vector angle  bpara  bperp  blen\n"
        "  (m)  (deg.)  (m)  (m)  (m)\n" + "".join(f" {k} 850e3 {k / 9} -3.5 {b} 80.2\n" for k, b in ((0, 70), (9, 74)))
    )
    assert insar.read_pairs(path, gamma_dem=header, **DECLARED, wavelength=0.0555)["bperp"].values.tolist() == [72]
    printed.write_text("line  range  bpara  bperp  blen\n")
    with pytest.raises(CubeError, match=r"_bperp\.par has no line of numbers"):
        insar.read_pairs(path, gamma_dem=header, **DECLARED, wavelength=0.0555)
    printed.write_text("nothing\n")
    with pytest.raises(CubeError, match="no table with the columns bpara and bperp"):
        insar.read_pairs(path, gamma_dem=header, **DECLARED, wavelength=0.0555)
    printed.unlink()
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CubeError, match="is it cut off"):
        insar.read_pairs(path, gamma_dem=header, **DECLARED, wavelength=0.0555)


def test_one_value_everywhere_is_told_in_radians(tmp_path):
    for name in ("20200103_20200115", "20200115_20200127"):
        tif(tmp_path, name, np.full((ROWS, COLUMNS), 3, np.float32))
    with pytest.raises(CubeError, match="row 0, column 0: 3 rad in every pair"):
        insar.read_pairs(tmp_path, **DECLARED, **SAID)
