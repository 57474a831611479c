"""What errors are measured by, where ground moves as no harmonic does."""

from dataclasses import dataclass

import numpy as np
import pytest

from insar_dask.forecast.schedule import plan
from insar_dask.forecast.tallies import forecast_with_scale, windows_of


@dataclass(frozen=True)
class Still:
    """Forecasts no motion at all, give or take a millimetre."""

    name: str

    def predict(self, context):
        shape = len(context.values), len(context.target_years)
        return np.zeros(shape, np.float32), np.ones(shape, np.float32)


@pytest.fixture(scope="module")
def context():
    """200 points with noise of 3 mm, the second hundred on ground that bends and jumps; the last without any value."""
    times = np.datetime64("2020-01-05") + np.arange(160) * np.timedelta64(12, "D")
    schedule = plan(times, methods=("kriging",))
    values = np.random.default_rng(0).normal(0, 3.0, (201, 160)).astype(np.float32)
    bend = np.linspace(-6, 6, 160)
    values[100:200] += (10 * np.maximum(bend, 0) ** 2).astype(np.float32)
    values[200] = np.nan
    return windows_of(values, schedule, "honest").context(schedule.test[0])


def test_a_forecaster_that_looks_around_is_measured_by_jitter_and_not_by_the_misfit(context):
    scale = forecast_with_scale(Still("kriging"), context)[1]
    assert scale.shape == (201, 6)
    noise = scale[:, 0] ** 2  # of a deviation of 1 mm
    assert noise[:100].mean() == pytest.approx(3.0, rel=0.03)
    assert (noise[100:200] < 6.0).all()
    misfit = forecast_with_scale(Still("gaussian_process"), context)[1][:, 0] ** 2
    assert misfit[:100].mean() == pytest.approx(3.0, rel=0.05)
    assert misfit[100:200].mean() > 2 * noise[100:200].mean()
    assert np.isnan(scale[200]).all()
