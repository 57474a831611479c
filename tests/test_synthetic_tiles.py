import zipfile

import numpy as np
import pytest
from typer.testing import CliRunner

from insar_dask.cli import app
from insar_dask.cube import check_cube, years_since
from insar_dask.readers.egms import read_egms
from insar_dask.synthetic import TILES, egms_tile, write_egms_tiles
from insar_dask.synthetic.basins import Aquifer, Basin
from insar_dask.synthetic.earthquake import Earthquake, Fault, vertical_step
from insar_dask.synthetic.settlements import settled_cells

YEARS = np.arange(304) * 6 / 365
RECORDED = {
    "E39N30": [[-1.5, -0.5, -9.8], [1.4, -0.1, 1.2], [-5.0, 6.6, -9.7]],
    "E44N23": [[-15.4, -32.4, -63.3], [-0.6, 2.3, -10.9], [-0.1, -3.7, -16.7]],
    "E32N34": [[-12.0, -20.9, -41.1], [-14.0, -23.2, -39.1], [-6.9, -14.8, -24.3]],
    "E32N35": [[0.3, 7.6, -5.9], [-3.7, 4.4, -0.9], [-3.8, -2.2, -1.9]],
    "E48N24": [[-0.8, -7.4, -7.5], [-1.1, 5.2, -8.0], [-2.3, -2.1, -9.3]],
    "E58N17": [[10.8, 13.4, 9.6], [-6.8, -10.2, -14.1], [-6.1, -7.0, -7.8]],
}
"""Three dates of three cells: the tiles that map forecasts are judged on, drawn before any network of maps."""


@pytest.fixture(scope="module")
def tiles():
    return {name: egms_tile(name, n_points=1500).load(scheduler="synchronous") for name in TILES}


def map_cells(cube, name):
    """Row and column, as one number, of the map of 64 cells a side that each point lies in."""
    east, north = cube["easting"].values - 1e5 * int(name[1:3]), cube["northing"].values - 1e5 * int(name[4:6])
    return (north // 1562.5).astype(int) * 64 + (east // 1562.5).astype(int)


def test_tiles_lie_in_their_squares_and_share_their_dates(tiles):
    names = set()
    for name, cube in tiles.items():
        check_cube(cube)
        for axis, corner in (("easting", int(name[1:3])), ("northing", int(name[4:6]))):
            off = cube[axis].values - 1e5 * corner
            assert 0 < off.min() < 6000 and 60_000 < off.max() < 100_000, name
            assert set(off % 100) == {50.0}
        assert cube["time"].equals(tiles["E39N30"]["time"])
        assert cube.attrs["source"] == f"EGMS_L3_{name}_100km_U_2020_2024_1 (synthetic, seed 0)"
        names |= set(cube["point_id"].values.tolist())
    assert len(names) == 6 * 1500
    assert tiles["E39N30"].sizes["time"] == 304


def test_cells_are_dense_in_towns_and_absent_from_the_sea():
    cells = settled_cells(1000, 100_000, (0.25, 90.0), np.random.default_rng(1))
    assert np.unique(cells, axis=0).shape == (100_000, 2)
    assert cells[:, 0].max() < 1000 * (0.75 + 0.05)
    counts = np.bincount((cells[:, 1] // 15.625 * 64 + cells[:, 0] // 15.625).astype(int), minlength=4096)
    assert 0.5 < (counts > 0).mean() < 0.75
    occupied = counts[counts > 0]
    assert np.quantile(occupied, 0.98) > 4 * np.median(occupied) > 20
    with pytest.raises(ValueError, match="take fewer"):
        settled_cells(100, 9000, (0.25, 90.0), np.random.default_rng(1))


@pytest.mark.parametrize("name", TILES)
def test_each_regime_moves_as_its_name_says(name):
    cube = egms_tile(name, n_points=1500, noise=0.0).load(scheduler="synchronous")
    regime = TILES[name].shared
    flags = cube["true_regime"].attrs["flag_meanings"].split()
    moved = cube["true_regime"].values == flags.index(regime)
    assert 0.08 < moved.mean() < 0.75
    velocity, season, step = (cube[f"true_{what}"].values for what in ("velocity", "seasonality", "step"))
    assert (np.quantile(velocity, 0.02) < -8) == (regime == "continuous")
    assert (np.quantile(season, 0.95) > 5) == (regime == "periodic")
    assert (np.abs(step).max() > 40) == (regime == "coseismic")
    if regime == "coseismic":
        place = np.abs(step).argmax()
        jumps = cube["displacement"].values[place]
        when = np.searchsorted(cube["time"].values, np.datetime64(TILES[name].event), side="right")
        assert np.abs(np.diff(jumps)).argmax() == when - 1
        assert str(cube["time"].values[when])[:10] == cube["true_step"].attrs["date"]
        assert jumps[when] - jumps[when - 1] == pytest.approx(step[place], rel=0.05, abs=1.0)


def test_neighbouring_map_cells_move_together(tiles):
    for name, cube in tiles.items():
        series = cube["displacement"].values[:, 1:].astype(float)
        cells = map_cells(cube, name)
        first = np.unique(cells, return_index=True)[1]
        ahead = dict(zip(cells[first].tolist(), first.tolist(), strict=True))
        pairs = np.array([(at, ahead[cell + 1]) for cell, at in ahead.items() if cell + 1 in ahead])
        apart = np.random.default_rng(0).permutation(first)
        near = np.mean((series[pairs[:, 0]] - series[pairs[:, 1]]) ** 2)
        assert near < 0.8 * np.mean((series[first] - series[apart]) ** 2), name


def test_noise_is_what_the_truth_says_and_partly_shared(tiles):
    cube, signal = tiles["E44N23"], egms_tile("E44N23", n_points=1500, noise=0.0).load(scheduler="synchronous")
    left = (cube["displacement"] - signal["displacement"]).values.astype(float)
    assert np.sqrt(np.mean(left**2)) == pytest.approx(np.sqrt(np.mean(cube["true_noise"].values ** 2)), rel=0.03)
    near = np.hypot(np.diff(cube["easting"]), np.diff(cube["northing"]))
    shared = (left[1:] * left[:-1]).mean(axis=1)[(near > 1000) & (near < 2500)].mean()
    assert shared == pytest.approx(0.4**2, rel=0.35)


def test_equal_seeds_give_equal_tiles_whatever_the_block():
    one, same, other = (egms_tile("E32N35", n_points=300, n_dates=20, seed=seed) for seed in (3, 3, 4))
    assert one.load().identical(same.load())
    assert not np.array_equal(one["displacement"].values, other["displacement"].values)
    lazy = egms_tile("E32N35", n_points=300, n_dates=20, seed=3).isel(point=slice(100, 140))
    assert lazy.load().identical(one.isel(point=slice(100, 140)))


def test_the_tiles_are_frozen(tiles):
    for name, cube in tiles.items():
        drawn = cube["displacement"].values[100:1500:600][:, [60, 150, -1]]
        assert np.abs(drawn - RECORDED[name]).max() <= 0.11, name  # a tenth may round the other way elsewhere


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "E45N17"}, "wanted one of"),
        ({"n_points": 990_000}, "take fewer"),
        ({"seed": -1}, "negative"),
        ({"n_dates": 3}, "7 dates"),
    ],
)
def test_nonsense_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        egms_tile(**{"name": "E32N34", **wrong})


# Files


def test_one_command_writes_six_files_that_are_read_again(tmp_path):
    done = CliRunner().invoke(app, ["synthetic-tiles", str(tmp_path / "new"), "--points", "60", "--quiet"])
    assert done.exit_code == 0
    paths = [tmp_path / "new" / f"EGMS_L3_{name}_100km_U_2020_2024_1.zip" for name in TILES]
    assert done.stdout.split() == [str(path) for path in paths]
    assert len(list((tmp_path / "new").iterdir())) == 6
    for path, name in list(zip(paths, TILES, strict=True))[::3]:
        with zipfile.ZipFile(path) as archive:
            assert sorted(archive.namelist()) == [f"{path.stem}.csv", f"{path.stem}.xml"]
        back, drawn = read_egms(path).load(), egms_tile(name, n_points=60).load()
        for variable in ("displacement", "point_id", "easting", "northing", "height"):
            assert np.array_equal(back[variable].values, drawn[variable].values), variable
        assert (back.attrs["component"], back.attrs["release"]) == ("up", "2020-2024")


def test_progress_is_told_by_tile(tmp_path, monkeypatch):
    monkeypatch.setattr("insar_dask.synthetic.tiles.TILES", {"E58N17": TILES["E58N17"]})
    seen = []
    (path,) = write_egms_tiles(tmp_path, 30, seed=2, progress=lambda *told: seen.append(told))
    assert path.exists()
    assert seen == [("E58N17", 30, 30)]


# What moves them


@pytest.mark.parametrize(("rake", "wanted"), [(0.0, -2.747e-3), (90.0, -3.564e-2)])
def test_the_step_is_that_of_okadas_check_list(rake, wanted):
    # case 2 of table 2: a metre of slip on 3 x 2 lengths dipping 70 degrees, lower edge 4 deep, seen from (2, 3)
    dip = np.radians(70)
    fault = Fault(6.0, 1.5, 2 * np.cos(dip), 90.0, 70.0, rake, 3.0, 2.0, 4 - 2 * np.sin(dip))
    found = vertical_step(fault, np.array([2.0]), np.array([3.0])) / fault.slip
    assert found[0] == pytest.approx(wanted, rel=2e-4)


def test_slip_follows_from_the_magnitude():
    fault = TILES["E48N24"].fault
    moment = 30e9 * fault.length * fault.width * fault.slip
    assert (np.log10(moment) - 9.1) / 1.5 == pytest.approx(6.4)


def test_ground_creeps_on_after_an_earthquake():
    fault = TILES["E48N24"].fault
    quake = Earthquake(fault, 1.0)
    east, north = np.array([fault.easting + 2000]), np.array([fault.northing])
    moved = quake.displacement(east, north, np.array([0.0, 1.0, 1.001, 3.0]))[0]
    assert moved[0] == moved[1] == 0
    assert moved[2] == pytest.approx(quake.step(east, north)[0], rel=0.01)
    assert 1.05 < moved[3] / moved[2] < 1.3


def test_a_basin_consolidates_and_hears_of_pumping_late():
    basin = Basin(0.0, 0.0, 5000.0, 10.0, 8.0, 2.0, 5.0, 5000.0**2 / 2)
    east = np.array([0.0, 5000.0, 20_000.0])
    moved = basin.displacement(east, np.zeros(3), YEARS)
    assert moved[0, 1] / YEARS[1] == pytest.approx(-10, rel=0.01)
    assert np.array_equal(moved[2], np.zeros(304))
    share = moved[1] / moved[0]
    assert share[60] == pytest.approx(np.exp(-1), rel=1e-6)
    assert share[130] < 0.98 * np.exp(-1)  # half a year late: it knows nothing of the change after 2.1 years
    steady = Basin(0.0, 0.0, 5000.0, 10.0, 8.0, 2.0, 0.0, 1.0).displacement(east[:1], np.zeros(1), YEARS)
    assert steady[0, -1] == pytest.approx(-10 * 8 * (1 - np.exp(-YEARS[-1] / 8)))


def test_an_aquifer_peaks_later_further_out_and_higher_in_wet_years():
    aquifer = Aquifer(0.0, 0.0, 5000.0, 8.0, 0.25, 0.1, (1.0, 1.0, 1.0, 2.0, 1.0, 1.0))
    moved = aquifer.displacement(np.array([0.0, 5000.0]), np.zeros(2), np.linspace(0, 4, 4001))
    first = moved[:, :1000].argmax(axis=1) / 1000
    assert first == pytest.approx([0.25, 0.35], abs=0.002)
    assert moved[0, 250] == pytest.approx(8 * 1.25)
    assert moved[0, 3000:].max() > 1.5 * moved[0, :1000].max()


def test_true_motion_is_that_of_the_fit_without_noise():
    cube = egms_tile("E58N17", n_points=300, noise=0.0).load()
    t = years_since(cube["time"].values)
    design = np.stack([t, np.ones_like(t), np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)], 1)
    velocity = np.linalg.lstsq(design, cube["displacement"].values.T.astype(float), rcond=None)[0][0]
    assert np.allclose(cube["true_velocity"], velocity, atol=0.02)


def test_the_sinking_side_of_samos_is_under_the_sea_but_for_a_headland():
    step = egms_tile("E58N17").true_step.values
    assert step.max() == pytest.approx(83, abs=1)
    assert (step.min(), (step < -20).sum()) == (pytest.approx(-276, abs=1), 166)
