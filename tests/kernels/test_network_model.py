"""The oracle is generalised least squares with the whole covariance of the pairs, made and inverted."""

import numpy as np
import pytest

from insar_kernels.network_model import fit_network_model

DAYS = 12.0 * np.delete(np.arange(34), [7, 8, 21, 30])
YEARS = DAYS / 365.25
MODEL = np.stack([YEARS, 0.5 - 0.5 * np.cos(2 * np.pi * YEARS)], axis=1)


def network():
    first, second = np.triu_indices(len(DAYS), 1)
    near = DAYS[second] - DAYS[first] <= 50
    return first[near], second[near]


def some_pairs(n, missing=0.0, seed=0, by_date=4.0, by_pair=2.0):
    rng = np.random.default_rng(seed)
    first, second = network()
    truth = rng.normal(0, 8, (n, 2))
    series = truth @ MODEL.T + rng.normal(0, by_date, (n, len(DAYS)))
    values = series[:, second] - series[:, first] + rng.normal(0, by_pair, (n, first.size))
    values[rng.random(values.shape) < missing] = np.nan
    return truth, values


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_coefficients_and_covariance_are_those_of_generalised_least_squares(missing):
    first, second = network()
    _, values = some_pairs(6, missing)
    weights = np.random.default_rng(1).uniform(0.5, 2, values.shape)
    found = fit_network_model(values, first, second, MODEL, weights, date_noise=4.0)
    for i, (d, w) in enumerate(zip(values, weights, strict=True)):
        valid = ~np.isnan(d)
        design = np.zeros((valid.sum(), len(DAYS)))
        design[np.arange(len(design)), first[valid]] = -1
        design[np.arange(len(design)), second[valid]] = 1
        noise = float(found.pair_noise[i]) ** 2
        inverse = np.linalg.inv(16.0 * design @ design.T + np.diag(noise / w[valid]))
        through = design @ MODEL
        covariance = np.linalg.inv(through.T @ inverse @ through)
        np.testing.assert_allclose(found.coefficients[i], covariance @ through.T @ inverse @ d[valid], rtol=1e-7)
        np.testing.assert_allclose(found.covariance[i], covariance, rtol=1e-7)


def test_noise_of_dates_and_pairs_is_told_apart_and_errors_are_what_they_say():
    first, second = network()
    truth, values = some_pairs(1500, 0.1)
    found = fit_network_model(values, first, second, MODEL)
    assert np.sqrt(np.mean(found.date_noise**2)) == pytest.approx(4.0, rel=0.03)
    assert np.sqrt(np.mean(found.pair_noise**2)) == pytest.approx(2.0, rel=0.03)
    error = np.sqrt(np.mean((found.coefficients - truth) ** 2, axis=0))
    said = np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2).mean(axis=0))
    np.testing.assert_allclose(said / error, 1.0, atol=0.1)


def test_points_without_spare_pairs_have_no_coefficients():
    first, second = network()
    _, values = some_pairs(2)
    values[0, 2:] = np.nan
    values[1] = np.nan
    found = fit_network_model(values, first, second, MODEL)
    assert np.isnan(found.coefficients).all() and np.isnan(found.covariance).all()
