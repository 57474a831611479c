"""The pooled likelihood and its gradient against SciPy and differences."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from insar_kernels.conditioning import invert
from insar_kernels.likelihood import pooled_likelihood

N_DATES = 24
YEARS = np.sort(np.random.default_rng(0).uniform(0, 3, N_DATES))
COVARIANCE = (
    9.0 + 4 * np.exp(-np.abs(YEARS[:, None] - YEARS)) + np.minimum(YEARS[:, None], YEARS) + 0.5 * np.eye(N_DATES)
)


def series_with_gaps(n, missing):
    rng = np.random.default_rng(1)
    values = (rng.normal(size=(n, N_DATES)) @ np.linalg.cholesky(COVARIANCE).T).astype(np.float32)
    values[rng.random(values.shape) < missing] = np.nan
    return values


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_likelihood_agrees_with_scipy(missing):
    values = series_with_gaps(20, missing)
    precision, log_determinant = invert(COVARIANCE)
    quadratic, extra, _ = pooled_likelihood(values, precision)
    total, n_seen = 0.0, 0
    for series in values:
        seen = ~np.isnan(series)
        total += multivariate_normal(cov=COVARIANCE[np.ix_(seen, seen)]).logpdf(series[seen].astype(np.float64))
        n_seen += seen.sum()
    ours = -0.5 * (quadratic + extra + len(values) * log_determinant + n_seen * np.log(2 * np.pi))
    assert ours == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_likelihood_gradient_agrees_with_differences(missing):
    values = series_with_gaps(10, missing)
    direction = np.exp(-((YEARS[:, None] - YEARS) ** 2))

    def likelihood(step):
        precision, log_determinant = invert(COVARIANCE + step * direction)
        quadratic, extra, gradient = pooled_likelihood(values, precision)
        return -0.5 * (quadratic + extra + len(values) * log_determinant), gradient

    difference = (likelihood(1e-4)[0] - likelihood(-1e-4)[0]) / 2e-4
    assert 0.5 * (likelihood(0.0)[1] * direction).sum() == pytest.approx(difference, rel=1e-5)
