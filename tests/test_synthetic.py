import csv
import io
import pickle
import subprocess
import sys
import zipfile

import cloudpickle
import dask
import numpy as np
import pytest
import xarray as xr

from insar_dask.cube import CubeError, check_cube
from insar_dask.kinematics import motion
from insar_dask.synthetic import scene, write_egms
from insar_kernels.hilbert import hilbert_index
from tests import noise_figures as figures

KINDS = ["l2b", "l3u", "l3e", "chumar"]
L2B_HEADER = (
    "pid,mp_type,latitude,longitude,easting,northing,height_ortho,height_ellipse,line,pixel,rmse_ts,"
    "temporal_coherence,amplitude_dispersion,incidence_angle,track_angle,los_east,los_north,los_up,mean_velocity,"
    "mean_velocity_std,acceleration,acceleration_std,seasonality,seasonality_std,gnss_velocity"
)
L3_HEADER = (
    "pid,easting,northing,height_ortho,rmse_ts,mean_velocity,mean_velocity_std,acceleration,acceleration_std,"
    "seasonality,seasonality_std,gnss_velocity_n,gnss_velocity_e,gnss_velocity_u"
)


def of_regime(cube, name):
    """Points of one kind of motion."""
    number = cube["true_regime"].attrs["flag_meanings"].split().index(name)
    return cube.isel(point=np.flatnonzero(cube["true_regime"].values == number))


def read_rows(path):
    """Header and rows of a csv, or of the csv in a zip, by the standard library."""
    if path.suffix == ".csv":
        text = path.read_text()
    else:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(f"{path.stem}.csv").decode()
    header, *rows = csv.reader(io.StringIO(text))
    return header, rows


@pytest.fixture(scope="module")
def stable_burst():
    return of_regime(scene("l2b", n_points=9000, seed=11), "stable").load()


@pytest.fixture(scope="module")
def stable_tile():
    return of_regime(scene("l3u", n_points=4000, seed=11), "stable").load()


# The cube


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_is_a_lazy_cube(kind):
    def refuse(*_args, **_kwargs):
        raise AssertionError("computed")

    with dask.config.set(scheduler=refuse):
        cube = check_cube(scene(kind, n_points=600))
    assert cube["displacement"].chunks is not None
    assert cube.sizes["point"] == 600
    assert cube["observed"].values.all()
    assert cube.attrs["sees_future"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_displacement_is_float32_tenths(kind):
    values = scene(kind, n_points=500)["displacement"].values
    assert values.dtype == np.float32
    assert np.array_equal(values, np.rint(values * 10).astype(np.int16).astype(np.float32) / np.float32(10))


@pytest.mark.parametrize("kind", ["l2b", "l3e"])
def test_points_stand_in_hilbert_order_with_ties_by_name(kind):
    cube = scene(kind, n_points=5000)
    index = hilbert_index(cube["easting"].values, cube["northing"].values)
    names = cube["point_id"].values
    order = np.lexsort((names, index))
    assert np.array_equal(order, np.arange(5000))
    assert len(set(names.tolist())) == 5000
    assert {len(name) for name in names.tolist()} == {10}


def test_some_names_look_like_numbers():
    names = scene("l2b")["point_id"].values
    assert sum(name.isdigit() for name in names.tolist()) > 0
    assert sum("e" in name.lower() and name.lower().replace("e", "", 1).isdigit() for name in names.tolist()) > 0


def test_a_burst_has_twins_and_uneven_cells_as_real_ones():
    cube = scene("l2b", seed=2)
    places = np.stack([cube["easting"].values, cube["northing"].values], axis=1)
    assert 40 <= len(places) - len(np.unique(places, axis=0)) <= 100  # real: 46 and 55 of 11,600
    per_cell = np.unique(places // 100, axis=0, return_counts=True)[1]
    assert np.quantile(per_cell, [0.25, 0.5, 0.75]) == pytest.approx([4, 10, 22], rel=0.3)


def test_a_full_level_3_tile_is_every_cell_of_100_km():
    cube = scene("l3u", n_points=1_000_000)
    east, north = cube["easting"].values, cube["northing"].values
    assert (east.min(), east.max(), north.min(), north.max()) == (4_400_050, 4_499_950, 2_300_050, 2_399_950)
    assert np.unique(east * 1e7 + north).size == 1_000_000
    assert set(np.unique(east % 100)) == {50.0}
    assert cube.sizes["time"] == 304


def test_up_and_east_share_points_and_dates_but_not_noise():
    up, east = scene("l3u", n_points=800, seed=4), scene("l3e", n_points=800, seed=4)
    for name in ("point_id", "easting", "northing", "time", "height", "true_regime"):
        assert np.array_equal(up[name].values, east[name].values)
    noise = [figures.standardised(figures.residuals(c["displacement"].values, c["time"].values)) for c in (up, east)]
    assert abs((noise[0] * noise[1]).mean()) < 0.02


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "l4"}, "wanted one of"),
        ({"n_points": 0}, "at least 1 point"),
        ({"n_dates": 6}, "7 dates"),
        ({"kind": "l3u", "n_points": 1_000_001}, "at most 1,000,000 cells"),
        ({"missing": 1.0}, r"share in \[0, 1\)"),
        ({"noise": -1.0}, "negative"),
        ({"seed": -1}, "negative"),
        ({"order": "random"}, "'hilbert' or 'file'"),
    ],
)
def test_nonsense_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        scene(**wrong)


@pytest.mark.parametrize("n_points", [1, 2, 255, 257])
@pytest.mark.parametrize("kind", KINDS)
def test_small_scenes_work(kind, n_points):
    cube = scene(kind, n_points=n_points, n_dates=7).load()
    assert cube["displacement"].shape == (n_points, 7)
    assert np.isfinite(cube["true_velocity"].values).all()


# Dates


def test_level_3_comes_every_6_days():
    days = scene("l3u", n_points=10)["time"].values.astype("datetime64[D]")
    assert set(np.diff(days).astype(int).tolist()) == {6}
    assert (str(days[0]), str(days[-1])) == ("2020-01-03", "2024-12-25")


@pytest.mark.parametrize("seed", range(5))
def test_a_burst_comes_every_6_then_12_days_with_longer_gaps(seed):
    days = scene("l2b", n_points=10, seed=seed)["time"].values.astype("datetime64[D]")
    steps = np.diff(days).astype(int)
    assert set(steps.tolist()) == {6, 12, 18, 24}
    assert set(steps[days[1:] > np.datetime64("2021-12-24")].tolist()) == {12, 24}
    assert len(days) == 210
    assert np.datetime64("2024-12-01") < days[-1] <= np.datetime64("2024-12-31")


def test_the_frozen_plateau_lost_8_of_166_passes():
    cube = scene("chumar", n_points=10)
    steps = np.diff(cube["time"].values.astype("datetime64[D]")).astype(int)
    assert cube.sizes["time"] == 158
    assert (steps % 12 == 0).all()
    assert steps.sum() == 165 * 12


# Truth


@pytest.mark.parametrize("kind", KINDS)
def test_without_noise_motion_finds_the_truth_to_the_rounding(kind):
    cube = scene(kind, n_points=3000, noise=0.0, seed=5).load()
    fits = motion(cube)
    # rounding to 0.1 mm is noise of 0.03 mm: five standard errors of the worst scene, 158 dates
    for name, bound in {"velocity": 0.01, "acceleration": 0.02, "seasonality": 0.03}.items():
        assert np.abs(fits[name] - cube[f"true_{name}"]).max() < bound, name
    apart = (fits["phase"] - cube["true_phase"] + 182.5) % 365 - 182.5
    assert (np.abs(apart) * 2 * np.pi / 365 * cube["true_seasonality"]).max() < 0.03  # mm along the annual circle


def test_with_little_noise_motion_finds_the_truth_within_its_errors():
    cube = of_regime(scene("l2b", n_points=6000, noise=0.2, seed=6), "stable").load()
    fits = motion(cube)
    for name in ("velocity", "acceleration"):
        pull = ((fits[name] - cube[f"true_{name}"]) / fits[f"{name}_std"]).values
        # errors that take noise for white are too small by what its memory does to a slope, 1.5 to 1.9
        assert abs(pull.mean()) < 0.25  # neighbours err together
        assert 1.2 < pull.std() < 2.2
        assert np.abs(pull).max() < 10


def test_regimes_move_as_their_names_say():
    cube = scene("l2b", seed=1, noise=0.0).load()
    stable = of_regime(cube, "stable")
    assert np.abs(stable["true_velocity"] + 1.6).max() < 6
    assert np.abs(stable["true_step"]).max() < 4
    assert np.abs(of_regime(cube, "bowl")["true_velocity"]).max() > 20
    assert of_regime(cube, "seasonal")["true_seasonality"].max() > 7
    assert of_regime(cube, "accelerating")["true_acceleration"].min() < -5
    assert 0.5 < len(stable["point"]) / len(cube["point"]) < 0.8


def test_the_earthquake_comes_between_two_dates_and_moves_both_sides_of_the_fault():
    cube = of_regime(scene("l2b", seed=1, noise=0.0), "coseismic").load()
    steps = cube["displacement"].diff("time")
    strongest = np.abs(cube["true_step"]).argmax("point")
    when = cube["time"].values[1:][np.abs(steps).isel(point=strongest).argmax("time")]
    assert str(when)[:10] == cube["true_step"].attrs["date"]
    jump = steps.sel(time=when) - steps.median("time")
    assert np.abs(jump - cube["true_step"]).max() < 2.0
    assert cube["true_step"].min() < -10 < 10 < cube["true_step"].max()


def test_slumps_accelerate_downhill_with_a_strong_season():
    slumps = of_regime(scene("chumar", n_points=20_000), "slump")
    assert slumps["true_velocity"].median() < -5
    assert slumps["true_acceleration"].median() < -0.3
    assert slumps["true_seasonality"].quantile(0.9) > 8


# Noise like that of real products: figures of two bursts and a tile in this order


def test_noise_of_a_burst_remembers_and_has_heavy_tails(stable_burst):
    z = figures.standardised(figures.residuals(stable_burst["displacement"].values, stable_burst["time"].values))
    assert figures.autocorrelation(z, [1, 2, 3, 5]) == pytest.approx([0.325, 0.18, 0.10, 0.03], abs=0.03)
    assert figures.excess_kurtosis(z) == pytest.approx(1.9, abs=0.3)


def test_noise_of_a_tile_remembers_longer_and_has_lighter_tails(stable_tile):
    z = figures.standardised(figures.residuals(stable_tile["displacement"].values, stable_tile["time"].values))
    assert figures.autocorrelation(z, [1, 2, 3, 5]) == pytest.approx([0.62, 0.355, 0.21, 0.09], abs=0.05)
    assert figures.excess_kurtosis(z) == pytest.approx(0.7, abs=0.2)


def test_noise_of_a_burst_is_shared_by_neighbours_only(stable_burst):
    z = figures.standardised(figures.residuals(stable_burst["displacement"].values, stable_burst["time"].values))
    rings = [(0, 30), (30, 100), (100, 200), (400, 500)]
    found = figures.correlation_by_distance(
        z, stable_burst["easting"].values, stable_burst["northing"].values, rings
    )  # fmt: skip
    assert 0.10 <= found[0] <= 0.19
    assert 0.02 <= found[1] <= 0.04
    assert 0.0 <= found[2] <= 0.02
    assert abs(found[3]) < 0.005


def test_rmse_and_quality_of_a_burst_are_those_of_real_ones(stable_burst):
    rmse = motion(stable_burst)["rmse"].values
    assert np.quantile(rmse, [0.05, 0.5, 0.95]) == pytest.approx([1.4, 3.3, 4.5], abs=0.3)
    coherence = stable_burst["coherence"].values
    assert np.quantile(coherence, [0.05, 0.5, 0.95]) == pytest.approx([0.58, 0.75, 0.94], abs=0.03)
    assert np.corrcoef(rmse, coherence)[0, 1] == pytest.approx(-0.94, abs=0.03)


def test_motion_of_stable_ground_is_that_of_a_quiet_island(stable_burst):
    fits = motion(stable_burst)
    wanted = {"velocity": [-3.0, -1.6, -0.1], "acceleration": [-1.4, 0.0, 1.3], "seasonality": [0.3, 1.1, 2.8]}
    for name, quantiles in wanted.items():
        assert np.quantile(fits[name], [0.05, 0.5, 0.95]) == pytest.approx(quantiles, abs=0.3), name


def test_velocity_is_rough_at_short_range(stable_burst):
    velocity = motion(stable_burst)["velocity"].values.astype(np.float64)
    near = figures.semivariance_by_distance(
        velocity, stable_burst["easting"].values, stable_burst["northing"].values, [(0, 30)]
    )  # fmt: skip
    assert 0.55 <= near[0] <= 0.78  # of the sill; real: 0.60 to 0.75


def test_rmse_of_a_tile_is_that_of_a_real_one(stable_tile):
    assert np.quantile(motion(stable_tile)["rmse"], [0.05, 0.5, 0.95]) == pytest.approx([0.7, 1.6, 3.1], abs=0.25)


# The same whatever the way


def test_equal_seeds_give_equal_scenes_and_others_others():
    one, same, other = (scene("l2b", n_points=700, n_dates=40, seed=seed).load() for seed in (3, 3, 4))
    assert one.identical(same)
    assert not np.array_equal(one["displacement"].values, other["displacement"].values)
    assert not np.array_equal(one["time"].values, other["time"].values)


def test_equal_scenes_have_equal_dask_tokens():
    one, same = (scene("l2b", n_points=300)["displacement"].data.name for _ in range(2))
    assert one == same


def test_a_point_does_not_depend_on_the_block_it_is_drawn_with():
    from insar_dask.synthetic.drawing import Drawing
    from insar_dask.synthetic.ground import Ground
    from insar_dask.synthetic.kinds import KINDS as FIGURES

    cube = scene("l2b", n_points=1200, n_dates=50, missing=0.1, seed=9)
    whole = cube["displacement"].values
    ground = Ground.around(FIGURES["l2b"], 9, 900.0, 2.0)
    drawing = Drawing(FIGURES["l2b"], 9, ground, cube["time"].values, 0.1, 1.0)
    ids, east, north = np.arange(1200), cube["easting"].values, cube["northing"].values
    together = drawing.displacement(ids, east, north)
    for some in (slice(0, 1), slice(5, 12), np.array([1100, 3, 700])):
        assert np.array_equal(drawing.displacement(ids[some], east[some], north[some]), together[some], equal_nan=True)
    assert np.array_equal(cube.isel(point=[800, 2])["displacement"].values, whole[[800, 2]], equal_nan=True)


def test_a_scene_that_travelled_draws_the_same():
    cube = scene("chumar", n_points=600, n_dates=20)
    travelled = pickle.loads(cloudpickle.dumps(cube["displacement"].data))
    assert np.array_equal(travelled.compute(scheduler="threads"), cube["displacement"].values)
    per_point = len(cloudpickle.dumps(scene("l2b", n_points=4000)["displacement"].data)) / 4000
    assert per_point < 40  # bytes: identity and place, not the series


def test_file_order_holds_the_same_points():
    hilbert, file = (scene("l2b", n_points=900, n_dates=30, order=order).load() for order in ("hilbert", "file"))
    assert (np.diff(file["northing"].values) >= 0).all()
    into = np.argsort(hilbert["point_id"].values)
    back = np.argsort(file["point_id"].values)
    assert hilbert.isel(point=into).identical(file.isel(point=back))
    tile = scene("l3u", n_points=900, order="file")
    assert tile["point_id"].values.tolist() == sorted(tile["point_id"].values.tolist())
    assert np.array_equal(np.lexsort((tile["easting"], tile["northing"])), np.arange(900))


def test_missing_values_are_as_many_as_asked_and_leave_the_others():
    full, gaps = (scene("l3u", n_points=900, missing=share)["displacement"].values for share in (0.0, 0.07))
    lost = np.isnan(gaps)
    assert lost.mean() == pytest.approx(0.07, abs=0.002)
    assert np.array_equal(full[~lost], gaps[~lost])


# Files


@pytest.mark.parametrize(
    ("kind", "name", "header"),
    [
        ("l2b", "EGMS_L2b_000_0000_IW1_VV_2020_2024_1.zip", L2B_HEADER),
        ("l3u", "EGMS_L3_E44N23_100km_U_2020_2024_1.zip", L3_HEADER),
        ("l3e", "EGMS_L3_E44N23_100km_E_2020_2024_1.csv", L3_HEADER),
        ("chumar", "EGMS_L2b_066_0409_IW1_VV_2018_2023_1.csv", L2B_HEADER),
    ],
)
def test_a_file_holds_the_cube_in_the_layout_of_egms(tmp_path, kind, name, header):
    cube = scene(kind, n_points=300, order="file").load()
    found, rows = read_rows(write_egms(tmp_path / name, cube))
    days = [str(day).replace("-", "") for day in cube["time"].values.astype("datetime64[D]")]
    assert found == [*header.split(","), *days]
    assert [row[0] for row in rows] == cube["point_id"].values.tolist()
    series = np.array([[float(cell) for cell in row[-len(days) :]] for row in rows], np.float32)
    assert np.array_equal(series, cube["displacement"].values)
    column = {name: np.array([float(row[place]) for row in rows]) for place, name in enumerate(found) if 0 < place < 25}
    fits = motion(cube)
    assert not any(np.isnan(values).any() for values in column.values())
    for printed, ours, digit in [
        ("mean_velocity", "velocity", 0.1), ("mean_velocity_std", "velocity_std", 0.1), ("rmse_ts", "rmse", 0.1),
        ("acceleration", "acceleration", 0.01), ("acceleration_std", "acceleration_std", 0.01),
        ("seasonality", "seasonality", 0.1), ("seasonality_std", "seasonality_std", 0.1),
        ("easting", "easting", 0.01), ("northing", "northing", 0.01), ("height_ortho", "height", 0.1),
    ]:  # fmt: skip
        assert np.abs(column[printed] - fits[ours].values).max() <= digit / 2 + 1e-6, printed


def test_print_is_that_of_egms(tmp_path):
    _, rows = read_rows(write_egms(tmp_path / "burst.csv", scene("l2b", n_points=2000)))
    cells = [cell for row in rows for cell in row]
    assert "-0.0" in cells
    assert "" not in cells
    assert all(len(cell.split(".")[1]) == 1 for row in rows for cell in row[25:])
    # zeros at the end are cut but for the first decimal; whole numbers have no point
    assert not any(
        cell.endswith("0") and len(cell.split(".")[1]) > 1 for row in rows for cell in row[1:25] if "." in cell
    )
    assert {("." in cell) for row in rows for cell in (row[1], row[8], row[9])} == {False}
    _, cells_of_tile = read_rows(write_egms(tmp_path / "tile.csv", scene("l3u", n_points=50)))
    assert {row[1][-2:] + row[2][-2:] for row in cells_of_tile} == {"5050"}


@pytest.mark.parametrize("kind", ["l2b", "l3u"])
def test_our_reader_gives_the_scene_back(tmp_path, kind):
    from insar_dask.readers.egms import read_egms

    cube = scene(kind, n_points=1500, missing=0.01).load()
    stem = cube.attrs["source"].split()[0]
    back = read_egms(write_egms(tmp_path / f"{stem}.zip", cube)).load()
    assert np.array_equal(back["displacement"].values, cube["displacement"].values, equal_nan=True)
    assert np.array_equal(back["point_id"].values, cube["point_id"].values)
    for name in ("easting", "northing", "height", "coherence", "los_east", "incidence_angle", "line"):
        if name in cube:
            assert np.array_equal(back[name].values, cube[name].values), name
    for name in ("component", "product", "release", "reference_date", "track", "pass"):
        assert back.attrs.get(name) == cube.attrs.get(name), name


def test_a_file_of_what_was_read_is_the_file_again(tmp_path):
    from insar_dask.readers.egms import read_egms

    name = "EGMS_L3_E44N23_100km_U_2020_2024_1.zip"
    first = write_egms(tmp_path / name, scene("l3u", n_points=400))
    (tmp_path / "again").mkdir()
    again = write_egms(tmp_path / "again" / name, read_egms(first))
    # a store of tenths has no negative zero
    one, other = (
        [
            [cell.replace("-0.0", "0.0") if float(cell or 1) == 0 else cell for cell in row[1:]]
            for row in read_rows(path)[1]
        ]
        for path in (first, again)
    )
    assert one == other


def test_bytes_do_not_depend_on_chunks_threads_or_day(tmp_path, monkeypatch):
    cube = scene("l2b", n_points=1000, n_dates=20)
    first = write_egms(tmp_path / "a.zip", cube, threads=1).read_bytes()
    monkeypatch.setattr("time.time", lambda: 2e9)
    for other in (cube, cube.load(), cube.chunk(point=333)):
        assert write_egms(tmp_path / "a.zip", other, threads=3).read_bytes() == first


def test_a_zip_holds_csv_and_xml(tmp_path):
    name = "EGMS_L2b_000_0000_IW1_VV_2020_2024_1"
    with zipfile.ZipFile(write_egms(tmp_path / f"{name}.zip", scene(n_points=20))) as archive:
        assert sorted(archive.namelist()) == [f"{name}.csv", f"{name}.xml"]
        assert archive.testzip() is None
        xml = archive.read(f"{name}.xml").decode()
    assert "<track>000</track>" in xml
    assert "<burst_id>0000</burst_id>" in xml


def test_values_at_the_ends_of_int16_survive(tmp_path):
    cube = scene("l3u", n_points=4, n_dates=8).load()
    ends = np.array([-3276.7, 3276.7, -0.1, 0.0, 0.1, 100.0, -99.9, 9.9], np.float32)
    cube["displacement"][:] = ends
    _, rows = read_rows(write_egms(tmp_path / "a.csv", cube))
    assert [row[-8:] for row in rows] == [["-3276.7", "3276.7", "-0.1", "0.0", "0.1", "100.0", "-99.9", "9.9"]] * 4


def test_missing_values_are_empty_cells(tmp_path):
    cube = scene("l3u", n_points=40, n_dates=30, missing=0.3).load()
    _, rows = read_rows(write_egms(tmp_path / "a.csv", cube))
    empty = np.array([[cell == "" for cell in row[-30:]] for row in rows])
    assert np.array_equal(empty, np.isnan(cube["displacement"].values))


def test_progress_counts_points_to_the_end(tmp_path):
    seen = []
    write_egms(tmp_path / "a.csv", scene(n_points=1000, n_dates=8), progress=lambda *counts: seen.append(counts))
    assert seen[-1] == (1000, 1000)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert len(seen) == 4


def test_a_failure_leaves_no_file_and_keeps_the_old_one(tmp_path):
    path = write_egms(tmp_path / "a.csv", scene(n_points=30, n_dates=8))
    before = path.read_bytes()

    def stop(*_counts):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_egms(path, scene(n_points=30, n_dates=9), progress=stop)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_a_file_needs_a_known_ending(tmp_path):
    with pytest.raises(ValueError, match=r"\.csv or a \.zip"):
        write_egms(tmp_path / "a.parquet", scene(n_points=10, n_dates=8))


def elsewhere(cube):
    cube["crs"].attrs["epsg"] = 32633
    return cube


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda cube: cube.drop_vars("los_up"), "los_up"),
        (elsewhere, "EPSG:3035"),
        (lambda cube: cube.assign_attrs(component="up"), "egms_gnss_velocity_n"),
        (lambda cube: cube.drop_vars("crs"), "CRS"),
    ],
)
def test_a_cube_that_is_no_product_is_refused(tmp_path, spoil, message):
    with pytest.raises(CubeError, match=message):
        write_egms(tmp_path / "a.csv", spoil(scene(n_points=10, n_dates=8)))
    assert not list(tmp_path.iterdir())


def test_a_tile_off_the_grid_is_refused(tmp_path):
    cube = scene("l3u", n_points=10)
    with pytest.raises(CubeError, match="whole metres"):
        write_egms(tmp_path / "a.csv", cube.assign_coords(easting=cube["easting"] + 0.4))


def test_infinity_is_refused_by_name(tmp_path):
    cube = scene("l3u", n_points=10, n_dates=9).load()
    cube["displacement"][3, 4] = np.inf
    with pytest.raises(CubeError, match=str(cube["point_id"].values[3])):
        write_egms(tmp_path / "a.csv", cube)
    assert not list(tmp_path.iterdir())


# the peak of this process alone: ru_maxrss would start at the size of the process that started it
MEASURE = """
import sys
from insar_dask.synthetic import scene, write_egms

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

write_egms(sys.argv[2] + "/warm.csv", scene("l3u", n_points=5_000))
before = peak()
write_egms(sys.argv[2] + "/big.csv", scene("l3u", n_points=int(sys.argv[1])), threads=2)
sys.stdout.write(str((peak() - before) / 1024))
"""


@pytest.mark.slow
def test_writing_needs_memory_for_a_few_blocks_not_for_the_scene(tmp_path):
    command = [sys.executable, "-c", MEASURE, "120000", str(tmp_path)]
    grown = float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=240).stdout)
    assert grown < 0.75 * 120_000 * 304 * 4 / 2**20  # MiB; about half of it, and 0.4 at 600,000 points


def test_truth_is_metadata_that_motion_keeps():
    fits = motion(scene("l2b", n_points=50).load())
    assert isinstance(fits, xr.Dataset)
    assert {"true_velocity", "true_regime", "velocity"} <= set(fits.data_vars)
