import numpy as np

from insar_dask.forecast.schedule import plan
from insar_dask.forecast.strata import STRATA, stratify
from insar_dask.forecast.windows import HonestWindows
from tests.forecast.test_naive import STEP, context


def ground(velocity=0.0, season=0.0, acceleration=0.0, n=200, seed=0):
    t = STEP * np.arange(150)
    noise = np.random.default_rng(seed).normal(0, 1.5, (n, 150))
    return velocity * t + season * np.cos(2 * np.pi * t) + acceleration * t**2 / 2 + noise


def share(values, name):
    return (stratify(context(values)) == STRATA.index(name)).mean()


def test_each_kind_of_motion_gets_its_name():
    assert share(ground(), "stable") > 0.95
    assert share(ground(season=6), "seasonal") > 0.95
    assert share(ground(velocity=8, season=6), "trending") > 0.95
    assert share(ground(velocity=8, season=6, acceleration=6), "accelerating") > 0.95


def test_persistent_noise_is_not_taken_for_motion():
    rng = np.random.default_rng(1)
    walk = np.zeros((300, 150))
    for k in range(1, 150):
        walk[:, k] = 0.8 * walk[:, k - 1] + rng.normal(0, 1.2, 300)
    assert share(walk, "stable") > 0.9


def test_a_point_without_values_has_no_kind():
    assert stratify(context(np.full((2, 150), np.nan))).tolist() == [-1, -1]


def test_kinds_are_told_from_the_history_alone(burst):
    schedule, values = plan(burst["time"].values), burst["displacement"].values
    origin = schedule.test[0]
    changed = values.copy()
    changed[:, np.asarray(schedule.days) >= schedule.date(origin)] = 1e4
    ours, other = (stratify(HonestWindows(v, schedule).context(origin)) for v in (values, changed))
    np.testing.assert_array_equal(ours, other)
    assert len(set(ours.tolist())) >= 4
