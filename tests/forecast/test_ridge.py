import numpy as np
import pytest
from sklearn.linear_model import Ridge

from insar_dask.forecast.naive import Harmonic, harmonic_design
from insar_dask.forecast.ridge import HarmonicRidge
from tests.forecast.test_naive import STEP, context, noisy


def training_windows(values, steps, width, horizon):
    """Residuals around earlier origins, fitted point by point with lstsq."""
    years = STEP * np.arange(values.shape[1])
    windows = []
    for step in steps:
        for row in values:
            valid = np.isfinite(row[:step])
            fit = np.linalg.lstsq(harmonic_design(years[:step][valid]), row[:step][valid].astype(float), rcond=None)[0]
            around = slice(step - width, step + horizon)
            windows.append(np.nan_to_num(row[around] - harmonic_design(years[around]) @ fit))
    return np.array(windows)


def model(**settings):
    return HarmonicRidge(context=24, train_start=61, train_stride=5, **settings)


def test_weights_agree_with_scikit_learn_on_the_errors_at_earlier_origins():
    values = noisy(25, 120, gaps=0.1)
    ours = model().fit([model().partial(context(values))], context(values[:0]))
    steps = list(model().training_steps(context(values)))
    windows = training_windows(values, steps, 24, 6)
    x, y = windows[:, :24], windows[:, 24:]
    alpha = 0.05 * (x**2).sum() / 24
    expected = Ridge(alpha=alpha, fit_intercept=False).fit(x, y).coef_.T
    np.testing.assert_allclose(ours.weights_, expected, atol=1e-6)


def test_training_targets_lie_before_the_origin():
    given_ = context(noisy(3, 120))
    steps = model().training_steps(given_)
    assert max(steps) + 6 == 120 and min(steps) >= 61


def test_forecast_is_the_harmonic_plus_the_weighted_residuals():
    values = noisy(gaps=0.2)
    given_ = context(values)
    fitted = model().fit([model().partial(given_)], context(values[:0]))
    years = STEP * np.arange(120)
    for i in range(5):
        valid = np.isfinite(values[i])
        fit = np.linalg.lstsq(harmonic_design(years[valid]), values[i][valid].astype(float), rcond=None)[0]
        tail = np.nan_to_num(values[i] - harmonic_design(years) @ fit)[-24:]
        expected = harmonic_design(given_.target_years) @ fit + tail @ fitted.weights_
        np.testing.assert_allclose(fitted.predict(given_)[0][i], expected, atol=2e-3)


def test_it_beats_the_harmonic_on_persistent_noise():
    values = noisy(400, 126, gaps=0.05)
    given_ = context(values[:, :120])
    fitted = model().fit([model().partial(given_)], given_)
    errors = [np.sqrt(np.nanmean((m.predict(given_)[0] - values[:, 120:]) ** 2)) for m in (Harmonic(), fitted)]
    assert errors[1] < 0.95 * errors[0]  # in theory 0.92: 0.7^2k of the variance is known at lead k


def test_partials_of_shards_add_up_to_that_of_the_whole():
    values = noisy(100)
    parts = [model().partial(context(values[rows])) for rows in (slice(37), slice(37, 64), slice(64, None))]
    together = model().fit(parts, context(values[:0]))
    alone = model().fit([model().partial(context(values))], context(values[:0]))
    np.testing.assert_allclose(together.weights_, alone.weights_, rtol=1e-9, atol=1e-12)


def test_points_without_values_teach_nothing():
    values = noisy(20)
    padded = np.concatenate([values, np.full((5, 120), np.nan, np.float32)])
    ours, other = (model().partial(context(v)) for v in (values, padded))
    for name in ours:
        np.testing.assert_allclose(ours[name], other[name])


def test_quiet_ground_is_forecast_quiet():
    values = np.full((4, 120), np.nan, np.float32)
    fitted = model().fit([model().partial(context(values))], context(values[:0]))
    assert (fitted.weights_ == 0).all()


def test_state_travels():
    values = noisy()
    fitted = model().fit([model().partial(context(values))], context(values[:0]))
    again = HarmonicRidge.from_state(fitted.state())
    np.testing.assert_array_equal(again.predict(context(values))[0], fitted.predict(context(values))[0])


def test_a_history_without_a_training_origin_says_how_long_it_must_be():
    values = noisy(3, 66)
    with pytest.raises(ValueError, match="66 steps has no training origin for the ridge: it needs 67"):
        model().fit([model().partial(context(values))], context(values[:0]))
