import numpy as np
import pytest

from insar_kernels.holt_winters_gaps import concentrate_gappy, initial_states
from insar_kernels.holt_winters_innovations import concentrate, first_innovations
from insar_kernels.holt_winters_table import tabulate

CASES = [(2, 5), (2, 30), (5, 40), (12, 60), (30, 166)]


def some_gains(n, seed=0):
    rng = np.random.default_rng(seed)
    alpha, h, k = rng.random((3, n))
    alpha[:3], h[:3], k[:3] = [0, 1, 0.3], [0.5, 1, 0], [1, 0.5, 0]
    return np.stack([alpha, h * alpha**2, k * (1 - alpha)], axis=1)


def differences_of(y, period):
    padded = np.concatenate([np.zeros((len(y), period + 1)), y], axis=1)
    yearly = padded[:, period:] - padded[:, :-period]
    return yearly[:, 1:] - yearly[:, :-1]


def innovations(y, valid, gains, states):
    """From level zero; as the textbook has it."""
    (a, c, g), level, slope, season = gains, 0.0, states[0], states[1:].copy()
    e = np.zeros(len(y))
    for t in range(len(y)):
        phase = t % len(season)
        if valid[t]:
            e[t] = y[t] - level - slope - season[phase]
        level, slope = level + slope + a * e[t], slope + c * e[t]
        season[phase] += g * e[t]
    return e


def dense(y, gains, period):
    """Best initial states, their innovations, and the fit by differences of whole solutions, all in float64."""
    valid = np.isfinite(y)
    y = np.where(valid, y, 0.0)

    def system(at):
        columns = [innovations(0 * y, valid, at, state) for state in np.eye(period + 1)]
        return np.array(columns).T, innovations(y, valid, at, np.zeros(period + 1))

    columns, start = system(gains)
    states = np.linalg.lstsq(columns, -start, rcond=None)[0]
    e, basis = start + columns @ states, np.linalg.qr(columns)[0]
    changes = np.empty((len(y), 3))
    for p in range(3):
        step = np.eye(3)[p] * 1e-5
        (high, first), (low, last) = system(gains + step), system(gains - step)
        changes[:, p] = (first + high @ states - last - low @ states) / 2e-5
    across = changes - basis @ (basis.T @ changes)
    fit = np.concatenate([[e @ e], changes.T @ e, (across.T @ across)[np.triu_indices(3)]])
    return states, e, fit


def assert_fits_agree(fits, exact):
    np.testing.assert_allclose(fits[:, 0], exact[:, 0], rtol=2e-5)
    for columns in (slice(1, 4), slice(4, 10)):
        error = abs(fits[:, columns] - exact[:, columns]).max(1) / abs(exact[:, columns]).max(1)
        assert error.max() < 2e-3


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(("period", "length"), CASES)
def test_fit_of_a_complete_series_is_that_of_dense_algebra(period, length, compiled):
    y, gains = np.random.default_rng(1).normal(size=(4, length)), some_gains(19)
    index = np.arange(19) % 4
    exact = np.array([dense(y[i], gain, period)[2] for i, gain in zip(index, gains, strict=True)])
    inputs = differences_of(y, period).astype(np.float32)
    assert_fits_agree(concentrate(np, inputs, index, gains.astype(np.float32), period, compiled), exact)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(("period", "length"), CASES[1:])
def test_fit_of_a_gappy_series_is_that_of_dense_algebra(period, length, compiled):
    rng = np.random.default_rng(2)
    y, gains, index = rng.normal(size=(4, length)).astype(np.float32), some_gains(19), np.arange(19) % 4
    y[:, period:][rng.random((4, length - period)) < 0.2] = np.nan
    y[1, :2], y[2, -3:] = np.nan, np.nan
    solved = [dense(y[i].astype(np.float64), gain, period) for i, gain in zip(index, gains, strict=True)]
    fits = concentrate_gappy(np, y, index, gains.astype(np.float32), period, compiled)
    assert_fits_agree(fits, np.array([fit for _, _, fit in solved]))
    if period > 2:
        states = initial_states(np, y[index], gains.astype(np.float32), period, compiled)
        np.testing.assert_allclose(states, [states for states, _, _ in solved], atol=0.02)


@pytest.mark.parametrize("compiled", [True, False])
def test_first_innovations_are_those_of_the_best_states(compiled):
    y, gains = np.random.default_rng(3).normal(size=(9, 60)), some_gains(9)
    exact = [dense(one, gain, 12)[1][:13] for one, gain in zip(y, gains, strict=True)]
    inputs = differences_of(y, 12).astype(np.float32)
    e = first_innovations(np, inputs, gains.astype(np.float32), 12, compiled)
    np.testing.assert_allclose(e, exact, atol=2e-3)


@pytest.mark.parametrize("compiled", [True, False])
def test_table_holds_the_squares_of_each_node(compiled):
    y, gains = np.random.default_rng(4).normal(size=(37, 60)), some_gains(21)[2:].astype(np.float32)
    inputs = differences_of(y - y.mean(1, keepdims=True), 12).astype(np.float32)
    table = tabulate(np, inputs, gains, 12, compiled)
    for node, gain in enumerate(gains):
        fits = concentrate(np, inputs, np.arange(37), np.tile(gain, (37, 1)), 12, True)
        np.testing.assert_allclose(table[:, node], fits[:, 0], rtol=1e-3)
