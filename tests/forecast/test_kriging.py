"""Kriging of groups: against dense textbook solves, and on groups drawn from a known covariance."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from threadpoolctl import threadpool_limits

from insar_dask.cube import CubeError
from insar_dask.forecast import Forecaster
from insar_dask.forecast import joint_covariance as temporal
from insar_dask.forecast.gaussian import PooledGaussianProcess
from insar_dask.forecast.group_likelihood import SIZES, likelihood, maximise
from insar_dask.forecast.kriging import MOST_FILLED, Kriging
from insar_dask.forecast.neighbourhood import Seats, modes, roughness
from insar_dask.forecast.tallies import block_places, windows_of
from insar_dask.forecast.timetable import TooShortError
from insar_dask.forecast.windows import Context
from insar_dask.synthetic import scene

#                  slope walk annual semi damping fast time smooth time white glide
SHARED = np.array([6.0, 2.0, 1.0, 0.3, 8.0, 0.3, 0.1, 0.8, 0.3, 0.4, 6.0])
OWN = np.array([0.5, 0.4, 0.6, 0.2, 8.0, 1.5, 0.1, 0.8, 0.04, 1.6, 1.0, 0.15, 0.5, 0.05, 2.0])
SPACE = np.array([300.0, 0.4, 40.0])
N_HISTORY, HORIZON, SPLIT = 60, 4, 1.1
ALL_YEARS = np.sort(np.random.default_rng(7).choice(90, N_HISTORY + HORIZON, replace=False)) * 12 / 365
YEARS, TARGETS = ALL_YEARS[:N_HISTORY], ALL_YEARS[N_HISTORY:]


YEAR = np.timedelta64(365, "D")


def context(values, places, years=YEARS, targets=TARGETS):
    values = np.asarray(values, np.float32)
    return Context(values, years, values[:, :0], years[:0], targets, places=places)


def known(seats=32, space=SPACE, shared=SHARED):
    scalars = np.array([SPLIT, USUAL, seats])
    return Kriging.from_state({"shared": shared, "own": OWN, "space": space, "scalars": scalars})


def kriging_forecaster(record, split):
    """A Forecaster fitted on a record whose Kriging has known parameters, and other noise before date ``split``."""
    model = Forecaster("harmonic").fit(record, progress=lambda _: None)
    day = 0.0 if split is None else (record["time"].values[split] - record["time"].values[0]) / YEAR
    known_state = known().state() | {"scalars": np.array([day, USUAL, 32])}
    model.state_ |= {f"honest.future.kriging.{name}": array for name, array in known_state.items()}
    model.state_ |= {"honest.kriging.quantiles": model.state_["honest.harmonic.quantiles"]}
    model.state_ |= {"ranking": np.array(["kriging"])}
    return model


def in_space(places, noise):
    """Covariance of shared motion and of own noise between points, written out."""
    reach, share, extent = SPACE
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    correlation = np.where(np.eye(len(places)) > 0, 1.0, share * np.exp(-distance / extent))
    return np.exp(-distance / reach), correlation * np.outer(noise, noise)


def joint(places, noise, size=1.0, years=ALL_YEARS, split=SPLIT):
    """Covariance of all points at all dates, points by points."""
    motion, own = in_space(places, noise)
    in_time = temporal.shared_with_gradient(SHARED, years)[0], temporal.own_with_gradient(OWN, split, years)[0]
    return size * np.kron(motion, in_time[0]) + np.kron(own, in_time[1])


def draw(n_groups, n_points, seed, size=1.0):
    """Groups far from each other: values (G L, T + h), places, noise."""
    rng = np.random.default_rng(seed)
    values, places, noises = [], [], []
    for group in range(n_groups):
        place = rng.uniform(0, 150, (n_points, 2))
        noise = rng.uniform(0.6, 1.6, n_points)
        factor = np.linalg.cholesky(joint(place, noise, size))
        values.append((factor @ rng.normal(size=len(factor))).reshape(n_points, -1))
        places.append(place + np.array([group * 5000.0, 0.0]))
        noises.append(noise)
    return np.concatenate(values).astype(np.float32), np.concatenate(places), np.concatenate(noises)


def _usual():
    values, _, noise = draw(10, 8, 99)
    return float(np.median(roughness(values[:, :N_HISTORY], YEARS) / noise))


USUAL = _usual()
"""What `roughness` makes of a point whose noise is 1."""


def test_forecast_agrees_with_a_dense_solve_of_the_whole_group():
    values, places, _ = draw(1, 6, 0)
    mean, std = known().predict(context(values[:, :N_HISTORY], places))
    noise = roughness(values[:, :N_HISTORY], YEARS) / USUAL
    seen = np.tile(np.arange(len(ALL_YEARS)) < N_HISTORY, 6)
    history = values[:, :N_HISTORY].ravel().astype(np.float64)
    logs, means, variances = [], [], []
    for size in SIZES:
        whole = joint(places, noise, size)
        cross = whole[~seen][:, seen]
        logs.append(multivariate_normal.logpdf(history, cov=whole[seen][:, seen]))
        means.append(cross @ np.linalg.solve(whole[seen][:, seen], history))
        variances.append(np.diag(whole[~seen][:, ~seen] - cross @ np.linalg.solve(whole[seen][:, seen], cross.T)))
    weights = np.exp(np.array(logs) - max(logs))
    weights /= weights.sum()
    np.testing.assert_allclose(mean.ravel(), weights @ means, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(std.ravel(), np.sqrt(weights @ variances), rtol=1e-4)


def test_likelihood_and_gradient_agree_with_dense_ones():
    values, places, noise = draw(2, 4, 1)
    years, values = ALL_YEARS[:20], values[:, :20].reshape(2, 4, 20).astype(np.float64)
    present = np.ones((2, 4), bool)
    present[1, 3] = False
    values[1, 3] = 0.0
    seats = Seats(places.reshape(2, 4, 2), noise.reshape(2, 4), present)
    split = years[11]
    parameters = np.concatenate([SHARED, OWN, SPACE])
    value, gradient = likelihood(parameters, values, seats, years, split)
    dense = 0.0
    for group in range(2):
        there = present[group]
        each = [
            multivariate_normal.logpdf(
                values[group][there].ravel(),
                cov=joint(seats.places[group][there], seats.noise[group][there], size, years, split),
            )
            for size in SIZES
        ]
        dense += np.log(np.mean(np.exp(np.array(each) - max(each)))) + max(each)
    assert value - 0.5 * present.sum() * 20 * np.log(2 * np.pi) == pytest.approx(dense, rel=1e-9)
    for k in range(len(parameters)):
        change = np.where(np.arange(len(parameters)) == k, 1e-5, 0.0)
        ahead, behind = (
            likelihood(parameters * np.exp(sign * change), values, seats, years, split)[0] for sign in (1, -1)
        )
        assert gradient[k] == pytest.approx((ahead - behind) / 2e-5, rel=1e-3, abs=2e-2)


def test_of_two_searches_the_one_with_the_higher_likelihood_is_taken(monkeypatch):
    values, places, noise = draw(2, 4, seed=5)
    rows = values[:, :N_HISTORY].reshape(2, 4, N_HISTORY)
    seats = Seats(places.reshape(2, 4, 2), noise.reshape(2, 4), np.ones((2, 4), bool))

    def found():
        return likelihood(maximise(rows, seats, YEARS, SPLIT), rows, seats, YEARS, SPLIT)[0]

    both, alone = found(), []
    for guess in (temporal.GUESS, temporal.BENDING):
        with monkeypatch.context() as patch:
            patch.setattr(temporal, "GUESS", guess)
            patch.setattr(temporal, "BENDING", guess)
            alone.append(found())
    assert both == max(alone)


def test_modes_are_independent_and_invertible():
    _, places, noise = draw(3, 5, 2)
    present = np.arange(15).reshape(3, 5) != 14
    seats = Seats(places.reshape(3, 5, 2), noise.reshape(3, 5), present)
    space = modes(seats, SPACE)
    motion, own = in_space(seats.places[0], seats.noise[0])
    into = space.into[0]
    np.testing.assert_allclose(into @ own @ into.T, np.eye(5), atol=1e-9)
    np.testing.assert_allclose(into @ motion @ into.T, np.diag(space.strength[0]), atol=1e-9)
    np.testing.assert_allclose(space.into @ space.back, np.broadcast_to(np.eye(5), (3, 5, 5)), atol=1e-9)


def test_early_noise_says_nothing_of_late_noise():
    matrix, gradient = temporal.own_with_gradient(OWN, SPLIT, YEARS)
    assert np.linalg.eigvalsh(matrix).min() > 0
    quiet = OWN.copy()
    quiet[[5, 7, 9, 10, 12, 14]] = 1e-9
    noise = matrix - temporal.own_with_gradient(quiet, SPLIT, YEARS)[0]
    early = YEARS < SPLIT
    np.testing.assert_allclose(noise[np.ix_(early, ~early)], 0.0, atol=1e-9)
    assert noise[early][:, early].diagonal() == pytest.approx(1.0 + 0.25 + 4.0)
    assert noise[~early][:, ~early].diagonal() == pytest.approx(1.5**2 + 0.8**2 + 1.6**2)
    both = temporal.observed(SHARED, OWN, SPLIT, YEARS)
    np.testing.assert_allclose(both[0], temporal.shared_with_gradient(SHARED, YEARS)[0], atol=1e-9)
    np.testing.assert_allclose(both[1], matrix)
    assert len(gradient) == len(temporal.OWN)


def test_roughness_is_the_noise_whatever_the_motion():
    rng = np.random.default_rng(3)
    noise = np.array([0.5, 2.0, 6.0])
    moving = -80 * YEARS + 5 * YEARS**2
    values = np.repeat(moving + rng.normal(0, np.repeat(noise, 200)[:, None], (600, N_HISTORY)), 1, 0)
    found = roughness(values.astype(np.float32), YEARS).reshape(3, 200)
    np.testing.assert_allclose(np.sqrt((found**2).mean(axis=1)), noise, rtol=0.04)
    values[0, 3:] = np.nan
    assert np.isnan(roughness(values.astype(np.float32), YEARS)[0])


def test_neighbours_tell_of_what_they_share():
    values, places, _ = draw(40, 12, 4)
    history, future = context(values[:, :N_HISTORY], places), values[:, N_HISTORY:]
    alone, together = (np.mean((known(seats).predict(history)[0] - future) ** 2) for seats in (1, 32))
    assert together < 0.96 * alone
    mean, std = known().predict(history)
    assert 0.88 <= np.mean(np.abs(mean - future) < 1.6448536 * std) <= 0.93


def test_learned_parameters_forecast_nearly_as_well_as_the_true_ones():
    values, places, _ = draw(40, 12, 5)
    history, future = context(values[:, :N_HISTORY], places), values[:, N_HISTORY:]
    model, pooled = Kriging(sample=30), PooledGaussianProcess(sample=200)
    for method in (model, pooled):
        method.fit([method.partial(history)], history)
    learned, true, single = (np.sqrt(np.mean((m.predict(history)[0] - future) ** 2)) for m in (model, known(), pooled))
    assert learned < 1.03 * true
    assert learned < 0.97 * single
    mean, std = model.predict(history)
    assert 0.86 <= np.mean(np.abs(future - mean) < 1.6448536 * std) <= 0.94


def test_quiet_groups_are_not_moved_by_restless_ones():
    quiet, places, _ = draw(20, 8, 6, size=1 / 64)
    history = context(quiet[:, :N_HISTORY], places)
    with_sizes = known().predict(history)[0]
    restless = known(shared=SHARED * np.where(np.isin(np.arange(11), [4, 6, 8]), 1.0, 8.0)).predict(history)[0]
    future = quiet[:, N_HISTORY:]
    usual = np.mean((with_sizes - future) ** 2)
    assert np.mean((restless - future) ** 2) < 1.25 * usual


def test_gaps_are_filled_and_a_point_that_lacks_most_dates_is_by_itself():
    values, places, _ = draw(1, 6, 7)
    history = values[:, :N_HISTORY].copy()
    history[1, [4, 30, N_HISTORY - 1]] = np.nan
    history[2, : N_HISTORY // 2] = np.nan
    history[3] = np.nan
    mean, std = known().predict(context(history, places))
    assert np.isnan(mean[3]).all() and np.isnan(std[3]).all()
    assert np.isfinite(mean[[0, 1, 2, 4, 5]]).all() and (std[[0, 1, 2, 4, 5]] > 0).all()
    complete = known().predict(context(values[:, :N_HISTORY], places))[0]
    assert np.abs(mean[1] - complete[1]).max() < 3 * std[1].max()
    seen = np.isfinite(history[2])
    observed = joint(np.zeros((1, 2)), np.ones(1))
    row = np.append(seen, np.zeros(HORIZON, bool))
    expected = observed[N_HISTORY:, row] @ np.linalg.solve(observed[np.ix_(row, row)], history[2][seen].astype(float))
    np.testing.assert_allclose(mean[2], expected, rtol=1e-4, atol=1e-3)
    others = known().predict(context(np.delete(history, [2, 3], 0), np.delete(places, [2, 3], 0)))[0]
    np.testing.assert_allclose(mean[[0, 1, 4, 5]], others, atol=1e-4)


def test_gaps_of_a_sample_do_not_count_as_quiet_dates(monkeypatch):
    """Where they are filled on a line there is no noise."""
    monkeypatch.setattr("insar_dask.forecast.kriging.maximise", lambda *_: np.concatenate([SHARED, OWN, SPACE]))
    complete = draw(8, 16, 9)[0][:, :N_HISTORY].astype(np.float32)
    places = draw(8, 16, 9)[1]
    gappy = np.where(np.random.default_rng(0).random(complete.shape) < 0.15, np.float32(np.nan), complete)
    whole, lacking = (
        Kriging(sample=8).fit([Kriging(sample=8).partial(one)], one).reference_
        for one in (context(complete, places), context(gappy, places))
    )
    assert lacking == pytest.approx(whole, rel=0.05)


def test_a_date_missing_everywhere_is_a_date_that_never_was():
    values, places, _ = draw(2, 5, 8)
    blank = values[:, :N_HISTORY].copy()
    blank[:, 40] = np.nan
    without = context(np.delete(blank, 40, axis=1), places, np.delete(YEARS, 40))
    for ours, expected in zip(known().predict(context(blank, places)), known().predict(without), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_a_group_depends_on_no_other_group_and_on_no_number_of_threads():
    values, places, _ = draw(3, 8, 9)
    history = values[:, :N_HISTORY]
    whole = known().predict(context(history, places))
    part = known().predict(context(history[8:16], places[8:16]))
    with threadpool_limits(2):
        threads = known().predict(context(history, places))
    for first, second, third in zip(whole, part, threads, strict=True):
        np.testing.assert_array_equal(first[8:16], second)
        np.testing.assert_array_equal(first, third)


def test_samples_of_blocks_merge_into_that_of_the_whole():
    values, places, _ = draw(12, 16, 10)
    history = values[:, :N_HISTORY]
    model = Kriging(sample=5)
    whole = model.partial(context(history, places))
    parts = [model.partial(context(history[at : at + 64], places[at : at + 64])) for at in (0, 64, 128)]
    merged = model.merge(model.merge(parts[0], parts[1]), parts[2])
    for name, array in whole.items():
        np.testing.assert_array_equal(merged[name], array)
    long = np.random.default_rng(0).normal(size=(1600, 304))
    large = Kriging().partial(context(long, np.arange(3200.0).reshape(1600, 2), np.arange(304) * 6 / 365))
    assert sum(array.nbytes for array in large.values()) < 1e6


def test_a_state_makes_an_equal_forecaster():
    values, places, _ = draw(2, 5, 11)
    history = context(values[:, :N_HISTORY], places)
    model = Kriging(seats=4, sample=2)
    model.fit([model.partial(history)], history)
    again = Kriging.from_state(model.state())
    assert again.seats == 4
    for ours, theirs in zip(model.predict(history), again.predict(history), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("learned", "split", "first"),
    [
        (0, 90, 0),
        (0, 90, 60),
        (0, 90, 110),  # after the split: noise of one kind
        (50, 40, 0),
        (50, None, 0),  # learned from a record too short for two kinds of noise
        (50, None, 70),
    ],
)
def test_noise_changes_on_its_day_in_a_record_with_another_first_date(learned, split, first):
    whole = scene("chumar", n_points=12).load()
    model = kriging_forecaster(whole.isel(time=slice(learned, None)), split)
    record, kriging = whole.isel(time=slice(first, None)), known()
    times = whole["time"].values
    kriging.split_ = -1.0 if split is None else (times[learned + split] - times[first]) / YEAR
    plan = model.plan_to_predict(record)
    windows = windows_of(record["displacement"].values, plan, "honest", block_places(record))
    forecast = model.predict(record)["displacement"].values[0]
    np.testing.assert_array_equal(forecast, kriging.predict(windows.context(plan.future))[0])


def test_one_point_is_a_group_and_none_is_no_error():
    values, places, _ = draw(1, 1, 12)
    mean, std = known().predict(context(values[:, :N_HISTORY], places))
    assert mean.shape == (1, HORIZON) and np.isfinite(mean).all() and np.isfinite(std).all()
    assert known().predict(context(values[:0, :N_HISTORY], places[:0]))[0].shape == (0, HORIZON)


def test_what_cannot_be_learned_from_is_an_error_with_the_cure():
    values, places, _ = draw(1, 4, 13)
    sparse = values[:, :N_HISTORY].copy()
    sparse[:, : int(2 * MOST_FILLED * N_HISTORY)] = np.nan
    model = Kriging()
    with pytest.raises(
        TooShortError,
        match=r"no point has 80% of the 60 dates.*kriging is fitted on, which",
    ):
        model.fit([model.partial(context(sparse, places))], context(sparse, places))
    with pytest.raises(CubeError, match="easting and northing"):
        known().predict(context(values[:, :N_HISTORY], None))
