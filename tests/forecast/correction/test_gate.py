import numpy as np
import pytest

from insar_dask.forecast.correction.gate import fit_gate, products

RUNS = [0, 0, 1, 1, 2, 2, 3, 3]


def gains(rng, gain, n=100, places=6):
    """Gains (places, dates, 2) of a correction that is ``gain`` times too small, all drawn anew at place and date."""
    out = []
    for date_gain in np.broadcast_to(gain, len(RUNS)):
        for _ in range(places):
            correction = rng.normal(size=(n, 3)).astype(np.float32)
            out.append(products(correction, date_gain * correction + rng.normal(size=(n, 3))))
    return np.array(out).reshape(len(RUNS), places, 2).swapaxes(0, 1)


def test_a_correction_that_is_right_is_believed_and_one_too_large_is_halved():
    rng = np.random.default_rng(0)
    assert fit_gate(gains(rng, 1.3), RUNS) == 1.0
    assert fit_gate(gains(rng, 0.5), RUNS) == pytest.approx(0.5, abs=0.05)


def test_a_correction_that_is_wrong_is_not_believed():
    assert fit_gate(gains(np.random.default_rng(1), -0.5), RUNS) == 0


def test_a_correction_that_helps_at_some_dates_and_harms_at_others_vanishes():
    by_date = np.repeat([1.2, -0.7, 0.6, -0.6], 2)
    assert fit_gate(gains(np.random.default_rng(2), by_date), RUNS) == 0


def test_a_correction_that_helps_at_one_place_alone_vanishes():
    one, others = gains(np.random.default_rng(3), 2.0, places=1), gains(np.random.default_rng(4), -0.2, places=5)
    assert fit_gate(np.concatenate([one, others]), RUNS) == 0


def test_a_correction_of_no_use_costs_next_to_nothing():
    rng = np.random.default_rng(5)
    believed = np.array([fit_gate(gains(rng, 0.0), RUNS) for _ in range(100)])
    assert (believed > 0).mean() < 0.25
    # what it adds to the squared error, in units of what the correction would add ungated
    assert (believed**2).mean() < 0.001


def test_dates_of_one_run_prove_nothing():
    assert fit_gate(gains(np.random.default_rng(6), 1.0), [0] * len(RUNS)) == 0


def test_missing_values_do_not_count():
    correction = np.array([[1.0, 2.0], [3.0, np.nan]], np.float32)
    error = np.array([[np.nan, 1.0], [2.0, 5.0]], np.float32)
    np.testing.assert_array_equal(products(correction, error), [8.0, 13.0])


def test_the_variance_is_that_of_both_jackknives():
    sums = gains(np.random.default_rng(7), 0.6, n=20)
    c_e, c_c = sums[:, :, 0], sums[:, :, 1]
    factor = c_e.sum() / c_c.sum()
    by_place = [np.delete(c_e, at, 0).sum() / np.delete(c_c, at, 0).sum() for at in range(len(sums))]
    kept = [np.not_equal(RUNS, run) for run in range(4)]
    by_run = [c_e[:, some].sum() / c_c[:, some].sum() for some in kept]
    variance = sum((len(f) - 1) * np.var(f) for f in (by_place, by_run))
    assert fit_gate(sums, RUNS) == pytest.approx(factor * (1 - variance / factor**2))
