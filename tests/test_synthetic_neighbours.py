import numpy as np
import pytest

from insar_dask.cube import check_cube, years_since
from insar_dask.synthetic import scene
from insar_dask.synthetic.neighbours import Front, Panel, Slope

TOGETHER = ["bowls", "fronts", "slopes"]
YEARS = np.linspace(0, 5, 211)
RECORDED = {
    "bowls": [[-0.8, -3.1, -2.3], [-1.8, -44.4, -38.9], [-0.3, -7.2, 4.6], [-3.6, -20.1, -38.9], [6.6, 0.8, -4.9]],
    "fronts": [
        [-0.8, -39.7, -73.3], [-0.4, -39.6, -101.8], [-0.3, -7.2, -40.7], [-3.6, -38.6, -116.9], [-15.3, -58.7, -75.1]
    ],
    "slopes": [
        [-4.9, -12.8, -17.6], [-16.2, -49.8, -55.9], [-7.2, -33.5, -48.5], [-24.1, -52.7, -71.6], [6.6, 0.8, -2.6]
    ],
}  # fmt: skip
"""Three dates of five points: the scenes that forecasts are judged on, drawn before any that reads neighbours."""


def signal(kind, n_points=3000, seed=1, **settings):
    return scene(kind, n_points=n_points, seed=seed, noise=0.0, **settings).load()


@pytest.fixture(scope="module")
def signals():
    return {kind: signal(kind) for kind in TOGETHER}


@pytest.mark.parametrize("kind", TOGETHER)
def test_neighbours_move_together(signals, kind):
    cube = signals[kind]
    moved = cube["true_regime"].values == 6
    assert cube["true_regime"].attrs["flag_meanings"].split()[6] == kind
    assert 0.4 < moved.mean() <= 1
    series = cube["displacement"].values[:, -1].astype(float)
    near = np.hypot(np.diff(cube["easting"]), np.diff(cube["northing"])) < 30
    apart = np.random.default_rng(0).permutation(len(series))
    beside = np.mean((np.diff(series)[near & moved[1:]]) ** 2)
    assert beside < 0.05 * np.mean((series - series[apart])[moved] ** 2)


@pytest.mark.parametrize("kind", TOGETHER)
def test_what_is_left_of_the_truth_is_the_noise_of_a_burst(signals, kind):
    cube = check_cube(scene(kind, n_points=3000, seed=1).load())
    burst = scene("l2b", n_points=3000, seed=1)
    left = cube["displacement"].values - signals[kind]["displacement"].values
    assert np.allclose(left.std(axis=1), cube["true_noise"], rtol=0.6)
    assert np.sqrt(np.mean(left**2)) == pytest.approx(np.sqrt(np.mean(cube["true_noise"].values ** 2)), rel=0.02)
    assert np.median(cube["true_noise"]) == pytest.approx(np.median(burst["true_noise"]), rel=0.03)


@pytest.mark.parametrize("kind", TOGETHER)
def test_true_motion_is_that_of_the_least_squares_fits(signals, kind):
    cube = signals[kind]
    t = years_since(cube["time"].values)
    turn = 2 * np.pi * t
    values = cube["displacement"].values.astype(float).T
    one, waves = np.ones_like(t), [np.cos(turn), np.sin(turn)]
    velocity = np.linalg.lstsq(np.stack([t, one, *waves], 1), values, rcond=None)[0][0]
    acceleration = np.linalg.lstsq(np.stack([t**2 / 2, t, one, *waves], 1), values, rcond=None)[0][0]
    season = np.hypot(*np.linalg.lstsq(np.stack([*waves, one, t, t**2, t**3], 1), values, rcond=None)[0][:2])
    assert np.allclose(cube["true_velocity"], velocity, atol=0.02)
    assert np.allclose(cube["true_acceleration"], acceleration, atol=0.05)
    assert np.allclose(cube["true_seasonality"], season, atol=0.03)


@pytest.mark.parametrize("kind", TOGETHER)
def test_signal_depends_on_no_block(signals, kind):
    one = signals[kind].isel(point=[1777])
    lazy = scene(kind, n_points=3000, seed=1, noise=0.0).isel(point=slice(1700, 1800)).load()
    assert lazy.isel(point=[77]).identical(one)


@pytest.mark.parametrize("kind", TOGETHER)
def test_the_scenes_are_frozen(kind):
    drawn = scene(kind, n_points=3000, seed=1)["displacement"].isel(point=slice(100, 3000, 700), time=[50, 150, -1])
    assert np.abs(drawn.values - RECORDED[kind]).max() <= 0.11  # a tenth may round the other way on another processor


def test_other_scenes_share_nothing():
    cube = scene("l2b", n_points=300)
    assert "bowls" not in cube["true_regime"].attrs["flag_meanings"]


def test_a_bowl_grows_to_its_depth_behind_the_face():
    panel = Panel(0.0, 0.0, np.pi / 2, 2000.0, 300.0, 80.0, 1.0, 2000.0, 3.0)
    places = np.array([400.0, 1000.0, 1600.0, 1000.0]), np.array([0.0, 0.0, 0.0, 500.0])
    moved = panel.displacement(*places, np.array([0.9, 2.0, 9.0]))
    assert np.array_equal(moved[:, 0], np.zeros(4))
    assert moved[0, 1] < moved[1, 1] < moved[2, 1] < 0
    assert moved[1, 2] == pytest.approx(-80, rel=0.01)  # the strips of a long panel add up to its depth
    assert moved[3, 2] == 0  # 1.7 radii beside it


def test_a_front_arrives_later_where_it_has_further_to_go():
    plane = Front(0.0, 0.0, 0.0, 800.0, 0.0, 0.5, 40.0, 1.0, 1000.0, 0.0)
    north = np.array([0.0, 800.0, 1600.0])
    assert np.allclose(plane.arrival(np.zeros(3), north), [0.5, 1.5, 2.5])
    moved = plane.displacement(np.zeros(3), north, YEARS)
    assert np.allclose([np.interp(-10, row[::-1], YEARS[::-1]) for row in moved], [0.79, 1.79, 2.79], atol=0.05)
    assert moved[0, -1] == pytest.approx(-40 * (1 - np.exp(-4.5)), rel=0.01)
    well = Front(0.0, 0.0, 0.0, 0.0, 1e5, 0.5, 40.0, 1.0, 1000.0, 0.0)
    assert np.allclose(well.arrival(np.array([0.0, 632.456]), np.zeros(2)), [0.5, 1.5])


def test_a_slope_surges_from_toe_to_top_and_runs_to_failure():
    surging = Slope(0.0, 0.0, 500.0, 300.0, 0.0, 0.0, ((2.0, 10.0, 0.02),), 2000.0, 0.0, 9.0)
    moved = surging.displacement(np.zeros(2), np.array([-250.0, 250.0]), YEARS)
    half = [YEARS[np.argmax(row < row[-1] / 2)] for row in moved]
    assert np.allclose(half, [2.125, 2.375], atol=0.03)
    failing = Slope(0.0, 0.0, 500.0, 300.0, 0.0, 0.0, (), 1e9, 4.0, 5.5)
    velocity = -np.diff(failing.displacement(np.zeros(1), np.zeros(1), YEARS)[0]) / np.diff(YEARS)
    inverse = 1 / velocity
    assert np.allclose(np.diff(inverse), -np.diff(YEARS)[0] / 5.5 / 4.0, rtol=1e-2)  # straight down to 0 at failure
