import numpy as np
import pytest

from insar_dask.forecast.correction.footing import Footing, fit_footing
from insar_dask.forecast.correction.signals import Signals


def windows(rng, spreads, n=4000, share=0.0):
    """Forecasters whose errors have these standard deviations and ``share`` of the first one's in common."""
    truth = rng.normal(0, 10, (n, 2)).astype(np.float32)
    errors = rng.normal(size=(len(spreads), n, 2)) * np.array(spreads)[:, None, None]
    errors[1:] += share * errors[0]
    forecasts = np.stack([truth + error for error in errors], axis=1).astype(np.float32)
    harmonic, nothing = truth * 0, np.zeros((n, 0, 2), np.float32)
    return Signals(harmonic, forecasts, harmonic, nothing, nothing), truth


def test_weights_are_those_of_least_variance():
    footing = fit_footing([windows(np.random.default_rng(0), (1.0, 2.0))], 2)
    np.testing.assert_allclose(footing.weights, [[0.8, 0.8], [0.2, 0.2]], atol=0.03)
    assert footing.scale == pytest.approx(np.sqrt(0.64 + 0.16), rel=0.03)


def test_a_forecaster_that_only_adds_noise_to_another_gets_no_weight():
    footing = fit_footing([windows(np.random.default_rng(1), (1.0, 1.0, 0.5), share=1.0)], 2)
    assert (footing.weights[1] < 0.03).all()
    np.testing.assert_allclose(footing.weights.sum(axis=0), 1.0)


def test_the_forecast_is_never_worse_than_its_best_part_on_what_it_was_fitted_to():
    said, truth = windows(np.random.default_rng(2), (1.0, 1.5))
    mixed = fit_footing([(said, truth)], 2).forecast(said)
    errors = [np.sqrt(((forecast - truth) ** 2).mean()) for forecast in (mixed, *said.forecasts.transpose(1, 0, 2))]
    assert errors[0] < min(errors[1:])


def test_where_one_forecaster_is_silent_the_others_speak():
    said, _ = windows(np.random.default_rng(3), (1.0, 2.0))
    forecasts = said.forecasts.copy()
    forecasts[0, 0], forecasts[1] = np.nan, np.nan
    gappy = Signals(said.harmonic, forecasts, said.deviation, said.own, said.around)
    mixed = Footing(np.array([[1.0, 0.8], [0.0, 0.2]]), 1.0).forecast(gappy)
    np.testing.assert_allclose(mixed[0], forecasts[0, 1])
    assert np.isnan(mixed[1]).all()
    assert np.isfinite(mixed[2:]).all()


def test_one_forecaster_among_others_is_the_footing_until_it_is_silent():
    said, truth = windows(np.random.default_rng(5), (1.0, 0.5))
    alone = fit_footing([(said, truth)], 1).among(2)
    np.testing.assert_array_equal(alone.weights, [[1.0, 1.0], [0.0, 0.0]])
    np.testing.assert_array_equal(alone.forecast(said), said.forecasts[:, 0])
    forecasts = said.forecasts.copy()
    forecasts[0, 0] = np.nan
    gappy = Signals(said.harmonic, forecasts, said.deviation, said.own, said.around)
    np.testing.assert_array_equal(alone.forecast(gappy)[0], forecasts[0, 1])


def test_its_state_rebuilds_it():
    footing = fit_footing([windows(np.random.default_rng(4), (1.0, 2.0))], 2)
    again = Footing.from_state(footing.state())
    assert again.scale == footing.scale
    np.testing.assert_array_equal(again.weights, footing.weights)
