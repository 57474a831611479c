from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from insar_dask.forecast.correction.signals import REACHES, quicker, signals
from insar_dask.forecast.gaussian import PooledGaussianProcess
from insar_dask.forecast.naive import Harmonic, HarmonicAR1, harmonic_fit
from insar_dask.forecast.windows import Context

THETA = np.array([5.0, 2.0, 1.5, 0.3, 5.0, 1.5, 0.1, 0.5, 0.05, 2.0])


@pytest.fixture(scope="module")
def context():
    rng = np.random.default_rng(0)
    years = np.arange(90) * 12 / 365
    values = (rng.normal(0, 5, (60, 1)) * years[:84] + rng.normal(0, 2, (60, 84))).astype(np.float32)
    values[3] = np.nan
    places = rng.uniform(0, 600, (60, 2)) + 4e6
    return Context(values, years[:84], values, years[:84], years[84:], places=places)


def test_means_around_are_weighted_by_distance_and_noise(context):
    members = [HarmonicAR1(), PooledGaussianProcess.from_state({"theta": THETA})]
    said = signals(context, members)
    harmonic = Harmonic().predict(context)[0]
    rmse = harmonic_fit(context)[1].rmse
    for member, model in enumerate(members):
        departure = np.nan_to_num(model.predict(context)[0] - harmonic)
        np.testing.assert_allclose(said.own[:, member], departure, atol=1e-5)
        for number, reach in enumerate(REACHES):
            distance = np.hypot(*(context.places[7] - context.places).T)
            weights = np.where(np.isnan(rmse), 0, np.exp(-distance / reach) / np.maximum(np.nan_to_num(rmse), 0.1) ** 2)
            expected = (weights[:, None] * departure).sum(axis=0) / weights.sum()
            np.testing.assert_allclose(said.around[7, 2 * number + member], expected, atol=1e-4)


def test_a_point_without_history_says_nothing_and_is_told_what_lies_around(context):
    said = signals(context, [PooledGaussianProcess.from_state({"theta": THETA})])
    assert np.isnan(said.forecasts[3]).all()
    assert (said.own[3] == 0).all()
    assert np.abs(said.around[3]).max() > 0


def test_threads_change_no_bit() -> None:
    rng = np.random.default_rng(1)
    years, values = np.arange(90) * 12 / 365, rng.normal(0, 2, (777, 84)).astype(np.float32)
    places = rng.uniform(0, 600, (777, 2))
    context = Context(values, years[:84], values, years[:84], years[84:], places=places)
    said = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            said.append(signals(context, [PooledGaussianProcess.from_state({"theta": THETA})]).around)
    np.testing.assert_array_equal(*said)


def test_a_quicker_process_follows_a_series_more_closely(context):
    process = PooledGaussianProcess.from_state({"theta": THETA})
    bent = replace(context, values=context.values + 20 * np.maximum(context.years - 2.5, 0).astype(np.float32), memo={})
    slow, fast = (np.nanmean(m.predict(bent)[0] - m.predict(context)[0]) for m in (process, quicker(process, 0.2)))
    assert fast > slow + 0.5
    assert process.theta_[-1] == 2.0


def test_points_without_places_are_refused(context):
    with pytest.raises(ValueError, match="have no places"):
        signals(replace(context, places=None), [PooledGaussianProcess.from_state({"theta": THETA})])
    with pytest.raises(ValueError, match="Gaussian process has to be among"):
        signals(context, [HarmonicAR1()])
