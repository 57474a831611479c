"""The pooled Gaussian process on real EGMS products, against the figures known for the same origins and scores."""

import os
from pathlib import Path

import numpy as np
import pytest

from insar_dask.cube import years_since
from insar_dask.forecast.gaussian import PooledGaussianProcess
from insar_dask.forecast.schedule import plan
from insar_dask.forecast.windows import Context, HonestWindows
from insar_dask.readers.egms import read_egms
from insar_kernels.harmonic import motion

DATA = os.environ.get("INSAR_DASK_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="INSAR_DASK_DATA does not name the folder of real products")

NORMAL_95 = 1.6448536269514722
KNOWN = {  # product: every n-th point, RMSE of all leads [mm], coverage of the 90 % interval at the first and last lead
    "EGMS_L3_E45N17_100km_U_2020_2024_1.zip": (1, 2.106, 0.95, 0.86),
    "EGMS_L3_E45N17_100km_E_2020_2024_1.zip": (1, 2.556, 0.95, 0.86),
    "EGMS_L2b_022_0845_IW2_VV_2020_2024_1.zip": (3, 3.909, 0.89, 0.87),
    "EGMS_L2b_117_0227_IW2_VV_2020_2024_1.zip": (3, 3.900, 0.88, 0.87),
}


def rolling_scores(product, every_nth):
    """Squared errors and hits of the 90 % interval, (origins x points, leads); NaN where nothing was observed."""
    cube = read_egms(Path(DATA) / "egms" / product).isel(point=slice(None, None, every_nth))
    schedule = plan(cube["time"].values)
    windows = HonestWindows(cube["displacement"].values, schedule)
    first = windows.context(schedule.test[0])
    model = PooledGaussianProcess()
    model.fit([model.partial(first)], first)
    errors, hits = [], []
    for origin in schedule.test:
        mean, std = model.predict(windows.context(origin))
        error = windows.targets(origin) - mean
        errors.append(error**2)
        hits.append(np.where(np.isnan(error), np.nan, np.abs(error) <= NORMAL_95 * std))
    return np.concatenate(errors), np.concatenate(hits)


@pytest.mark.parametrize("product", KNOWN)
def test_scores_and_coverage_agree_with_the_known_ones(product):
    every_nth, rmse, first_coverage, last_coverage = KNOWN[product]
    errors, hits = rolling_scores(product, every_nth)
    coverage = np.nanmean(hits, axis=0)
    assert np.sqrt(np.nanmean(errors)) <= 1.02 * rmse
    assert np.sqrt(np.nanmean(errors)) >= 0.97 * rmse, "better than known by more than sampling: has the future leaked?"
    assert coverage[0] == pytest.approx(first_coverage, abs=0.015)
    assert coverage[-1] == pytest.approx(last_coverage, abs=0.015)


@pytest.mark.parametrize("product", KNOWN)
def test_velocities_of_two_halves_agree_within_coloured_errors_only(product):
    """A 90 % interval of their difference holds zero at 88 to 98 % of the points; a white-noise one at 22 to 43 %."""
    cube = read_egms(Path(DATA) / "egms" / product).isel(point=slice(None, None, KNOWN[product][0]))
    values, years = cube["displacement"].values, years_since(cube["time"].values)
    middle = len(years) // 2
    whole, *halves = (
        Context(values[:, part], years[part] - years[part][0], values[:, :0], years[:0], years[:0])
        for part in (slice(None), slice(middle), slice(middle, None))
    )
    model = PooledGaussianProcess()
    model.fit([model.partial(whole)], whole)
    coloured = [model.velocity(half) for half in halves]
    white = [(fit.velocity, fit.velocity_std) for fit in (motion(half.values, half.years) for half in halves)]
    assert 0.85 <= share_of_agreement(*coloured) <= 0.99
    assert share_of_agreement(*white) < 0.5


def share_of_agreement(first, second):
    difference, error = first[0] - second[0], np.hypot(first[1], second[1])
    return np.mean(np.abs(difference) <= NORMAL_95 * error)
